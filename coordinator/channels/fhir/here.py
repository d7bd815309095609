"""The book of entries as one server sees it: what landed at another address of the same endpoint is not there.

The book is kept by endpoint. When its address becomes another server's, a place of the old one means nothing there, or
somebody else's record. So each place is kept with a mark of the address; a place without one is of a time before.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from coordinator.flow.ports import EntryBook, EntryRow

_MARKED = re.compile(r"([0-9a-f]{16}):(.+)")


class EntriesHere:
    """A book of entries for one address of an endpoint."""

    def __init__(self, book: EntryBook, address: str) -> None:
        """Read and write `book` for the server at `address`."""
        self._book = book
        self._mark = hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]

    def known(self, endpoint: str, entries: Sequence[str]) -> Mapping[str, EntryRow]:
        """Return the rows of those entries that were ever asked of this server; see the port."""
        rows = {name: self._here(row) for name, row in self._book.known(endpoint, entries).items()}
        return {name: row for name, row in rows.items() if row is not None}

    def asked(self, endpoint: str, entry: str, message: str, sha256: str) -> None:
        """See the port."""
        self._book.asked(endpoint, entry, message, sha256)

    def landed(self, endpoint: str, entry: str, place: str | None) -> None:
        """See the port."""
        self._book.landed(endpoint, entry, None if place is None else f"{self._mark}:{place}")

    def let_go(self, endpoint: str, entry: str) -> None:
        """See the port."""
        self._book.let_go(endpoint, entry)

    def _here(self, row: EntryRow) -> EntryRow | None:
        marked = _MARKED.fullmatch(row.place or "")
        if marked is None:
            return row
        if marked[1] == self._mark:
            return replace(row, place=marked[2])
        return None if row.asked_sha256 is None else EntryRow(None, None, row.asked_sha256)
