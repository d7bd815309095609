"""keys: the rotation of the field keys at a terminal. The keys themselves stand in the key file and nowhere else."""

import click

from coordinator.cli.reading import at_terminal, existing
from coordinator.store.reseal import STEP_ROWS, KeyUse


@click.group()
def keys() -> None:
    """See which field key seals what, seal older values anew, and let an old key go."""


@keys.command()
def status() -> None:
    """Show each key: what it does, and how many stored values are sealed under it."""
    uses = existing().keys().uses()
    for one in uses:
        click.echo(_line(one))
    older = sum(one.values for one in uses if not one.seals)
    if older:
        click.echo(f"{older} values are under an older key. Next: start every process again, then")
        click.echo("coordinator keys reseal --restarted")
        return
    for one in uses:
        if not (one.seals or one.looks_up):
            click.echo(f"Nothing needs {one.key_id}. Next: coordinator keys forget {one.key_id}")


def _line(one: KeyUse) -> str:
    does = [text for holds, text in ((one.seals, "seals what is written now"), (one.looks_up, "makes the look-ups"),
                                     (not one.in_file, "is not in the key file")) if holds]  # fmt: skip
    return f"{one.key_id}  {one.values} values  {'; '.join(does) or 'only opens what it sealed'}"


@keys.command()
@click.option("--rows", type=click.IntRange(1, 1000), default=STEP_ROWS, show_default=True,
              help="Rows of one transaction.")  # fmt: skip
@click.option("--restarted", is_flag=True, help="Every process was started again since the newest line was added.")
def reseal(rows: int, *, restarted: bool) -> None:
    """Seal anew what an older key sealed. May be stopped, or killed, at any moment, and goes on where it ended."""
    if not restarted:
        raise click.UsageError(
            "A process that was started before the newest line was added to the key file could read nothing of what "
            "is sealed anew. Start every one again (API, workers, beat), then say so with --restarted."
        )
    desk = existing().keys()
    done = 0
    for step in desk.reseal(at_terminal(), rows=rows):
        done = step.done
        click.echo(f"{step.done} of {step.of} ({step.table})")
    left = sum(one.values for one in desk.uses() if not one.seals)
    if left:
        raise click.ClickException(
            f"{left} values were written under an older key meanwhile: some process still runs with the former key "
            "file. Start it again, then run this once more."
        )
    click.echo(f"{done} values were sealed anew; every stored value is under the newest key.")


@keys.command()
@click.argument("key_id")
def forget(key_id: str) -> None:
    """Let the database start without KEY_ID, once nothing is sealed under it; then take its line out of the file."""
    existing().keys().forget(key_id, at_terminal())
    click.echo(f"Take the line {key_id} out of the key file now, before anything is started again.")
    click.echo("Keep it with the copies of the database that were made until today: they cannot be read without it.")
