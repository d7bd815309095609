"""The service for verbs that look at a database that is there already, and who uses them."""

import getpass
import json
from pathlib import Path

import click

from coordinator.bootstrap import Service, build, service
from coordinator.flow.read_models import Actor
from coordinator.settings import DEMO_SETTINGS, Settings, unusable
from coordinator.store import migrate as schema

DEMO_FOLDER = "demo-data"


def at_terminal() -> Actor:
    """Return who works at the terminal, as the operating system names them."""
    return Actor("staff", f"terminal:{getpass.getuser()}"[:64])


def existing() -> Service:
    """Return the service over the configured database; over the demo's, where only that one is there.

    Raises ClickException when there is no database at this version's schema.
    """
    made = beside_the_demo()
    if made is None:
        settings = Settings()
        settings.refuse_missing()
        if settings.url().startswith("sqlite") and not settings.database_url and not _is_there(settings):
            raise click.ClickException(f"There is no database in {settings.data_dir}/ yet. Run: coordinator serve")
        made = service()
    schema.refuse_newer(made.store.engine)
    if not schema.is_current(made.store.engine):
        raise click.ClickException("The database is not at this version's schema. Run: coordinator migrate")
    made.check_keys()
    return made


def beside_the_demo() -> Service | None:
    """Return the service over the demo's database in this folder, and say so; None where another is set or there."""
    settings = Settings()
    demo = settings.data_dir.parent / DEMO_FOLDER
    unset = settings.url().startswith("sqlite") and "data_dir" not in settings.model_fields_set
    if not unset or _is_there(settings) or not (demo / "coordinator.sqlite").exists():
        return None
    click.echo(f"(with the demo's database in {demo}/)", err=True)
    return build(_of_the_demo(demo) or settings.model_copy(update={"data_dir": demo}))


def database_of(made: Service) -> str:
    """Return where a service's database is, for a person who may have meant another one. No address, no password."""
    embedded = not made.settings.database_url and made.settings.database_url_file is None
    return f"the database in {made.settings.data_dir}/" if embedded else "the configured database"


def _is_there(settings: Settings) -> bool:
    """Return whether the embedded database is; raise ConfigurationError when its folder cannot be looked into."""
    try:
        (settings.data_dir / "coordinator.sqlite").stat()
    except FileNotFoundError:
        return False
    except OSError as fault:
        raise unusable("data_dir", settings.data_dir, fault.strerror) from None
    return True


def _of_the_demo(folder: Path) -> Settings | None:
    """Return the settings that the demo in this folder runs with, or None when it did not leave them.

    With them a check reaches the pretend recipients on this machine; nothing else may.
    """
    file = folder / DEMO_SETTINGS
    if not file.exists():
        return None
    return Settings(**json.loads(file.read_bytes()) | {"data_dir": folder})
