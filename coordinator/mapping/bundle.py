"""Bundles out of finished resources: the chart transaction, the single document, the notification message."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from coordinator.domain.case import Case
from coordinator.domain.registry import Provider
from coordinator.mapping.body import to_bytes
from coordinator.mapping.json_values import Value
from coordinator.mapping.resources import Built

Body = dict[str, Value]
_NOT_FOUND_BY_IDENTIFIER = frozenset({"AdverseEvent"})
"""R4 gives a Provenance no identifier at all, and an AdverseEvent no search parameter for its own."""


def search_of(one: Built) -> str:
    """Return the search that finds this resource and no other, as a conditional create or update needs it."""
    return f"identifier={one.name.token}"


def transaction(resources: Sequence[Built]) -> Body:
    """Return the chart transaction: every entry a conditional update or create on our own identifier."""
    return _bundle({"type": "transaction"}, [_entry(one) for one in resources])


def _bundle(head: Body, entries: Sequence[Body]) -> Body:
    """Return a bundle that is labelled with every security label of what is in it."""
    labels: list[Value] = []
    for entry in entries:
        found = entry["resource"].get("meta", {}).get("security", ())
        labels += [one for one in found if one not in labels]
    return {
        "resourceType": "Bundle",
        **({"id": head["id"]} if "id" in head else {}),
        **({"meta": {"security": labels}} if labels else {}),
        **head,
        "entry": list(entries),
    }


def _entry(one: Built) -> Body:
    kind = one.mapping.resource
    if "identifier" not in one.resource or kind in _NOT_FOUND_BY_IDENTIFIER:
        # There is nothing to search for: an update under its own stable id repeats as safely.
        return {
            "fullUrl": one.name.full_url,
            "resource": one.resource,
            "request": {"method": "PUT", "url": f"{kind}/{one.name.id}"},
        }
    # Conditional requests leave the logical id to the far side; references go by fullUrl.
    body = {key: value for key, value in one.resource.items() if key != "id"}
    if one.overwrites:
        request = {"method": "PUT", "url": f"{kind}?{search_of(one)}"}
    else:
        request = {"method": "POST", "url": kind, "ifNoneExist": search_of(one)}
    return {"fullUrl": one.name.full_url, "resource": body, "request": request}


def collection(resources: Sequence[Built]) -> Body:
    """Return the resources as one plain bundle, for the question to the R4B model.

    The model is asked about form: names, nesting, types. Left out is what would get the
    same answer again: a resource of the very same form as one before it (the six readings
    of a pulse), labels and codings that stand earlier word for word, and list items of the
    same form as one before them (the forty references of a Provenance). Values are our own
    tables' business, which look at every one of every resource.
    """
    seen: set[bytes] = set()
    forms: set[Value] = set()
    made = Counter(one.mapping.mapping for one in resources)
    entries = []
    for one in resources:
        # What its mapping makes only once has its like nowhere else.
        form = (one.mapping.mapping, *_form(one.resource)) if made[one.mapping.mapping] > 1 else one.name.id
        if form not in forms:
            forms.add(form)
            entries.append({"fullUrl": one.name.full_url, "resource": _asked_of(one.resource, seen)})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _asked_of(resource: Body, seen: set[bytes]) -> Body:
    asked: Body = {name: _asked_part(name, value, seen) for name, value in resource.items()}
    return asked if asked["meta"] else {name: value for name, value in asked.items() if name != "meta"}


def _asked_part(name: str, value: Value, seen: set[bytes]) -> Value:
    if name == "meta":
        return _without_known(value, "security", seen)
    if isinstance(value, dict) and "coding" in value and "text" in value:
        return _without_known(value, "coding", seen)
    if isinstance(value, list) and len(value) > 1:
        # The first of each shape stands for the others.
        return list({tuple(_form(one)): one for one in reversed(value)}.values())
    return value


def _without_known(value: Body, name: str, seen: set[bytes]) -> Body:
    if name not in value:
        return value
    key = to_bytes({name: value[name]})
    if key not in seen:
        seen.add(key)
        return value
    return {other: child for other, child in value.items() if other != name}


def _form(value: Value) -> list[Value]:
    """Return names, nesting and types of a value as one flat list: two values of the same form have the same list."""
    if isinstance(value, dict):
        found: list[Value] = [dict]
        for key, child in value.items():
            found.append(key)
            kind = type(child)
            if kind is dict or kind is list:
                found += _form(child)
            else:
                found.append(kind)
        found.append(None)
        return found
    if isinstance(value, list):
        found = [list]
        for child in value:
            found += _form(child)
        found.append(None)
        return found
    return [type(value)]


def message(resources: Sequence[Built], composed_at: datetime, identifier: str) -> Body:
    """Return the notification message (Da Vinci Alerts 1.1.0): header first, no requests, everything linked."""
    entries = [{"fullUrl": one.name.full_url, "resource": one.resource} for one in resources]
    return _bundle({"id": identifier, "type": "message", "timestamp": composed_at.isoformat()}, entries)


def document_bundle(resources: Sequence[Built], composed_at: datetime, identifier: str) -> Body:
    """Return the FHIR document: the composition first, everything it names after it."""
    entries = [{"fullUrl": one.name.full_url, "resource": one.resource} for one in resources]
    head = {
        "id": identifier,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{identifier}"},
        "type": "document",
        "timestamp": composed_at.isoformat(),
    }
    return _bundle(head, entries)


def with_message_identifier(encounter: Built, system: str, value: str) -> Built:
    """Return the encounter as this message tells of it: found by the message's identifier, updated by its own."""
    listed = [{"system": system, "value": value}, *encounter.resource["identifier"]]
    return replace(encounter, resource={**encounter.resource, "identifier": listed})


def with_far_identifiers(patient: Built, case: Case, provider: Provider) -> Built:
    """Return the patient as this recipient may know them: with the numbers that recipient keeps, and no other's.

    The recipient's own number is what the conditional create searches for, when there is one.
    """
    theirs = [one for one in case.patient.identifiers if one.held_by == provider.id]
    if not theirs:
        return patient
    name = type(patient.name)(patient.name.id, theirs[0].system, theirs[0].value)
    listed = [{"system": one.system, "value": one.value} for one in theirs]
    resource = {**patient.resource, "identifier": [*listed, *patient.resource["identifier"]]}
    return replace(patient, name=name, resource=resource)


def singles(chosen: Sequence[Built], everything: Sequence[Built]) -> Body:
    """Return the resources as a list of single creates, in the order in which they are made.

    A batch by its form: every entry stands for itself. It is never posted as one.
    """
    inside = {one.name.full_url for one in chosen}
    others = {one.name.full_url: one for one in everything if one.name.full_url not in inside}
    entries = []
    for one in chosen:
        body = _detached(one.resource, others)
        body.pop("id", None)
        kind = one.mapping.resource
        entries.append({"fullUrl": one.name.full_url, "resource": body, "request": {"method": "POST", "url": kind}})
    return _bundle({"type": "batch"}, entries)


def alone(one: Built, everything: Sequence[Built]) -> Body:
    """Return a resource fit to travel alone: references by identifier instead of by place in a bundle."""
    by_url = {other.name.full_url: other for other in everything}
    body: Body = _detached(one.resource, by_url)
    body.pop("id", None)
    return body


def _detached(value: Value, by_url: Mapping[str, Built]) -> Value:
    if isinstance(value, Mapping):
        target = by_url.get(value.get("reference", ""))
        if target is not None:
            return {
                "type": target.mapping.resource,
                "identifier": {"system": target.name.system, "value": target.name.value},
            }
        return {key: _detached(child, by_url) for key, child in value.items()}
    if isinstance(value, list):
        return [_detached(child, by_url) for child in value]
    return value
