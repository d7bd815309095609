"""The sections of a Progress Note beside the letter: a table in words, and the entries that it stands for."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from coordinator.domain.ids import stable_uuid
from coordinator.domain.narrative import Table
from coordinator.mapping.ccda.entries import (
    Resource,
    add_amount,
    add_coded,
    add_concept,
    add_id,
    add_moment,
    add_period,
    add_status,
    add_templates,
    add_text,
    add_value,
)
from coordinator.mapping.ccda.header import XSI, add
from coordinator.mapping.ccda.narrative import add_table
from coordinator.mapping.ccda.sheet import NoteSheet, Section
from coordinator.mapping.resources import Built


class Speech(Protocol):
    """How the letters write times and amounts, so that the narrative says them the same way."""

    def when(self, at: str) -> str:
        """Return a FHIR date or instant in words."""
        ...

    def amount(self, value: Any, unit: str) -> str:  # noqa: ANN401  (a Decimal or an int)
        """Return an amount with its unit."""
        ...


@dataclass(frozen=True)
class Fill:
    """Fills one section: the section's sheet, the whole sheet, and how things are said."""

    section: Section
    sheet: NoteSheet
    speech: Speech

    def told(self, resource: Resource | None, field: str) -> str:
        """Return a field's point in time in words, or nothing."""
        at = (resource or {}).get(field)
        return self.speech.when(at) if at else ""

    def shown(self, quantity: Resource | None) -> str:
        """Return an amount in words, or nothing."""
        return self.speech.amount(quantity["value"], quantity["code"]) if quantity else ""

    def status(self, resource: Resource) -> str | None:
        """Return the status of an entry, or None where there is to be no entry."""
        return self.sheet.statuses.get(resource["status"])


def words_of(concept: Resource) -> str:
    """Return a CodeableConcept in words: its own text, else the display or the code."""
    coding: Mapping[str, str] = next(iter(concept.get("coding", ())), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code") or "")


def notes_of(resource: Resource) -> str:
    """Return the remarks."""
    return "; ".join(one["text"] for one in resource.get("note", ()))


@dataclass(frozen=True)
class _Measured:
    """One measurement of one moment: a row's cell and, where it has a value, an entry."""

    name: str
    at: str
    code: Resource
    quantity: Resource | None
    missing: str
    status: str | None


def vital_signs(element: ET.Element, built: Sequence[Built], fill: Fill) -> None:
    """Add a row for each moment, and an organizer of the values that were taken then."""
    rows = [one for each in built for one in _measured(each, fill)]
    kinds = list(dict.fromkeys(words_of(one.code) for one in rows))
    times = sorted({one.at for one in rows})
    by_place = {(one.at, words_of(one.code)): one for one in rows}
    told = []
    for at in times:
        cells = [by_place.get((at, kind)) for kind in kinds]
        told.append(
            (fill.speech.when(at), *("" if one is None else fill.shown(one.quantity) or one.missing for one in cells))
        )
    ids = tuple(f"vitals-{number}" for number in range(1, len(times) + 1))
    add_table(add(element, "text"), Table((*fill.section.columns, *kinds), tuple(told)), ids)
    for at, row in zip(times, ids, strict=True):
        taken = [one for one in rows if one.at == at and one.quantity is not None and one.status is not None]
        if taken:
            _organizer(add(element, "entry", typeCode="DRIV"), at, taken, row, fill)


def _measured(one: Built, fill: Fill) -> Iterator[_Measured]:
    resource = one.resource
    parts = [resource, *resource.get("component", ())] if "component" in resource else [resource]
    for number, part in enumerate(parts):
        if "valueQuantity" not in part and "dataAbsentReason" not in part:
            continue  # the panel itself
        yield _Measured(
            stable_uuid("ccda", one.name.id, str(number)),
            resource["effectiveDateTime"],
            part["code"],
            part.get("valueQuantity"),
            words_of(part.get("dataAbsentReason", {})),
            fill.status(resource),
        )


def _organizer(entry: ET.Element, at: str, taken: Sequence[_Measured], row: str, fill: Fill) -> None:
    section = fill.section
    group = add(entry, "organizer", classCode="CLUSTER", moodCode="EVN")
    add_templates(group, section.organizer)
    add_id(group, stable_uuid("ccda", *(one.name for one in taken)))
    if section.organizer_code is not None:
        code = add_coded(group, "code", section.organizer_code, fill.sheet)
        if section.organizer_translation is not None:
            add_coded(code, "translation", section.organizer_translation, fill.sheet)
    add_status(group, "completed")
    add_moment(group, at)
    for one in taken:
        sign = add(add(group, "component"), "observation", classCode="OBS", moodCode="EVN")
        add_templates(sign, section.entry)
        add_id(sign, one.name)
        add_concept(sign, "code", one.code, fill.sheet, row)
        add_text(sign, row)
        add_status(sign, "completed")
        add_moment(sign, at)
        if one.quantity is not None:
            add_value(sign, one.quantity)


def medicines(element: ET.Element, built: Sequence[Built], fill: Fill) -> None:
    """Add a row for each medicine and, unless it was not given after all, an entry."""
    rows, ids = [], []
    for number, one in enumerate(built, 1):
        resource = one.resource
        dosage, period = _dosage(resource), resource.get("effectivePeriod", {})
        start = period.get("start") or resource.get("effectiveDateTime")
        rows.append(
            (
                words_of(resource["medicationCodeableConcept"]),
                fill.shown(_dose(dosage)) or dosage.get("text", ""),
                words_of(dosage.get("route", {})),
                fill.speech.when(start) if start else "",
                fill.told(period, "end"),
                "; ".join(filter(None, (_rhythm(dosage), notes_of(resource)))),
            )
        )
        ids.append(f"{fill.section.resources[0]}-{number}")
    add_table(add(element, "text"), Table(fill.section.columns, tuple(rows)), tuple(ids))
    for one, row in zip(built, ids, strict=True):
        status = fill.status(one.resource)
        if status is not None:
            _administration(add(element, "entry", typeCode="DRIV"), one, status, row, fill)


def _dosage(resource: Resource) -> Resource:
    listed = resource.get("dosage", {})
    found: Resource = listed[0] if isinstance(listed, list) and listed else listed or {}
    return found


def _dose(dosage: Resource) -> Resource | None:
    rates = dosage.get("doseAndRate") or [{}]
    found: Resource | None = dosage.get("dose") or rates[0].get("doseQuantity")
    return found


def _rhythm(dosage: Resource) -> str:
    """Return the clinic's own words for a dose and its rhythm, where they say more than the amount."""
    return str(dosage.get("text", "")) if "doseAndRate" in dosage else ""


def _administration(entry: ET.Element, one: Built, status: str, row: str, fill: Fill) -> None:
    resource = one.resource
    dosage, period = _dosage(resource), resource.get("effectivePeriod")
    given = add(entry, "substanceAdministration", classCode="SBADM", moodCode="EVN")
    add_templates(given, fill.section.entry)
    add_id(given, one.name.id)
    add_text(given, row)
    add_status(given, status)
    if period is not None:
        add_period(given, period.get("start"), period.get("end"))
    elif "effectiveDateTime" in resource:
        add_moment(given, resource["effectiveDateTime"], kind="IVL_TS")
    else:
        add_period(given, None, None)
    if "route" in dosage:
        _route(given, dosage["route"], row, fill)
    add_amount(given, "doseQuantity", _dose(dosage))
    product = add(add(given, "consumable"), "manufacturedProduct", classCode="MANU")
    add_templates(product, fill.section.product)
    add_concept(add(product, "manufacturedMaterial"), "code", resource["medicationCodeableConcept"], fill.sheet, row)


def _route(given: ET.Element, concept: Resource, row: str, fill: Fill) -> None:
    """Add the route. The template takes codes of another system first; ours stand beside, as translations."""
    route = add(given, "routeCode", nullFlavor="OTH")
    add(add(route, "originalText"), "reference", value=f"#{row}")
    for one in concept.get("coding", ()):
        if one.get("system") in fill.sheet.systems:
            add_coded(route, "translation", one, fill.sheet)


def procedures(element: ET.Element, built: Sequence[Built], fill: Fill) -> None:
    """Add a row and an entry for each procedure."""
    rows, ids = [], []
    for number, one in enumerate(built, 1):
        period = one.resource.get("performedPeriod", {})
        why = one.resource.get("statusReason", {}).get("text")
        status = one.resource["status"] if why is None else f"{one.resource['status']}: {why}"
        rows.append((words_of(one.resource["code"]), fill.told(period, "start"), fill.told(period, "end"), status))
        ids.append(f"procedure-{number}")
    add_table(add(element, "text"), Table(fill.section.columns, tuple(rows)), tuple(ids))
    for one, row in zip(built, ids, strict=True):
        status = fill.status(one.resource)
        if status is not None:
            period = one.resource.get("performedPeriod", {})
            done = add(add(element, "entry", typeCode="DRIV"), "procedure", classCode="PROC", moodCode="EVN")
            add_templates(done, fill.section.entry)
            add_id(done, one.name.id)
            add_concept(done, "code", one.resource["code"], fill.sheet, row)
            add_text(done, row)
            add_status(done, status)
            add_period(done, period.get("start"), period.get("end"))


def scores(element: ET.Element, built: Sequence[Built], fill: Fill) -> None:
    """Add a row for each scale, and an entry for each result whose scale has a code of a known system."""
    rows, ids = [], []
    for number, one in enumerate(built, 1):
        resource = one.resource
        total = resource.get("valueInteger")
        items = [f"{words_of(part['code'])}: {part['valueInteger']}" for part in resource.get("component", ())]
        rows.append(
            (
                words_of(resource["code"]),
                words_of(resource.get("dataAbsentReason", {})) if total is None else str(total),
                fill.told(resource, "effectiveDateTime"),
                "; ".join(filter(None, (*items, notes_of(resource)))),
            )
        )
        ids.append(f"score-{number}")
    add_table(add(element, "text"), Table(fill.section.columns, tuple(rows)), tuple(ids))
    for one, row in zip(built, ids, strict=True):
        known = any(coding.get("system") in fill.sheet.systems for coding in one.resource["code"].get("coding", ()))
        status = fill.status(one.resource)
        if known and status is not None and "valueInteger" in one.resource:
            scale = add(add(element, "entry", typeCode="DRIV"), "observation", classCode="OBS", moodCode="EVN")
            add_templates(scale, fill.section.entry)
            add_id(scale, one.name.id)
            add_concept(scale, "code", one.resource["code"], fill.sheet, row)
            add_text(scale, row)
            add_status(scale, status)
            add_moment(scale, one.resource["effectiveDateTime"])
            add(scale, "value", **{f"{{{XSI}}}type": "INT"}, value=str(one.resource["valueInteger"]))


FILLERS: Mapping[str, Callable[[ET.Element, Sequence[Built], Fill], None]] = {
    "vital-signs": vital_signs,
    "medicines": medicines,
    "procedures": procedures,
    "scores": scores,
}
