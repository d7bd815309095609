"""Worker processes of the fault tests: the real service, with places where it can be made to stop.

`python -m tests.faults.runner` is a template: everything is imported once, and each worker is a fork of it, a process
of its own that is really killed. It takes one JSON line at a time: {"do": "start", ...} or {"do": "poll", "pid": n}.

`STOP_AT` names places (`mark:after-commit`, several separated by blanks). The process that comes by stops itself there
(SIGSTOP, all of its threads) right after it has written the place into the file `REACHED`. It stays there until the
test kills it or lets it go on. At places in `WAIT_AT` only the thread that comes by waits, until the file
`REACHED`.go is there; the others go on. Nothing of this is in the product.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import coordinator.channels.fhir_rest
import coordinator.cli  # noqa: F401
from coordinator.bootstrap import Service, adopt, build
from coordinator.flow.record import record
from coordinator.settings import Settings
from coordinator.store.only_one import only_one
from tests.faults.counting import CountedChannel
from tests.faults.mutations import take_away
from tests.faults.simulation.crashing import CrashingLedger


class Watched:
    """A channel that is left alone; the places before it begins and after its answer was read are named."""

    def __init__(self, inner: Any, at_point: Any) -> None:
        self.inner, self.at_point = inner, at_point
        self.kind, self.safe_to_repeat = inner.kind, inner.safe_to_repeat
        self.look_up = inner.look_up

    def send(self, *args: Any, **named: Any) -> Any:
        self.at_point("send:begins")
        try:
            answer = self.inner.send(*args, **named)
        except Exception:
            self._came("refusal-read")
            raise
        self._came("answer-read")
        return answer

    def _came(self, what: str) -> None:
        self.at_point(f"send:{what}")
        self.at_point(f"{self.kind}:{what}")


def _stops(reached: Path) -> Any:
    stops, waits = (frozenset(os.environ.get(name, "").split()) for name in ("STOP_AT", "WAIT_AT"))
    lock = threading.Lock()

    def at_point(place: str) -> None:
        if place not in stops | waits:
            return
        with lock:
            if reached.exists():  # once is enough: after it was let go on, this process passes
                return
            with reached.open("x", encoding="ascii") as out:
                out.write(place)
                out.flush()
                os.fsync(out.fileno())
            if place in stops:
                os.kill(os.getpid(), signal.SIGSTOP)
        while place in waits and not reached.with_suffix(".go").exists():
            time.sleep(0.02)

    return at_point


def prepared(service: Service) -> Service:
    """Return the service with the lease of the test and the places to stop at."""
    at_point = _stops(Path(os.environ["REACHED"]))
    lease = timedelta(seconds=float(os.environ["TEST_LEASE_S"]))
    parts = service.parts
    channels: dict[str, Any] = {kind: Watched(channel, at_point) for kind, channel in parts.channels.items()}
    if "COUNTED_AT" in os.environ:
        channels["fhir-rest"] = CountedChannel(int(os.environ["COUNTED_AT"]))
    at_once = int(os.environ.get("PER_ENDPOINT", str(parts.policy.per_endpoint)))
    changes = {
        "policy": replace(parts.policy, lease=lease, send_limit=lease * 0.7, per_endpoint=at_once),
        "ledger": CrashingLedger(service.store, at_point),
        "channels": channels,
    }
    for name, value in changes.items():
        object.__setattr__(parts, name, value)  # the parts are frozen for the product, not for its tests
    pages = os.environ.get("MAX_PAGES")
    if pages:
        import sqlalchemy as sa

        @sa.event.listens_for(service.store.engine, "connect")
        def small(connection: Any, _record: Any) -> None:
            connection.execute(f"PRAGMA max_page_count={int(pages)}")

    return service


def work(role: str, arguments: list[str]) -> None:
    """Run one worker until it is killed."""
    take_away(os.environ.get("TAKE_AWAY", ""))
    service = prepared(build(Settings()))
    adopt(service)
    if role == "submit":
        sys.stdout.write(record(service.parts, "ehr", Path(arguments[0]).read_bytes()).outcome)
        return
    if role == "embedded":
        with only_one(service.settings.data_dir):
            service.runner().start()
            while True:
                # Under libfaketime a sleep during which the clock is set may end at once, or with an error.
                with contextlib.suppress(OSError):
                    time.sleep(1)
        return
    from coordinator.cli import main as cli

    cli([role, *arguments])


def _child(asked: dict[str, Any]) -> None:
    code = 1
    try:
        out = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        work(asked["role"], asked["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Fork workers as asked until the input ends; then kill what is left."""
    alive: set[int] = set()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "start":
            pid = os.fork()
            if pid == 0:
                _child(asked)
            alive.add(pid)
            answer = {"pid": pid}
        else:
            pid = asked["pid"]
            if pid in alive:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    alive.discard(pid)
                    ended[pid] = os.waitstatus_to_exitcode(status)
            answer = {"code": ended.get(pid)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in alive:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
