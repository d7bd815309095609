"""A gated resource as the entry of a section: the same codes, amounts and times, under C-CDA's names."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from coordinator.mapping.ccda.header import XSI, add, instant
from coordinator.mapping.ccda.sheet import Coding, NoteSheet, Templates

Resource = Mapping[str, Any]


def add_templates(parent: ET.Element, templates: Templates) -> None:
    """Say which templates the element keeps."""
    for root, extension in templates:
        add(parent, "templateId", root=root, **({} if extension is None else {"extension": extension}))


def add_id(parent: ET.Element, name: str) -> None:
    """Name the element by a UUID."""
    add(parent, "id", root=name.upper())


def add_coded(parent: ET.Element, name: str, coding: Coding, sheet: NoteSheet) -> ET.Element:
    """Add a code of a known system."""
    oid, system = sheet.systems[coding["system"]]
    shown = {"displayName": coding["display"]} if coding.get("display") else {}
    return add(parent, name, code=coding["code"], codeSystem=oid, codeSystemName=system, **shown)


def add_concept(parent: ET.Element, name: str, concept: Resource, sheet: NoteSheet, points_at: str) -> ET.Element:
    """Add a CodeableConcept: its first code of a known system, the others beside it, or only where its words stand."""
    codings = [one for one in concept.get("coding", ()) if one.get("system") in sheet.systems]
    found = add_coded(parent, name, codings[0], sheet) if codings else add(parent, name, nullFlavor="OTH")
    add(add(found, "originalText"), "reference", value=f"#{points_at}")
    for one in codings[1:]:
        add_coded(found, "translation", one, sheet)
    return found


def add_status(parent: ET.Element, status: str) -> None:
    """Add the status."""
    add(parent, "statusCode", code=status)


def add_text(parent: ET.Element, points_at: str) -> None:
    """Point at the row of the narrative that says the same."""
    add(add(parent, "text"), "reference", value=f"#{points_at}")


def add_amount(parent: ET.Element, name: str, quantity: Resource | None) -> None:
    """Add an amount with its UCUM unit, or say that it is not known."""
    if quantity is None:
        add(parent, name, nullFlavor="UNK")
    else:
        add(parent, name, value=plain(quantity["value"]), unit=quantity["code"])


def add_value(parent: ET.Element, quantity: Resource) -> None:
    """Add a measured amount."""
    add(parent, "value", **{f"{{{XSI}}}type": "PQ"}, value=plain(quantity["value"]), unit=quantity["code"])


def add_period(parent: ET.Element, start: str | None, end: str | None, *, both: bool = False) -> None:
    """Add from when to when; what is not known is said to be unknown. Without `both`, an unknown end is left out."""
    period = add(parent, "effectiveTime", **{f"{{{XSI}}}type": "IVL_TS"})
    _point(period, "low", start)
    if end is not None or both:
        _point(period, "high", end)


def add_moment(parent: ET.Element, at: str | None, *, kind: str | None = None) -> None:
    """Add one point in time; `kind` is its type where a template asks for another than the schema's own."""
    typed = {} if kind is None else {f"{{{XSI}}}type": kind}
    when = {"value": moment(at)} if at is not None else {"nullFlavor": "UNK"}
    add(parent, "effectiveTime", **typed, **when)


def _point(parent: ET.Element, name: str, at: str | None) -> None:
    if at is None:
        add(parent, name, nullFlavor="UNK")
    else:
        add(parent, name, value=moment(at))


def moment(at: str) -> str:
    """Return FHIR's date or instant as CDA writes it."""
    return instant(datetime.fromisoformat(at)) if "T" in at else at.replace("-", "")


def plain(value: object) -> str:
    """Return a number without an exponent."""
    return f"{value:f}" if not isinstance(value, int) else str(value)
