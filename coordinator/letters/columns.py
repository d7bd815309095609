"""The letter laid out for a window of fixed width, for systems that take nothing but text.

Every value of a table stands beside its own heading, never under it: in a proportional
typeface, figures set in columns would slide under the wrong heading.
"""

import re
import textwrap

from coordinator.letters.text import Reader

TEXT_COLUMNS = 72
"""No record system publishes how wide it shows a note. Mail agrees on at most 78 signs (RFC 5322, 2.1.1), terminals on
80; this leaves room for the indent that a note gets where it is quoted."""
NARROWEST = 20
_KEPT = "\u00a0"
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_BELONGS = re.compile(
    r"(?<=\d) (?=[\w%+°])"  # 41 mg, 98 %, 13:10 CDT, +1 218-555-0110
    rf"|(?:(?<=\s)|^)(?:{_MONTHS}|[A-Z][A-Z0-9-]+|of|fax|version) (?=[\d+])"  # October 2026, CADSS 14
)


def in_columns(html: str, columns: int = TEXT_COLUMNS) -> str:
    """Return the letter as text with no line longer than `columns` and nothing of it left out.

    An amount is not torn from its unit, nor a day from its month. A line that goes on is set
    in. Only a word that is longer than the line is cut. Raises ValueError below 20 columns.
    """
    if columns < NARROWEST:
        raise ValueError(f"a window is at least {NARROWEST} signs wide")
    reader = _Narrow(columns)
    lines = [one for line in reader.read(html) for one in _wrapped(line, columns)]
    return "\n".join(lines).strip() + "\n"


class _Narrow(Reader):
    """Keeps the headings of a table beside its values."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._columns = columns
        self._table: list[tuple[str, tuple[tuple[str, str], ...]]] = []

    def handle_endtag(self, tag: str) -> None:
        """Set a table once all of it is read."""
        if tag == "table":
            self._set_table()
        super().handle_endtag(tag)

    def named_row(self, name: str, values: tuple[tuple[str, str], ...]) -> None:
        """Keep the row until its table ends: all rows of one table look alike."""
        self._table.append((name, values))

    def plain_row(self, cells: list[str]) -> None:
        """Set the rows before it first, so that their order stays."""
        self._set_table()
        super().plain_row(cells)

    def _set_table(self) -> None:
        rows, self._table = self._table, []
        if all(len(_row_line(*one)) <= self._columns for one in rows):
            self.lines += [_row_line(*one) for one in rows]
            return
        for name, values in rows:
            self.lines.append(f"- {name}")
            self.lines += [f"  {head}: {cell}" if head else f"  {cell}" for head, cell in values]


def _row_line(name: str, values: tuple[tuple[str, str], ...]) -> str:
    return f"- {name}: " + "; ".join(f"{head} {cell}" if head else cell for head, cell in values)


def _wrapped(line: str, columns: int) -> list[str]:
    """Return the line in pieces; what goes on is set in, so that an item stays one thing."""
    start = re.match(r" *(?:- |\d+\. |\[ \] )?", line)
    indent = len(start.group()) if start else 0
    further = " " * min(indent + (0 if start and start.group().strip() else 2 if indent else 0), columns // 2)
    kept = _BELONGS.sub(lambda found: found.group().replace(" ", _KEPT), line)
    room = columns - len(further)
    words = [one if len(one) <= room else one.replace(_KEPT, " ") for one in kept.split(" ")]
    pieces = textwrap.wrap(
        " ".join(words), columns, subsequent_indent=further, break_long_words=True, break_on_hyphens=False
    )
    return [one.replace(_KEPT, " ") for one in pieces] or [""]
