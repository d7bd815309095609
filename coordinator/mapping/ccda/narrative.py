"""Blocks of words as the narrative of a CDA section (schema NarrativeBlock.xsd)."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable

from coordinator.domain.narrative import Block, Heading, Listing, Paragraph, Table
from coordinator.mapping.ccda.header import add


def add_blocks(text: ET.Element, blocks: Iterable[Block]) -> None:
    """Add the blocks to a section's text, in their order. A heading is a paragraph in bold."""
    for one in blocks:
        if isinstance(one, Heading):
            add(add(text, "paragraph"), "content", styleCode="Bold").text = one.text
        elif isinstance(one, Paragraph):
            add(text, "paragraph").text = one.text
        elif isinstance(one, Listing):
            listing = add(text, "list", listType="ordered" if one.ordered else "unordered")
            for item in one.items:
                add(listing, "item").text = item
        else:
            add_table(text, one)


def add_table(text: ET.Element, one: Table, ids: tuple[str, ...] = ()) -> None:
    """Add a table. `ids` name its rows, so that an entry can point at the words it stands for."""
    table = add(text, "table")
    if one.head:
        row = add(add(table, "thead"), "tr")
        for cell in one.head:
            add(row, "th").text = cell
    body = add(table, "tbody")
    for number, cells in enumerate(one.rows):
        row = add(body, "tr", **({"ID": ids[number]} if ids else {}))
        for cell in cells:
            add(row, "td").text = cell
