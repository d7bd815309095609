"""A watched folder: finished files are submitted, then moved to done/ or refused/ with the reasons beside them.

A file is moved only after every event in it was answered, so a crash at any moment
leaves it in place: it is submitted again, and what was on record already answers as
a replay.
"""

import fcntl
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from coordinator.domain.errors import ConfigurationError
from coordinator.domain.plan import Fault
from coordinator.flow.read_models import Recorded
from coordinator.planning.csv_rows import read_rows
from coordinator.planning.json_stream import read_lines

DONE, REFUSED, LOCK = "done", "refused", ".coordinator-watch.lock"
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".swp", ".writing", ".upload", "~")
"""Endings that upload tools give a file until it is whole; they rename it at the end."""
GOOD = frozenset({"accepted", "held", "replay"})
FORMATS = (".json", ".ndjson", ".jsonl", ".csv")
MOST_REASONS = 1000
"""Reasons kept for one file; the count of all of them stands beside."""

NOTHING = Fault("", "file.empty", "There is no event in this file.", "Drop in a file with one event or more.")

Submit = Callable[[bytes], Recorded]
Looked = tuple[int, int, int]
"""Inode, size in bytes and time of the last change in ns: equal twice means that nobody is writing."""


@dataclass(frozen=True)
class Taken:
    """What became of one file. `ref` is the start of the hash of its bytes; its name may hold a person's."""

    ref: str
    place: str
    """done or refused."""
    counts: tuple[tuple[str, int], ...]


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


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raise ConfigurationError when another process watches it, or it is no folder."""
    if not folder.is_dir():
        raise ConfigurationError("the watched folder does not exist; make it, and give this user the right to write")
    with (folder / LOCK).open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            raise ConfigurationError("another process watches this folder already") from taken
        yield


class WatchedFolder:
    """One folder. `round` looks once; the caller waits between two rounds and holds `folder_lock`."""

    def __init__(self, folder: Path, submit: Submit, *, may_go_on: Callable[[], bool] = lambda: True) -> None:
        """`submit` takes in one event; what it raises leaves the file where it is. `may_go_on` is asked per file."""
        self._folder = folder
        self._submit = submit
        self._may_go_on = may_go_on
        self._seen: dict[str, Looked] = {}
        for name in (DONE, REFUSED):
            (folder / name).mkdir(exist_ok=True, mode=0o700)

    def round(self) -> Iterator[Taken]:
        """Yield what became of each file that did not change since the round before, oldest first."""
        looked: dict[str, Looked] = {}
        for name, seen in sorted(self._files(), key=lambda one: (one[1][2], one[0])):
            if not self._may_go_on():
                return
            looked[name] = seen
            if self._seen.get(name) == seen:
                taken = self._take(name, seen)
                if taken is not None:
                    del looked[name]
                    yield taken
        self._seen = looked

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
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(found.st_mode):
                    yield entry.name, (found.st_ino, found.st_size, found.st_mtime_ns)

    def _take(self, name: str, seen: Looked) -> Taken | None:
        path, reasons = self._folder / name, _Reasons()
        digest = hashlib.sha256()
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return None  # gone, or not ours to read yet: the next round looks again
        with os.fdopen(file, "rb") as stream:
            if _look(stream.fileno()) != seen:
                return None
            for place, item in _items(stream, name):
                reasons.add(place, self._submit(item) if isinstance(item, bytes) else _unreadable(item))
            if not reasons.counts:
                reasons.add("file", _unreadable((NOTHING,)))
            if _look(stream.fileno()) != seen:
                return None  # somebody went on writing: the whole is submitted again once it stands still
            stream.seek(0)
            for block in iter(lambda: stream.read(1 << 16), b""):
                digest.update(block)
        return self._move(path, digest.hexdigest(), reasons)

    def _move(self, path: Path, digest: str, reasons: _Reasons) -> Taken:
        """Write the reasons first, then move the file: whoever finds the file finds its reasons."""
        place = DONE if reasons.is_good else REFUSED
        target = self._free(self._folder / place, path.name, digest)
        if place == REFUSED:
            body = {"counts": reasons.counts, "refused": reasons.refused, "sha256": digest}
            _write(target.with_name(f"{target.name}.reasons.json"), json.dumps(body, indent=2).encode())
        path.rename(target)
        _sync(target.parent)
        _sync(self._folder)
        return Taken(digest[:12], place, tuple(sorted(reasons.counts.items())))

    @staticmethod
    def _free(folder: Path, name: str, digest: str) -> Path:
        """Return a name that overwrites nothing: an earlier file of the same name keeps its own."""
        target = folder / name
        number = 1
        while target.exists():
            stem, dot, ending = name.rpartition(".")
            target = folder / f"{stem}.{digest[:12]}{'' if number == 1 else f'-{number}'}{dot}{ending}"
            number += 1
        return target


def _items(stream: IO[bytes], name: str) -> Iterator[tuple[str, bytes | tuple[Fault, ...]]]:
    """Yield (place, event or the faults of a row), one at a time."""
    if name.lower().endswith(".csv"):
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            for number, row in read_rows(text):
                yield f"row {number}", json.dumps(row, default=str).encode() if isinstance(row, dict) else row
        except UnicodeDecodeError:
            yield "file", (Fault("", "file.encoding", "This file is not in UTF-8.", "Save it as UTF-8."),)
        finally:
            text.detach()  # or the file would be closed behind our back
        return
    for number, body in read_lines(stream):
        yield f"line {number}", body


def _unreadable(faults: tuple[Fault, ...]) -> Recorded:
    return Recorded("refused", None, None, None, tuple((one.pointer, one.message, one.fix) for one in faults))


def _look(file: int) -> Looked:
    found = os.fstat(file)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _write(path: Path, body: bytes) -> None:
    """Write a whole file or none, and have it on disk before returning."""
    half = path.with_name(f".{path.name}.tmp")
    with half.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
