"""Whether the field keys are the ones this database was written with."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from coordinator.domain.errors import ConfigurationError
from coordinator.store.engine import transaction
from coordinator.store.tables import key_checks


def check_keys(engine: Engine, checks: Mapping[str, str]) -> None:
    """Remember new keys' check values; raise ConfigurationError when a known key has another one.

    Writing under a wrong key would split the record in two halves that never meet:
    look-ups go by keyed hashes, and what was sealed before could not be opened.
    """
    with transaction(engine) as connection:
        known = {row.key_id: row.value for row in connection.execute(sa.select(key_checks))}
        wrong = [name for name, value in checks.items() if known.get(name, value) != value]
        missing = [name for name in known if name not in checks]
        if wrong or missing:
            raise ConfigurationError(
                "the field key file does not hold the keys this database was written with; "
                "restore the right file before starting"
            )
        for name, value in checks.items():
            if name not in known:
                connection.execute(sa.insert(key_checks).values(key_id=name, value=value))
