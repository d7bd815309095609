"""One embedded process at a time in a data folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.domain.errors import ConfigurationError


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; raise ConfigurationError when another process holds it.

    The lock proves that whatever a dead process had claimed can be taken back at once.
    The operating system lets it go when the process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "coordinator.lock").open("w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as taken:
            message = "another coordinator process works on this data folder; stop it, or use PostgreSQL and workers"
            raise ConfigurationError(message) from taken
        yield
