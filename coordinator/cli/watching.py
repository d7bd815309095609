"""watch: a folder that files are dropped into, by hand, by an export job, or over SFTP."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import orjson

from coordinator.bootstrap import Service, service
from coordinator.cli.reading import beside_the_demo, database_of
from coordinator.domain.errors import ConfigurationError
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
    in again; what was accepted already counts as a replay. With --once, exit code 1
    when something was in the way and files were left where they are.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as held:
        with _about_the_folder():
            held.enter_context(folder_lock(folder))
        made = _opened()
        with _about_the_folder():
            place = WatchedFolder(
                folder, lambda body: made.desk.submit(source, body), may_go_on=lambda: not stopping.is_set()
            )
        if not (once or as_json):
            kinds = ", ".join(FORMATS)
            click.echo(f"Watching {folder} for {kinds}; files of other names are left alone. Ctrl-C ends it.", err=True)
        pause_s, rounds, missing = every_s, 0, Missing(made)
        while not stopping.is_set():
            in_the_way = _look(place, missing, as_json=as_json)
            rounds += 1
            if once and (rounds >= 2 or in_the_way):
                sys.exit(1 if in_the_way else 0)
            pause_s = min(pause_s * 2, max(LONGEST_PAUSE_S, every_s)) if in_the_way == "all" else every_s
            stopping.wait(pause_s)


def _opened() -> Service:
    """Return the service, its database open, and say which one: in another folder there may be another."""
    made = beside_the_demo()
    if made is None:
        made = service()
        click.echo(f"(into {database_of(made)})", err=True)
    made.open()
    return made


@contextmanager
def _about_the_folder() -> Iterator[None]:
    """Say what is wrong with the folder as just that: it is no setting."""
    try:
        yield
    except ConfigurationError as wrong:
        said = str(wrong)
        raise click.ClickException(f"{said[:1].upper()}{said[1:]}.") from wrong


class Missing:
    """Whether the registry is missing, without which every event would be refused and each good file with it."""

    def __init__(self, made: Service) -> None:
        self._made = made
        self._is_told = self._is_there = False

    def tell(self) -> bool:
        """Return whether it is missing, and say so the first time; raise DATABASE_AWAY."""
        self._is_there = self._is_there or self._made.has_registry()
        if not (self._is_there or self._is_told):
            self._is_told = True
            click.echo(
                "The service has no registry yet, so nobody is known whom an event could be told to; the files stay "
                f"where they are. It looks in {database_of(self._made)}: import the registry there (coordinator "
                "registry import FILE), or run this with the service's own settings.",
                err=True,
            )
        return not self._is_there


def _look(place: WatchedFolder, missing: Missing, *, as_json: bool) -> str:
    """Look once and tell what became of what; return what was in the way: nothing (""), of a "file", or of "all"."""
    in_the_way = ""
    try:
        if missing.tell():
            return "all"
        for taken in place.round():
            _tell(taken, as_json=as_json)
            in_the_way = "file" if taken.place == "stuck" else in_the_way
    except DATABASE_AWAY:
        click.echo("The database is away; the files stay where they are, and are taken when it is back.", err=True)
        return "all"
    except OSError as fault:
        why = fault.strerror or type(fault).__name__
        click.echo(f"The folder cannot be worked in ({why}); the files stay where they are. See that the folder is "
                   "there, and that this user may read and write in it. It is looked at again.", err=True)  # fmt: skip
        return "all"
    return in_the_way


def _tell(taken: Taken, *, as_json: bool) -> None:
    """Say what became of a file. Its name is left out: it may hold a person's."""
    if as_json:
        why = {"why": taken.why} if taken.why else {}
        click.echo(
            orjson.dumps({"file": taken.ref, "place": taken.place, "counts": dict(taken.counts), **why}).decode()
        )
        return
    if taken.place == "stuck":
        click.echo(f"file {taken.ref} stays where it is: {taken.why}. ls -i shows which it is; it is tried again by "
                   "itself.", err=True)  # fmt: skip
        return
    if taken.place == "back":
        click.echo(f"file {taken.ref} is back: its upload went on after it was taken, so it is read again whole. "
                   "Upload under a name that ends in .part, and rename it at the end.", err=True)  # fmt: skip
        return
    told = ", ".join(f"{number} {outcome}" for outcome, number in taken.counts) or "nothing in it"
    click.echo(f"file {taken.ref} -> {taken.place}: {told}")
