"""Our own gate, one resource at a time: its shape against the R4 tables, its codes, its invariants.

Shape means elements, cardinality, primitive formats, required bindings and reference
types. The invariants stand in `gate_rules` and `gate_resources`, the bundle as a whole in `gate_bundle`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from coordinator.mapping import r4
from coordinator.mapping.codes import KnownCodes
from coordinator.mapping.gate_resources import RESOURCE_RULES, broken_by
from coordinator.mapping.gate_rules import TYPE_RULES
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.primitives import fault_of
from coordinator.mapping.profiles import broken_claims
from coordinator.mapping.systems import GUARDED, wrong_digit

_OUTSIDE_R4 = ("urn:coordinator:", "http://hl7.org/fhir/us/", "http://ihe.net/fhir/", "http://hl7.org/fhir/sid/")
_REPEATED = frozenset({"CodeableConcept", "Meta"})
"""Elements that come again and again word for word and hold no reference."""
_REMEMBERED = 5000
_LITERAL = {"reference"}
_CODED = frozenset({"CodeableConcept", "Coding"})
Place = tuple[object, str | int]
"""A path as a chain of (where the parent is, name or index): put into words only for a finding."""


@dataclass(frozen=True)
class Finding:
    """One fault: the element's path and what is wrong. Never the value."""

    path: str
    rule: str
    sentence: str


@dataclass(frozen=True)
class Link:
    """One literal reference: where it stands, where it leads, what types R4 allows there (empty: any)."""

    path: str
    target: str
    allowed: Sequence[str]


@dataclass
class Inspection:
    """What one look at a resource found."""

    known_codes: Mapping[str, frozenset[str]] | None
    findings: list[Finding] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def fault(self, place: object, rule: str, sentence: str) -> None:
        """Record a fault."""
        self.findings.append(Finding(words(place), rule, sentence))

    def resource(self, value: Value, place: object) -> None:
        """Look at a resource."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in r4.RESOURCES:
            self.fault(place, "type", "the service does not send this type of resource")
            return
        self.element(value, kind, place, top=True)
        if "meta" in value:
            for rule, sentence, inner in broken_claims(value):
                self.fault((place, inner), rule, sentence)
        local = any(one.target.startswith("#") for one in self.links)
        if kind in RESOURCE_RULES or "contained" in value or local:
            for rule, sentence, inner in broken_by(kind, value, local=local):
                self.fault((place, inner) if inner else place, rule, sentence)

    def element(self, value: Json, kind: str, place: object, *, top: bool = False) -> None:
        """Look at an element of a complex type."""
        if not value or (len(value) == 1 and not top and "id" in value):
            self.fault(place, "ele-1", "the element is empty")
            return
        rows = r4.TYPES[kind]
        self._cardinality(value, kind, place)
        for name, child in value.items():
            row = rows.get(name)
            if row is None:
                if not (top and name == "resourceType"):
                    self.fault((place, name), "unknown-element", "R4 has no such element here")
            elif not row.get("n"):
                self.value(child, row, (place, name))
            elif not isinstance(child, list) or not child:
                self.fault((place, name), "cardinality", "a list with at least one item is needed")
            else:
                for index, item in enumerate(child):
                    self.value(item, row, ((place, name), index))
        for rule, sentence, broken in TYPE_RULES.get(kind, ()):
            if broken(value):
                self.fault(place, rule, sentence)
        if "system" in value and "code" in value and self.known_codes is not None:
            self._code(value["system"], value["code"], self.known_codes, place)

    def _cardinality(self, value: Json, kind: str, place: object) -> None:
        plain, choices = r4.required(kind)
        for name in plain:
            if name not in value:
                self.fault((place, name), "cardinality", "a required element is missing")
        for stem, spellings, needed in choices:
            given = len(spellings & value.keys())
            if given > 1:
                self.fault((place, stem + "[x]"), "choice", "only one form of this element may be given")
            elif needed and not given:
                self.fault((place, stem + "[x]"), "cardinality", "a required element is missing")

    def value(self, value: Value, row: Json, place: object) -> None:
        """Look at one value that stands at an element."""
        kind: str = row["t"]
        if kind == "Resource":
            self.resource(value, place)
        elif kind not in r4.TYPES:
            fault = fault_of(kind, value)
            if fault:
                rule = "txt-2" if "says nothing" in fault else "txt-1" if kind == "xhtml" else f"primitive-{kind}"
                self.fault(place, rule, fault)
            elif "b" in row and value not in r4.BINDINGS[row["b"]]:
                self.fault(place, "binding", "the code is not in the value set that R4 requires here")
        elif not isinstance(value, dict):
            self.fault(place, "type", "an object is needed")
        elif kind == "Reference":
            if value.keys() != _LITERAL or fault_of("string", value["reference"]):
                self.element(value, kind, place)
            self._reference(value, row.get("to", ()), place)
        elif kind in _REPEATED and isinstance(self.known_codes, KnownCodes):
            self._once(value, kind, place, self.known_codes)
            if "b" in row:
                self._bound(value, row["b"], place)
        else:
            self.element(value, kind, place)
            if "b" in row and kind in _CODED:
                self._bound(value, row["b"], place)

    def _once(self, value: Json, kind: str, place: object, known: KnownCodes) -> None:
        try:
            key = orjson.dumps((kind, value))
        except TypeError:
            return self.element(value, kind, place)
        if key not in known.passed:
            before = len(self.findings)
            self.element(value, kind, place)
            if len(self.findings) == before and len(known.passed) < _REMEMBERED:
                known.passed.add(key)
        return None

    def _reference(self, value: Json, allowed: Sequence[str], place: object) -> None:
        target = value.get("reference")
        if isinstance(target, str):
            self.links.append(Link(words(place), target, allowed))
        named = value.get("type")
        if named is None and isinstance(target, str) and "/" in target and not target.startswith(("urn:", "#")):
            named = target.partition("?")[0].rsplit("/", 2)[-2]
        if named is not None and allowed and named not in allowed:
            self.fault(place, "reference-type", "R4 does not allow this type of resource here")

    def _bound(self, value: Json, binding: str, place: object) -> None:
        codings = value.get("coding", [value] if "code" in value else [])
        codes = r4.BINDINGS[binding]
        if not any(isinstance(one, dict) and "system" in one and one.get("code") in codes for one in codings):
            self.fault(place, "binding", "no coding is in the value set that R4 requires here")

    def _code(self, system: Value, code: Value, known: Mapping[str, frozenset[str]], place: object) -> None:
        if code in known.get(system, ()):
            return
        if wrong := wrong_digit(system, code):
            self.fault(place, "check-digit", wrong)
        elif system in GUARDED:
            self.fault(place, "unknown-code", "the code is not in mappings/codes")
        elif not (system in known or system in r4.SYSTEMS or str(system).startswith(_OUTSIDE_R4)):
            self.fault(place, "code-system", "the code system is neither R4's nor in mappings/codes")


def words(place: object) -> str:
    """Return a place as a path: "Bundle.entry[0].resource"."""
    parts: list[str] = []
    while isinstance(place, tuple):
        place, last = place
        parts.append(f"[{last}]" if isinstance(last, int) else f".{last}")
    return f"{place}{''.join(reversed(parts))}"


def inspect(resource: Json, path: str, known_codes: Mapping[str, frozenset[str]] | None = None) -> Inspection:
    """Return every fault of one resource and every reference in it. Without `known_codes`, codes are not judged."""
    seen = Inspection(known_codes)
    seen.resource(resource, path)
    return seen
