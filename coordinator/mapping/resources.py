"""Walks the mappings over one case: names every resource first, then builds each with its references."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator.domain.case import Case
from coordinator.domain.letter import MappingProblem
from coordinator.domain.part2 import is_part2
from coordinator.mapping import r4
from coordinator.mapping.identity import Name, name_of
from coordinator.mapping.json_values import Json
from coordinator.mapping.load import Mappings, Per, ResourceMapping
from coordinator.mapping.problems import MappingHeld
from coordinator.mapping.walk import EMPTY, Refs, Run

_SCALAR_IDENTIFIER = frozenset({"AdverseEvent", "Composition", "Bundle", "QuestionnaireResponse"})
_THEIRS = frozenset({"mrn", "npi", "clinic", "provider"})
"""People and places: they are referred to, they are not what this message made."""
_ENGINE_SETS_NO_IDENTIFIER = frozenset({"DocumentReference"})
"""Its mapping file says which identifier is the document's and which the message's."""


@dataclass(frozen=True)
class Built:
    """One finished resource with its name and the mapping it was made by."""

    mapping: ResourceMapping
    name: Name
    index: int | None
    resource: dict[str, Any]
    overwrites: bool = True
    """Whether it takes the place of what the far side holds under this name; else it is made there once."""


@dataclass(frozen=True)
class Planned:
    """A resource that will be built: its name is known, so others can refer to it."""

    mapping: ResourceMapping
    name: Name
    index: int | None
    scope: Json


def plan_resources(mappings: Mappings, case: Case, scope: Json, per: Per) -> list[Planned]:
    """Return what the mappings of this stage will build for the scope, in order."""
    kind = case.event.type
    found: list[Planned] = []
    for mapping in mappings.resources:
        if mapping.per != per or kind not in mapping.events:
            continue
        seen: dict[str, int] = {}
        for index, inner in _instances(mapping, scope):
            if mapping.when is not None and not mapping.when(inner):
                continue
            key = None if index is None else str(index)
            if mapping.key is not None:
                key = str(mapping.key(inner))
                seen[key] = seen.get(key, 0) + 1
                key = key if seen[key] == 1 else f"{key}#{seen[key]}"
            found.append(Planned(mapping, name_of(mapping.identity, mapping.named, case, inner, key), index, inner))
    return found


def _instances(mapping: ResourceMapping, scope: Json) -> Iterable[tuple[int | None, Json]]:
    if mapping.each is None:
        return [(None, scope)]
    items = mapping.each(scope) or []
    return [(index, {**scope, "item": item}) for index, item in enumerate(items)]


def build_resources(
    mappings: Mappings, planned: Sequence[Planned], known: Sequence[Planned], labels: Sequence[str]
) -> list[Built]:
    """Return the resources of this stage. `known` are those of the earlier stage that may be referred to.

    `labels`: what each is labelled as, in words of the table `security`.

    Raises MappingHeld with every problem of every resource.
    """
    by_name = _by_name([*known, *planned])
    problems: list[MappingProblem] = []
    built: list[Built] = []
    for one in planned:
        run = Run(one.mapping.mapping, _references(by_name, one), one.index)
        result = one.mapping.build(one.scope, run)
        if result is EMPTY:
            run.problems.append(run.missing(one.mapping.resource))
        problems += run.problems
        if not run.problems:
            resource = _dressed(mappings, one, result, labels)
            built.append(Built(one.mapping, one.name, one.index, resource, _overwrites(one)))
    if problems:
        raise MappingHeld(problems)
    return each_once(built)


def _overwrites(one: Planned) -> bool:
    """Return whether a resource is put over what is there. `create-first`: only in a correction or a retraction."""
    if one.mapping.write == "create-first":
        return bool(one.scope["facts"]["record"] != "original")
    return one.mapping.write == "update"


def each_once(built: Sequence[Built]) -> list[Built]:
    """Return the resources with nobody and no place twice: one may come in several parts, the last one stands."""
    last = {one.name.id: one for one in built if one.mapping.identity in _THEIRS}
    return [one for one in built if last.get(one.name.id, one) is one]


def references(planned: Sequence[Planned], me: Planned) -> Refs:
    """Return where the references of one planned resource lead among all of them."""
    return _references(_by_name(planned), me)


def _by_name(planned: Sequence[Planned]) -> dict[str, list[Planned]]:
    found: dict[str, list[Planned]] = {}
    for one in planned:
        found.setdefault(one.mapping.name, []).append(one)
    return found


def _references(by_name: Mapping[str, Sequence[Planned]], me: Planned) -> Refs:
    def find(name: str, index: int | None) -> list[str]:
        if name == "*":
            return [
                one.name.full_url
                for listed in by_name.values()
                for one in listed
                if one is not me and one.mapping.identity not in _THEIRS and "chart" in one.mapping.levels
            ]
        hits = by_name.get(name, ())
        if index is not None and hits and hits[0].index is not None:
            same = [one for one in hits if one.index == index and one.mapping.each_path == me.mapping.each_path]
            return [one.name.full_url for one in same]
        return [one.name.full_url for one in hits]

    return find


def labels_of(case: Case) -> tuple[str, ...]:
    """Return what everything made from the case is labelled as, in words of the table `security`."""
    part2 = ("part2", "substance-use") if is_part2(case) else ()
    return ("restricted", "psychiatry", *part2, *(("test",) if case.is_test else ()))


def _dressed(mappings: Mappings, one: Planned, body: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Add what every resource carries: type, id, profile, security labels, our identifier."""
    security = mappings.tables["security"]
    meta: dict[str, Any] = {}
    if one.mapping.profiles:
        meta["profile"] = list(one.mapping.profiles)
    rows = [security.row(one) for one in labels]
    meta["security"] = [dict(row.codings[0]) for row in rows if row is not None]
    kind = one.mapping.resource
    dressed: dict[str, Any] = {"resourceType": kind, "id": one.name.id, "meta": meta}
    identifier: dict[str, Any] = {"system": one.name.system, "value": one.name.value}
    if kind in _SCALAR_IDENTIFIER:
        dressed["identifier"] = identifier
    elif kind not in _ENGINE_SETS_NO_IDENTIFIER and "identifier" in r4.TYPES[kind]:
        dressed["identifier"] = [identifier]
    own = body.pop("meta", {})
    return dressed | body | {"meta": {**own, **meta}}
