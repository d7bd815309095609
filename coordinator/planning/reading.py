"""What arrives, read whole: a clinic event or the registry, or every fault of it at once."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache

from pydantic import BaseModel, ValidationError

from coordinator.domain.case import ClinicEvent
from coordinator.domain.characters import unseen
from coordinator.domain.events import EVENT, DoseChange, SessionOutcome
from coordinator.domain.plan import Fault
from coordinator.domain.registry import Registry
from coordinator.planning.faults import DATE_FIX, INSTANT_FIX, Unreadable, faults_of, fields_by_place, pointer
from coordinator.planning.json_stream import read_lines
from coordinator.planning.registry_checks import registry_faults
from coordinator.planning.strict_json import MAX_BYTES, read_json

REGISTRY_MAX_BYTES = 64 * 1024 * 1024
"""A registry file holds every patient of a clinic."""

_EVENT_CLASSES: Mapping[str, tuple[type[BaseModel], ...]] = {
    "session-outcome": (SessionOutcome,),
    "dose-change": (DoseChange,),
}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_YEAR = re.compile(r"[0-9]{4}-")
_OFFSET = re.compile(r"T.*[+-]([0-9]{2}):?([0-9]{2})$")
FIRST_YEAR, LAST_YEAR = 1800, 2199
"""Any other year is a typing fault; near the ends of the calendar a time has no day in another zone."""
MOST_OFFSET = (14, 0)
"""Hours and minutes: no zone is farther from UTC, and no receiving system takes a time that is."""

__all__ = ["MAX_BYTES", "Unreadable", "read_event", "read_json", "read_lines", "read_registry", "read_value"]


def read_event(body: bytes) -> ClinicEvent:
    """Return the event in a JSON body, or raise Unreadable with every fault."""
    return read_value(read_json(body))


def read_value(value: object) -> ClinicEvent:
    """Return the event in a value that was already read strictly, or raise Unreadable with every fault.

    Numbers must be int or Decimal: a float has lost its digits and is refused.
    """
    if not isinstance(value, Mapping):
        raise Unreadable((Fault("", "object", "One event is a JSON object.", "Send the fields between curly braces."),))
    models = _EVENT_CLASSES.get(str(value.get("type")), (SessionOutcome, DoseChange))
    coerced = list(_coerced(value, (), _names_under(models)))
    try:
        event = EVENT.validate_python(value, by_alias=True, by_name=False)
    except ValidationError as wrong:
        raise Unreadable(_merged(coerced, faults_of(wrong, value, fields_by_place(models, value)))) from None
    if coerced:
        raise Unreadable(tuple(coerced))
    return event


def read_registry(body: bytes) -> Registry:
    """Return the registry in a JSON body, checked in itself, or raise Unreadable with every fault."""
    value = read_json(body, max_bytes=REGISTRY_MAX_BYTES)
    if not isinstance(value, Mapping):
        raise Unreadable(
            (Fault("", "object", "A registry is a JSON object.", "Send the fields between curly braces."),)
        )
    coerced = list(_coerced(value, (), _names_under((Registry,))))
    try:
        registry = Registry.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as wrong:
        raise Unreadable(_merged(coerced, faults_of(wrong, value, fields_by_place((Registry,), value)))) from None
    faults = (*coerced, *registry_faults(registry))
    if faults:
        raise Unreadable(faults)
    return registry


def _merged(first: list[Fault], second: list[Fault]) -> tuple[Fault, ...]:
    taken = {one.pointer for one in first}
    return (*first, *(one for one in second if one.pointer not in taken))


@dataclass(frozen=True)
class _Names:
    """The names of the fields whose value the reader would otherwise guess."""

    yes_no: frozenset[str]
    days: frozenset[str]
    dated: frozenset[str]
    """Those of a day or of an instant."""
    fixed: Mapping[str, bool | int]
    """Those with one value only, which is true or a number: 1 and true are equal, and are not the same."""


@cache
def _names_under(models: tuple[type[BaseModel], ...]) -> _Names:
    """Return the names of all yes-no fields, all day fields and all fields of one value under the classes."""
    yes_no: set[str] = set()
    days: set[str] = set()
    dated: set[str] = set()
    fixed: dict[str, bool | int] = {}
    todo: list[type[BaseModel]] = list(models)
    done: set[type[BaseModel]] = set()
    while todo:
        model = todo.pop()
        if model in done:
            continue
        done.add(model)
        for name, field in model.model_fields.items():
            types = list(_leaves(field.annotation))
            if bool in types:
                yes_no.add(field.alias or name)
            if date in types:
                days.add(field.alias or name)
            if datetime in types or date in types:
                dated.add(field.alias or name)
            fixed.update((field.alias or name, one) for one in types if isinstance(one, int))
            todo.extend(one for one in types if isinstance(one, type) and issubclass(one, BaseModel))
    return _Names(frozenset(yes_no), frozenset(days), frozenset(dated), fixed)


def _leaves(annotation: object) -> Iterator[object]:
    inner = getattr(annotation, "__args__", ())
    if not inner:
        yield annotation
    for one in inner:
        yield from _leaves(one)


def _coerced(value: object, path: tuple[str | int, ...], names: _Names) -> Iterator[Fault]:
    """Yield a fault where the reader would otherwise turn "yes" or 1 into true, true into 1, or a number into a day.

    And at each text with a character that nobody sees: what is on record already is read with it.
    """
    if isinstance(value, str):
        yield from _unseen(value, path)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _coerced(inner, (*path, number), names)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            here = (*path, key)
            if key in names.yes_no and isinstance(inner, str | int | Decimal) and not isinstance(inner, bool):
                message = "Only true or false may stand here."
                yield Fault(pointer(here), "yes-no", message, "Write true or false, without quotation marks.")
            elif key in names.days and (_is_number(inner) or (isinstance(inner, str) and not _DAY.fullmatch(inner))):
                yield Fault(pointer(here), "date", "This is not a day of the calendar.", DATE_FIX)
            elif key in names.dated and isinstance(inner, str) and _YEAR.match(inner):
                yield from _never(inner, here)
            elif key in names.fixed and type(inner) is not type(names.fixed[key]):
                yield _not_fixed(here, names.fixed[key])
            else:
                yield from _coerced(inner, here, names)


def _unseen(text: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    kind = unseen(text)
    if kind is not None:
        fix = "Type the text anew: what is copied from elsewhere may bring such characters along."
        yield Fault(pointer(path), "text.characters", f"The text holds {kind}, which nobody sees.", fix)


def _never(text: str, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """Yield a fault for a day or an instant that no record of a treatment can speak of, or that no zone has."""
    if not FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
        message = f"The year lies outside {FIRST_YEAR} to {LAST_YEAR}."
        yield Fault(pointer(path), "year", message, "Check the year.")
    offset = _OFFSET.search(text)
    if offset is not None and (int(offset[1]), int(offset[2])) > MOST_OFFSET:
        message = "No clock of the world is so far from UTC."
        yield Fault(pointer(path), "instant.offset", message, f"Check the offset. {INSTANT_FIX}")
    yield from _unseen(text, path)


def _not_fixed(path: tuple[str | int, ...], only: bool | int) -> Fault:
    if only is True:
        return Fault(pointer(path), "yes-no", "Only true may stand here.", 'Write {"unknown": true}, or the value.')
    return Fault(pointer(path), "choice", "This is none of the values that may stand here.", f"Use one of: {only}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
