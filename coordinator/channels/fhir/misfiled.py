"""Entries that landed in another patient's record, because the patient was known by another number then."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.singles import entry_key
from coordinator.channels.fhir.whose import OTHER_PATIENT, WORDS, is_with
from coordinator.domain.errors import NeedsHuman


def misfiled(
    server: FhirServer, book: EntriesHere, endpoint: str, entries: Sequence[Mapping[str, Any]], match: Match
) -> frozenset[str]:
    """Return the keys of the entries that the book has under another patient and that are still not with ours.

    The server may have joined the two records, or somebody there moved what was misfiled: what it holds now decides.
    """
    ours = {match.far_side_id, *match.replaces}
    others = book.with_others(endpoint, [entry_key(one) for one in entries], ours)
    return frozenset(key for key, place in others.items() if not (place and is_with(server, place, match)))


def hold_misfiled(
    server: FhirServer, book: EntriesHere, endpoint: str, entries: Sequence[Mapping[str, Any]], match: Match, *,
    again: bool,
) -> frozenset[str]:  # fmt: skip
    """Raise NeedsHuman when one of the entries lies with another patient.

    `again`: a person who knows of it sends the message once more. Then return what does not count as landed.
    """
    found = misfiled(server, book, endpoint, entries, match)
    if found and not again:
        raise NeedsHuman(OTHER_PATIENT, detail=WORDS)
    return found
