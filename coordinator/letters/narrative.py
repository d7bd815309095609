"""The letter as blocks of words, made from its HTML like its text part, so that both say the same."""

from coordinator.domain.narrative import Block, Heading, Listing, Paragraph, Table
from coordinator.letters.text import Reader, untold


def blocks_of(html: str) -> tuple[Block, ...]:
    """Return the letter's headings, paragraphs, lists and tables in their order, nothing left out."""
    reader = _Blocks()
    reader.read(html)
    return tuple(reader.blocks)


class _Blocks(Reader):
    """Turns each finished line into a block of the kind that it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self._heading = False
        self._listed: list[tuple[bool, list[str]]] = []
        self._goes_on = False
        self._pictures: list[int] = []
        self._table_rows: list[tuple[str, ...]] = []
        self._table_head: tuple[str, ...] = ()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the next line will be."""
        if tag in ("h1", "h2", "h3"):
            super().handle_starttag("p", attrs)
            self._drain()
            self._heading = True
            return
        super().handle_starttag(tag, attrs)
        if tag in ("ul", "ol"):
            self._drain()
            self._goes_on = "start" in dict(attrs)
            self._listed.append((tag == "ol" and not self._goes_on, []))
        elif tag == "table":
            self._drain()

    def handle_endtag(self, tag: str) -> None:
        """Close the block that ends here."""
        if tag in ("ul", "ol") and self._listed:
            super().handle_endtag(tag)
            self._drain()
            ordered, items = self._listed.pop()
            self.blocks.append(Listing(tuple(items), ordered))
            return
        super().handle_endtag(tag)
        self._drain()
        if tag == "table":
            if self._table_rows:
                self.blocks.append(Table(self._table_head, tuple(self._table_rows)))
            self._table_rows, self._table_head = [], ()
        elif tag in ("h1", "h2", "h3"):
            self._heading = False

    def bullet(self) -> str:
        """Return nothing: the list itself says what its items are. Only where it goes on from another does it not."""
        return super().bullet() if self._goes_on else ""

    def end_picture(self) -> None:
        """Keep the title as a block of its own."""
        super().end_picture()
        self._titles.clear()
        self._drain()
        self._pictures.append(len(self.blocks) - 1)

    def named_row(self, name: str, values: tuple[tuple[str, str], ...]) -> None:
        """Keep the row and the headings that it stands under."""
        self._table_head = tuple(self.heads)
        self._table_rows.append((name, *(cell for _, cell in values)))

    def plain_row(self, cells: list[str]) -> None:
        """Keep a row that has no headings."""
        self._table_rows.append(tuple(cells))

    def read(self, html: str) -> list[str]:
        """Return nothing of use; the blocks are kept."""
        lines = super().read(html)
        self._drain()
        for place in reversed(self._pictures):
            others = " ".join(str(one) for one in (*self.blocks[:place], *self.blocks[place + 1 :]))
            title = untold(str(getattr(self.blocks[place], "text", "")), others)
            self.blocks[place : place + 1] = [Paragraph(title)] if title else []
        return lines

    def _drain(self) -> None:
        lines, self.lines = [one for one in self.lines if one], []
        for line in lines:
            if self._heading:
                self.blocks.append(Heading(line))
            elif self._listed:
                self._listed[-1][1].append(line)
            else:
                self.blocks.append(Paragraph(line))
