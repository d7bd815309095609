"""What all recipients of one event version share: built, corrected or taken back, and gated once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.domain.case import Case, ClinicEvent
from coordinator.domain.plan import Plan
from coordinator.mapping import gate_bundle
from coordinator.mapping.bundle import collection
from coordinator.mapping.gate import Finding, Link, inspect
from coordinator.mapping.load import Mappings
from coordinator.mapping.resources import Built, Planned, build_resources, labels_of, plan_resources
from coordinator.mapping.view import RecordState, event_scope


@dataclass(frozen=True)
class EventResources:
    """What all recipients of one event version share: built and gated once."""

    scope: dict[str, Any]
    planned: tuple[Planned, ...]
    built: tuple[Built, ...]
    links: Mapping[str, Sequence[Link]]


def is_retracted(event: ClinicEvent) -> bool:
    """Return whether the event takes an earlier version back."""
    return event.status == "entered-in-error"


def prepare_event(mappings: Mappings, case: Case, plan: Plan) -> EventResources:
    """Return the resources every recipient of this event gets, past the gate.

    A retraction is built from the version that was told before, with every status
    "entered in error". In a correction only what really differs is marked as
    corrected, and what the new version no longer has is retracted.
    Raises MappingHeld with every problem.
    """
    event = case.previous if is_retracted(case.event) and case.previous is not None else case.event
    record: RecordState = "retracted" if is_retracted(case.event) else "original"
    scope, planned, built = _stage(mappings, case, plan, event, record)
    if record == "original" and case.previous is not None:
        scope, planned, built = _corrected(mappings, case, plan, (scope, planned, built))
    return EventResources(scope, tuple(planned), tuple(built), gate(mappings, built))


Stage = tuple[dict[str, Any], list[Planned], list[Built]]


def _stage(mappings: Mappings, case: Case, plan: Plan, event: ClinicEvent, record: RecordState) -> Stage:
    scope = event_scope(case, event, plan.fired(), record)
    planned = plan_resources(mappings, case, scope, "event")
    return scope, planned, build_resources(mappings, planned, (), labels_of(case))


def _corrected(mappings: Mappings, case: Case, plan: Plan, now: Stage) -> Stage:
    previous = case.previous
    if previous is None or is_retracted(previous):
        return now
    before = {one.name.id: one for one in _stage(mappings, case, plan, previous, "original")[2]}
    scope, planned, marked = _stage(mappings, case, plan, case.event, "corrected")
    unchanged = {
        one.name.id for one in now[2] if one.name.id in before and before[one.name.id].resource == one.resource
    }
    new = {one.name.id for one in now[2] if one.name.id not in before}
    plain = {one.name.id: one for one in now[2]}
    built = [plain[one.name.id] if one.name.id in unchanged | new else one for one in marked]
    gone = _stage(mappings, case, plan, previous, "retracted")
    mine = {one.name.id for one in built}
    dropped = _dropped(mappings, [one for one in gone[2] if one.name.id not in mine])
    names = {one.name.id for one in dropped}
    return scope, [*planned, *(one for one in gone[1] if one.name.id in names)], [*built, *dropped]


def _dropped(mappings: Mappings, missing: Sequence[Built]) -> list[Built]:
    """Return what is taken back, and what that refers to (its author, say), who may not be the new version's."""
    found = [one for one in missing if one.mapping.retractable]
    needed = {
        link.target for one in found for link in inspect(one.resource, one.name.full_url, mappings.known_codes).links
    }
    return [*(one for one in missing if not one.mapping.retractable and one.name.full_url in needed), *found]


Links = dict[str, list[Link]]


def gate(mappings: Mappings, built: Sequence[Built]) -> Links:
    """Return the references of each resource, by its full address.

    Holds unless every resource passes our own checks and the R4B model, asked once for all of them.
    """
    findings: list[Finding] = []
    links: Links = {}
    for one in built:
        seen = inspect(one.resource, f"{one.mapping.mapping} {one.mapping.resource}", mappings.known_codes)
        findings += seen.findings
        links[one.name.full_url] = seen.links
    if not findings and built:
        findings = gate_bundle.ask_model(collection(built))
    gate_bundle.hold(findings)
    return links
