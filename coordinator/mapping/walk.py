"""Turns the `build` part of a mapping file into a function from the case view to a FHIR element.

Seven directives and `$each`, a closed list. Empty is an error unless the key ends in `?`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from html import escape
from typing import Any, Final

from coordinator.domain.letter import MappingProblem
from coordinator.domain.quantities import Quantity, plain
from coordinator.mapping.codes import CodeTable, Row
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.paths import PathError, compile_condition, compile_value, item_type
from coordinator.mapping.systems import UCUM

EMPTY: Final = object()
MAIN = frozenset({"$from", "$text", "$code", "$concept", "$quantity", "$ref", "$refs"})
DIRECTIVES = MAIN | {"$when", "$each", "$map", "$unit", "$as", "$own_text", "$xhtml", "$exact", "$exact_map"}
_FIELD = re.compile(r"\{([^{}]*)\}")

Refs = Callable[[str, int | None], list[str]]


@dataclass
class Run:
    """One walk over one resource: where references lead, and the problems met on the way."""

    mapping: str
    refs: Refs
    index: int | None = None
    problems: list[MappingProblem] = field(default_factory=list)

    def missing(self, path: str) -> MappingProblem:
        """Return the problem of a required element that came out empty."""
        return MappingProblem(
            f"{self.mapping} {path}",
            "mapping.empty",
            "A required element came out empty.",
            "Send the field in an amended event, or mark the element as optional in the mapping file.",
        )

    def unmapped(self, path: str, table: str) -> None:
        """Record a word that its table does not have. The word itself is not said."""
        self.problems.append(
            MappingProblem(
                f"{self.mapping} {path}",
                "mapping.unmapped",
                f"The value is not in the code table '{table}'.",
                f"Add a row to mappings/codes/{table}.yaml, have it reviewed, and release the message.",
            )
        )


Node = Callable[[Json, Run], Any]


@dataclass(frozen=True)
class Names:
    """What a mapping may name: case view roots with types, tables, and other mappings."""

    roots: Json
    tables: Mapping[str, CodeTable]
    mappings: frozenset[str]


class Compiler:
    """Compiles one mapping file; collects every fault with its place."""

    def __init__(self, names: Names, problems: list[str], file: str) -> None:
        self.names = names
        self.problems = problems
        self.file = file

    def fault(self, path: str, text: str) -> Node:
        """Record a fault of the file and return a node that never runs."""
        self.problems.append(f"{self.file}: {path}: {text}")
        return lambda _scope, _run: EMPTY

    def node(self, value: Value, path: str) -> Node:
        """Return the function that builds this part."""
        if isinstance(value, dict):
            marks = {key for key in value if isinstance(key, str) and key.startswith("$")}
            if unknown := marks - DIRECTIVES:
                return self.fault(path, f"there is no directive {', '.join(sorted(unknown))}")
            if len(marks & MAIN) > 1:
                return self.fault(path, "one directive at a time")
            try:
                inner = self.directive(value, path) if marks & MAIN else self.element(value, path)
                return self.guarded(value["$when"], inner) if "$when" in value else inner
            except PathError as wrong:
                return self.fault(path, str(wrong))
        if isinstance(value, list):
            return self.items(value, path)
        if isinstance(value, float):
            return self.fault(path, "write a number with decimals in quotes, as $from of an event field")
        return lambda _scope, _run: value

    def guarded(self, text: str, inner: Node) -> Node:
        """Return a node that is empty unless the condition holds."""
        test = compile_condition(text, self.names.roots)
        return lambda scope, run: inner(scope, run) if test(scope) else EMPTY

    def element(self, value: Json, path: str) -> Node:
        """Return the node of a plain element: its children by name."""
        parts: list[tuple[str, bool, Node, bool]] = []
        for key, child in value.items():
            if key.startswith("$"):
                continue
            name = key.removesuffix("?")
            parts.append((name, not key.endswith("?"), self.node(child, f"{path}.{name}"), not is_static(child)))
        moving = any(part[3] for part in parts)

        def build(scope: Json, run: Run) -> Value:
            built: dict[str, Any] = {}
            absent: list[str] = []
            met = False
            for name, required, child, moves in parts:
                before = len(run.problems)
                result = child(scope, run)
                if result is not EMPTY:
                    built[name] = result
                    met = met or moves
                elif required and len(run.problems) == before:
                    absent.append(name)
            if not built or (moving and not met):
                return EMPTY
            run.problems += [run.missing(f"{path}.{name}") for name in absent]
            return built

        return build

    def items(self, values: list[Any], path: str) -> Node:
        """Return the node of a list; an item with `$each` stands for many."""
        parts: list[Node] = []
        for place, item in enumerate(values):
            each = isinstance(item, dict) and "$each" in item
            parts.append(self.repeated(item, path) if each else self.single(item, f"{path}[{place}]"))

        def build(scope: Json, run: Run) -> Value:
            found = [one for part in parts for one in part(scope, run)]
            return found or EMPTY

        return build

    def single(self, item: Value, path: str) -> Node:
        """Return the node of one list item, as a list of none or one (`$refs`: of many)."""
        inner = self.node(item, path)

        def build(scope: Json, run: Run) -> list[Any]:
            result = inner(scope, run)
            if result is EMPTY:
                return []
            return result if isinstance(item, dict) and "$refs" in item else [result]

        return build

    def repeated(self, item: Json, path: str) -> Node:
        """Return the node of an item that is built once for each entry of a list of the case."""
        try:
            kind = item_type(tuple(item["$each"].split(".")), self.names.roots)
            reader = compile_value(item["$each"], self.names.roots)
        except PathError as wrong:
            return self.fault(path, str(wrong))
        inside = Compiler(
            Names({**self.names.roots, "item": kind, "position": int}, self.names.tables, self.names.mappings), [], ""
        )
        inside.problems, inside.file = self.problems, self.file
        inner = inside.node({key: value for key, value in item.items() if key != "$each"}, f"{path}[]")

        def build(scope: Json, run: Run) -> list[Any]:
            items = enumerate(reader(scope) or (), 1)
            results = [inner({**scope, "item": one, "position": place}, run) for place, one in items]
            return [one for one in results if one is not EMPTY]

        return build

    def directive(self, value: Json, path: str) -> Node:
        """Return the node of one directive."""
        if "$from" in value:
            return self.read(value["$from"])
        if "$text" in value:
            return self.text(value["$text"], xhtml=bool(value.get("$xhtml")))
        if "$quantity" in value:
            return self.quantity(value, path)
        if "$ref" in value or "$refs" in value:
            return self.reference(value, path)
        return self.coded(value, path)

    def read(self, text: str) -> Node:
        """Return the node of `$from`."""
        reader = compile_value(text, self.names.roots)

        def build(scope: Json, _run: Run) -> Value:
            found = reader(scope)
            return EMPTY if found is None else found

        return build

    def text(self, template: str, *, xhtml: bool) -> Node:
        """Return the node of `$text`: empty when a field is; `{field?}` is left out with its blank."""
        pieces = _FIELD.split(template)
        fields = [(compile_value(name.strip("? "), self.names.roots), name.endswith("?")) for name in pieces[1::2]]

        def build(scope: Json, _run: Run) -> Value:
            words = [(said(reader(scope)), optional) for reader, optional in fields]
            if any(word is None and not optional for word, optional in words):
                return EMPTY
            text = pieces[0]
            for (word, _), piece in zip(words, pieces[2::2], strict=True):
                if word is None:
                    text = text.removesuffix(" ") + piece
                else:
                    text += (escape(word, quote=False) if xhtml else word) + piece
            return text.strip() or EMPTY

        return build

    def table(self, value: Json, path: str) -> CodeTable | None:
        """Return the table a directive names, or None after recording the fault."""
        found = self.names.tables.get(value.get("$map", ""))
        if found is None:
            self.fault(path, f"there is no code table '{value.get('$map')}'")
        return found

    def coded(self, value: Json, path: str) -> Node:
        """Return the node of `$code` and `$concept` (`$as: Coding` for a bare coding)."""
        source = value.get("$code", value.get("$concept"))
        table = self.table(value, path)
        if table is None or not isinstance(source, str):
            return self.fault(path, "a path and a table are needed")
        reader = compile_value(source, self.names.roots)
        if source.startswith("'") and table.row(source.strip("'")) is None:
            return self.fault(path, f"the table '{table.name}' has no row {source}")
        own = compile_value(value["$own_text"], self.names.roots) if "$own_text" in value else None
        form = "code" if "$code" in value else value.get("$as", "CodeableConcept")
        exact = self.exact(value, path) if "$exact" in value else None

        def build(scope: Json, run: Run) -> Value:
            word = reader(scope)
            if word is None:
                return EMPTY
            row = (exact(scope, run) if exact else None) or table.row(said(word) or "")
            if row is None and table.unmapped == "text" and form == "CodeableConcept":
                return {"text": said(own(scope) if own else word)}
            if row is None and table.unmapped == "text" and form == "Coding":
                return EMPTY
            if row is None or (form != "CodeableConcept" and not row.codings):
                run.unmapped(path, table.name)
                return EMPTY
            if form == "code":
                return row.codings[0]["code"]
            return dict(row.codings[0]) if form == "Coding" else row.concept(said(own(scope)) if own else None)

        return build

    def exact(self, value: Json, path: str) -> Callable[[Json, Run], Row | None]:
        """Return the search for a row that fits several fields at once; None for all but an exact hit."""
        table = self.names.tables.get(value.get("$exact_map", ""))
        if table is None:
            self.fault(path, f"there is no code table '{value.get('$exact_map')}'")
            return lambda _scope, _run: None
        words = self.text(value["$exact"], xhtml=False)

        def find(scope: Json, run: Run) -> Row | None:
            found = words(scope, run)
            return None if found is EMPTY else table.row(found)

        return find

    def quantity(self, value: Json, path: str) -> Node:
        """Return the node of `$quantity`: a Quantity of the event, or a bare number with `$unit`."""
        reader = compile_value(value["$quantity"], self.names.roots)
        units = self.names.tables.get("ucum")
        if units is None:
            return self.fault(path, "the code table 'ucum' is missing")
        fixed = value.get("$unit")
        if fixed is not None and units.row(fixed) is None:
            return self.fault(path, f"the unit '{fixed}' is not in the table 'ucum'")

        def build(scope: Json, run: Run) -> Value:
            found = reader(scope)
            if found is None:
                return EMPTY
            if fixed is not None:
                number, unit = found, fixed
            else:
                told = Quantity(value=found["value"], unit=found["unit"])
                amount = told.normalised()
                # What was multiplied has no more digits than it was measured with: 1.70 m is 170 cm, not 170.00.
                number = amount.value if amount.unit == told.unit else Decimal(plain(amount.value))
                unit = amount.unit
            row = units.row(unit)
            if row is None:
                run.unmapped(path, "ucum")
                return EMPTY
            return {"value": number, "unit": row.text, "system": UCUM, "code": row.codings[0]["code"]}

        return build

    def reference(self, value: Json, path: str) -> Node:
        """Return the node of `$ref` (one resource, the first of a list that exists) and `$refs` (all, or `*`)."""
        named = value.get("$ref", value.get("$refs"))
        wanted = named if isinstance(named, list) else [named]
        for name in wanted:
            if name != "*" and name not in self.names.mappings:
                return self.fault(path, f"there is no mapping named '{name}'")
        many = "$refs" in value

        def build(_scope: Json, run: Run) -> Value:
            found = (run.refs(name, None if many else run.index) for name in wanted)
            urls = next((one for one in found if one), None)
            if not urls:
                return EMPTY
            return [{"reference": url} for url in urls] if many else {"reference": urls[0]}

        return build


def is_static(value: Value) -> bool:
    """Return whether this part of a file is the same for every event."""
    if isinstance(value, dict):
        return all(not key.startswith("$") and is_static(child) for key, child in value.items())
    return all(is_static(one) for one in value) if isinstance(value, list) else True


def said(value: Value) -> str | None:
    """Return a value as text for people: 37.50 is "37.5", a quantity "41 mg"; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, list):
        return ", ".join(said(one) or "" for one in value)
    if isinstance(value, Mapping) and "unit" in value:
        return f"{said(value['value'])} {value['unit']}"
    return str(value)
