"""Runs the migrations inside the connection that `coordinator.store.migrate` hands over."""

from alembic import context

from coordinator.store import accounts, address_part, entry_part, heartbeat_part, hold_part, link_part, station_part  # noqa: F401  (their tables belong to the same metadata)
from coordinator.store.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
