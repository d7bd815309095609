"""The bytes of a resource: orjson of the dict itself, decimals digit for digit, nothing rounded."""

from decimal import Decimal
from typing import Any

import orjson

from coordinator.mapping.json_values import Value


def _other(value: Value) -> orjson.Fragment:
    if isinstance(value, Decimal):
        # A float would grow a tail (37.1 -> 37.100000000000001); the digits go out as they stand. In FHIR the
        # noughts at the end count too: 37.50 was measured more closely than 37.5.
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(type(value).__name__)


def to_bytes(resource: dict[str, Any]) -> bytes:
    """Return compact UTF-8 JSON of a FHIR resource; a Decimal 37.50 becomes the JSON number 37.50."""
    return orjson.dumps(resource, default=_other)
