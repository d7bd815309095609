"""The command line with a slow far side in place of every channel: `python -m tests.e2e.slow_service serve|worker ...`.

It writes SENDING (a file in the data folder) when a send has begun, and SENT when the far side has taken it.

With SIGTERM_WHERE_SWALLOWED set, the process is asked to end while it loads its API, at a place where Python
swallows whatever is raised; libraries compiled from other languages have more of these.
"""

import os
import signal
import sys
import time

from coordinator.api import app as api
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


class Swallows:
    """Is told of the signal while it is thrown away."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
        len("the handler runs before this does")


def create_meanwhile(create=api.create):
    del [Swallows()][0]
    return create()


if __name__ == "__main__":
    if "SIGTERM_WHERE_SWALLOWED" in os.environ:
        api.create = create_meanwhile
    made = build(Settings())
    made.parts.channels.update({kind: Slow(kind, made.settings.data_dir) for kind in made.parts.channels})
    adopt(made)
    main(sys.argv[1:])
