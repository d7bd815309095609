"""accounts and sources: who may sign in, and which systems may hand in events."""

import click

from coordinator.bootstrap import service
from coordinator.cli.reading import at_terminal, database_of, existing
from coordinator.domain.access import SCOPES, STAFF_ROLES, Scope, StaffRole
from coordinator.store.source_desk import SHORT


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
    click.echo(
        f"(added in {database_of(made)}; the link works where `coordinator serve` runs with the same settings)",
        err=True,
    )
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
    """Add a source system, or one more token of it, and print the bearer token, once."""
    made = service()
    made.open()
    _, token = made.accounts.sources.issue(name, scopes)
    click.echo(token)
    count = len(made.source_tokens().in_force(name))
    has = "this one token" if count == 1 else f"{count} tokens, each of which lets it in"
    click.echo(f"({name} has {has}; `coordinator sources list` shows them, `sources revoke` takes one back)", err=True)


@sources.command("list")
def list_sources() -> None:
    """Show each source system with its tokens in force: a short id, since when, and what it may. Never the token."""
    found = existing().source_tokens().in_force()
    for name in dict.fromkeys(one.source for one in found):
        ours = [one for one in found if one.source == name]
        click.echo(f"{name}  {len(ours)} token{'' if len(ours) == 1 else 's'}")
        for one in ours:
            click.echo(f"    {one.id[:SHORT]}  since {one.created_at:%Y-%m-%d %H:%M} UTC  {' '.join(one.scopes)}")
    if not found:
        click.echo("No source has a token. Next: coordinator sources add NAME")


@sources.command("revoke")
@click.argument("name")
@click.option("--token", "short", metavar="ID", help="Only the one with this short id, as `sources list` shows it.")
def revoke_source(name: str, short: str | None) -> None:
    """Make every token of a source system worthless, at once, or one of them. What it handed in stays."""
    if short is not None and len(short) < SHORT:
        raise click.UsageError(f"The short id has {SHORT} signs; coordinator sources list shows it.")
    desk = existing().source_tokens()
    count = desk.revoke(name, at_terminal(), short=short)
    left = len(desk.in_force(name))
    click.echo(f"{count} token{'' if count == 1 else 's'} of {name} revoked; {left} left in force.")
