"""What a disk holds after a power cut: a process is traced while it writes, and any part of it is played back.

A system call trace (strace) tells which bytes went to which file, and when the process waited for the disk
(fsync, fdatasync). What was waited for is there after a cut. Of what was not, a disk may hold nothing, all of it, or
any part of it, in any order, down to single sectors.

    python -m tests.faults.power_cut DATABASE_URL NUMBER_OF_EVENTS off|normal|full

is the process that is traced: it takes in events, prepares and sends them, and says each time what it has promised.
"""

import os
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

SECTOR = 512
CALLS = "openat,write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat2"
TRACE = ("strace", "-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none")
_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += +(-?\d+)")
_FILE = re.compile(r"^\d+<([^>]*)>")
_DATA = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


@dataclass(frozen=True)
class Write:
    """Bytes that were handed to the system for one file; None for a file that was cut off at `at`."""

    file: str
    at: int
    data: bytes | None


@dataclass(frozen=True)
class Sync:
    """The process waited until the disk had everything of this file."""

    file: str


@dataclass(frozen=True)
class Said:
    """A line that the process promised by: `answered EVENT`, `left DELIVERY`."""

    line: str


@dataclass
class Disk:
    """The files of a database as a disk may hold them."""

    files: dict[str, bytes]
    waiting: list[Write] = field(default_factory=list)
    """Written and not yet waited for, oldest first."""

    def take(self, step: Write | Sync | Said) -> None:
        """Let one step happen."""
        if isinstance(step, Write):
            self.waiting.append(step)
        elif isinstance(step, Sync):
            mine = [one for one in self.waiting if one.file == step.file]
            self.waiting = [one for one in self.waiting if one.file != step.file]
            self.files = _written(self.files, mine)

    def after_cut(self, dice: random.Random | None) -> dict[str, bytes]:
        """Return the files after a cut: without what nobody waited for, or with any part of it."""
        if dice is None:
            return dict(self.files)
        return _written(self.files, [part for one in self.waiting for part in _kept(one, dice)])


def _kept(write: Write, dice: random.Random) -> Iterator[Write]:
    """Yield the parts of a write that reached the disk before the cut."""
    if write.data is None:
        if dice.random() < 0.5:
            yield write
        return
    luck = dice.choice((0.0, 0.5, 1.0))
    for start in range(0, len(write.data), SECTOR):
        if dice.random() < luck:
            yield Write(write.file, write.at + start, write.data[start : start + SECTOR])


def _written(files: dict[str, bytes], writes: list[Write]) -> dict[str, bytes]:
    made = {name: bytearray(body) for name, body in files.items()}
    for one in writes:
        body = made.setdefault(one.file, bytearray())
        if one.data is None:
            del body[one.at :]
            continue
        body.extend(b"\0" * (one.at - len(body)))
        body[one.at : one.at + len(one.data)] = one.data
    return {name: bytes(body) for name, body in made.items()}


def steps(trace: Path, database: Path, said: Path) -> Iterator[Write | Sync | Said]:
    """Yield what a trace tells of the database's files and of the promises, in order.

    Raises ValueError for a line about them that is not understood: a guess would prove nothing.
    """
    names = (_spelt(database), _spelt(said))
    with trace.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if not any(one in line for one in names):
                continue
            found = _CALL.match(line)
            if found is None:
                if "unfinished" in line or "resumed" in line:
                    raise ValueError("two threads at once in the trace: the order of their calls is not known")
                continue
            if int(found[3]) >= 0:
                yield from _step(found[1], found[2], database, said)


def _step(call: str, arguments: str, database: Path, said: Path) -> Iterator[Write | Sync | Said]:
    if call == "openat":
        return
    if call in {"unlink", "unlinkat", "rename", "renameat2"}:
        raise ValueError(f"{call} of a database file: not expected while a connection is open")
    of = _FILE.match(arguments)
    name = "" if of is None else bytes.fromhex(of[1].replace("\\x", "")).decode()
    if name == str(said):
        yield Said(_data(arguments).decode().strip())
    elif name.endswith("-shm"):
        return  # made anew from the log
    elif call in {"fsync", "fdatasync"}:
        yield Sync(Path(name).name)
    elif call == "pwrite64":
        yield Write(Path(name).name, int(arguments.rsplit(", ", 1)[1]), _data(arguments))
    elif call == "ftruncate":
        yield Write(Path(name).name, int(arguments.rsplit(", ", 1)[1]), None)
    else:
        raise ValueError(f"{call} of a database file is not understood")


def _spelt(path: Path) -> str:
    return "".join(f"\\x{one:02x}" for one in str(path).encode())


def _data(arguments: str) -> bytes:
    found = _DATA.search(arguments)
    if found is None or found[2]:
        raise ValueError("a write whose bytes the trace does not hold")
    return bytes.fromhex(found[1].replace("\\x", ""))


class Telling:
    """A channel that says when the first byte of a delivery has left."""

    safe_to_repeat = False
    kind = "fhir-rest"

    def send(self, package: Any, _endpoint: Any, *, deadline: datetime, about_to_send: Any) -> Any:
        from coordinator.flow.ports import Taken

        about_to_send(None)
        os.write(1, f"left {package.delivery}\n".encode())
        return Taken(package.tag, proven=True, status=201)


def work(url: str, events: int, synchronous: str) -> None:
    """Take in, prepare and send, saying what was promised."""
    import json

    import sqlalchemy as sa

    from coordinator.flow import deliver
    from coordinator.flow.prepare import prepare_all
    from coordinator.flow.record import record
    from coordinator.store.engine import connect
    from coordinator.store.ledger import Store
    from tests.bench.bodies import bodies_only
    from tests.bench.clinic import parts_over
    from tests.faults.simulation.world import cipher, example

    engine = connect(url)
    if synchronous != "full":  # which is what the product sets
        sa.event.listen(engine, "connect", lambda made, _: made.execute(f"PRAGMA synchronous={synchronous}"))
    parts = parts_over(Store(engine, cipher()), {"fhir-rest": Telling()})
    with bodies_only():
        for number in range(events):
            event = example("session-outcome.bp-spike") | {"id": f"b-{number}", "patient": f"MRN-B{number}"}
            event["course"] = {"id": f"course-b{number}"}
            answer = record(parts, "ehr", json.dumps(event).encode())
            os.write(1, f"answered {answer.event_ref}\n".encode())
            prepare_all(parts, [str(answer.event_ref)])
            for claimed in deliver.claim(parts, "traced", 32):
                deliver.attempt(parts, claimed)
    os._exit(0)  # as nobody closes a database before a power cut


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), sys.argv[3])
