"""The book of entries: what was created one by one at each FHIR server. Names and places only, no content."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from coordinator.flow.ports import EntryRow
from coordinator.store.engine import transaction
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant

fhir_entries = sa.Table(
    "fhir_entries",
    METADATA,
    sa.Column("endpoint_id", WORD, primary_key=True),
    sa.Column("entry", ID, primary_key=True),
    sa.Column("message_id", ID, nullable=False),
    sa.Column("sha256", ID),
    sa.Column("place", sa.String(200)),
    sa.Column("asked_sha256", ID),
    sa.Column("at", UtcInstant, nullable=False),
)


class SqlEntryBook:
    """Implements flow.ports.EntryBook; each call is its own short transaction."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def known(self, endpoint: str, entries: Sequence[str]) -> Mapping[str, EntryRow]:
        """Return the rows of those entries that were ever asked of this endpoint."""
        table = fhir_entries.c
        query = sa.select(table.entry, table.sha256, table.place, table.asked_sha256).where(
            table.endpoint_id == endpoint, table.entry.in_(list(entries))
        )
        with transaction(self._engine, write=False) as db:
            return {row.entry: EntryRow(row.sha256, row.place, row.asked_sha256) for row in db.execute(query)}

    def asked(self, endpoint: str, entry: str, message: str, sha256: str) -> None:
        """Note, before its first byte may leave, that this content is asked."""
        values = {"message_id": message, "asked_sha256": sha256, "at": self._now()}
        update = fhir_entries.update().where(*_is(endpoint, entry)).values(values)
        try:
            with transaction(self._engine) as db:
                if not db.execute(update).rowcount:
                    db.execute(fhir_entries.insert().values(endpoint_id=endpoint, entry=entry, **values))
        except sa.exc.IntegrityError:
            # Two messages ask the same clinic or clinician for the first time at once: the other one was quicker.
            with transaction(self._engine) as db:
                db.execute(update)

    def landed(self, endpoint: str, entry: str, place: str | None) -> None:
        """Note that what was asked has landed. A place that is known stays known."""
        values: dict[str, object] = {
            "sha256": fhir_entries.c.asked_sha256,
            "asked_sha256": None,
            "at": self._now(),
        }
        if place is not None:
            values["place"] = place
        with transaction(self._engine) as db:
            asked = fhir_entries.c.asked_sha256.is_not(None)
            db.execute(fhir_entries.update().where(*_is(endpoint, entry), asked).values(values))

    def let_go(self, endpoint: str, entry: str) -> None:
        """Note that what was asked has surely not landed."""
        with transaction(self._engine) as db:
            never = fhir_entries.c.sha256.is_(None)
            db.execute(fhir_entries.delete().where(*_is(endpoint, entry), never))
            db.execute(fhir_entries.update().where(*_is(endpoint, entry)).values(asked_sha256=None))


def _is(endpoint: str, entry: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return fhir_entries.c.endpoint_id == endpoint, fhir_entries.c.entry == entry
