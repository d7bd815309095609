"""The primitive types of R4: what their values look like."""

import base64
import binascii
import re
from datetime import date
from decimal import Decimal

from coordinator.mapping.json_values import Value

_DATE = r"[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_FULL_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_DATED = frozenset({"date", "dateTime", "instant"})
_WORDS = frozenset({"string", "markdown"})
_PATTERNS: dict[str, re.Pattern[str]] = {
    "code": re.compile(r"[^\s]+( [^\s]+)*"),
    "id": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "oid": re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "uuid": re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+|#\S*|[A-Z][A-Za-z]+(/\S+)?|[A-Z][A-Za-z]+\?\S+"),
    "url": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+"),
    "canonical": re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+"),
    "date": re.compile(_DATE),
    "dateTime": re.compile(rf"{_DATE}|{_FULL_DATE}T{_TIME}{_ZONE}"),
    "instant": re.compile(rf"{_FULL_DATE}T{_TIME}{_ZONE}"),
    "time": re.compile(_TIME),
    "xhtml": re.compile(r"\s*\S[\s\S]*"),
}
"""R4 datatypes page, one expression a primitive type."""
_TAGS = frozenset(
    {
        "a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
        "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre",
        "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
        "tt", "ul", "var",
    }
)  # fmt: skip
"""The formatting elements that R4 lets a narrative have."""
_TAG = re.compile(r"<\s*/?\s*([A-Za-z][A-Za-z0-9:]*)([^>]*)>")
_ACTIVE = re.compile(r"(^|\s)on\w+\s*=|javascript:", re.IGNORECASE)
_LEAST = {"integer": None, "unsignedInt": 0, "positiveInt": 1}


def fault_of(kind: str, value: Value) -> str | None:
    """Return what is wrong with a primitive value, or None. The value itself is never said."""
    if isinstance(value, str):
        if kind in _WORDS:
            return "the text is empty" if not value or value.isspace() else None
        pattern = _PATTERNS.get(kind)
        if pattern is not None:
            if kind == "xhtml":
                return _narrative_fault(value)
            return None if pattern.fullmatch(value) and _in_calendar(kind, value) else f"this is not a {kind}"
        return _base64_fault(value) if kind == "base64Binary" else f"this is not a {kind}"
    if kind == "boolean":
        return None if isinstance(value, bool) else "true or false is needed"
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return "a value of another type is needed"
    if kind == "decimal":
        return None
    if kind not in _LEAST or not isinstance(value, int):
        return "a value of another type is needed"
    least = _LEAST[kind]
    return "the number is too small" if least is not None and value < least else None


def _in_calendar(kind: str, value: str) -> bool:
    """Return whether a full date exists; a form like 2026-02-30 is right and the day is not."""
    if kind not in _DATED or len(value) < len("2026-01-01"):
        return True
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return False
    return True


def _narrative_fault(value: str) -> str | None:
    tags = _TAG.findall(value)
    if any(name.lower() not in _TAGS or _ACTIVE.search(rest) for name, rest in tags) or "<!" in value:
        return "the narrative holds more than formatting"
    empty = not _TAG.sub("", value).strip() and "img" not in {name for name, _ in tags}
    return "the narrative says nothing" if empty else None


def _base64_fault(value: str) -> str | None:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "this is not base64"
    return None if value else "the data are empty"
