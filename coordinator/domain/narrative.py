"""A letter as blocks of plain words: what a system that shows its own layout is given."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading of the letter."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph, or a line of the letterhead."""

    text: str


@dataclass(frozen=True)
class Listing:
    """A list, numbered or not."""

    items: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True)
class Table:
    """A table. A row may have fewer cells than the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Paragraph | Listing | Table
