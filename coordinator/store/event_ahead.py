"""Reading ahead for several events that are prepared in one go: their rows, their people, and their lanes."""

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from coordinator.flow.rows import InboxRow
from coordinator.store.registry_part import RegistryRows
from coordinator.store.sealed import Part
from coordinator.store.tables import inbox, messages

_BY_IDS = sa.select(inbox).where(inbox.c.id.in_(sa.bindparam("ids", expanding=True))).order_by(inbox.c.id)
_BY_IDS_FREE = _BY_IDS.with_for_update(skip_locked=True)
_VERSIONS = (
    sa.select(inbox)
    .where(
        inbox.c.source.in_(sa.bindparam("sources", expanding=True)),
        inbox.c.event_key.in_(sa.bindparam("event_keys", expanding=True)),
    )
    .order_by(inbox.c.version)
)
_NEWEST_FIRST = (inbox.c.occurred_at.desc(), inbox.c.version.desc(), inbox.c.id.desc())
_RANKED = (
    sa.select(
        inbox.c.id, sa.func.row_number().over(partition_by=inbox.c.patient_key, order_by=_NEWEST_FIRST).label("n")
    )
    .where(inbox.c.patient_key.in_(sa.bindparam("patients", expanding=True)))
    .subquery()
)
_HISTORIES = (
    sa.select(inbox)
    .join(_RANKED, _RANKED.c.id == inbox.c.id)
    .where(_RANKED.c.n <= sa.bindparam("most", type_=sa.Integer))
    .order_by(inbox.c.occurred_at, inbox.c.version, inbox.c.id)
)
"""The last events of each of these patients, oldest occurrence first."""
_LANES = (
    sa.select(messages)
    .where(
        messages.c.patient_key.in_(sa.bindparam("patients", expanding=True)),
        messages.c.provider_id.in_(sa.bindparam("providers", expanding=True)),
        messages.c.lane_subject.in_(sa.bindparam("subjects", expanding=True)),
    )
    .order_by(messages.c.occurred_at, messages.c.event_version, messages.c.created_at)
)


_HOLD_LANES = sa.text("SELECT pg_advisory_xact_lock(lane) FROM unnest(CAST(:lanes AS bigint[])) AS lane")
"""There may be no row yet that could be locked. SQLite has one writer at a time."""


def _number(lane: tuple[str, str, str]) -> int:
    """Return the number that stands for a lane among the database's locks."""
    return int.from_bytes(hashlib.sha256("|".join(lane).encode()).digest()[:8], "big", signed=True)


class EventsAhead(RegistryRows, Part):
    """Implements flow.ledger.AheadPart."""

    def read_ahead_events(self, event_refs: Sequence[str], *, lock: bool = False) -> None:
        """Read, in one statement a kind, these events with all their versions, and the patients they are about.

        With `lock` the events are locked; one that another transaction holds is left out, and is waited for when it
        is asked for. What is read stays true as long as nobody else can change it: for the moment of a reading
        transaction, or for the events that are locked.
        """
        free = lock and self._postgres
        rows = [self._inbox(row) for row in self._all(_BY_IDS_FREE if free else _BY_IDS, ids=sorted(event_refs))]
        self._ahead.events.update({row.id: row for row in rows})
        if lock:
            self._ahead.locked_events.update(row.id for row in rows)
        self._read_versions({(row.source, self.key("event", row.event.id)) for row in rows})

    def read_ahead_arrivals(self, names: Sequence[tuple[str, str]], patients: Sequence[str], history: int) -> None:
        """Read what is on record under these names (source, event id), and these patients as `read_ahead_people`.

        An event added after this is written with the others at the end, where a name that somebody else took
        meanwhile undoes the transaction.
        """
        self._read_versions({(source, self.key("event", event_id)) for source, event_id in names})
        self.read_ahead_people([self.key("patient", one) for one in patients], history)

    def _read_versions(self, names: set[tuple[str, str]]) -> None:
        """Read every version of the events under these names (source, event key)."""
        self._ahead.versions.update({name: [] for name in names})
        sources, keys = sorted({one for one, _ in names}), sorted({one for _, one in names})
        for row in self._all(_VERSIONS, sources=sources, event_keys=keys) if names else ():
            if (row.source, row.event_key) in names:
                self._ahead.versions[row.source, row.event_key].append(self._inbox(row))

    def read_ahead_people(self, patient_keys: Sequence[str], history: int) -> None:
        """Read the clinic, its staff, these patients, and the providers around them.

        Also the patients' events, unless there are more than `history`: those are asked for one by one.
        """
        past: dict[str, list[InboxRow]] = {one: [] for one in patient_keys}
        for row in self._all(_HISTORIES, patients=list(patient_keys), most=history + 1) if past else ():
            past[row.patient_key].append(self._inbox(row))
        self._ahead.past.update({one: rows for one, rows in past.items() if len(rows) <= history})
        self._read_registry(patient_keys, ())
        known = [self.patient(one) for one in patient_keys]
        around = {one.provider for who in known if who is not None for one in who.care_team}
        around |= {one.recipient for who in known if who is not None for one in who.consents}
        self._read_registry((), sorted(around))
        self._read_staff()

    def read_ahead_lanes(self, lanes: Sequence[tuple[str, str, str]], *, lock: bool = False) -> None:
        """Read the messages of these lanes: (patient key, provider, subject). `lock`: and let no other add to them."""
        if lock and self._postgres and lanes:
            self._run(_HOLD_LANES, {"lanes": sorted({_number(lane) for lane in lanes})})  # in one order: no deadlock
        found = self._ahead.lane_rows
        found.update({one: [] for one in lanes})
        patients, providers, subjects = (sorted({one[at] for one in lanes}) for at in range(3))
        for row in self._all(_LANES, patients=patients, providers=providers, subjects=subjects) if lanes else ():
            lane = (row.patient_key, row.provider_id, row.lane_subject)
            if lane in found:
                found[lane].append(self._message(row))
