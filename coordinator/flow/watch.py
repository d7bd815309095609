"""A watched folder: finished files are submitted, then moved to done/ or refused/ with the reasons beside them.

A file is moved only after every event in it was answered, so a crash at any moment
leaves it in place: it is submitted again, and what was on record already answers as
a replay. What is in the way of one file is told and tried again, and keeps no other
waiting.
"""

import errno
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from coordinator.domain.plan import Fault
from coordinator.flow.read_models import Recorded
from coordinator.flow.watch_moves import (
    Looked,
    folder_lock,
    free_name,
    grew,
    look_at,
    make_place,
    move_read,
    put_back,
    write_whole,
)
from coordinator.planning.csv_rows import read_rows
from coordinator.planning.json_stream import read_lines

__all__ = ["FORMATS", "Taken", "WatchedFolder", "folder_lock"]

DONE, REFUSED = "done", "refused"
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", ".writing", ".upload", "~")
"""Endings that upload tools give a file until it is whole; they rename it at the end."""
GOOD = frozenset({"accepted", "held", "replay"})
FORMATS = (".json", ".ndjson", ".jsonl", ".csv")
MOST_REASONS = 1000
"""Reasons kept for one file; the count of all of them stands beside."""
LONGEST_REST = 64
"""Looks for which a file is left alone at most after something was in its way; the first time it is one, then twice."""
MINDED_LOOKS, MOST_MINDED = 1800, 1000
"""For so many looks a file that was moved is minded, and so many at most: an upload may go on after a long pause."""

NOTHING = Fault("", "file.empty", "There is no event in this file.", "Drop in a file with one event or more.")

NOT_UTF_8 = Fault("", "file.encoding", "This file is not in UTF-8.", "Save it as UTF-8.")

Submit = Callable[[bytes], Recorded]


@dataclass(frozen=True)
class Taken:
    """What became of one file. `ref` is the start of the hash of its bytes; its name may hold a person's."""

    ref: str
    """For `stuck`: "inode-" and the number that `ls -i` shows."""
    place: str
    """done or refused; stuck: it stays, because of `why`; back: its upload went on, so it is read again whole."""
    counts: tuple[tuple[str, int], ...]
    why: str = ""
    """For `stuck`: what the system says is in the way."""


@dataclass(frozen=True)
class _Minded:
    """A file that was moved, as it was then."""

    seen: Looked
    name: str
    digest: str
    until: int
    """The number of the look after which it is left to itself."""
    is_told: bool = False
    """Whether somebody was told that it should be put back and cannot be."""


@dataclass
class _Reasons:
    counts: dict[str, int] = field(default_factory=dict)
    refused: list[dict[str, object]] = field(default_factory=list)

    def add(self, place: str, answer: Recorded) -> None:
        self.counts[answer.outcome] = self.counts.get(answer.outcome, 0) + 1
        if answer.outcome in GOOD or len(self.refused) >= MOST_REASONS:
            return
        faults = [{"pointer": pointer, "what": what, "fix": fix} for pointer, what, fix in answer.faults]
        self.refused.append({"place": place, "outcome": answer.outcome, "faults": faults})

    @property
    def is_good(self) -> bool:
        return bool(self.counts) and not self.counts.keys() - GOOD


class WatchedFolder:
    """One folder. `round` looks once; the caller waits between two rounds and holds `folder_lock`."""

    def __init__(self, folder: Path, submit: Submit, *, may_go_on: Callable[[], bool] = lambda: True) -> None:
        """`submit` takes in one event; what it raises leaves the file where it is. `may_go_on` is asked before each."""
        self._folder = folder
        self._submit = submit
        self._may_go_on = may_go_on
        self._seen: dict[str, Looked] = {}
        self._rests: dict[str, tuple[Looked, int, int]] = {}
        """Of what something was in the way: as it looked, for how many looks it rests, and for how many last time."""
        self._minded: dict[Path, _Minded] = {}
        self._looks = 0
        self._places = {name: make_place(folder, name) for name in (DONE, REFUSED)}

    def round(self) -> Iterator[Taken]:
        """Yield what became of each file that did not change since the round before, oldest first.

        A file that something is in the way of is yielded as stuck once, and tried again ever less often.
        """
        self._looks += 1
        yield from self._bring_back()
        looked: dict[str, Looked] = {}
        for name, seen in sorted(self._files(), key=lambda one: (one[1][2], one[0])):
            if not self._may_go_on():
                return
            looked[name] = seen
            if self._seen.get(name) != seen or self._is_resting(name, seen):
                continue
            taken = self._take(name, seen)
            if taken is None:
                continue
            if taken.place != "stuck":
                del looked[name]
                yield taken
            elif self._rest(name, seen):
                yield taken
        self._seen = looked
        self._rests = {name: rest for name, rest in self._rests.items() if looked.get(name) == rest[0]}

    def waiting(self) -> int:
        """Return how many files are there now."""
        return sum(1 for _ in self._files())

    def _files(self) -> Iterator[tuple[str, Looked]]:
        """Yield regular files of the known formats; hidden, unfinished and linked ones are nobody's business yet."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name.lower()
                if name.startswith(".") or name.endswith(UNFINISHED) or not name.endswith(FORMATS):
                    continue
                found = look_at(Path(entry.path))
                if found is not None:
                    yield entry.name, found

    def _is_resting(self, name: str, seen: Looked) -> bool:
        before = self._rests.get(name)
        if before is None or before[0] != seen or before[1] <= 0:
            return False
        self._rests[name] = (seen, before[1] - 1, before[2])
        return True

    def _rest(self, name: str, seen: Looked) -> bool:
        """Leave a file alone for some looks, twice as many as the last time; return whether it is the first time."""
        before = self._rests.get(name)
        first = before is None or before[0] != seen
        looks = 1 if before is None or first else min(before[2] * 2, LONGEST_REST)
        self._rests[name] = (seen, looks, looks)
        return first

    def _take(self, name: str, seen: Looked) -> Taken | None:
        path, reasons = self._folder / name, _Reasons()
        digest = hashlib.sha256()
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as fault:
            if fault.errno in (errno.ENOENT, errno.ELOOP):
                return None  # gone, or another thing by now: the next round looks again
            return _stuck(seen, fault)
        with os.fdopen(file, "rb") as stream:
            if look_at(stream.fileno()) != seen:
                return None
            for place, item in _items(stream, name):
                if not self._may_go_on():
                    return None  # what was answered is on record; the whole comes again as a replay
                reasons.add(place, self._submit(item) if isinstance(item, bytes) else _unreadable(item))
            if not reasons.counts:
                reasons.add("file", _unreadable((NOTHING,)))
            if look_at(stream.fileno()) != seen:
                return None  # somebody went on writing: the whole is submitted again once it stands still
            stream.seek(0)
            for block in iter(lambda: stream.read(1 << 16), b""):
                digest.update(block)
        try:
            return self._move(path, seen, digest.hexdigest(), reasons)
        except OSError as fault:
            return _stuck(seen, fault)

    def _move(self, path: Path, seen: Looked, digest: str, reasons: _Reasons) -> Taken | None:
        """Write the reasons first, then move the file: whoever finds the file finds its reasons."""
        place = DONE if reasons.is_good else REFUSED
        target = free_name(self._places[place], path.name, digest)
        if place == REFUSED:
            body = {"counts": reasons.counts, "refused": reasons.refused, "sha256": digest}
            write_whole(_beside(target), json.dumps(body, indent=2).encode())
        if not move_read(path, target, seen):
            _beside(target).unlink(missing_ok=True)
            return None
        self._minded[target] = _Minded(seen, path.name, digest, self._looks + MINDED_LOOKS)
        return Taken(digest[:12], place, tuple(sorted(reasons.counts.items())))

    def _bring_back(self) -> Iterator[Taken]:
        """Yield the files whose upload has gone on since they were moved; each is put back, to be read again whole."""
        for target in list(self._minded)[:-MOST_MINDED]:
            del self._minded[target]
        for target, minded in list(self._minded.items()):
            now = look_at(target)
            if now == minded.seen and self._looks <= minded.until:
                continue
            if now is None or now[0] != minded.seen[0]:
                del self._minded[target]
                continue
            try:
                if not grew(target, minded.seen[1], minded.digest):
                    del self._minded[target]
                    continue
                put_back(target, self._folder / minded.name, minded.digest)
            except OSError as fault:
                if not minded.is_told:
                    self._minded[target] = replace(minded, is_told=True)
                    yield _stuck(now, fault)
                continue
            del self._minded[target]
            _beside(target).unlink(missing_ok=True)
            yield Taken(minded.digest[:12], "back", ())


def _stuck(seen: Looked, fault: OSError) -> Taken:
    return Taken(f"inode-{seen[0]}", "stuck", (), fault.strerror or type(fault).__name__)


def _beside(target: Path) -> Path:
    return target.with_name(f"{target.name}.reasons.json")


def _items(stream: IO[bytes], name: str) -> Iterator[tuple[str, bytes | tuple[Fault, ...]]]:
    """Yield (place, event or the faults of a row), one at a time."""
    if name.lower().endswith(".csv"):
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            for number, row in read_rows(text):
                yield f"row {number}", json.dumps(row, default=str).encode() if isinstance(row, dict) else row
        except UnicodeDecodeError:
            yield "file", (NOT_UTF_8,)
        finally:
            text.detach()  # or the file would be closed behind our back
        return
    for number, body in read_lines(stream):
        yield f"line {number}", body


def _unreadable(faults: tuple[Fault, ...]) -> Recorded:
    return Recorded("refused", None, None, None, tuple((one.pointer, one.message, one.fix) for one in faults))
