"""The entry points: an event and a plan in, gated FHIR bodies out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.domain.case import Case, ClinicEvent
from coordinator.domain.ids import stable_uuid
from coordinator.domain.letter import ContentLevel, FhirContent, Letter
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.domain.registry import Provider
from coordinator.mapping import gate_bundle
from coordinator.mapping.body import to_bytes
from coordinator.mapping.bundle import (
    alone,
    collection,
    document_bundle,
    message,
    transaction,
    with_far_identifiers,
    with_message_identifier,
)
from coordinator.mapping.gate import Finding, Link, inspect
from coordinator.mapping.identity import message_identifier
from coordinator.mapping.json_values import Value
from coordinator.mapping.letter_views import attachment, letter_view, message_view
from coordinator.mapping.load import Mappings, ResourceMapping
from coordinator.mapping.resources import Built, Planned, build_resources, plan_resources
from coordinator.mapping.view import MadeWith, RecordState, event_scope, plain_value


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
    return EventResources(scope, tuple(planned), tuple(built), _gate(mappings, built))


Stage = tuple[dict[str, Any], list[Planned], list[Built]]


def _stage(mappings: Mappings, case: Case, plan: Plan, event: ClinicEvent, record: RecordState) -> Stage:
    scope = event_scope(case, event, plan.fired(), record)
    planned = plan_resources(mappings, case, scope, "event")
    return scope, planned, build_resources(mappings, planned, ())


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
    dropped = [one for one in gone[2] if one.name.id not in mine and one.mapping.retractable]
    names = {one.name.id for one in dropped}
    return scope, [*planned, *(one for one in gone[1] if one.name.id in names)], [*built, *dropped]


def build_content(
    mappings: Mappings,
    case: Case,
    plan: Plan,
    recipient: RecipientPlan,
    letters: tuple[Letter, ...],
    levels: frozenset[ContentLevel],
    prepared: EventResources | None = None,
) -> tuple[FhirContent, ...]:
    """Return the gated bodies for one recipient, one for each content level asked for.

    `document` gives one body a letter, and none without a letter. `prepared` is the
    part that recipients share. Raises MappingHeld with every problem.
    """
    shared = prepared or prepare_event(mappings, case, plan)
    provider = case.provider(recipient.provider)
    stage = _Recipient(mappings, case, recipient, provider, shared)
    found: list[FhirContent] = []
    if levels & {"chart", "message"}:
        resources = stage.resources(letters, frozenset(levels & {"chart", "message"}))
        links = {**shared.links, **_gate(mappings, _own(resources, shared))}
        if "chart" in levels:
            chosen = _for_level(resources, "chart")
            found.append(stage.finish("chart", transaction(chosen), chosen, links))
        if "message" in levels:
            chosen = _for_level(resources, "message")
            body = message(chosen, case.composed_at, case.message_id(provider.id))
            found.append(stage.finish("message", body, chosen, links))
    if "document" in levels and letters:
        found += stage.documents(letters)
    return tuple(found)


def _own(resources: Sequence[Built], shared: EventResources) -> list[Built]:
    """Return the resources that were not gated with the shared ones."""
    gated = {id(one) for one in shared.built}
    return [one for one in resources if id(one) not in gated]


def _for_level(resources: Sequence[Built], level: str) -> list[Built]:
    chosen = [one for one in resources if level in one.mapping.levels]
    return sorted(chosen, key=lambda one: one.mapping.order)


Links = dict[str, list[Link]]


def _gate(mappings: Mappings, built: Sequence[Built]) -> Links:
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


@dataclass(frozen=True)
class _Recipient:
    mappings: Mappings
    case: Case
    recipient: RecipientPlan
    provider: Provider
    shared: EventResources

    def resources(
        self,
        letters: tuple[Letter, ...],
        places: frozenset[str],
        *,
        accepts: tuple[str, ...] = (),
        only_one: bool = False,
    ) -> list[Built]:
        """Return the shared resources, then those made for this recipient and these places; not yet gated."""
        views = [letter_view(self.case, one, accepts, only_one=only_one) for one in letters]
        scope = {
            **self.shared.scope,
            "recipient": plain_value(self.provider),
            "letters": plain_value(views),
            "requests": plain_value(self.recipient.requests),
            "consent": self._consent(),
            "document": plain_value(views[0]) if views else None,
            "message": plain_value(message_view(self.case, self.recipient, self.provider)),
        }
        planned = plan_resources(self.mappings, self.case, scope, "recipient")
        planned = [one for one in planned if places & set(one.mapping.levels) and self._may_read(one.mapping)]
        shared = [one for one in self.shared.planned if self._may_read(one.mapping)]
        # Planning needs no versions; building does. Both look at this one scope.
        scope["made_with"] = plain_value(self._made_with([*shared, *planned]))
        mine = build_resources(self.mappings, planned, shared)
        common = [self._addressed(one) for one in self.shared.built if self._may_read(one.mapping)]
        return [*common, *mine]

    def _may_read(self, mapping: ResourceMapping) -> bool:
        return not mapping.audiences or self.recipient.audience in mapping.audiences

    def _addressed(self, one: Built) -> Built:
        if one.mapping.resource == "Patient":
            return with_far_identifiers(one, self.case, self.provider)
        if one.mapping.resource == "Encounter":
            return with_message_identifier(one, *message_identifier(self.case, self.provider.id))
        return one

    def _consent(self) -> Value:
        rests_on = self.recipient.consent
        hits = [
            one for one in self.case.patient.consents if (one.id, one.version) == (rests_on.directive, rests_on.version)
        ]
        return plain_value(hits[0]) if hits else None

    def _made_with(self, planned: Sequence[Planned]) -> tuple[MadeWith, ...]:
        found = {one.mapping.mapping: one.mapping.version for one in planned if "chart" in one.mapping.levels}
        return tuple(MadeWith(name, version) for name, version in sorted(found.items()))

    def documents(self, letters: tuple[Letter, ...]) -> list[FhirContent]:
        """Return one stand-alone DocumentReference a letter, in the forms that the endpoint takes."""
        accepts, only_one, whole = self._accepted()
        places = frozenset({"chart", "fhir-document"} if whole else {"chart"})
        everything = self.resources(letters, places, accepts=accepts, only_one=only_one)
        links = {**self.shared.links, **_gate(self.mappings, _own(everything, self.shared))}
        found = []
        for one in everything:
            if one.mapping.resource == "DocumentReference":
                body = alone(one, everything)
                if whole:
                    body["content"].append(self._fhir_document(everything, links))
                found.append(self.finish("document", body, [one], {}))
        return found

    def _fhir_document(self, everything: Sequence[Built], links: Mapping[str, Sequence[Link]]) -> Value:
        """Return the whole as a FHIR document (a Bundle of its own), as one more form of the same content."""
        chosen = _for_level(everything, "fhir-document")
        body = document_bundle(
            chosen, self.case.composed_at, stable_uuid("fhir", self.case.message_id(self.provider.id))
        )
        gate_bundle.hold(gate_bundle.check_whole(body, [links[one.name.full_url] for one in chosen]))
        form = plain_value(attachment("application/fhir+json", to_bytes(body), "en-US", "FHIR document"))
        attached = {"contentType": form.pop("content_type"), **form}
        return {"attachment": attached}

    def _accepted(self) -> tuple[tuple[str, ...], bool, bool]:
        """Return (forms taken, whether only the first is kept, whether the FHIR document is wanted too)."""
        usable = {one.endpoint for one in self.recipient.channels if one.usable and one.kind == "fhir-rest"}
        for endpoint in self.provider.endpoints:
            if endpoint.id in usable:
                partner = self.mappings.partners.get(endpoint.partner or "")
                accepts = endpoint.accepts or (partner.attachments if partner else ())
                whole = bool(partner and partner.fhir_document and not partner.one_attachment)
                return accepts, bool(partner and partner.one_attachment), whole
        return (), False, False

    def finish(
        self, level: ContentLevel, body: dict[str, Value], made_of: Sequence[Built], links: Mapping[str, Sequence[Link]]
    ) -> FhirContent:
        """Return the body as bytes after the checks of the whole."""
        if body["resourceType"] == "Bundle":
            gate_bundle.hold(gate_bundle.check_whole(body, [links[one.name.full_url] for one in made_of]))
        else:
            gate_bundle.hold(inspect(body, "DocumentReference", self.mappings.known_codes).findings)
        used = {one.mapping.mapping: one.mapping.version for one in made_of}
        return FhirContent(level, to_bytes(body), body["resourceType"], dict(sorted(used.items())))
