"""The numbers by which a stored body names the patient: they were right when it was composed, and may not be now."""

import base64
import binascii
import json
from collections.abc import Collection, Iterator
from typing import Any

from coordinator.channels.fhir.match import number_of
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.whose import NAMED_AT
from coordinator.domain.errors import NeedsHuman

RENUMBERED = "fhir.patient-renumbered"
FHIR_FORM = "application/fhir+json"


def hold_renumbered(content: object, *, named: Collection[str], listed: Collection[str]) -> None:
    """Raise NeedsHuman when the body refers to the patient by a number not in `named`, or lists one not in `listed`.

    A reference leads the far side to one record; a list of numbers stands in a copy of the patient that is sent along.
    A whole FHIR document inside the body is looked into too.
    """
    if not set(referred(content)) <= set(named) or not set(_listed(content)) <= set(listed):
        raise NeedsHuman(RENUMBERED)


def lists_only(content: object, listed: Collection[str]) -> bool:
    """Return whether every number of the patients in a body is one of these."""
    return set(_listed(content)) <= set(listed)


def referred(value: object) -> Iterator[str]:
    """Yield the number of every reference to a patient by identifier."""
    if isinstance(value, list):
        for one in value:
            yield from referred(one)
    elif isinstance(value, dict):
        for name, child in value.items():
            if isinstance(child, dict) and _is_patient(name, child):
                number = part(child, "identifier")
                yield number_of(text(number, "system"), text(number, "value"))
            yield from referred(child)
        yield from referred(_inside(value))


def _is_patient(name: str, reference: dict[str, Any]) -> bool:
    kind = reference.get("type") or ("Patient" if name in NAMED_AT else None)
    return kind == "Patient" and bool(text(part(reference, "identifier"), "value"))


def _listed(value: object) -> Iterator[str]:
    """Yield every number that stands in a patient's own resource."""
    if isinstance(value, list):
        for one in value:
            yield from _listed(one)
    elif isinstance(value, dict):
        if value.get("resourceType") == "Patient":
            yield from (number_of(text(one, "system"), text(one, "value")) for one in parts(value, "identifier"))
        for child in value.values():
            yield from _listed(child)
        yield from _listed(_inside(value))


def _inside(attachment: dict[str, Any]) -> object:
    """Return the FHIR content that an attachment carries, None when it carries none."""
    if attachment.get("contentType") != FHIR_FORM:
        return None
    try:
        return json.loads(base64.b64decode(text(attachment, "data"), validate=True))
    except (binascii.Error, ValueError):
        return None
