"""What became of single creates whose answers were lost: asked entry by entry, never assumed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordinator.channels.fhir.finding import by_identifier, place_of
from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.misfiled import hold_misfiled
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.singles import LETTER, content_sha, entry_key, patient_of
from coordinator.channels.fhir.whose import hold_others
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
    book: EntriesHere,
    endpoint: str,
    entries: Entries,
    match: Match,
    *,
    again: bool,
    reliable: bool,
    settled: Callable[[], None],
) -> Lookup:
    """Return arrived when every entry has landed, absent when the rest may be sent, else unknown.

    `again`: a person has sent it once more. `settled` raises Transient while what was stored may not show up in a
    search yet. Raises NeedsHuman for one that is there twice, or in another patient's record.
    """
    astray = hold_misfiled(server, book, endpoint, entries, match, again=again)
    known = book.known(endpoint, [entry_key(one) for one in entries])
    missing = []
    for one in entries:
        row, key = known.get(entry_key(one)), entry_key(one)
        if row is None or row.asked_sha256 is None:
            continue
        if row.sha256 is not None and row.place is not None and key not in astray:
            book.let_go(endpoint, key)  # an update under its own id may be repeated
            continue
        place = _find(server, one, match)
        if place is not None:
            book.landed(endpoint, key, place, patient_of(one, match))
        else:
            missing.append(key)
    if missing and not reliable:
        return Lookup("unknown")
    if missing:
        settled()
    for key in missing:
        book.let_go(endpoint, key)
    rows = book.known(endpoint, [entry_key(one) for one in entries])
    if not astray and all(_has_landed(rows.get(entry_key(one)), one) for one in entries):
        letter = next((rows[entry_key(one)].place for one in entries if _kind(one) == LETTER), None)
        return Lookup("arrived-proven", far_side_ref=letter)
    return Lookup("absent")


def _find(server: FhirServer, entry: Mapping[str, Any], match: Match) -> str | None:
    resource = part(entry, "resource")
    names = [part(resource, "masterIdentifier"), *parts(resource, "identifier"), part(resource, "identifier")]
    name = next((one for one in names if text(one, "value")), {})
    if not name:
        return None
    same = by_identifier(server, _kind(entry), text(name, "system"), text(name, "value"))
    hold_others(server, same, match)
    if len(same) > 1:
        raise NeedsHuman("fhir.412")  # filed twice: somebody there has to take one away
    return place_of(same[0]) if same else None


def _has_landed(row: EntryRow | None, entry: Mapping[str, Any]) -> bool:
    return row is not None and row.sha256 == content_sha(entry)


def _kind(entry: Mapping[str, Any]) -> str:
    return text(part(entry, "resource"), "resourceType")
