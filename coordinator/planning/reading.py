"""What arrives, read whole: a clinic event or the registry, or every fault of it at once."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import cache

from pydantic import BaseModel, ValidationError

from coordinator.domain.case import ClinicEvent
from coordinator.domain.events import EVENT, DoseChange, SessionOutcome
from coordinator.domain.plan import Fault
from coordinator.domain.registry import Registry
from coordinator.planning.faults import DATE_FIX, Unreadable, faults_of, fields_by_place, pointer
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
    coerced = list(_coerced(value, (), *_bool_and_date_names(models)))
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
    coerced = list(_coerced(value, (), *_bool_and_date_names((Registry,))))
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


@cache
def _bool_and_date_names(models: tuple[type[BaseModel], ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of all yes-no fields and all day fields under the classes."""
    yes_no: set[str] = set()
    days: set[str] = set()
    todo: list[type[BaseModel]] = list(models)
    done: set[type[BaseModel]] = set()
    while todo:
        model = todo.pop()
        if model in done:
            continue
        done.add(model)
        for name, field in model.model_fields.items():
            types = set(_leaves(field.annotation))
            if bool in types:
                yes_no.add(field.alias or name)
            if date in types:
                days.add(field.alias or name)
            todo.extend(one for one in types if isinstance(one, type) and issubclass(one, BaseModel))
    return frozenset(yes_no), frozenset(days)


def _leaves(annotation: object) -> Iterator[object]:
    inner = getattr(annotation, "__args__", ())
    if not inner:
        yield annotation
    for one in inner:
        yield from _leaves(one)


def _coerced(
    value: object, path: tuple[str | int, ...], yes_no: frozenset[str], days: frozenset[str]
) -> Iterator[Fault]:
    """Yield a fault where the reader would otherwise turn "yes" or 1 into true, or a number into a day."""
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _coerced(inner, (*path, number), yes_no, days)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            here = (*path, key)
            if key in yes_no and isinstance(inner, str | int | Decimal) and not isinstance(inner, bool):
                message = "Only true or false may stand here."
                yield Fault(pointer(here), "yes-no", message, "Write true or false, without quotation marks.")
            elif key in days and (_is_number(inner) or (isinstance(inner, str) and not _DAY.fullmatch(inner))):
                yield Fault(pointer(here), "date", "This is not a day of the calendar.", DATE_FIX)
            else:
                yield from _coerced(inner, here, yes_no, days)


def _is_number(value: object) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
