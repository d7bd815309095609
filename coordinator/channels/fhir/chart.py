"""Reading a stored chart, the transaction a message may go as. Pure."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

from coordinator.channels.fhir.said import part, parts, text


def wanted(chart: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (method, type) of every entry of the chart."""
    return [
        (text(part(one, "request"), "method"), text(part(one, "resource"), "resourceType"))
        for one in parts(chart, "entry")
    ]


def names_their_patient(chart: Mapping[str, Any], numbers: Collection[str]) -> bool:
    """Return whether the chart's Patient entry is conditional on one of these numbers ("system|value").

    They are those of the record that was found: any other number would add a person.
    """
    for one in parts(chart, "entry"):
        if text(part(one, "resource"), "resourceType") == "Patient":
            request = part(one, "request")
            condition = unquote(text(request, "ifNoneExist") or text(request, "url"))
            return any(condition.endswith(f"identifier={number}") for number in numbers)
    return True
