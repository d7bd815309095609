"""watch: a folder that files are dropped into, by hand, by an export job, or over SFTP."""

import signal
import threading
from pathlib import Path

import click
import orjson

from coordinator.bootstrap import service
from coordinator.flow.watch import FORMATS, Taken, WatchedFolder, folder_lock
from coordinator.security.edge import DATABASE_AWAY

LONGEST_PAUSE_S = 60.0
"""While the database is away the folder is looked at less and less often, down to once a minute."""


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--source", default="watched-folder", show_default=True, help="Name of the system the events come from.")
@click.option("--every", "every_s", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True,
              help="Seconds between two looks. A file is taken once two looks found it the same.")  # fmt: skip
@click.option("--once", is_flag=True, help="Take what is there and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file instead of text.")
def watch(folder: Path, source: str, every_s: float, once: bool, as_json: bool) -> None:
    """Submit the files dropped into FOLDER (JSON, NDJSON or CSV), as `submit` does.

    Write a file under a name that starts with a dot or ends in .part or .tmp, and
    rename it when it is whole. Each goes to FOLDER/done, or, when anything in it was
    refused, to FOLDER/refused with NAME.reasons.json beside it: mend it and drop it
    in again; what was accepted already counts as a replay.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with folder_lock(folder):
        made = service()
        made.open()
        place = WatchedFolder(
            folder, lambda body: made.desk.submit(source, body), may_go_on=lambda: not stopping.is_set()
        )
        if not (once or as_json):
            kinds = ", ".join(FORMATS)
            click.echo(f"Watching {folder} for {kinds}; files of other names are left alone. Ctrl-C ends it.", err=True)
        pause_s, rounds = every_s, 0
        while not stopping.is_set():
            try:
                for taken in place.round():
                    _tell(taken, as_json=as_json)
                pause_s = every_s
            except DATABASE_AWAY:
                click.echo("The database is away; the files stay where they are.", err=True)
                pause_s = min(pause_s * 2, max(LONGEST_PAUSE_S, every_s))
            rounds += 1
            if once and rounds >= 2:
                return
            stopping.wait(pause_s)


def _tell(taken: Taken, *, as_json: bool) -> None:
    """Say what became of a file. Its name is left out: it may hold a person's."""
    if as_json:
        click.echo(orjson.dumps({"file": taken.ref, "place": taken.place, "counts": dict(taken.counts)}).decode())
        return
    told = ", ".join(f"{number} {outcome}" for outcome, number in taken.counts) or "nothing in it"
    click.echo(f"file {taken.ref} -> {taken.place}: {told}")
