"""The bundle as a whole: its invariants, what refers to what. Then the one question to the R4B model."""

from collections.abc import Iterator, Mapping, Sequence

from fhir.resources.R4B.bundle import Bundle
from pydantic import ValidationError

from coordinator.domain.letter import MappingProblem
from coordinator.mapping.gate import Finding, Link, inspect
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.problems import MappingHeld

_WITH_REQUEST = frozenset({"transaction", "batch", "history"})
_NEEDS_ADDRESS = frozenset({"transaction", "message", "document"})


def check_bundle(bundle: Json, known_codes: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Return every fault our own tables and rules find in a bundle and all its resources."""
    found = inspect(bundle, "Bundle", known_codes).findings
    entries = _entries(bundle)
    seen = [inspect(one.get("resource", {}), f"Bundle.entry[{index}].resource") for index, one in enumerate(entries)]
    return [*found, *check_whole(bundle, [one.links for one in seen])]


def _entries(bundle: Json) -> list[Json]:
    listed = bundle.get("entry")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def check_whole(bundle: Json, links: Sequence[Sequence[Link]]) -> list[Finding]:
    """Return the faults of the bundle as a whole: invariants bdl-*, dangling references, islands.

    `links` holds the references of each entry's resource, in the order of the entries.
    """
    entries = _entries(bundle)
    found = list(_invariants(bundle, entries))
    types: dict[str, str] = {}
    for index, entry in enumerate(entries):
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if not isinstance(url, str):
            if bundle.get("type") in _NEEDS_ADDRESS:
                found.append(Finding(f"Bundle.entry[{index}].fullUrl", "full-url", "an entry needs its address"))
            continue
        if url in types:
            found.append(Finding(f"Bundle.entry[{index}].fullUrl", "bdl-7", "two entries have one address"))
        types[url] = str(resource.get("resourceType")) if isinstance(resource, dict) else ""
    for index, entry in enumerate(entries):
        found += _on_behalf(f"Bundle.entry[{index}].resource", entry.get("resource"), types)
    urls = [str(one.get("fullUrl")) for one in entries]
    found += _references(urls, types, links, joins=bundle.get("type") != "batch")
    return found


def _invariants(bundle: Json, entries: Sequence[Json]) -> Iterator[Finding]:
    kind = bundle.get("type")
    if "total" in bundle and kind not in ("searchset", "history"):
        yield Finding("Bundle.total", "bdl-1", "only a search or a history has a total")
    for index, entry in enumerate(entries):
        path = f"Bundle.entry[{index}]"
        if "search" in entry and kind != "searchset":
            yield Finding(f"{path}.search", "bdl-2", "only a search result has this")
        if ("request" in entry) is not (kind in _WITH_REQUEST):
            yield Finding(
                f"{path}.request", "bdl-3", "an entry has a request in a transaction, a batch or a history only"
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
        if not (bundle.get("identifier") or {}).keys() >= {"system", "value"}:
            yield Finding("Bundle.identifier", "bdl-9", "a document needs its identifier")
        if "timestamp" not in bundle:
            yield Finding("Bundle.timestamp", "bdl-10", "a document needs its date")
        if first != "Composition":
            yield Finding("Bundle.entry[0]", "bdl-11", "a document starts with its composition")
    if kind == "message":
        if first != "MessageHeader":
            yield Finding("Bundle.entry[0]", "bdl-12", "a message starts with its header")
        if "timestamp" not in bundle or "id" not in bundle or len(entries) < 2:
            yield Finding("Bundle", "alerts-bundle", "a notification has an id, its time and at least two entries")


_ON_BEHALF = {
    "CareTeam": ("participant", "member", "ctm-1"),
    "Provenance": ("agent", "who", "provenance-1"),
}
_FOR_ANOTHER = frozenset({"Practitioner", "Device"})


def _on_behalf(path: str, resource: Value, types: Mapping[str, str]) -> Iterator[Finding]:
    """Yield where somebody acts for an organisation who cannot, or must say for which and does not."""
    row = _ON_BEHALF.get(str(resource.get("resourceType"))) if isinstance(resource, dict) else None
    if row is None:
        return
    listed, who, rule = row
    for one in resource.get(listed, []):
        kind = types.get((one.get(who) or {}).get("reference", "")) if isinstance(one, dict) else None
        if rule == "ctm-1" and "onBehalfOf" in one and kind not in (None, "Practitioner"):
            yield Finding(f"{path}.{listed}", rule, "only a practitioner takes part on behalf of somebody")
        if rule == "provenance-1" and kind in _FOR_ANOTHER and "onBehalfOf" not in one:
            yield Finding(f"{path}.{listed}", rule, "a practitioner acts on behalf of an organization")


def _references(
    urls: Sequence[str], types: Mapping[str, str], links: Sequence[Sequence[Link]], *, joins: bool
) -> Iterator[Finding]:
    joined: dict[str, set[str]] = {url: set() for url in types}
    for here, listed in zip(urls, links, strict=True):
        for one in listed:
            if one.target in types:
                if one.allowed and types[one.target] not in one.allowed:
                    yield Finding(one.path, "reference-type", "R4 does not allow this type of resource here")
                if here in joined:
                    joined[here].add(one.target)
                    joined[one.target].add(here)
            elif one.target.startswith("urn:"):
                yield Finding(one.path, "dangling", "the reference leads to nothing in the bundle")
    if joins:
        yield from _islands(joined)


def _islands(joined: Mapping[str, set[str]]) -> Iterator[Finding]:
    if len(joined) < 2:
        return
    start = next(iter(joined))
    reached, waiting = {start}, [start]
    while waiting:
        for url in joined[waiting.pop()] - reached:
            reached.add(url)
            waiting.append(url)
    if missing := len(joined) - len(reached):
        yield Finding("Bundle.entry", "unreachable", f"{missing} entries are linked with nothing else")


def ask_model(bundle: Json) -> list[Finding]:
    """Return what the R4B model says of the bundle's shape. Its messages quote values, so only the places are kept."""
    try:
        Bundle.model_validate(bundle)
    except ValidationError as wrong:
        return [
            Finding(".".join(str(part) for part in one["loc"]), "r4b-model", "the R4B model refuses this")
            for one in wrong.errors(include_url=False, include_context=False, include_input=False)
        ]
    except LookupError:
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
