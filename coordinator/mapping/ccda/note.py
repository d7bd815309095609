"""The letter about a visit as a C-CDA R2.1 Progress Note. What the document is made of stands in mappings/ccda."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from coordinator.domain.case import Case
from coordinator.domain.ids import stable_uuid
from coordinator.domain.letter import Letter
from coordinator.domain.narrative import Block
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.mapping.ccda.entries import add_coded, add_id, add_period, add_templates
from coordinator.mapping.ccda.header import (
    CDA_TYPE,
    HL7,
    NPI,
    XSI,
    add,
    add_author,
    add_custodian,
    add_patient,
    add_recipient,
    instant,
)
from coordinator.mapping.ccda.narrative import add_blocks
from coordinator.mapping.ccda.sections import FILLERS, Fill, Speech
from coordinator.mapping.ccda.sheet import NoteSheet, Section
from coordinator.mapping.event_content import EventResources, gate, prepare_event
from coordinator.mapping.letter_views import replaced_documents
from coordinator.mapping.load import Mappings
from coordinator.mapping.recipient_content import ForRecipient, own
from coordinator.mapping.resources import Built

ET.register_namespace("xsi", XSI)

TOOK_PLACE = ("finished", "in-progress")
"""A note is about one visit that took place: not about a missed one, a change of dose, or the sessions of a digest."""


def progress_notes(
    mappings: Mappings,
    case: Case,
    plan: Plan,
    recipient: RecipientPlan,
    letters: Sequence[tuple[Letter, tuple[Block, ...]]],
    speech: Speech,
    prepared: EventResources | None = None,
) -> tuple[bytes, ...]:
    """Return one note a letter, with the letter's blocks as its narrative; none where no visit took place.

    The resources are those that this recipient gets, past the gate. Raises MappingHeld.
    """
    shared = prepared or prepare_event(mappings, case, plan)
    stage = ForRecipient(mappings, case, recipient, case.provider(recipient.provider), shared)
    everything = stage.resources(tuple(letter for letter, _ in letters), frozenset({"chart"}))
    gate(mappings, own(everything, shared))
    if len(case.digest_of) > 1:
        return ()
    visit = next((one for one in everything if one.mapping.name == "encounter"), None)
    if visit is None or visit.resource["status"] not in TOOK_PLACE or "start" not in visit.resource.get("period", {}):
        return ()
    return tuple(
        _note(mappings.note, case, letter, "" if place == 0 else letter.kind, blocks, everything, visit, speech)
        for place, (letter, blocks) in enumerate(letters)
    )


def _note(
    sheet: NoteSheet,
    case: Case,
    letter: Letter,
    beside: str,
    blocks: tuple[Block, ...],
    everything: Sequence[Built],
    visit: Built,
    speech: Speech,
) -> bytes:
    provider = case.provider(letter.provider)
    root = ET.Element("ClinicalDocument", {"xmlns": HL7})
    add(root, "realmCode", code="US")
    add(root, "typeId", root=CDA_TYPE[0], extension=CDA_TYPE[1])
    add_templates(root, sheet.templates)
    add_id(root, case.document_id(letter.provider, letter.kind))
    add_coded(root, "code", sheet.type, sheet)
    add(root, "title").text = letter.title
    add(root, "effectiveTime", value=instant(case.composed_at))
    add_coded(root, "confidentialityCode", sheet.confidentiality, sheet)
    add(root, "languageCode", code="en-US")
    # The letters of every version of the event are one set: a correction is its next version. A further letter of
    # the same message (`beside`: its kind) is a set of its own.
    add(root, "setId", root=stable_uuid("ccda-set", case.source, case.event.id, letter.provider, beside).upper())
    add(root, "versionNumber", value=str(case.event.version))
    add_patient(root, case.patient, case.clinic)
    add_author(root, case.clinic, case.composed_at)
    add_custodian(root, case.clinic)
    add_recipient(root, provider)
    _service(root, sheet, visit)
    for earlier in replaced_documents(case, letter)[:1]:
        before = add(add(root, "relatedDocument", typeCode="RPLC"), "parentDocument")
        add_id(before, earlier)
    _visit(root, visit, case.clinic.npi)
    body = add(add(root, "component"), "structuredBody")
    for section in sheet.sections:
        _section(body, section, blocks, everything, Fill(section, sheet, speech))
    made: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return made


def _service(root: ET.Element, sheet: NoteSheet, visit: Built) -> None:
    service = add(add(root, "documentationOf"), "serviceEvent", classCode="PCPR")
    add_templates(service, sheet.service)
    add_period(service, visit.resource["period"]["start"], visit.resource["period"].get("end"), both=True)


def _visit(root: ET.Element, visit: Built, npi: str) -> None:
    encounter = add(add(root, "componentOf"), "encompassingEncounter")
    add_id(encounter, visit.name.id)
    period = visit.resource["period"]
    add_period(encounter, period["start"], period.get("end"))
    add(add(add(encounter, "location"), "healthCareFacility"), "id", root=NPI, extension=npi)


def _section(
    body: ET.Element, section: Section, blocks: tuple[Block, ...], everything: Sequence[Built], fill: Fill
) -> None:
    built = [one for name in section.resources for one in everything if one.mapping.name == name]
    if section.kind != "letter" and not built:
        return
    element = add(add(body, "component"), "section")
    add_templates(element, section.templates)
    add_coded(element, "code", section.code, fill.sheet)
    add(element, "title").text = section.title
    if section.kind == "letter":
        add_blocks(add(element, "text"), blocks)
    else:
        FILLERS[section.kind](element, built, fill)
