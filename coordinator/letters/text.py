"""The text part of a letter, made from its HTML: headings, lists and tables become lines."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {
        "p",
        "h1",
        "h2",
        "h3",
        "div",
        "section",
        "header",
        "footer",
        "main",
        "figure",
        "figcaption",
        "dl",
        "dt",
        "ul",
        "ol",
    }
)
_SKIPPED = frozenset({"style", "script", "head"})
_SPACES = re.compile(r"\s+")
_TO_FILL_IN = {"box": "[ ] ", "rule": "_" * 12, "blank": "_" * 12}
"""What stands for a box to tick and for a line to write on, by the class that draws it."""
_SENTENCES = re.compile(r"(?<=\.) (?=[A-Z])")


def untold(title: str, others: str) -> str:
    """Return what a picture's title says that the letter around it does not; a caption alone is nothing.

    A sentence that stands in both would be read twice.
    """
    caption, *told = _SENTENCES.split(title)
    new = [one for one in told if one not in others]
    return " ".join((caption, *new)) if new or not told else ""


class Reader(HTMLParser):
    """Walks the letter's own HTML and collects lines. An SVG gives what its title says that no other line does."""

    def __init__(self) -> None:
        """Use `read`."""
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._words: list[str] = []
        self._hidden: list[str] = []
        self._svg = 0
        self._in_title = False
        self._lists: list[int | None] = []
        self._cells: list[str] | None = None
        self.heads: list[str] = []
        self._in_thead = False
        self._titles: list[int] = []

    def read(self, html: str) -> list[str]:
        """Return the lines of a letter. A reader reads one letter."""
        self.feed(html)
        self.close()
        self._flush()
        self._tell_once()
        return self.lines

    def _tell_once(self) -> None:
        for place in reversed(self._titles):
            others = "\n".join((*self.lines[:place], *self.lines[place + 1 :]))
            title = untold(self.lines[place], others)
            blank = self.lines[place + 1 : place + 2] == [""]
            self.lines[place : place + 1 + (blank and not title)] = [title] if title else []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a block, an item or a cell."""
        classes = (dict(attrs).get("class") or "").split()
        # A code that is drawn has its words beside it; the form says the reference in a sentence as well.
        if tag in _SKIPPED or (tag == "div" and "code" in classes):
            self._hidden.append(tag)
        elif tag == "span" and (sign := _TO_FILL_IN.get("".join(classes[:1]))):
            self.handle_data(sign)
        elif tag == "svg":
            self._svg += 1
        elif tag == "title":
            self._in_title = bool(self._svg)
        elif tag in ("ul", "ol"):
            self._flush()
            self._lists.append(int(dict(attrs).get("start") or 1) - 1 if tag == "ol" else None)
        elif tag == "li":
            self._flush()
            self._words.append(self.bullet())
        elif tag == "table":
            self._flush()
            self.heads = []
        elif tag in ("thead", "tr", "td", "th", "dd", "br"):
            self._start_part(tag)
        elif tag in _BLOCKS:
            self._flush()
            if tag in ("h1", "h2", "h3"):
                self._blank()

    def _start_part(self, tag: str) -> None:
        if tag == "thead":
            self._in_thead = True
        elif tag == "tr":
            self._flush()
            self._cells = []
        elif tag in ("td", "th"):
            self._words = []
        elif tag == "dd":
            self._words.append(": ")
        else:
            self._words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """End a block, an item or a cell."""
        if [tag] == self._hidden[-1:]:
            self._hidden.pop()
        elif tag == "svg":
            self._svg -= 1
        elif tag == "title":
            if self._in_title and not self._hidden:
                self.end_picture()
            self._in_title = False
        elif tag in ("ul", "ol"):
            self._flush()
            self._lists.pop()
        elif tag in ("td", "th") and self._cells is not None:
            self._cells.append(self._take())
        elif tag == "tr":
            self._row()
        elif tag == "thead":
            self._in_thead = False
        elif tag == "table":
            self._blank()
        elif tag in _BLOCKS or tag in ("li", "dd"):
            if tag != "dt":
                self._flush()
            if tag in ("p", "section", "dl", "figure") and self._cells is None:
                self._blank()

    def end_picture(self) -> None:
        """Take in a picture's title as a line of its own."""
        self._flush()
        self._titles.append(len(self.lines) - 1)

    def handle_data(self, data: str) -> None:
        """Take in words."""
        if self._hidden or (self._svg and not self._in_title):
            return
        self._words.append(data)

    def bullet(self) -> str:
        """Return what an item begins with."""
        if not self._lists or self._lists[-1] is None:
            return "- "
        self._lists[-1] += 1
        return f"{self._lists[-1]}. "

    def _take(self) -> str:
        text = _SPACES.sub(" ", "".join(self._words)).strip().replace(" :", ":")
        self._words = []
        return text

    def _flush(self) -> None:
        if self._cells is not None:
            return
        text = self._take()
        if text:
            self.lines.append(text)

    def _blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def _row(self) -> None:
        cells, self._cells = self._cells or [], None
        if self._in_thead:
            self.heads = cells
        elif len(cells) == 1 or not self.heads:
            self.plain_row(cells)
        else:
            self.named_row(cells[0].rstrip("."), tuple(zip(self.heads[1:], cells[1:], strict=False)))

    def plain_row(self, cells: list[str]) -> None:
        """Take in a row that has no headings, or one cell alone."""
        self.lines.append(" | ".join(cells))

    def named_row(self, name: str, values: tuple[tuple[str, str], ...]) -> None:
        """Take in a row: what it is about, and each value with its heading."""
        self.lines.append(f"- {name}. " + "; ".join(f"{head}: {cell}" if head else cell for head, cell in values))


def text_of(html: str) -> str:
    """Return the letter as plain text, one thought a line, paragraphs apart by an empty line.

    Each row of a table becomes one line that repeats the headings, so that it reads
    aloud and survives any width. Non-breaking spaces become spaces.
    """
    return "\n".join(Reader().read(html)).strip() + "\n"
