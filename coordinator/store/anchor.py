"""A mark outside the database that says how far it had come, so that an older copy put in its place is noticed.

The mark is the end of every audit chain: numbers and hashes, nothing about anybody. The chains only grow, so a
database in which the marked line is missing, or is another one, is not the database the mark was taken from.
"""

import errno
import json
import os
import threading
from pathlib import Path
from typing import Literal

import sqlalchemy as sa

from coordinator.store.ledger import Store
from coordinator.store.tables import audit, audit_heads

OUT_OF = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of a process that has used up what it may have."""
UNREADABLE: dict[str, tuple[int, str]] = {"0": (-1, "unreadable")}
"""In place of a mark that cannot be read: it proves nothing, so a person has to look."""
Found = Literal["same", "older", "no-mark"]


class Anchor:
    """Keeps the mark in one file, on another volume than the database where there is one."""

    def __init__(self, file: Path, store: Store) -> None:
        """Name the file; nothing is read yet."""
        self._file = file
        self._store = store
        self._written: dict[str, list[object]] | None = None

    def compare(self) -> Found:
        """Return whether the database is the one that the mark was taken from, or an older or other one."""
        marked = self._read()
        if marked is None:
            return "no-mark"
        with self._store.begin(write=False) as tx:
            for shard, (seq, digest) in marked.items():
                query = sa.select(audit.c.hash).where(audit.c.shard == int(shard), audit.c.seq == seq)
                if tx.connection.execute(query).scalar() != digest:
                    return "older"
        return "same"

    def write(self) -> None:
        """Take the mark anew. It replaces the old one whole, or not at all."""
        with self._store.begin(write=False) as tx:
            rows = tx.connection.execute(sa.select(audit_heads)).all()
        heads: dict[str, list[object]] = {str(row.shard): [row.seq, row.hash] for row in rows if row.seq}
        if heads == self._written:
            return
        # Several workers may keep one mark: each writes a file of its own and puts it in place whole.
        whole = self._file.with_name(f"{self._file.name}.{os.getpid()}-{threading.get_ident()}.new")
        with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump({"version": 1, "heads": heads}, out)
            out.flush()
            os.fsync(out.fileno())
        whole.replace(self._file)
        self._written = heads

    def _read(self) -> dict[str, tuple[int, str]] | None:
        try:
            said = json.loads(self._file.read_text("utf-8"))
            return {str(shard): (int(seq), str(digest)) for shard, (seq, digest) in said["heads"].items()}
        except FileNotFoundError:
            return None
        except OSError as fault:
            if fault.errno in OUT_OF:
                raise  # says nothing about the mark: it is looked at again at the next round
            return UNREADABLE
        except (ValueError, KeyError, TypeError, AttributeError):
            return UNREADABLE
