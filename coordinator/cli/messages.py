"""messages list, show, resend, cancel: the console's verbs at a terminal."""

import re
import secrets
from dataclasses import asdict
from datetime import datetime

import click
import orjson
from rich.console import Console
from rich.table import Table

from coordinator.cli.reading import at_terminal, existing
from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound
from coordinator.domain.ids import reference_of
from coordinator.flow.desk import Desk
from coordinator.flow.presenting import what_comes
from coordinator.flow.read_models import MessageFilter, MessageRow

SHOWN, WHOLE_ID = 8, 36
"""Characters of an id: what the list shows, and all of it."""
_BEGINS = re.compile(rf"[0-9A-Fa-f-]{{{SHOWN},{WHOLE_ID - 1}}}")


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


@click.group()
def messages() -> None:
    """Find, understand, resend and withdraw messages."""


@messages.command("list")
@click.option("--state", type=click.Choice([one.value for one in State]))
@click.option("--attention", is_flag=True, help="Only what needs a person.")
@click.option("--recipient", help="Provider id.")
@click.option("--search", help="Patient or recipient name, reference or event id; no accents needed.")
@click.option("--limit", type=int, default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def list_(
    state: str | None, attention: bool, recipient: str | None, search: str | None, limit: int, as_json: bool
) -> None:
    """List messages, newest first."""
    wanted = MessageFilter(
        state=State(state) if state else None,
        needs_attention=attention,
        provider_id=recipient,
        text=search,
        limit=limit,
    )
    rows = existing().desk.messages(wanted, at_terminal())
    if as_json:
        click.echo(_json([asdict(row) for row in rows]))
        return
    Console().print(table_of(list(rows)))


def meant(desk: Desk, said: str) -> str:
    """Return the message that an act is about: by its id, the first signs of it, or its letter's whole reference.

    Never by a name: an act on whatever a search happens to find is an act on the wrong letter.
    Raises ClickException for none, and UsageError when several are meant.
    """
    named = _named(desk, said)
    if not named:
        raise click.ClickException(
            f"No message has that id or reference, so nothing was done. Give at least {SHOWN} signs of its id, as "
            "messages list shows it, or the whole reference on its letter. Names are not taken here: find the message "
            "with messages list --search."
        )
    return _only(named)


def to_show(desk: Desk, said: str) -> str:
    """Return the message to look at: as for an act, else the only one that a search for these words finds.

    Raises NotFound for none, and UsageError when several are found.
    """
    found = _named(desk, said)
    found = found or [one.id for one in desk.messages(MessageFilter(text=said, limit=2), at_terminal())]
    if not found:
        raise NotFound("message")
    return _only(found)


def _named(desk: Desk, said: str) -> list[str]:
    """Return the messages with this id, an id that begins so, or this reference."""
    if len(said) == WHOLE_ID:
        return [said]
    reference = reference_of(said)
    if reference is not None:
        found = desk.messages(MessageFilter(text=reference), at_terminal())
        return [one.id for one in found if one.reference == reference]
    if _BEGINS.fullmatch(said):
        return [one.id for one in desk.messages(MessageFilter(begins=said.lower(), limit=2), at_terminal())]
    return []


def _only(found: list[str]) -> str:
    if len(found) > 1:
        raise click.UsageError("More than one message is meant by that; give its whole id (list --json shows it).")
    return found[0]


def _letter(row: MessageRow) -> str:
    """Return which letter it is, without the patient: what it is, for whom, its reference."""
    return f"{row.title} for {row.recipient}, reference {row.reference}"


def table_of(rows: list[MessageRow]) -> Table:
    """Return the table people read: patient, recipient, letter, channel, state, why."""
    table = Table(title=None, show_lines=False, pad_edge=False)
    for name in ("Message", "Patient", "Recipient", "Letter", "Channel", "State", "Why"):
        table.add_column(name, overflow="fold", no_wrap=name in {"Message", "Channel", "State"})
    for row in rows:
        why = f"{row.why} {row.next_step}".strip()
        table.add_row(row.id[:SHOWN], row.patient_name, row.recipient, row.title, row.channel, row.state.value, why)
    return table


@messages.command()
@click.argument("message_id")
@click.option("--json", "as_json", is_flag=True)
def show(message_id: str, as_json: bool) -> None:
    """Show one message: what happened, why, and what may be done."""
    desk = existing().desk
    detail = desk.message(to_show(desk, message_id), at_terminal())
    if as_json:
        click.echo(_json(asdict(detail)))
        return
    row = detail.row
    click.echo(f"{row.title} for {row.recipient} about {row.patient_name} ({row.birth_date})")
    click.echo(f"State: {row.state.value}. {row.why} {row.next_step}".rstrip())
    if detail.withdrawn is not None:
        by = detail.withdrawn
        click.echo(f"Withdrawn by {by.actor.removeprefix('staff ')} at {_when(by.at)}: {by.reason}")
    if row.part2:
        click.echo("42 CFR Part 2: goes only by a consent that names it, with the notice.")
    click.echo(f"Consent: {detail.consent}")
    for rule, priority, why in detail.rules:
        click.echo(f"Rule {rule} ({priority}): {why}")
    for delivery in detail.deliveries:
        click.echo(f"\nDelivery {delivery.id} by {delivery.channel}: {delivery.state.value}. {delivery.why}")
        for attempt in delivery.attempts:
            click.echo(f"  try {attempt.number} at {_when(attempt.started_at)}: {attempt.sentence}")
        for receipt in delivery.receipts:
            click.echo(f"  {_when(receipt.received_at)}: {receipt.sentence}")
        if delivery.may_not_resend_because:
            click.echo(f"  cannot be resent: {delivery.may_not_resend_because}")


@messages.command("disclosures")
@click.argument("patient")
@click.option("--part2/--ordinary", default=None, help="Only Part 2 records, or only what is not.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="From this day (UTC).")
@click.option("--json", "as_json", is_flag=True)
def disclosures_(patient: str, part2: bool | None, since: datetime | None, as_json: bool) -> None:
    """List what has left about PATIENT (the clinic's number): when, to whom, where, what and why."""
    found = [
        one
        for one in existing().desk.disclosures(patient, at_terminal())
        if (part2 is None or one.part2 == part2) and (since is None or one.at.date() >= since.date())
    ]
    if as_json:
        click.echo(_json([asdict(one) for one in found]))
        return
    for one in found:
        to = one.recipient if one.organization is None else f"{one.recipient}, {one.organization}"
        click.echo(f"{_when(one.at)} by {one.channel} {one.address} to {to}".replace("  ", " "))
        said = [
            f"{one.what} {one.reference}",
            one.why,
            f"Part 2, by consent {one.consent}" if one.part2 else "not Part 2",
            "arrived" if one.proven else "may have arrived",
            *(["reached the wrong place"] if one.misdirected else []),
        ]
        click.echo(f"  {'; '.join(said)}")


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


@messages.command()
@click.argument("message_id")
@click.option("--reason", required=True, help="Why; kept with the record.")
@click.option("--next", "by_next", is_flag=True, help="By the next address of the route, in place of this one.")
def resend(message_id: str, reason: str, by_next: bool) -> None:
    """Send the stored letter of MESSAGE_ID (its id, or the letter's reference) again, on today's route and consent."""
    desk = existing().desk
    detail = desk.message(meant(desk, message_id), at_terminal())
    act = desk.send_by_next if by_next else desk.resend
    name = act(detail.row.delivery_id, reason=reason, token=secrets.token_urlsafe(32), actor=at_terminal())
    made = next(one for one in desk.message(detail.row.id, at_terminal()).deliveries if one.id == name)
    click.echo(f"Made: resend {name} of {_letter(detail.row)}. {what_comes(made)}")


@messages.command()
@click.argument("message_id")
@click.option("--reason", required=True, help="Why; kept with the record.")
def cancel(message_id: str, reason: str) -> None:
    """Withdraw MESSAGE_ID (its id, or the letter's reference), of which nothing has left."""
    desk = existing().desk
    row = desk.message(meant(desk, message_id), at_terminal()).row
    desk.cancel(row.id, reason=reason, actor=at_terminal())
    click.echo(f"Withdrawn: {_letter(row)}.")
