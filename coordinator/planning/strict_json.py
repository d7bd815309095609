"""JSON read strictly: nothing is dropped, rounded or guessed.

Duplicate keys, NaN, Infinity, null characters and unpaired surrogates are refused
with their place. Numbers with a fraction become Decimal, never float. Texts come
out in Unicode's composed form (NFC), so that equal names are equal.
"""

import json
import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from coordinator.domain.plan import Fault
from coordinator.planning.faults import Unreadable, pointer

MAX_BYTES = 1024 * 1024
"""One event, or one registry record by the API, is never larger than 1 MiB."""
MAX_DEPTH = 24
"""The contract nests six deep; anything near this is not an event."""
MAX_DIGITS = 30
"""A JSON number with more digits is no measurement; reading it would only cost time."""


class _Bad:
    """A number that may not stand in JSON, kept in its place until its pointer is known."""


class _Pairs(dict[str, Any]):
    """An object that remembers which keys it was given twice."""

    doubled: tuple[str, ...] = ()


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    made = _Pairs(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        made.doubled = tuple(sorted({name for name in names if names.count(name) > 1}))
    return made


def _whole(text: str) -> object:
    return int(text) if len(text) <= MAX_DIGITS else _Bad()


def _fraction(text: str) -> object:
    return Decimal(text) if len(text) <= MAX_DIGITS else _Bad()


def _constant(_: str) -> object:
    return _Bad()


def read_json(body: bytes, *, max_bytes: int = MAX_BYTES) -> object:
    """Return the value of a JSON text in UTF-8, as dict, list, str, int, Decimal, bool or None.

    Raises Unreadable with every fault that can be told: one when the text is not
    JSON at all, else one per place.
    """
    if len(body) > max_bytes:
        raise Unreadable(
            (Fault("", "size", "The body is too large.", f"Send at most {max_bytes} bytes for one event."),)
        )
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        fix = "Send the body in UTF-8."
        raise Unreadable((Fault("", "encoding", "The body is not UTF-8 text.", fix),)) from wrong
    try:
        raw = json.loads(
            text, object_pairs_hook=_pairs, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
        )
    except json.JSONDecodeError as wrong:
        where = f"at line {wrong.lineno}, column {wrong.colno}"
        fault = Fault("", "json", f"The body is not JSON: reading stopped {where}.", "Send one complete JSON value.")
        raise Unreadable((fault,)) from None
    except RecursionError:
        raise Unreadable((_too_deep(()),)) from None
    faults: list[Fault] = []
    value = _clean(raw, (), faults)
    if faults:
        raise Unreadable(tuple(faults))
    return value


def _too_deep(path: tuple[str | int, ...]) -> Fault:
    message = "The value is nested too deeply."
    return Fault(pointer(path), "depth", message, f"Nest at most {MAX_DEPTH} levels, as the published schema does.")


def _clean(raw: object, path: tuple[str | int, ...], faults: list[Fault]) -> object:
    """Return the value with its texts composed, noting what may not stand in it."""
    if len(path) > MAX_DEPTH:
        faults.append(_too_deep(path))
        return None
    if isinstance(raw, _Pairs):
        faults.extend(_doubled(raw, path))
        return {_text(key, (*path, key), faults): _clean(value, (*path, key), faults) for key, value in raw.items()}
    if isinstance(raw, list):
        return [_clean(value, (*path, number), faults) for number, value in enumerate(raw)]
    if isinstance(raw, str):
        return _text(raw, path, faults)
    if isinstance(raw, _Bad):
        message = "The number is not finite, or has more digits than any measurement."
        faults.append(Fault(pointer(path), "number.form", message, 'Write a plain number, or {"unknown": true}.'))
        return None
    return raw


def _doubled(raw: _Pairs, path: tuple[str | int, ...]) -> Iterable[Fault]:
    for name in raw.doubled:
        message = "The field stands here twice, so one value would vanish."
        yield Fault(pointer((*path, name)), "field.twice", message, "Send the field once.")


def _text(raw: str, path: tuple[str | int, ...], faults: list[Fault]) -> str:
    if "\x00" in raw or any("\ud800" <= char <= "\udfff" for char in raw):
        shown = "".join("?" if char == "\x00" or "\ud800" <= char <= "\udfff" else char for char in pointer(path))
        message = "The text holds a null character or half of a character."
        faults.append(Fault(shown, "text.characters", message, "Send whole Unicode characters in UTF-8."))
        return ""
    return unicodedata.normalize("NFC", raw)
