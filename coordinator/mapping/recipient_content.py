"""What one recipient gets of an event: the shared resources and its own, as that partner takes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from coordinator.domain.case import Case, request_names
from coordinator.domain.ids import stable_uuid
from coordinator.domain.letter import ContentLevel, FhirContent, Letter, MappingProblem
from coordinator.domain.plan import RecipientPlan
from coordinator.domain.registry import Endpoint, Provider
from coordinator.mapping import gate_bundle
from coordinator.mapping.additions import is_dropped, lay_over
from coordinator.mapping.body import to_bytes
from coordinator.mapping.bundle import alone, document_bundle, singles, with_far_identifiers, with_message_identifier
from coordinator.mapping.event_content import EventResources, gate
from coordinator.mapping.gate import Inspection, Link, inspect
from coordinator.mapping.identity import message_identifier
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.letter_views import TEXT, attachment, letter_view, message_view, withdrawn_views
from coordinator.mapping.load import Mappings, ResourceMapping
from coordinator.mapping.partners import Partner
from coordinator.mapping.problems import MappingHeld
from coordinator.mapping.resources import (
    Built,
    Planned,
    build_resources,
    each_once,
    labels_of,
    plan_resources,
    references,
)
from coordinator.mapping.view import MadeWith, clinician_value, plain_value


def own(resources: Sequence[Built], shared: EventResources) -> list[Built]:
    """Return the resources that were not gated with the shared ones."""
    gated = {id(one) for one in shared.built}
    return [one for one in resources if id(one) not in gated]


def for_level(resources: Sequence[Built], level: str) -> list[Built]:
    """Return the resources of a content level in their order."""
    chosen = [one for one in resources if level in one.mapping.levels]
    return sorted(chosen, key=lambda one: one.mapping.order)


def usable_endpoint(provider: Provider, recipient: RecipientPlan, kind: str) -> Endpoint | None:
    """Return the provider's first endpoint of this kind that may be used."""
    usable = {one.endpoint for one in recipient.channels if one.usable and one.kind == kind}
    return next((one for one in provider.endpoints if one.id in usable), None)


def accepted_forms(endpoint: Endpoint | None, partner: Partner | None) -> tuple[str, ...]:
    """Return the forms of a letter that the endpoint takes; empty for all."""
    if endpoint is None:
        return ()
    return endpoint.accepts or (partner.attachments if partner else ())


def takes_only_text(mappings: Mappings, provider: Provider, recipient: RecipientPlan) -> tuple[bool, int | None]:
    """Return whether the recipient's FHIR server takes letters as text alone, and how wide it shows it if known."""
    endpoint = usable_endpoint(provider, recipient, "fhir-rest")
    partner = None if endpoint is None else mappings.partners.get(endpoint.partner or "")
    return accepted_forms(endpoint, partner) == (TEXT,), None if partner is None else partner.text_columns


@dataclass(frozen=True)
class ForRecipient:
    """One recipient of one event version."""

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
        partner: Partner | None = None,
    ) -> list[Built]:
        """Return the shared resources, then those made for this recipient and these places; not yet gated."""
        only_one = bool(partner and partner.one_attachment)
        views = [letter_view(self.case, one, accepts, only_one=only_one) for one in letters]
        scope = {
            **self.shared.scope,
            "recipient": clinician_value(self.provider),
            "letters": plain_value(views),
            "requests": plain_value(self.recipient.requests),
            "consent": self._consent(),
            "document": plain_value(views[0]) if views else None,
            "withdrawn": plain_value(withdrawn_views(self.case, self.recipient)),
            "message": plain_value(message_view(self.case, self.recipient, self.provider)),
        }
        planned = plan_resources(self.mappings, self.case, scope, "recipient")
        planned = [one for one in planned if places & set(one.mapping.levels) and self._may_read(one.mapping)]
        shared = [one for one in self.shared.planned if self._may_read(one.mapping)]
        if partner is not None:
            planned = self._kept(planned, scope, partner)
            shared = self._kept(shared, scope, partner)
        # Planning needs no versions; building does. Both look at this one scope.
        scope["made_with"] = plain_value(self._made_with([*shared, *planned], partner))
        mine = build_resources(self.mappings, planned, shared, labels_of(self.case))
        names = {one.name.id for one in shared}
        common = [self._addressed(one) for one in self.shared.built if one.name.id in names]
        return self._for_partner(each_once([*common, *mine]), [*shared, *planned], scope, partner)

    def _kept(self, planned: Sequence[Planned], scope: Json, partner: Partner) -> list[Planned]:
        """Return what this partner gets at all: nothing may refer to what it does not get."""
        return [
            one
            for one in planned
            if not is_dropped(partner.additions.get(one.mapping.mapping, ()), {**scope, **one.scope})
        ]

    def _for_partner(
        self, built: Sequence[Built], planned: Sequence[Planned], scope: Json, partner: Partner | None
    ) -> list[Built]:
        if partner is None or not partner.additions:
            return list(built)
        by_id = {one.name.id: one for one in planned}
        problems: list[MappingProblem] = []
        found = []
        for one in built:
            additions = partner.additions.get(one.mapping.mapping, ())
            if not additions:
                found.append(one)
                continue
            me = by_id[one.name.id]
            resource, faults = lay_over(
                additions,
                one.mapping.mapping,
                one.resource,
                {**scope, **me.scope},
                references(planned, me),
                one.index,
            )
            problems += faults
            found.append(replace(one, resource=resource))
        if problems:
            raise MappingHeld(problems)
        return found

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
        return plain_value(self.case.patient.consent(rests_on.directive, rests_on.version))

    def _made_with(self, planned: Sequence[Planned], partner: Partner | None) -> tuple[MadeWith, ...]:
        found = {one.mapping.mapping: one.mapping.version for one in planned if "chart" in one.mapping.levels}
        if partner is not None and partner.additions:
            found[f"partners/{partner.name}"] = partner.version
        return tuple(MadeWith(name, version) for name, version in sorted(found.items()))

    def documents(self, letters: tuple[Letter, ...]) -> list[FhirContent]:
        """Return one stand-alone DocumentReference a letter, in the forms that the endpoint takes."""
        accepts, partner = self.accepted(), self.partner("fhir-rest")
        whole = bool(partner and partner.fhir_document and not partner.one_attachment)
        places = frozenset({"chart", "fhir-document"} if whole else {"chart"})
        everything = self.resources(letters, places, accepts=accepts, partner=partner)
        links = {**self.shared.links, **gate(self.mappings, own(everything, self.shared))}
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
        chosen = for_level(everything, "fhir-document")
        body = document_bundle(
            chosen, self.case.composed_at, stable_uuid("fhir", self.case.message_id(self.provider.id))
        )
        gate_bundle.hold(gate_bundle.check_whole(body, [links[one.name.full_url] for one in chosen]))
        form = plain_value(attachment("application/fhir+json", to_bytes(body), "en-US", "FHIR document"))
        attached = {"contentType": form.pop("content_type"), **form}
        return {"attachment": attached}

    def singles(self, letters: tuple[Letter, ...]) -> list[FhirContent]:
        """Return what a server without transactions gets entry by entry, the letter first; nothing for other partners.

        What stays out of it stands in the letter. References to what is sent along go by
        place, all others by identifier.
        """
        partner = self.partner("fhir-rest")
        if partner is None or not partner.singles:
            return []
        everything = self.resources(letters, frozenset({"chart"}), accepts=self.accepted(), partner=partner)
        gate(self.mappings, own(everything, self.shared))
        kinds = partner.singles
        chosen = [one for one in for_level(everything, "chart") if one.mapping.resource in kinds]
        chosen.sort(key=lambda one: kinds.index(one.mapping.resource))
        if not chosen:
            return []
        body = singles(chosen, everything)
        seen = [self._seen(entry["resource"]) for entry in body["entry"]]
        found = [finding for one in seen for finding in one.findings]
        gate_bundle.hold([*found, *gate_bundle.check_whole(body, [one.links for one in seen])])
        used = {one.mapping.mapping: one.mapping.version for one in chosen}
        used[f"partners/{partner.name}"] = partner.version
        return [FhirContent("singles", to_bytes(body), "Bundle", dict(sorted(used.items())))]

    def task_changes(self, letters: tuple[Letter, ...]) -> list[FhirContent]:
        """Return the tasks that this recipient may hold and that are now otherwise, or withdrawn; nothing if none are.

        They are changed there only while nobody has answered them; see `task_changes`.
        """
        if not any(one.provider == self.provider.id for one in self.case.asked_before):
            return []
        everything = self.resources(letters, frozenset({"chart", "tasks"}), partner=self.partner("fhir-rest"))
        gate(self.mappings, own(everything, self.shared))
        event = self.case.event.id
        again = {one.name for one in self.case.asked_before if (one.provider, one.event) == (self.provider.id, event)}
        names = request_names([one.action for one in self.recipient.requests])
        chosen = [
            one
            for one in for_level(everything, "tasks")
            if one.mapping.named != one.mapping.name or names[one.index or 0] in again
        ]
        if not chosen:
            return []
        body = singles(chosen, everything)
        seen = [self._seen(entry["resource"]) for entry in body["entry"]]
        gate_bundle.hold([finding for one in seen for finding in one.findings])
        used = {one.mapping.mapping: one.mapping.version for one in chosen}
        return [FhirContent("tasks", to_bytes(body), "Bundle", dict(sorted(used.items())))]

    def _seen(self, body: dict[str, Value]) -> Inspection:
        return inspect(body, body["resourceType"], self.mappings.known_codes)

    def partner(self, kind: str) -> Partner | None:
        """Return what is known of the first endpoint of this kind that may be used, None when nothing is."""
        endpoint = usable_endpoint(self.provider, self.recipient, kind)
        return None if endpoint is None else self.mappings.partners.get(endpoint.partner or "")

    def accepted(self, kind: str = "fhir-rest") -> tuple[str, ...]:
        """Return the forms of a letter that the endpoint of this kind takes; empty for all."""
        return accepted_forms(usable_endpoint(self.provider, self.recipient, kind), self.partner(kind))

    def finish(
        self, level: ContentLevel, body: dict[str, Value], made_of: Sequence[Built], links: Mapping[str, Sequence[Link]]
    ) -> FhirContent:
        """Return the body as bytes after the checks of the whole."""
        if body["resourceType"] == "Bundle":
            gate_bundle.hold(gate_bundle.check_whole(body, [links[one.name.full_url] for one in made_of]))
        else:
            gate_bundle.hold(self._seen(body).findings)
        used = {one.mapping.mapping: one.mapping.version for one in made_of}
        partner = self.partner("fhir-message" if level == "message" else "fhir-rest")
        if partner is not None and partner.additions:
            used[f"partners/{partner.name}"] = partner.version
        return FhirContent(level, to_bytes(body), body["resourceType"], dict(sorted(used.items())))
