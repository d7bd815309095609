"""accounts and sources: who may sign in, and which systems may hand in events."""

import click

from coordinator.bootstrap import service
from coordinator.cli.reading import existing
from coordinator.domain.access import SCOPES, STAFF_ROLES, Scope, StaffRole


@click.group()
def accounts() -> None:
    """Staff accounts of the console."""


@accounts.command("add")
@click.argument("name")
@click.option("--full-name", default="", help="As the console shows it.")
@click.option("--role", "roles", multiple=True, default=("viewer",), show_default=True,
              type=click.Choice(list(STAFF_ROLES)))  # fmt: skip
@click.option("--licence", help="Of a clinician, such as: MD 55012, Minnesota. Stands beside every review.")
def add_account(name: str, full_name: str, roles: tuple[StaffRole, ...], licence: str | None) -> None:
    """Add a member of staff and print a one-time sign-in link."""
    made = service()
    made.open()
    made.accounts.add(name, full_name or name, roles, licence=licence)
    where = made.settings.data_dir if made.settings.url().startswith("sqlite") else "the configured database"
    click.echo(f"(added in {where}; the link works where `coordinator serve` runs with the same settings)", err=True)
    click.echo(f"{made.settings.console_url}/sign-in/link/{made.accounts.make_link(name)}")


@accounts.command("link")
@click.argument("name")
def link(name: str) -> None:
    """Print a fresh one-time sign-in link for a member of staff."""
    made = existing()
    click.echo(f"{made.settings.console_url}/sign-in/link/{made.accounts.make_link(name)}")


@click.group()
def sources() -> None:
    """Source systems of events."""


@sources.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("events:write", "messages:read"), show_default=True,
              type=click.Choice(list(SCOPES)))  # fmt: skip
def add_source(name: str, scopes: tuple[Scope, ...]) -> None:
    """Add a source system and print its bearer token, once."""
    made = service()
    made.open()
    _, token = made.accounts.sources.issue(name, scopes)
    click.echo(token)
