"""The entry points: an event and a plan in, gated FHIR bodies out."""

from coordinator.domain.case import Case
from coordinator.domain.letter import ContentLevel, FhirContent, Letter
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.mapping.bundle import message, transaction
from coordinator.mapping.event_content import EventResources, gate, is_retracted, prepare_event
from coordinator.mapping.load import Mappings
from coordinator.mapping.recipient_content import ForRecipient, for_level, own

__all__ = ["EventResources", "build_content", "is_retracted", "prepare_event"]


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
    stage = ForRecipient(mappings, case, recipient, provider, shared)
    found: list[FhirContent] = []
    wanted = levels & {"chart", "message"}
    partners = {"chart": stage.partner("fhir-rest"), "message": stage.partner("fhir-message")}
    accepts = {"chart": stage.accepted("fhir-rest"), "message": stage.accepted("fhir-message")}
    alike = partners["chart"] is partners["message"] and accepts["chart"] == accepts["message"]
    groups = [wanted] if alike else [{one} for one in sorted(wanted)]
    for group in filter(None, groups):
        first = min(group)
        resources = stage.resources(letters, frozenset(group), accepts=accepts[first], partner=partners[first])
        links = {**shared.links, **gate(mappings, own(resources, shared))}
        if "chart" in group:
            chosen = for_level(resources, "chart")
            found.append(stage.finish("chart", transaction(chosen), chosen, links))
        if "message" in group:
            chosen = for_level(resources, "message")
            body = message(chosen, case.composed_at, case.message_id(provider.id))
            found.append(stage.finish("message", body, chosen, links))
    if "singles" in levels:
        found += stage.singles(letters)
    if "tasks" in levels:
        found += stage.task_changes(letters)
    if "document" in levels and letters:
        found += stage.documents(letters)
    return tuple(found)
