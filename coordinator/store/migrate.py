"""Brings a database to the schema of this version."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from coordinator.domain.errors import ConfigurationError
from coordinator.store.engine import transaction

SCRIPTS = Path(__file__).resolve().parent / "migrations"


def config(connection: Connection | None = None) -> Config:
    """Return the Alembic configuration; nothing of it is read from a file."""
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine) -> None:
    """Migrate to the newest schema, in one transaction: after a crash it is the old one or the new one, never half."""
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            # Two processes starting at once must not migrate at once.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7263519)")
        _refuse_newer(connection)
        command.upgrade(config(connection), "head")


def refuse_newer(engine: Engine) -> None:
    """Raise ConfigurationError when a newer version than this one has migrated the database."""
    with transaction(engine, write=False) as connection:
        _refuse_newer(connection)


def _refuse_newer(connection: Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    known = {one.revision for one in ScriptDirectory.from_config(config()).walk_revisions()}
    if found is not None and found not in known:
        raise ConfigurationError(
            "a newer version has migrated this database, and this one cannot read it; start the newer version again, "
            "or put back the copy from before the upgrade"
        )


def is_current(engine: Engine) -> bool:
    """Return whether the database has the schema of this version."""
    with transaction(engine, write=False) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == ScriptDirectory.from_config(config()).get_current_head()
