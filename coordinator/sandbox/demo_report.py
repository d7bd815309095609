"""What the demo shows at its end: every message on a line, then what still waits for somebody, in whole sentences."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from coordinator.flow.read_models import HeldEvent, MessageRow

NOBODY = "(nobody yet)"
WITHOUT_CHANNEL = "none"
COLUMNS = {"Patient": 14, "Recipient": 20, "Letter": 17, "Channel": 9, "State": 12}
"""Column -> its width in a window of 80; a roomy window takes what the words need."""
ROOMY = 100


def show(console: Console, rows: Sequence[MessageRow], held: Sequence[HeldEvent], counts: Mapping[str, int]) -> None:
    """Print messages (oldest first), held events, and how much the pretend recipients hold."""
    console.print()
    console.print(_table(rows, held, console.width))
    waiting = list(_waiting(rows, held))
    if waiting:
        console.print()
        console.print(Text("Waiting for a person", style="bold"))
    for who, why in waiting:
        indented(console, who, 2)
        indented(console, why, 6)
    console.print()
    line(console, f"What the recipients hold: EHR {counts['ehr']}, HISP {counts['hisp']}, fax {counts['fax']}.")


def line(console: Console, text: str) -> None:
    """Print one sentence as it is: no colours guessed, words kept whole at the edge."""
    console.print(Text(text))


def indented(console: Console, text: str, by: int) -> None:
    """Print a sentence whose further lines stand under its first."""
    space = " " * by
    line(console, fill(text, console.width - 1, initial_indent=space, subsequent_indent=space, break_on_hyphens=False))


def _table(rows: Sequence[MessageRow], held: Sequence[HeldEvent], width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, show_edge=False)
    for name, share in COLUMNS.items():
        table.add_column(name, overflow="fold", width=share if width < ROOMY else None)
    for row in rows:
        table.add_row(row.patient_name, row.recipient, row.title, row.channel, row.state.value)
    for one in held:
        table.add_row(one.patient_name, NOBODY, one.event_type, WITHOUT_CHANNEL, "held")
    return table


def _waiting(rows: Sequence[MessageRow], held: Sequence[HeldEvent]) -> Iterator[tuple[str, str]]:
    """Yield (about whom, why and what to do) for what a person has to look at."""
    for row in rows:
        if row.needs_person or row.next_step:
            yield f"{row.patient_name}, to {row.recipient}", f"{row.why} {row.next_step}".strip()
    for one in held:
        asked = " ".join(text for _, _, text in one.questions)
        yield f"{one.patient_name}, {one.event_type}", asked or f"{one.cause} {one.next_step}".strip()
