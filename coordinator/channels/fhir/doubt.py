"""What became of single creates whose answers were lost: asked entry by entry, never assumed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordinator.channels.fhir.finding import by_identifier
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.singles import LETTER, content_sha, entry_key
from coordinator.domain.errors import NeedsHuman
from coordinator.flow.ports import EntryBook, EntryRow, Lookup

Entries = Sequence[Mapping[str, Any]]


def has_begun(book: EntryBook, endpoint: str, entries: Entries) -> bool:
    """Return whether any of these entries, as composed now, was ever asked of this endpoint."""
    known = book.known(endpoint, [entry_key(one) for one in entries])
    rows = [(known.get(entry_key(one)), content_sha(one)) for one in entries]
    return any(row is not None and sha in (row.sha256, row.asked_sha256) for row, sha in rows)


def settle_entries(
    server: FhirServer,
    book: EntryBook,
    endpoint: str,
    entries: Entries,
    *,
    reliable: bool,
    settled: Callable[[], None],
) -> Lookup:
    """Return arrived when every entry has landed, absent when the rest may be sent, else unknown.

    `settled` raises Transient while what was stored may not show up in a search yet. Raises NeedsHuman for one that is
    there twice.
    """
    known = book.known(endpoint, [entry_key(one) for one in entries])
    missing = []
    for one in entries:
        row, key = known.get(entry_key(one)), entry_key(one)
        if row is None or row.asked_sha256 is None:
            continue
        if row.sha256 is not None and row.place is not None:
            book.let_go(endpoint, key)  # an update under its own id may be repeated
            continue
        place = _find(server, one)
        if place is not None:
            book.landed(endpoint, key, place)
        else:
            missing.append(key)
    if missing and not reliable:
        return Lookup("unknown")
    if missing:
        settled()
    for key in missing:
        book.let_go(endpoint, key)
    rows = book.known(endpoint, [entry_key(one) for one in entries])
    if all(_has_landed(rows.get(entry_key(one)), one) for one in entries):
        letter = next((rows[entry_key(one)].place for one in entries if _kind(one) == LETTER), None)
        return Lookup("arrived-proven", far_side_ref=letter)
    return Lookup("absent")


def _find(server: FhirServer, entry: Mapping[str, Any]) -> str | None:
    resource = part(entry, "resource")
    names = [part(resource, "masterIdentifier"), *parts(resource, "identifier"), part(resource, "identifier")]
    name = next((one for one in names if text(one, "value")), {})
    if not name:
        return None
    same = by_identifier(server, _kind(entry), text(name, "system"), text(name, "value"))
    if len(same) > 1:
        raise NeedsHuman("fhir.412")  # filed twice: somebody there has to take one away
    return f"{_kind(entry)}/{text(same[0], 'id')}" if same else None


def _has_landed(row: EntryRow | None, entry: Mapping[str, Any]) -> bool:
    return row is not None and row.sha256 == content_sha(entry)


def _kind(entry: Mapping[str, Any]) -> str:
    return text(part(entry, "resource"), "resourceType")
