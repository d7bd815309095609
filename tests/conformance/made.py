"""Everything distinct that `coordinator render` makes of the matrix: what the judges are asked about."""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.conformance.rendered import everything_rendered

HERE = Path(__file__).parent
FHIR_DOCUMENT = "application/fhir+json"
_NAMES_AND_TIMES = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[^\"]*)?")
BYTES = frozenset({"data", "hash"})
WORDS = frozenset({"text", "display", "description", "title", "div", "contentString"})

Named = dict[str, Any]
"""{name, resource}."""


@cache
def bodies() -> tuple[Named, ...]:
    """Return every body as it would be sent, and every FHIR document inside one."""
    found = []
    for name, composed in everything_rendered().items():
        for made in composed.recipients:
            for number, content in enumerate(made.contents):
                body = json.loads(content.body)
                where = f"{name} {made.plan.provider} {content.level} {number}"
                found.append({"name": where, "resource": body})
                found += [{"name": f"{where} inside", "resource": one} for one in fhir_documents(body)]
    return tuple(found)


def fhir_documents(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the FHIR documents that a DocumentReference carries."""
    for form in body.get("content", []):
        if form["attachment"].get("contentType") == FHIR_DOCUMENT:
            yield json.loads(base64.b64decode(form["attachment"]["data"]))


@cache
def everything() -> list[Named]:
    """Return every distinct resource, bundle and document."""
    found: dict[str, Named] = {}
    for one in bodies():
        inside = [entry["resource"] for entry in one["resource"].get("entry", [])]
        for number, resource in enumerate([one["resource"], *inside]):
            name = f"{one['name']} {number} {resource['resourceType']}"
            found.setdefault(json.dumps(resource, sort_keys=True), {"name": name, "resource": resource})
    return list(found.values())


@cache
def one_of_each() -> list[Named]:
    """Return the single resources that differ in more than ids, times, readings, drugs' names and attached bytes."""
    return _distinct((one for one in everything() if one["resource"]["resourceType"] != "Bundle"), shape)


@cache
def bundles(kind: str) -> list[Named]:
    """Return the bundles of one type that differ in more than that and the words in them."""
    return _distinct((one for one in bodies() if one["resource"].get("type") == kind), outline)


def make_ups(kind: str) -> list[Named]:
    """Return one bundle of each make-up: of the same kinds of resources, each as often."""
    return _distinct(
        bundles(kind), lambda one: sorted(entry["resource"]["resourceType"] for entry in one.get("entry", []))
    )


def apart(bundle: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the bundle with every id of ours and every number of the patient another.

    So one server can hold it beside its likes, as it holds many events of many patients.
    """
    text = json.dumps(bundle)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Patient":
            for value in (one["value"] for one in entry["resource"]["identifier"]):
                other = uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {value}").hex
                text = text.replace(f'"{value}"', f'"{other}"').replace(f"|{value}", f"|{other}")
    ours = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    return json.loads(ours.sub(lambda one: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {one[0]}")), text))


def _distinct(listed: Iterable[Named], kind: Callable[[Any], Any]) -> list[Named]:
    found: dict[str, Named] = {}
    for one in listed:
        found.setdefault(json.dumps(kind(one["resource"]), sort_keys=True), one)
    return list(found.values())


def shape(value: Any, within: str = "", blank: frozenset[str] = BYTES) -> Any:
    """Return the resource without what makes two of a kind differ."""
    if isinstance(value, dict):
        if within == "medicationCodeableConcept":
            return [one.get("system") for one in value.get("coding", [])]
        if within == "security":
            return "labels"  # whole messages are judged with each set of them
        return {key: shape(one, key, blank) for key, one in value.items() if key not in blank}
    if isinstance(value, list):
        return [shape(one, within, blank) for one in value]
    if isinstance(value, str):
        return _NAMES_AND_TIMES.sub("", value)
    return value if isinstance(value, bool) else 0


def outline(value: Any) -> Any:
    """Return the shape without words."""
    return shape(value, blank=BYTES | WORDS)


def wrong_and_right() -> list[Named]:
    """Return {name, resource} of the 22 wrong resources and the 6 right ones."""
    return [{"name": file.stem, "resource": json.loads(file.read_text())} for file in (HERE / "cases").glob("*.json")]
