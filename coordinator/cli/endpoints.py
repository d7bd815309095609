"""endpoints: would an address take a message today, and a person's word on one that is new or answers otherwise."""

import sys
from dataclasses import asdict

import click
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from coordinator.cli.reading import at_terminal, existing
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.endpoint_checks import Step
from coordinator.flow.station_rows import quoted

SIGNS = {True: "ok", False: "NO", None: "--"}


@click.group()
def endpoints() -> None:
    """Look at the addresses of providers and ask whether they would take a message."""


@endpoints.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """List every provider's addresses, and whether each may carry a letter today."""
    rows = existing().endpoints()
    if as_json:
        click.echo(orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2).decode())
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("Endpoint", "Recipient", "Address", "Usable"):
        table.add_column(name, overflow="fold", no_wrap=name == "Endpoint")  # an id is copied whole
    for row in rows:
        usable = ", ".join(filter(None, ("yes", row.pace))) if row.usable else f"no: {row.why_not}"
        verified = f"verified {row.verified_on}" if row.verified_on else "never verified"
        answers = f"\nits machine: {quoted(row.stations)}" if row.stations else ""
        where = (f"{row.recipient} ({row.provider_id})", f"{row.kind}\n{row.address}\n{verified}{answers}")
        if row.held:
            usable += f"\nHELD: {row.held}"
        warning = row.other_station
        if warning is not None:
            usable += f"\nANOTHER MACHINE: {warning.why} {warning.seen} {warning.next_step}"
        table.add_row(row.id, *(escape(one) for one in (*where, usable)), end_section=True)
    Console().print(table)


@endpoints.command()
@click.argument("endpoint_id")
@click.argument("address")
def approve(endpoint_id: str, address: str) -> None:
    """Put the new or changed address of ENDPOINT_ID into use, as another person than who entered it.

    ADDRESS is the number or address as the recipient told it to you: it must be the one in the registry.
    """
    try:
        existing().approve_address(endpoint_id, address, at_terminal())
    except Refused as refused:
        raise click.ClickException(refused.reason) from None
    except NotFound:
        raise click.ClickException("No provider has an endpoint of that id. See: coordinator endpoints list") from None
    click.echo("Approved. Messages that were held for it go once they are released.")


@endpoints.command("confirm-station")
@click.argument("endpoint_id")
@click.argument("station")
def confirm_station(endpoint_id: str, station: str) -> None:
    """Let STATION count as the name of the fax machine at ENDPOINT_ID, as the office told you that it is theirs.

    STATION is what another machine than before called itself there: see `coordinator endpoints list`.
    """
    try:
        existing().sending.confirm_station(endpoint_id, station, at_terminal())
    except Refused as refused:
        raise click.ClickException(refused.reason) from None
    except NotFound:
        raise click.ClickException("No provider has an endpoint of that id. See: coordinator endpoints list") from None
    click.echo("Confirmed. A fax that is answered under this name is theirs.")


@endpoints.command()
@click.argument("endpoint_id")
@click.option("--test-message", is_flag=True, help="Also send the message of the test patient agreed with the partner.")
@click.option("--json", "as_json", is_flag=True)
def check(endpoint_id: str, test_message: bool, as_json: bool) -> None:
    """Ask ENDPOINT_ID's far side whether it would take a message. Sends none, and names no patient.

    With --test-message the partner's own test patient is named, in one marked message, where the registry says that
    the partner agreed. Exit code 1 when any step failed.
    """
    actor = at_terminal()
    made = existing()
    steps = made.check_endpoint(endpoint_id, actor)
    if test_message:
        try:
            steps = (*steps, *made.test_endpoint(endpoint_id, actor)[-1:])
        except Refused as refused:
            steps = (*steps, Step("test message", False, f"Not sent. {refused.reason}"))
    if as_json:
        click.echo(orjson.dumps([asdict(one) for one in steps], option=orjson.OPT_INDENT_2).decode())
    else:
        for one in steps:
            click.echo(f"{SIGNS[one.ok]}  {one.name}: {one.seen}")
            if one.what_to_do:
                click.echo(f"      {one.what_to_do}")
    if any(one.ok is False for one in steps):
        sys.exit(1)
