"""The book of entries as one server sees it: what landed at another address, or with another patient, is not there.

The book is kept by endpoint. When its address becomes another server's, a place of the old one means nothing there, or
somebody else's record. So each place is kept with a mark of the address, and of the record that the entry was filed in:
when the patient's number is corrected, what landed before lies with somebody else. A place without a mark is of a time
before.
"""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from coordinator.flow.ports import EntryBook, EntryRow

_KEPT = re.compile(r"(?:([0-9a-f]{16}):)?([^#]*)(?:#([0-9a-f]{16}))?")
"""Mark of the address, place, mark of the patient. The last one stands where a URL has its fragment."""


@dataclass(frozen=True)
class _Kept:
    """A place as the book keeps it."""

    address: str | None
    place: str | None
    patient: str | None


class EntriesHere:
    """A book of entries for one address of an endpoint."""

    def __init__(self, book: EntryBook, address: str) -> None:
        """Read and write `book` for the server at `address`."""
        self._book = book
        self._mark = _mark(address.rstrip("/"))

    def known(self, endpoint: str, entries: Sequence[str]) -> Mapping[str, EntryRow]:
        """Return the rows of those entries that were ever asked of this server; see the port."""
        rows = {name: self._here(row) for name, row in self._book.known(endpoint, entries).items()}
        return {name: row for name, row in rows.items() if row is not None}

    def with_others(self, endpoint: str, entries: Sequence[str], patients: Collection[str]) -> Mapping[str, str]:
        """Return the places ("" where the server said none) of what landed here for none of these patients.

        What is about no patient, or landed before patients were noted, is not among them.
        """
        ours = {self._mark_of(one) for one in patients}
        rows = {name: _kept(row) for name, row in self._book.known(endpoint, entries).items() if row.sha256 is not None}
        return {
            name: one.place or ""
            for name, one in rows.items()
            if one.address == self._mark and one.patient is not None and one.patient not in ours
        }

    def asked(self, endpoint: str, entry: str, message: str, sha256: str) -> None:
        """See the port."""
        self._book.asked(endpoint, entry, message, sha256)

    def landed(self, endpoint: str, entry: str, place: str | None, patient: str | None = None) -> None:
        """Note that what was asked has landed; see the port. `patient`: the id of the record it is in, if in one's."""
        if patient is None:
            self._book.landed(endpoint, entry, None if place is None else f"{self._mark}:{place}")
            return
        if place is None:  # a place that is known stays known
            row = self.known(endpoint, [entry]).get(entry)
            place = None if row is None else row.place
        self._book.landed(endpoint, entry, f"{self._mark}:{place or ''}#{self._mark_of(patient)}")

    def let_go(self, endpoint: str, entry: str) -> None:
        """See the port."""
        self._book.let_go(endpoint, entry)

    def _here(self, row: EntryRow) -> EntryRow | None:
        kept = _kept(row)
        if kept.address is None or kept.address == self._mark:
            return replace(row, place=kept.place)
        return None if row.asked_sha256 is None else EntryRow(None, None, row.asked_sha256)

    def _mark_of(self, patient: str) -> str:
        return _mark(f"{self._mark} {patient}")


def _kept(row: EntryRow) -> _Kept:
    found = _KEPT.fullmatch(row.place or "")
    if found is None:
        return _Kept(None, row.place, None)
    return _Kept(found[1], found[2] or None, found[3])


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
