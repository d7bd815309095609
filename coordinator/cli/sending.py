"""holds, restore-hold and resend: sending as a whole, at a terminal."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import cast

import click
from rich.console import Console
from rich.table import Table

from coordinator.cli.reading import at_terminal, existing
from coordinator.flow.hold_rows import JobMode, Selection
from coordinator.flow.resend_jobs import DEFAULT_PER_MINUTE, JobView, Verb


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str, ensure_ascii=False)


@click.group()
def holds() -> None:
    """Hold an address, a channel or everything, and let it go on. Nothing is lost meanwhile."""


@holds.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List what is held, by whom, why, since when, and how much waits behind it."""
    rows = existing().sending.holds()
    if as_json:
        click.echo(_json([asdict(row) for row in rows]))
        return
    table = Table(show_lines=False, pad_edge=False)
    for name in ("Held", "Waiting", "Since", "By", "Why"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.scope, str(row.waiting), f"{row.placed_at:%Y-%m-%d %H:%M} UTC", row.placed_by, row.reason)
    Console().print(table)


@holds.command()
@click.argument("scope")
@click.option("--reason", required=True, help="Why; kept with the record.")
def place(scope: str, reason: str) -> None:
    """Hold SCOPE: endpoint:ID, channel:KIND (fax, direct, fhir-rest, ...) or everything."""
    view = existing().sending.hold(scope, reason=reason, actor=at_terminal())
    click.echo(f"Held. {view.waiting} waiting behind it.")


@holds.command()
@click.argument("scope")
@click.option("--reason", required=True, help="Why it may go on; kept with the record.")
def release(scope: str, reason: str) -> None:
    """Let SCOPE go on; what waited goes out, the most pressing first."""
    click.echo(f"Released. {existing().sending.let_go(scope, reason=reason, actor=at_terminal()).said()}")


@click.group("restore-hold")
def restore_hold() -> None:
    """After the database was restored from an older copy: nothing goes out until a person has looked."""


@restore_hold.command("on")
@click.option("--reason", required=True, help="Which copy was restored, and why.")
def on(reason: str) -> None:
    """Hold everything, and have every far side asked what it has."""
    made = existing()
    fresh = made.sending.restore_on(reason=reason, actor=at_terminal())
    made.anchor.write()
    click.echo("Everything is held." if fresh else "Everything is held already.")


@restore_hold.command("off")
@click.option("--reason", required=True, help="What was looked at; kept with the record.")
def off(reason: str) -> None:
    """Let sending go on. What nobody can say anything about stays in doubt, each for a person."""
    click.echo(f"Ended. {existing().sending.restore_off(reason=reason, actor=at_terminal()).said()}")


@restore_hold.command()
def status() -> None:
    """Say where the look-through stands."""
    view = existing().sending.restore()
    if view.hold is None:
        click.echo("No restore hold.")
        return
    click.echo(f"Held since {view.hold.placed_at:%Y-%m-%d %H:%M} UTC by {view.hold.placed_by}: {view.hold.reason}")
    click.echo(f"Still to be asked: {view.to_review}. Found at the far side: {view.arrived}.")
    click.echo(f"Surely not there: {view.absent}. Nobody can say: {view.unknown}.")


@click.group()
def resend() -> None:
    """Send many messages again: draw up the list, look at it, start it, watch it."""


@resend.command()
@click.option("--endpoint", help="Endpoint id.")
@click.option("--recipient", help="Provider id.")
@click.option("--channel")
@click.option("--cause", help="Cause code, as `messages list` and the console show it.")
@click.option("--since", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]), help="In this machine's zone.")
@click.option("--with-arrived", is_flag=True, help="Also what arrived: those recipients get it twice.")
@click.option("--recompose", is_flag=True, help="Compose each anew from the record instead of the stored letters.")
@click.option("--per-minute", type=int, default=DEFAULT_PER_MINUTE, show_default=True)
@click.option("--reason", required=True, help="Why; kept with the record and on every new delivery.")
def plan(
    endpoint: str | None,
    recipient: str | None,
    channel: str | None,
    cause: str | None,
    since: datetime | None,
    with_arrived: bool,
    recompose: bool,
    per_minute: int,
    reason: str,
) -> None:
    """Freeze the list and show its count and a sample. Nothing is sent by this."""
    chosen = Selection(endpoint, recipient, channel, cause, since and since.astimezone(), with_arrived)
    mode: JobMode = "recomposed" if recompose else "stored"
    view = existing().sending.plan_job(chosen, reason=reason, actor=at_terminal(), mode=mode, per_minute=per_minute)
    _say(view)
    click.echo(f"Start it with: coordinator resend start {view.id}")


@resend.command("list")
def jobs() -> None:
    """List the newest jobs."""
    for view in existing().sending.jobs():
        click.echo(f"{view.id}  {view.state}  {view.made}/{view.total} made, {view.refused} refused  {view.reason}")


@resend.command()
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True)
def show(job_id: str, as_json: bool) -> None:
    """Show how far JOB_ID is, and what came of each message."""
    view = existing().sending.job(job_id, at_terminal(), limit=500)
    click.echo(_json(asdict(view))) if as_json else _say(view)


def _verb(name: Verb, help_text: str) -> click.Command:
    @click.command(name, help=help_text)
    @click.argument("job_id")
    def act(job_id: str) -> None:
        _say(existing().sending.move_job(job_id, name, actor=at_terminal()))

    return act


for verb, text in (
    ("start", "Start JOB_ID; a large one waits for a colleague's approval then."),
    ("approve", "Agree to JOB_ID that somebody else drew up."),
    ("pause", "Pause JOB_ID between two messages."),
    ("continue", "Go on with JOB_ID."),
    ("cancel", "Stop JOB_ID for good; what is on its way stays on its way."),
):
    resend.add_command(_verb(cast(Verb, verb), text))


def _say(view: JobView) -> None:
    click.echo(f"{view.id}: {view.state}. {view.total} messages: {view.made} made, {view.refused} refused, ", nl=False)
    click.echo(f"{view.waiting} waiting. {view.per_minute} a minute.")
    if view.next_step:
        click.echo(f"Next: {view.next_step}")
    for item in view.items:
        about = "" if item.message is None else f"{item.message.id}  {item.message.reference}"
        came = item.why or (item.new_state.value if item.new_state else item.state)
        click.echo(f"  {item.position}  {about}  {came}")
