"""A worker process of the fault tests: the real service, with a place to die at.

    python -m tests.faults.runner embedded|worker|beat|submit FILE

`KILL_AT` names the place (`mark:after-commit`); the process ends there by its own kill -9, as
early as the `KILL_NTH` time it comes by. Nothing of this is in the product.
"""

import os
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from coordinator.bootstrap import Service, adopt, build
from coordinator.flow.record import record
from coordinator.settings import Settings
from coordinator.store.only_one import only_one
from tests.faults.simulation.crashing import CrashingLedger

LEASE = timedelta(seconds=float(os.environ.get("TEST_LEASE_S", "8")))


class Dying:
    """A channel that is left alone until its answer was read."""

    def __init__(self, inner: Any, at_point: Any) -> None:
        self.inner, self.at_point = inner, at_point
        self.kind, self.safe_to_repeat = inner.kind, inner.safe_to_repeat
        self.look_up = inner.look_up

    def send(self, *args: Any, **named: Any) -> Any:
        answer = self.inner.send(*args, **named)
        self.at_point("send:answer-read")
        return answer


def prepared(service: Service) -> Service:
    """Return the service with a short lease and the place to die at."""
    passing = {"left": int(os.environ.get("KILL_NTH", "1"))}
    lock = threading.Lock()

    def at_point(place: str) -> None:
        if place != os.environ.get("KILL_AT"):
            return
        with lock:
            passing["left"] -= 1
            if passing["left"] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    parts = service.parts
    changes = {
        "policy": replace(parts.policy, lease=LEASE, send_limit=LEASE * 0.7),
        "ledger": CrashingLedger(service.store, at_point),
        "channels": {kind: Dying(channel, at_point) for kind, channel in parts.channels.items()},
    }
    for name, value in changes.items():
        object.__setattr__(parts, name, value)  # the parts are frozen for the product, not for its tests
    return service


def main() -> None:
    """Run until killed."""
    service = prepared(build(Settings()))
    adopt(service)
    if sys.argv[1] == "submit":
        answer = record(service.parts, "ehr", Path(sys.argv[2]).read_bytes())
        sys.stdout.write(answer.outcome)
        return
    if sys.argv[1] == "embedded":
        with only_one(service.settings.data_dir):
            service.runner().start()
            time.sleep(600)
        return
    from coordinator.cli import main as cli

    cli([sys.argv[1], *(["--concurrency", "2"] if sys.argv[1] == "worker" else [])])


if __name__ == "__main__":
    main()
