"""A printed fact that knows where it came from."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

FactKind = Literal["fact", "name", "words"]


@dataclass(frozen=True, slots=True)
class Traced:
    """What a letter prints: the text, the value behind it, and the field paths it rests on.

    A source is `root:pointer`, the pointer as in JSON Pointer. Roots: `event`,
    `registry`, `history/<n>`, `previous`, `digest/<n>`, `plan`, `sent/<n>`, `case`, and
    `letters` for figures of the letters' own data (the range of an instrument). More
    than one source means the value was worked out from them.
    """

    text: str
    value: object
    sources: tuple[str, ...]
    kind: FactKind = "fact"

    def __str__(self) -> str:
        return self.text


def fact(text: str, value: object, *sources: str, kind: FactKind = "fact") -> Traced:
    """Return the traced fact with its text in Unicode's composed form (NFC). At least one source is needed."""
    if not sources:
        raise ValueError("a printed fact needs its source")
    return Traced(unicodedata.normalize("NFC", text), value, sources, kind)


def walk(view: object) -> Iterator[Traced]:
    """Yield every traced fact of a view, in field order."""
    if isinstance(view, Traced):
        yield view
    elif is_dataclass(view) and not isinstance(view, type):
        for one in fields(view):
            yield from walk(getattr(view, one.name))
    elif isinstance(view, tuple):
        for item in view:
            yield from walk(item)
