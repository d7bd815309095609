"""Da Vinci Alerts 1.1.0: its two base profiles read as tables, its rules in prose, and messages that break them.

The profiles are sources without snapshots; what they say beyond R4 stands in their differentials,
which are applied here element by element: how often, fixed values, value sets, kinds of target,
and that a reference leads into the bundle. The HL7 validator judges the same by snapshots.
"""

import copy
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.made import Named, bodies

PACKAGE = Path(__file__).parent / "packages" / "hl7.fhir.us.davinci-alerts-1.1.0-source.tgz"
BASE = "http://hl7.org/fhir/us/davinci-alerts"
BUNDLE = f"{BASE}/StructureDefinition/notifications-bundle"
EVENTS = f"{BASE}/CodeSystem/notification-event"
KINDS = {
    "us-core-practitioner": "Practitioner", "hrex-practitionerrole": "PractitionerRole",
    "hrex-organization": "Organization", "Device": "Device",
}  # fmt: skip
"""What the profiles that a reference may lead to are profiles of."""

Data = dict[str, Any]


@cache
def content(name: str) -> Data:
    """Return one resource of the package."""
    with tarfile.open(PACKAGE) as package:
        member = package.extractfile(f"package/{name}.json")
        assert member is not None
        return json.load(member)


def differential(name: str) -> list[Data]:
    """Return the rows of a profile, without the row of the resource itself."""
    return content(f"StructureDefinition-{name}")["differential"]["element"][1:]


def at(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield every value at a path."""
    if isinstance(value, list):
        for one in value:
            yield from at(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from at(value[path[0]], path[1:])


def faults(bundle: Data) -> list[str]:
    """Return what a message breaks, each as "path: rule"."""
    inside = {one.get("fullUrl"): one["resource"] for one in bundle.get("entry", [])}
    headers = [one for one in inside.values() if one["resourceType"] == "MessageHeader"]
    found = list(_broken(bundle, "notifications-bundle", inside))
    for one in headers:
        found += _broken(one, "notifications-messageheader", inside)
    return [*found, *_prose(bundle, headers)]


def _broken(resource: Data, profile: str, inside: dict[Any, Data]) -> Iterator[str]:
    for row in differential(profile):
        if ":" in row["id"] or row["path"].endswith("extension"):
            continue  # slices: the one of the header is asked after in _prose
        *way, name = row["path"].split(".")[1:]
        for parent in at(resource, way):
            given = parent.get(name, [])
            values = given if isinstance(given, list) else [given]
            yield from (f"{row['path']}: {rule}" for rule in _row(row, values, inside))


def _row(row: Data, values: list[Any], inside: dict[Any, Data]) -> Iterator[str]:
    if len(values) < row.get("min", 0):
        yield "min"
    if row.get("max", "*") != "*" and len(values) > int(row["max"]):
        yield "max"
    for value in values:
        if "fixedCode" in row and value != row["fixedCode"]:
            yield "fixed"
        if "binding" in row and value.get("system") == EVENTS and value.get("code") not in event_codes():
            yield "binding"
        for kind in row.get("type", []):
            if kind["code"] == "Reference":
                yield from _target(kind, value, inside)


def _target(kind: Data, value: Data, inside: dict[Any, Data]) -> Iterator[str]:
    target = inside.get(value.get("reference"))
    if "bundled" in kind.get("aggregation", []) and target is None:
        yield "not in the bundle"
    allowed = {one.rpartition("/")[2].partition("|")[0] for one in kind.get("targetProfile", [])}
    if target is not None and "Resource" not in allowed and target["resourceType"] not in map(KINDS.get, allowed):
        yield "kind of target"


def _prose(bundle: Data, headers: list[Data]) -> Iterator[str]:
    """What the guide says in words: one header, first; one patient; all within reach of the focus."""
    kinds = [one["resource"]["resourceType"] for one in bundle.get("entry", [])]
    if len(headers) != 1 or kinds[0] != "MessageHeader":
        yield "Bundle.entry: header first"
    if kinds.count("Patient") != 1:
        yield "Bundle.entry: one patient"


@cache
def event_codes() -> frozenset[str]:
    """Return the codes of the notification events."""
    return frozenset(one["code"] for one in content("CodeSystem-notification-event")["concept"])


def messages() -> list[Named]:
    """Return every message that is made."""
    return [one for one in bodies() if one["resource"].get("type") == "message"]


@cache
def wrong_messages() -> list[Named]:
    """Return messages with one fault each: `rule` is what breaks here, `because` what the HL7 validator says."""
    good = next(one["resource"] for one in messages() if one["name"].startswith("spike pr-psych"))
    found = []
    for fault, (rule, because, plant) in PLANTED.items():
        bundle = copy.deepcopy(good)
        plant(bundle)
        found.append({"name": f"wrong message: {fault}", "resource": bundle, "rule": rule, "because": because})
    return found


def _header(bundle: Data) -> Data:
    return bundle["entry"][0]["resource"]


def _second_patient(bundle: Data) -> None:
    patient = next(one for one in bundle["entry"] if one["resource"]["resourceType"] == "Patient")
    other = "00000000-0000-4000-8000-000000000001"
    bundle["entry"].append({"fullUrl": f"urn:uuid:{other}", "resource": {**patient["resource"], "id": other}})


def _event(bundle: Data) -> None:
    _header(bundle)["eventCoding"] = {"system": EVENTS, "code": "notification-of-nothing"}


def _answering(bundle: Data) -> None:
    _header(bundle)["response"] = {"identifier": "m-1", "code": "ok"}


def _two_destinations(bundle: Data) -> None:
    _header(bundle)["destination"] = [{"endpoint": "https://a.example"}, {"endpoint": "https://b.example"}]


Plant = Callable[[Data], object]
_NOWHERE = {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}
PLANTED: dict[str, tuple[str, str, Plant]] = {
    "answers another": ("MessageHeader.response: max", r"response", _answering),
    "total": ("Bundle.total: max", r"total", lambda b: b.update(total=3)),
    "no timestamp": ("Bundle.timestamp: min", r"timestamp", lambda b: b.pop("timestamp")),
    "no id": ("Bundle.id: min", r"Bundle\.id", lambda b: b.pop("id")),
    "no focus": ("MessageHeader.focus: min", r"focus", lambda b: _header(b).pop("focus")),
    "focus elsewhere": (
        "MessageHeader.focus: not in the bundle", r"focus", lambda b: _header(b).update(focus=[_NOWHERE])
    ),
    "focus by identifier": (
        "MessageHeader.focus.reference: min", r"focus.*reference",
        lambda b: _header(b).update(focus=[{"identifier": {"system": "urn:x", "value": "1"}}]),
    ),
    "responsible by identifier": (
        "MessageHeader.responsible.reference: min", r"responsible.*reference",
        lambda b: _header(b).update(responsible={"identifier": {"system": "urn:x", "value": "1"}}),
    ),
    "sent by a patient": (
        "MessageHeader.sender: kind of target", r"sender",
        lambda b: _header(b).update(sender={"reference": next(
            one["fullUrl"] for one in b["entry"] if one["resource"]["resourceType"] == "Patient")}),
    ),
    "event unknown": ("MessageHeader.eventCoding: binding", r"notification-of-nothing", _event),
    "no event": ("MessageHeader.eventCoding: min", r"event", lambda b: _header(b).pop("eventCoding")),
    "two destinations": ("MessageHeader.destination: max", r"destination", _two_destinations),
    "two patients": ("Bundle.entry: one patient", r"", _second_patient),
    "header last": (
        "Bundle.entry: header first", r"bdl-12|MessageHeader", lambda b: b["entry"].append(b["entry"].pop(0))
    ),
    "an entry with a request": (
        "Bundle.entry.request: max", r"request",
        lambda b: b["entry"][1].update(request={"method": "POST", "url": "Patient"}),
    ),
    "an entry with a search": (
        "Bundle.entry.search: max", r"search", lambda b: b["entry"][1].update(search={"mode": "match"})
    ),
    "an entry with a response": (
        "Bundle.entry.response: max", r"response", lambda b: b["entry"][1].update(response={"status": "200"})
    ),
    "nothing but the header": (
        "Bundle.entry: min", r"minimum required = 2", lambda b: b.update(entry=[
            {**b["entry"][0], "resource": {**_header(b), "focus": [{"reference": b["entry"][0]["fullUrl"]}]}}]),
    ),
    "a collection": ("Bundle.type: fixed", r"type", lambda b: b.update(type="collection")),
}  # fmt: skip
