"""submit and registry: what goes in."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from coordinator.bootstrap import service
from coordinator.cli.reading import at_terminal, beside_the_demo
from coordinator.domain.plan import Fault
from coordinator.flow.read_models import Recorded
from coordinator.flow.watch import NOT_UTF_8
from coordinator.planning.csv_rows import read_rows
from coordinator.planning.json_stream import read_lines

GOOD = frozenset({"accepted", "held", "replay"})


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--source", default="command-line", show_default=True, help="Name of the system the events come from.")
@click.option("--format", "form", type=click.Choice(["auto", "json", "csv"]), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of text.")
@click.option("--quiet", is_flag=True, help="Only what was refused, and the summary.")
def submit(files: tuple[str, ...], source: str, form: str, as_json: bool, quiet: bool) -> None:
    """Hand in events: JSON, a JSON array, NDJSON or CSV (one row a session), from FILES or standard input.

    Each event gets a result line. A bad line is reported with its number and the
    rest goes on. Exit code 1 when any was refused.
    """
    made = beside_the_demo() or service()
    made.open()
    counts: dict[str, int] = {}
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    with progress:
        for name in files or ("-",):
            task = progress.add_task(f"Submitting {Path(name).name if name != '-' else 'standard input'}", total=None)
            with click.open_file(name, "rb") as stream:
                for place, item in _items(stream, name, form):
                    answer = (
                        made.desk.submit(source, item)
                        if isinstance(item, bytes)
                        else Recorded("refused", None, None, None, tuple((f.pointer, f.message, f.fix) for f in item))
                    )
                    counts[answer.outcome] = counts.get(answer.outcome, 0) + 1
                    progress.advance(task)
                    _tell(place, answer, as_json=as_json, quiet=quiet)
    good = sum(number for outcome, number in counts.items() if outcome in GOOD)
    bad = sum(counts.values()) - good
    summary = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "nothing was there"
    click.echo(f"Summary: {summary}.", err=as_json)
    if bad or not counts:
        sys.exit(1)


def _items(stream: IO[bytes], name: str, form: str) -> Iterator[tuple[str, bytes | tuple[Fault, ...]]]:
    """Yield (place, event bytes or the faults of a row), one at a time, however long the file is."""
    if form == "csv" or (form == "auto" and name.lower().endswith(".csv")):
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            for number, row in read_rows(text):
                yield f"row {number}", orjson.dumps(row, default=str) if isinstance(row, dict) else row
        except UnicodeDecodeError:
            yield "file", (NOT_UTF_8,)
        finally:
            text.detach()  # the file itself belongs to the caller
        return
    for number, body in read_lines(stream):
        yield f"line {number}", body


def _tell(place: str, answer: Recorded, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        line = {
            "place": place,
            "outcome": answer.outcome,
            "event_ref": answer.event_ref,
            "id": answer.event_id,
            "version": answer.event_version,
            "faults": [{"pointer": one[0], "message": one[1], "fix": one[2]} for one in answer.faults],
            "questions": [{"id": one[0], "role": one[1], "text": one[2]} for one in answer.questions],
        }
        click.echo(orjson.dumps(line).decode())
        return
    if quiet and answer.outcome in GOOD:
        return
    name = f"{answer.event_id} v{answer.event_version}" if answer.event_id else "(no id could be read)"
    click.echo(f"{place}: {answer.outcome:8} {name}")
    for pointer, message, fix in answer.faults:
        click.echo(f"    {pointer or '/'}: {message} {fix}")
    for _, role, text in answer.questions:
        click.echo(f"    waits for an answer ({role}): {text}")


@click.group()
def registry() -> None:
    """The clinic, its staff, outside providers and patients."""


@registry.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def import_(file: str) -> None:
    """Take in a registry FILE, whole or not at all. What it does not name stays as it is."""
    made = service()
    made.open()
    with click.open_file(file, "rb") as stream:
        written = made.registry.write_whole(stream.read(), at_terminal())
    for pointer, message, fix in written.faults:
        click.echo(f"{pointer or '/'}: {message} {fix}", err=True)
    if written.outcome == "refused":
        raise click.ClickException(f"Nothing was stored: {len(written.faults)} faults.")
    click.echo(f"Stored: {written.changed} new or changed, {written.same} unchanged.")
