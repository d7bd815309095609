"""Judging the answer to a FHIR write: nothing counts as delivered that the answer does not prove."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coordinator.channels.answers import FHIR_STATUS, error_for
from coordinator.channels.fhir.kept import LETTER
from coordinator.channels.fhir.said import part, parts, relative, text
from coordinator.channels.fhir.server import has_error_issue, parse
from coordinator.channels.wire import Answer
from coordinator.domain.errors import InDoubt, NeedsHuman
from coordinator.flow.ports import Clock, Taken

REVIEW_WITHIN_S = 72 * 3600
"""202 means that people at the far side review it; three days cover a weekend, as the retry schedule does."""


def judge_document(answer: Answer, clock: Clock, *, only_once: bool) -> Taken:
    """Return Taken for one created document; raise as the answer table says. Only the place of a document is proof.

    `only_once`: it was a create under a condition, so repeating it doubles nothing, and 200 says that it was there.
    """
    _refuse_bad(answer, clock, only_once=only_once)
    if answer.status == 202:
        return _awaiting(answer)
    resource = _usable(answer)
    found = answer.status == 200 and only_once
    location = answer.headers.get("location") or (answer.headers.get("content-location") if found else None)
    if location is None and found and text(resource, "id"):
        location = f"{text(resource, 'resourceType')}/{text(resource, 'id')}"
    if location is None or relative(location, LETTER) is None or answer.status not in (200, 201):
        raise InDoubt("fhir.no-location", detail=answer.body, status=answer.status)
    return _proven(answer, location, already=found)


def judge_bundle(answer: Answer, sent: Mapping[str, Any], clock: Clock, *, only_once: bool) -> Taken:
    """Return Taken when every entry's own status says that it landed; raise as the answer table says.

    `only_once`: repeating the write doubles nothing.
    """
    _refuse_bad(answer, clock, only_once=only_once)
    if answer.status == 202:
        return _awaiting(answer)
    bundle = _usable(answer)
    if bundle is None or bundle.get("type") not in ("transaction-response", "batch-response"):
        raise InDoubt("fhir.not-fhir", detail=answer.body, status=answer.status)
    wanted, got = parts(sent, "entry"), parts(bundle, "entry")
    if len(wanted) != len(got):
        raise InDoubt("fhir.partial", detail=answer.body, status=answer.status)
    locations = [_entry(one, asked, answer) for one, asked in zip(got, wanted, strict=True)]
    under_review = any(_status(one) == 202 for one in got)
    letters = [
        place
        for place, one, asked in zip(locations, got, wanted, strict=True)
        if _kind(asked) == LETTER and _status(one) != 202
    ]
    location = next((one for one in letters or locations if one), None)
    if not all(letters) or (location is None and not under_review):
        raise InDoubt("fhir.no-location", detail=answer.body, status=answer.status)
    created = sum(_status(one) == 201 for one in got)
    taken = _proven(answer, location, already=created == 0, entries=str(len(got)), created=str(created))
    return _for_review(taken) if under_review else taken


def _entry(got: Mapping[str, Any], asked: Mapping[str, Any], answer: Answer) -> str | None:
    """Return the entry's location; raise when its own status or outcome says that it did not land."""
    response = part(got, "response")
    if not 200 <= _status(got) < 300:
        raise NeedsHuman("fhir.partial", detail=answer.body, status=answer.status)
    if has_error_issue(response.get("outcome")) or has_error_issue(got.get("resource")):
        raise NeedsHuman("fhir.outcome-error", detail=answer.body, status=answer.status)
    location, kind = text(response, "location"), _kind(asked)
    if location and kind and f"{kind}/" not in location:
        raise InDoubt("fhir.partial", detail=answer.body, status=answer.status)
    return location or None


def _kind(asked: Mapping[str, Any]) -> str:
    return text(part(asked, "resource"), "resourceType")


def _status(entry: Mapping[str, Any]) -> int:
    """Return the entry's own status, 0 when it has none that can be read ("201 Created" gives 201)."""
    first = text(part(entry, "response"), "status")[:3]
    return int(first) if first.isascii() and first.isdigit() else 0


def _refuse_bad(answer: Answer, clock: Clock, *, only_once: bool) -> None:
    if not 200 <= answer.status < 300:
        raise error_for(answer, FHIR_STATUS, clock.now(), kind="fhir", only_once=only_once)


def _usable(answer: Answer) -> dict[str, Any] | None:
    """Return the parsed body, None for an empty one; raise for HTML, a cut body, or an error inside a success."""
    if answer.whole and not answer.body:
        return None
    resource = parse(answer)
    if resource is None:
        raise InDoubt("fhir.not-fhir", detail=answer.body, status=answer.status)
    if has_error_issue(resource):
        raise NeedsHuman("fhir.outcome-error", detail=answer.body, status=answer.status)
    return resource


def _awaiting(answer: Answer) -> Taken:
    _usable(answer)
    location = answer.headers.get("location") or answer.headers.get("content-location")
    return _for_review(Taken(location, proven=False, detail=answer.body, status=answer.status, facts=answer.facts))


def _for_review(taken: Taken) -> Taken:
    facts = {**taken.facts, "answer": "accepted for review"}
    return replace(taken, proven=False, expect_receipt_within_s=REVIEW_WITHIN_S, facts=facts)


def _proven(answer: Answer, location: str | None, *, already: bool, **facts: str) -> Taken:
    note = {"answer": "already there"} if already else {}
    return Taken(
        far_side_ref=location,
        proven=True,
        detail=answer.body,
        status=answer.status,
        facts={**answer.facts, **facts, **note},
    )
