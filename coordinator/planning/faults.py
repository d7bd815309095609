"""Faults of a body that cannot be read, said in plain sentences: where, what is wrong, what would be right.

A fault never holds the value it is about: faults travel in answers, in refusals
on record and in logs of refusals, and the value may be about a patient.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from coordinator.domain.plan import Fault

QUANTITY_FIX = 'Write it as {"value": "<decimal>", "unit": "<UCUM unit>"}, for example {"value": "37.5", "unit": "mg"}.'
INSTANT_FIX = 'Write it with its offset, like "2026-10-14T10:00:00-05:00".'
DATE_FIX = 'Write it as a day, like "2026-10-14".'


class Unreadable(Exception):
    """A body that cannot be taken. `faults` holds everything wrong with it, in the order of the document."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Keep the faults; the text of the exception is their number and nothing else."""
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def pointer(parts: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a place: ("vitals", 0, "at") -> "/vitals/0/at"."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _field_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _place(loc: tuple[str | int, ...], raw: object) -> tuple[tuple[str | int, ...], str | None, int]:
    """Return where an error is in the document, the first union member named on the way, and how deep that was.

    pydantic mixes the names of union members into the place; whatever is neither a
    key nor an index of the document at hand is such a name, unless it comes last
    (then it is a missing key, which the caller knows from the error's type).
    """
    path: list[str | int] = []
    here: Any = raw
    member: str | None = None
    depth = -1
    for step in loc:
        if _leads_on(here, step):
            path.append(step)
            here = here[step]
        elif member is None:
            member, depth = str(step), len(path)
    return tuple(path), member, depth


def _leads_on(here: object, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(here, Mapping) and step in here
    return isinstance(here, list) and step < len(here)


def _suits(member: str, value: object) -> bool:
    """Whether a union member has the shape of the value, so that its complaints are the useful ones."""
    if isinstance(value, Mapping):
        if "unknown" in value:
            return member == "Unknown"
        if "not_done" in value:
            return member == "NotDone"
        return member[:1].isupper() and member not in ("Unknown", "NotDone")
    if isinstance(value, list):
        return member.startswith("tuple[")
    return not member[:1].isupper() and not member.startswith("tuple[")


def _at(raw: object, path: tuple[str | int, ...]) -> object:
    here: Any = raw
    for step in path:
        here = here[step]
    return here


def faults_of(
    error: ValidationError, raw: object, fields_at: Callable[[tuple[str | int, ...]], list[str]]
) -> list[Fault]:
    """Return one sensible fault per place of a failed validation.

    `fields_at` names the fields that may stand in the object at a place, so that a
    misspelt one can be answered with the nearest right one.
    """
    seen: dict[str, Fault] = {}
    unions: dict[tuple[str | int, ...], list[tuple[str, tuple[str | int, ...], ErrorDetails]]] = {}
    for one in error.errors(include_url=False, include_input=False):
        loc = one["loc"]
        missing = one["type"] in ("missing", "union_tag_not_found")
        head = loc[:-1] if one["type"] == "missing" else loc
        path, member, depth = _place(head, raw)
        if member is not None and member in ("session-outcome", "dose-change") and depth == 0:
            path, member, depth = _place(head[1:], raw)
        if one["type"] == "missing":
            path = (*path, loc[-1])
        if member is None or (missing and depth < 0):
            fault = _fault(one, path, raw, fields_at)
            seen.setdefault(fault.pointer, fault)
        else:
            unions.setdefault(path[:depth], []).append((member, path, one))
    for place, group in unions.items():
        value = _at(raw, place)
        suited = [entry for entry in group if _suits(entry[0], value)]
        if suited:
            for _, path, one in suited:
                fault = _fault(one, path, raw, fields_at)
                seen.setdefault(fault.pointer, fault)
        else:
            fault = _no_shape(place, value, {entry[0] for entry in group})
            seen.setdefault(fault.pointer, fault)
    return list(seen.values())


def _no_shape(place: tuple[str | int, ...], value: object, members: set[str]) -> Fault:
    """The value has none of the shapes that may stand there."""
    where = pointer(place)
    if "Quantity" in members and not isinstance(value, list | Mapping):
        return Fault(where, "unit.missing", "The amount has no unit.", QUANTITY_FIX)
    if any("datetime" in member for member in members):
        return Fault(where, "instant", "This is not a time with its offset.", INSTANT_FIX)
    shapes = "an object" if any(member[:1].isupper() for member in members - {"Unknown", "NotDone"}) else "a value"
    return Fault(
        where,
        "shape",
        "This has none of the forms that may stand here.",
        f'Write {shapes} of the published schema, {{"unknown": true}} or {{"not_done": "<reason>"}}.',
    )


def _fault(
    one: ErrorDetails,
    path: tuple[str | int, ...],
    raw: object,
    fields_at: Callable[[tuple[str | int, ...]], list[str]],
) -> Fault:
    """Return the fault for one pydantic error at a place of the document."""
    where = pointer(path)
    kind = one["type"]
    context = one.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(path, fields_at(path[:-1]))
    if kind == "missing":
        if path[-1] == "unit":
            return Fault(where, "unit.missing", "The amount has no unit.", QUANTITY_FIX)
        return Fault(where, "missing", f"The field {path[-1]} is missing.", f"Add {path[-1]}.")
    if kind in ("model_type", "model_attributes_type", "dict_type") and "Quantity" in str(
        context.get("class_name", "")
    ):
        return Fault(where, "unit.missing", "The amount has no unit.", QUANTITY_FIX)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return Fault(
            "/type",
            "type",
            "The type of the event is missing or unknown.",
            'Set type to "session-outcome" or "dose-change".',
        )
    if kind == "literal_error" and context.get("expected") == "True":
        return Fault(where, "yes-no", "Only true may stand here.", 'Write {"unknown": true}, or the value.')
    if kind == "value_error":
        fault = _own_words(where, str(context.get("error", "")))
        if path[-1:] == ("spo2",) and fault.code == "number.whole":
            return Fault(where, fault.code, fault.message, "Write percent as a whole number: 97, never 0.97.")
        return fault
    for start, code, message, fix in _PLAIN:
        if kind.startswith(start):
            return Fault(where, code, message, fix.format(**{"expected": "", "pattern": "", **_safe(context)}))
    return Fault(where, "shape", "This has a form that may not stand here.", "See the published schema for this field.")


def _safe(context: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of pydantic's context that come from the schema, never from the value."""
    keep = ("expected", "pattern", "ge", "le", "max_length", "min_length", "class_name", "discriminator")
    return {key: str(context[key]) for key in keep if key in context}


def _own_words(where: str, text: str) -> Fault:
    """A sentence of a validator of the domain: split at what would be right."""
    if "offset is missing" in text:
        return Fault(where, "instant.ambiguous", "The time has no offset, so it is ambiguous.", INSTANT_FIX)
    if "instant is needed" in text:
        return Fault(where, "instant", "This is not a time with its offset.", INSTANT_FIX)
    if "whole number" in text:
        return Fault(where, "number.whole", "A whole number is needed here.", "Write a JSON number such as 118.")
    if "more digits" in text:
        return Fault(where, "number.digits", "The decimal has more digits than any measurement.", "Check the value.")
    return Fault(where, "number", "A decimal number is needed here.", 'Write a decimal such as "37.5".')


_PLAIN: tuple[tuple[str, str, str, str], ...] = (
    ("literal_error", "choice", "This is none of the values that may stand here.", "Use one of: {expected}."),
    ("string_pattern", "text.form", "The text has a form that may not stand here.", "It must match {pattern}."),
    ("string_too_long", "text.length", "The text is too long.", "At most {max_length} characters may stand here."),
    ("string_too_short", "text.length", "The text is too short.", "At least {min_length} characters must stand here."),
    ("string", "text", "A text is needed here.", "Write it between quotation marks."),
    ("bool", "yes-no", "Only true or false may stand here.", "Write true or false, without quotation marks."),
    ("datetime", "instant", "This is not a time with its offset.", INSTANT_FIX),
    ("timezone", "instant", "This is not a time with its offset.", INSTANT_FIX),
    ("date", "date", "This is not a day of the calendar.", DATE_FIX),
    ("tuple", "list", "A list is needed here.", "Write it between square brackets."),
    ("list", "list", "A list is needed here.", "Write it between square brackets."),
    ("model", "object", "An object is needed here.", "Write it between curly braces, with the fields of the schema."),
    ("greater_than", "range", "The number is too small.", "It must be at least {ge}."),
    ("less_than", "range", "The number is too large.", "It must be at most {le}."),
    ("int", "number.whole", "A whole number is needed here.", "Write a JSON number such as 118."),
)


def _unknown_field(path: tuple[str | int, ...], known: list[str]) -> Fault:
    """A field the contract does not have. Its own name is the source's, and is said; its value is not."""
    name = str(path[-1])
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    shown = name if len(name) <= 64 and name.isprintable() else "this name"
    fix = (
        f"Write {nearest[0]} if that was meant, or leave it out." if nearest else "Leave it out, or check its spelling."
    )
    return Fault(pointer(path), "field.unknown", f"There is no field {shown} here.", fix)


def fields_by_place(models: Iterable[type[BaseModel]], raw: object) -> Callable[[tuple[str | int, ...]], list[str]]:
    """Return a function that names the fields which may stand in the object at a place.

    The classes are followed by the names of their fields, so a place in a list or
    in a union leads to every class that could stand there.
    """
    roots = list(models)

    def at(path: tuple[str | int, ...]) -> list[str]:
        here = roots
        for step in path:
            if isinstance(step, int):
                continue
            here = [inner for model in here for inner in _classes_under(model, step)]
        return sorted({name for model in here for name in _field_names(model)})

    return at


def _classes_under(model: type[BaseModel], name: str) -> Iterator[type[BaseModel]]:
    for key, field in model.model_fields.items():
        if name in (key, field.alias):
            yield from _classes_in(field.annotation)


def _classes_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in getattr(annotation, "__args__", ()):
        yield from _classes_in(inner)
