"""Reading JSON that a far side wrote: a part of the wrong shape counts as absent, never as a fault of ours."""

import re
from typing import Any

_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
"""R4 allows 64 letters, digits, "-" and "."; servers are known to give more, and what is no id at all is no place."""


def part(said: object, key: str) -> dict[str, Any]:
    """Return the object under the key, {} when there is none."""
    found = said.get(key) if isinstance(said, dict) else None
    return found if isinstance(found, dict) else {}


def parts(said: object, key: str) -> list[dict[str, Any]]:
    """Return the objects of the list under the key; anything else in it is passed over."""
    found = said.get(key) if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(said: object, key: str) -> str:
    """Return the text under the key, "" when there is none."""
    found = said.get(key) if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


def texts(said: object, key: str) -> list[str]:
    """Return the texts of the list under the key."""
    found = said.get(key) if isinstance(said, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def relative(place: str | None, kind: str) -> str | None:
    """Return "DocumentReference/9" of a Location, whatever stands before and behind it; None when it names none."""
    steps = re.split("[?#]", place or "")[0].split("/_history/")[0].rstrip("/").split("/")
    named = len(steps) >= 2 and steps[-2] == kind and _ID.fullmatch(steps[-1])
    return f"{kind}/{steps[-1]}" if named else None
