"""Reading JSON that a far side wrote: a part of the wrong shape counts as absent, never as a fault of ours."""

from typing import Any


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
