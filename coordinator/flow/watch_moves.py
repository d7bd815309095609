"""Moving files in a watched folder: none is overwritten, none is moved that was not read, and links are no way in."""

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.domain.errors import ConfigurationError

LOCK = ".coordinator-watch.lock"
LONGEST_NAME = 200
"""In bytes. A longer name is left off: what is written beside the file has a longer one still, and 255 is the most."""

TRIES = 9
"""Places that are tried for a file that is put back, while others put files there at the same time."""

Looked = tuple[int, int, int]
"""Inode, size in bytes and time of the last change in ns: equal twice means that nobody is writing."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raise ConfigurationError when another process watches it, or it is no folder of ours."""
    if not folder.is_dir():
        raise ConfigurationError("the watched folder does not exist; make it, and give this user the right to write")
    try:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise ConfigurationError(
            f"the watched folder's lock file ({LOCK}) cannot be opened: {fault.strerror}; it must be a plain file that "
            "this user may write, and the folder must be one in which it may make files"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as taken:
        os.close(file)
        raise ConfigurationError(
            "another process watches this folder already; end it, or watch another folder"
        ) from taken
    try:
        yield
    finally:
        os.close(file)


def make_place(folder: Path, name: str) -> Path:
    """Return the folder of that name within a watched one, made for its owner alone if it is not there.

    Raises ConfigurationError where files could not be moved into it in one step.
    """
    place = folder / name
    try:
        place.mkdir(exist_ok=True, mode=0o700)
        found, own = place.lstat(), folder.stat()
    except OSError as fault:
        raise ConfigurationError(
            f"{name} cannot be made in the watched folder: {fault.strerror}; give this user the right to write there"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_dev != own.st_dev:
        raise ConfigurationError(
            f"{name} in the watched folder must be a plain folder on the same disk, no link and no disk of its own: "
            "files are moved into it in one step"
        )
    return place


def look_at(file: int | Path) -> Looked | None:
    """Return what a file looks like, None when there is none, or it is no plain file."""
    try:
        found = os.fstat(file) if isinstance(file, int) else file.lstat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def free_name(folder: Path, name: str, digest: str) -> Path:
    """Return a place that overwrites nothing: an earlier file of the same name keeps its own."""
    stem, dot, ending = name.rpartition(".")
    if len(os.fsencode(name)) > LONGEST_NAME:
        stem, ending = digest[:12], ending[:12]
    target = folder / f"{stem}{dot}{ending}"
    numbers = itertools.count(1)
    while os.path.lexists(target):
        number = next(numbers)
        target = folder / f"{stem}.{digest[:12]}{'' if number == 1 else f'-{number}'}{dot}{ending}"
    return target


def move_read(path: Path, target: Path, seen: Looked) -> bool:
    """Move the file that was read; return False when it is not there any more, or another is in its place.

    A program that uploads may put another file there in any moment, also between the look and the move: one that was
    moved and never read is put back. Raises OSError when the file is there and cannot be moved.
    """
    if look_at(path) != seen:
        return False
    try:
        os.rename(path, target)
    except FileNotFoundError:
        if os.path.lexists(path):
            raise  # the place to put it is gone
        return False
    moved = look_at(target)
    if moved is not None and moved[0] != seen[0]:
        put_back(target, path, "unread")
        return False
    sync(target.parent)
    sync(path.parent)
    return True


def put_back(file: Path, path: Path, digest: str) -> None:
    """Move a file back to where it was, or beside what is there by now; raise OSError when it cannot be moved."""
    for number in range(TRIES):
        place = path if number == 0 else free_name(path.parent, path.name, f"{digest[:8]}-{number}")
        with contextlib.suppress(FileExistsError):
            _move_to_nothing(file, place)
            return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _move_to_nothing(file: Path, place: Path) -> None:
    """Move a file; raise FileExistsError when there is something already."""
    try:
        os.link(file, place, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise FileExistsError(place.name) from None
        os.rename(file, place)
        return
    file.unlink()


def grew(file: Path, size: int, digest: str) -> bool:
    """Return whether a file begins with these bytes and has more behind them: its upload has gone on."""
    seen = look_at(file)
    if seen is None or seen[1] <= size:
        return False
    with file.open("rb") as stream:
        hashed, left = hashlib.sha256(), size
        while left and (block := stream.read(min(left, 1 << 16))):
            hashed.update(block)
            left -= len(block)
    return hashed.hexdigest() == digest


def write_whole(path: Path, body: bytes) -> None:
    """Write a whole file or none, and have it on disk before returning."""
    half = path.with_name(f".{path.name}.tmp")
    with half.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Have the names of a folder on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
