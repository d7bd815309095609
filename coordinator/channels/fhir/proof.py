"""When the far side's yes counts as proof: where its partner file asks for it, only after its own copy was read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from coordinator.channels.fhir.finding import already_there
from coordinator.channels.fhir.kept import LETTER, Finding, every_letter, letters_among
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.places import read_exactly
from coordinator.channels.fhir.said import parts, relative
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import DeliveryError, NeedsHuman
from coordinator.flow.ports import Lookup, Package, StoredDocument, Taken
from coordinator.mapping.partners import ReadBack

WITH_LETTER = ("fhir-document", "fhir-singles", "fhir-chart")
SOONEST_S = 60
"""A copy that is not there at once, or cannot be read, is looked for again after a minute: servers lag."""


def letters_in(document: StoredDocument) -> list[Mapping[str, Any]]:
    """Return the DocumentReferences of a stored body: itself, or those in its bundle."""
    content = read_exactly(document.body)
    return [content] if content.get("resourceType") == LETTER else letters_among(parts(content, "entry"))


def proven_there(
    server: FhirServer, taken: Taken, sent: Sequence[Mapping[str, Any]], match: Match, wish: ReadBack
) -> Taken:
    """Return the answer, proven only when the server's own copies are as sent; raise NeedsHuman when they are not.

    What is to be read later, or cannot be read now, is taken and not proven: the
    look-up asks again when it is due.
    """
    if not taken.proven or not sent:
        return taken
    later = replace(
        taken,
        proven=False,
        expect_receipt_within_s=max(wish.after_s, SOONEST_S),
        facts={**taken.facts, "read back": "later"},
    )
    if wish.after_s > 0:
        return later
    try:
        finding = every_letter(server, taken.far_side_ref, sent, match, wish.ignores)
    except DeliveryError:
        return later
    if finding.code == "fhir.not-kept":
        return later
    if finding.code is not None:
        raise NeedsHuman(finding.code, detail=finding.words, status=taken.status)
    return replace(taken, facts={**taken.facts, "read back": _said(finding)})


def looked_again(server: FhirServer, package: Package, place: str, match: Match, wish: ReadBack) -> Lookup:
    """Return what has become of a document the server said it had filed at this place, or holds elsewhere by our name.

    Raises Transient or NeedsHuman when it cannot be read.
    """
    sent = [found for one in package.documents if one.role in WITH_LETTER for found in letters_in(one)]
    finding = every_letter(server, place, sent, match, wish.ignores)
    if finding.code == "fhir.not-kept":
        elsewhere = already_there(server, package, match)
        if elsewhere is not None and elsewhere != relative(place, LETTER):
            place, finding = elsewhere, every_letter(server, elsewhere, sent, match, wish.ignores)
    if finding.code is None:
        return Lookup("arrived-proven", far_side_ref=place)
    return Lookup("failed", code=finding.code, detail=finding.words)


def _said(finding: Finding) -> str:
    return "as sent; a form of the letter is kept by link, and was not compared" if finding.by_link else "as sent"
