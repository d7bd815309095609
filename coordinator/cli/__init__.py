"""The command line: the same verbs as the API. Commands of outside packages come in as `coordinator.commands`."""

import logging
from importlib.metadata import entry_points

import click

from coordinator.cli.endpoints import endpoints
from coordinator.cli.keys import keys
from coordinator.cli.messages import messages
from coordinator.cli.people import accounts, sources
from coordinator.cli.previewing import check_letters, preview_letter
from coordinator.cli.render import render
from coordinator.cli.running import beat, migrate, serve, worker
from coordinator.cli.sending import holds, resend, restore_hold
from coordinator.cli.submit import registry, submit
from coordinator.cli.verifying import check_mappings, verify
from coordinator.cli.watching import watch
from coordinator.domain.errors import ConfigurationError, NotFound, Refused
from coordinator.observe.log import configure
from coordinator.security.edge import DATABASE_AWAY


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


class _Told(click.Group):
    """A group that tells people what to do instead of showing a traceback for errors that are theirs to solve."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; turn the service's own errors into one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as wrong:
            raise click.ClickException(f"The settings are not right: {_ended(str(wrong))}") from wrong
        except Refused as refused:
            raise click.ClickException(refused.reason) from refused
        except NotFound as missing:
            raise click.ClickException(f"There is no such {missing}.") from missing
        except DATABASE_AWAY as away:
            raise click.ClickException(
                "The database is away, busy or full, so the rest was not done. See that it runs and has room "
                "(COORDINATOR_DATABASE_URL), then give the command again; what is on record is recognised."
            ) from away


@click.group(cls=_Told, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="coordinator")
def main() -> None:
    """Tell a patient's other clinicians what the clinic did, and find out whether it arrived."""
    configure(logging.CRITICAL)  # a verb at a terminal speaks for itself; serve and the demo turn the log on


for one in (
    serve,
    worker,
    beat,
    migrate,
    submit,
    registry,
    messages,
    endpoints,
    holds,
    restore_hold,
    resend,
    watch,
    render,
    verify,
    check_mappings,
    preview_letter,
    check_letters,
    keys,
    accounts,
    sources,
):
    main.add_command(one)
for plugged in entry_points(group="coordinator.commands"):
    main.add_command(plugged.load(), plugged.name)
