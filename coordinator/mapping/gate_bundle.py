"""The bundle as a whole: entries, what refers to what, and the codes used. Then the one question to the R4B model."""

from collections.abc import Iterator, Mapping, Sequence

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from coordinator.domain.letter import MappingProblem
from coordinator.mapping import digits, gate
from coordinator.mapping.codes import LOINC_SYSTEM, SNOMED
from coordinator.mapping.gate import Finding
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.problems import MappingHeld

UCUM = "http://unitsofmeasure.org"
GUARDED = frozenset({SNOMED, LOINC_SYSTEM, UCUM, "http://www.nlm.nih.gov/research/umls/rxnorm"})
"""Terminologies of which only the codes of mappings/codes may go out."""
_OUTSIDE_R4 = ("urn:coordinator:", "http://hl7.org/fhir/us/", "http://ihe.net/fhir/", "http://hl7.org/fhir/sid/")
_WITH_REQUEST = frozenset({"transaction", "batch", "history"})


def check_bundle(bundle: Json, known_codes: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Return every fault our own tables and rules find in a bundle and all its resources."""
    found = list(gate.check_resource(bundle, "Bundle"))
    found += check_entries(bundle)
    found += check_codes(bundle, known_codes, "Bundle")
    return found


def check_entries(bundle: Json) -> Iterator[Finding]:
    """Yield the faults of the bundle as a whole: invariants bdl-*, dangling references, islands."""
    kind = bundle.get("type")
    entries = [one for one in bundle.get("entry") or [] if isinstance(one, Mapping)]
    yield from _bundle_invariants(bundle, kind, entries)
    urls: dict[str, str] = {}
    for index, entry in enumerate(entries):
        path = f"Bundle.entry[{index}]"
        if "fullUrl" not in entry and kind in ("transaction", "message", "document"):
            yield Finding(f"{path}.fullUrl", "full-url", "an entry needs its address")
        url = entry.get("fullUrl")
        if url in urls:
            yield Finding(f"{path}.fullUrl", "bdl-7", "two entries have one address")
        resource = entry.get("resource")
        if isinstance(url, str) and isinstance(resource, Mapping):
            urls[url] = str(resource.get("resourceType"))
    yield from check_references(entries, urls)


def _bundle_invariants(bundle: Json, kind: Value, entries: Sequence[Json]) -> Iterator[Finding]:
    if "total" in bundle and kind not in ("searchset", "history"):
        yield Finding("Bundle.total", "bdl-1", "only a search or a history has a total")
    for index, entry in enumerate(entries):
        path = f"Bundle.entry[{index}]"
        if "search" in entry and kind != "searchset":
            yield Finding(f"{path}.search", "bdl-2", "only a search result has this")
        if ("request" in entry) is not (kind in _WITH_REQUEST):
            yield Finding(
                f"{path}.request", "bdl-3", "an entry has a request in a transaction, batch or history, only there"
            )
        if ("response" in entry) and kind not in ("batch-response", "transaction-response", "history"):
            yield Finding(f"{path}.response", "bdl-4", "only an answer has this")
        if not entry.keys() & {"resource", "request", "response"}:
            yield Finding(path, "bdl-5", "the entry holds nothing")
        if "/_history/" in str(entry.get("fullUrl", "")):
            yield Finding(f"{path}.fullUrl", "bdl-8", "the address names a version")
    yield from _first_entry(bundle, kind, entries)


def _first_entry(bundle: Json, kind: Value, entries: Sequence[Json]) -> Iterator[Finding]:
    first = (entries[0].get("resource") or {}).get("resourceType") if entries else None
    if kind == "document":
        if not bundle.get("identifier", {}).get("value"):
            yield Finding("Bundle.identifier", "bdl-9", "a document needs its identifier")
        if "timestamp" not in bundle:
            yield Finding("Bundle.timestamp", "bdl-10", "a document needs its date")
        if first != "Composition":
            yield Finding("Bundle.entry[0]", "bdl-11", "a document starts with its composition")
    if kind == "message":
        if first != "MessageHeader":
            yield Finding("Bundle.entry[0]", "bdl-12", "a message starts with its header")
        if "timestamp" not in bundle or len(entries) < 2:
            yield Finding("Bundle", "alerts-bundle", "a notification has its time and at least two entries")


def check_references(entries: Sequence[Json], urls: Mapping[str, str]) -> Iterator[Finding]:
    """Yield references that lead nowhere or to the wrong type, and resources that nothing is linked with."""
    links: dict[str, set[str]] = {url: set() for url in urls}
    for index, entry in enumerate(entries):
        resource = entry.get("resource")
        if not isinstance(resource, Mapping):
            continue
        here = str(entry.get("fullUrl"))
        kind = str(resource.get("resourceType"))
        for path, target, allowed in references(resource, kind, f"Bundle.entry[{index}].resource"):
            if target in urls:
                if allowed and urls[target] not in allowed:
                    yield Finding(path, "reference-type", "R4 does not allow this type of resource here")
                if here in links:
                    links[here].add(target)
                    links[target].add(here)
            elif target.startswith("urn:"):
                yield Finding(path, "dangling", "the reference leads to nothing in the bundle")
    yield from _islands(links)


def _islands(links: Mapping[str, set[str]]) -> Iterator[Finding]:
    if len(links) < 2:
        return
    start = next(iter(links))
    reached, waiting = {start}, [start]
    while waiting:
        for url in links[waiting.pop()] - reached:
            reached.add(url)
            waiting.append(url)
    if missing := len(links) - len(reached):
        yield Finding("Bundle.entry", "unreachable", f"{missing} entries are linked with nothing else")


def references(value: Json, kind: str, path: str) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield (path, target, allowed types) of every literal reference in a resource or element."""
    rows = gate.tables()["types"].get(kind, {})
    for name, child in value.items():
        row = rows.get(name)
        if row is None:
            continue
        for index, one in enumerate(child if isinstance(child, list) else [child]):
            if not isinstance(one, Mapping):
                continue
            place = f"{path}.{name}[{index}]" if isinstance(child, list) else f"{path}.{name}"
            if row["t"] == "Reference" and isinstance(one.get("reference"), str):
                yield place, one["reference"], row.get("to", ())
            inner = one.get("resourceType", "") if row["t"] == "Resource" else row["t"]
            yield from references(one, inner, place)


def check_codes(value: Value, known: Mapping[str, frozenset[str]], path: str) -> Iterator[Finding]:
    """Yield codings of unknown systems, with wrong check digits, or that mappings/codes does not hold."""
    if isinstance(value, Mapping):
        if isinstance(value.get("system"), str) and isinstance(value.get("code"), str):
            fault = _code_fault(value["system"], value["code"], known)
            if fault:
                yield Finding(path, *fault)
        for key, child in value.items():
            if isinstance(child, Mapping | list):
                yield from check_codes(child, known, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from check_codes(child, known, f"{path}[{index}]")


def _code_fault(system: str, code: str, known: Mapping[str, frozenset[str]]) -> tuple[str, str] | None:
    if system == SNOMED and not digits.snomed_is_whole(code):
        return "check-digit", "the SNOMED CT check digit is wrong"
    if system == LOINC_SYSTEM and not digits.loinc_is_whole(code):
        return "check-digit", "the LOINC check digit is wrong"
    if system in GUARDED:
        return None if code in known.get(system, ()) else ("unknown-code", "the code is not in mappings/codes")
    if system in known or system in gate.tables()["systems"] or system.startswith(_OUTSIDE_R4):
        return None
    return "code-system", "the code system is neither R4's nor in mappings/codes"


def ask_model(bundle: Json) -> list[Finding]:
    """Return what the R4B model says of the bundle's shape. Its messages quote values, so only the places are kept."""
    try:
        Bundle.model_validate(bundle)
    except ValidationError as wrong:
        return [
            Finding(".".join(str(part) for part in one["loc"]), "r4b-model", "the R4B model refuses this")
            for one in wrong.errors(include_url=False, include_context=False, include_input=False)
        ]
    except (KeyError, LookupError):
        return [Finding("Bundle", "r4b-model", "the R4B model does not know this type of resource")]
    return []


def hold(findings: Sequence[Finding]) -> None:
    """Raise MappingHeld when there is any finding."""
    if findings:
        raise MappingHeld(
            [
                MappingProblem(
                    one.path,
                    f"gate.{one.rule}",
                    f"Our own check refused the content: {one.sentence}.",
                    "Correct the mapping file, or amend the event; then release the message.",
                )
                for one in findings
            ]
        )
