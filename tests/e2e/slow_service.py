"""The command line with a slow far side in place of every channel: `python -m tests.e2e.slow_service serve|worker ...`.

It writes SENDING (a file in the data folder) when a send has begun, and SENT when the far side has taken it.
"""

import sys
import time

from coordinator.bootstrap import adopt, build
from coordinator.cli import main
from coordinator.flow.ports import Lookup, Taken
from coordinator.settings import Settings

TAKES_S = 3.0


class Slow:
    """A far side that takes everything, after some seconds, and cannot be asked about it."""

    safe_to_repeat = False

    def __init__(self, kind, data_dir):
        self.kind, self.data_dir = kind, data_dir

    def send(self, package, endpoint, *, deadline, about_to_send):
        about_to_send(package.tag)
        (self.data_dir / "SENDING").touch()
        time.sleep(TAKES_S)
        (self.data_dir / "SENT").touch()
        return Taken(package.tag, proven=True, status=201)

    def look_up(self, package, endpoint, far_side_ref, *, deadline):
        return Lookup("unknown")


if __name__ == "__main__":
    made = build(Settings())
    made.parts.channels.update({kind: Slow(kind, made.settings.data_dir) for kind in made.parts.channels})
    adopt(made)
    main(sys.argv[1:])
