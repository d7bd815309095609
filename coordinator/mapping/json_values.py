"""The types of FHIR content on its way: plain JSON-like values."""

from collections.abc import Mapping
from typing import Any

Value = Any
"""A JSON value: dict, list, str, int, Decimal or bool; None where nothing stands."""
Json = Mapping[str, Value]
"""A JSON object that is only read."""
