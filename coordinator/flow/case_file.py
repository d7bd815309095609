"""Everything known around an event, gathered into one frozen case."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from coordinator.domain.case import (
    Case,
    ClinicEvent,
    SentLetter,
    SentRequest,
    corrected_by,
    occurred_at,
    request_names,
)
from coordinator.domain.delivery import FINAL, State
from coordinator.domain.errors import SPOILT
from coordinator.domain.events import DoseChange
from coordinator.domain.registry import Registry
from coordinator.flow.handover import handed_over_at
from coordinator.flow.ledger import Transaction
from coordinator.flow.rows import TOLD_IN_DIGEST, InboxRow, MessageRecord, may_have_arrived
from coordinator.observe.log import Log, write
from coordinator.planning.plan import lane_subject

HISTORY = 200
"""Event versions that are looked back on: more than any course of treatment has."""
AROUND = timedelta(days=30)
"""A record that comes late is also compared with what happened in the weeks after it."""
KNOWN = frozenset({"received", "prepared"})
"""Inbox states whose content is believed: not questioned, not declined."""


def named_in(event: ClinicEvent) -> list[str]:
    """Return the outside providers whom the event names, on the care team or not: who is asked, who told."""
    if not isinstance(event, DoseChange):
        return []
    told = event.reported_by if event.kind == "reported-by-prescriber" else None
    return [one for one in (event.requested_of, told) if one is not None]


def newest_versions(rows: list[InboxRow], *, without: InboxRow | None = None) -> tuple[ClinicEvent, ...]:
    """Return the newest believed version of each event, oldest occurrence first, retracted ones left out."""
    newest: dict[tuple[str, str], InboxRow] = {}
    for row in rows:
        if row.state not in KNOWN or (without is not None and _same_event(row, without)):
            continue
        name = (row.source, row.event.id)
        if name not in newest or row.version > newest[name].version:
            newest[name] = row
    kept = [row for row in newest.values() if row.event.status != "entered-in-error"]
    if without is not None:
        kept = [row for row in kept if row.occurred_at <= without.occurred_at]
    return tuple(row.event for row in sorted(kept, key=lambda row: (row.occurred_at, row.event.id)))


def by_arrival(rows: list[InboxRow], *, without: InboxRow) -> list[tuple[datetime, ClinicEvent]]:
    """Return each other event of that row's source: when it came first, and its newest believed version. In order."""
    mine = [row for row in rows if row.source == without.source and row.event.id != without.event.id]
    came_at: dict[str, datetime] = {}
    for row in mine:
        came_at[row.event.id] = min(row.received_at, came_at.get(row.event.id, row.received_at))
    listed = [(came_at[one.id], one) for one in newest_versions(mine)]
    return sorted(listed, key=lambda pair: (pair[0], occurred_at(pair[1]), pair[1].id))


def _same_event(one: InboxRow, other: InboxRow) -> bool:
    return one.source == other.source and one.event.id == other.event.id


def gather(tx: Transaction, row: InboxRow, *, composed_at: datetime | None = None) -> Case | None:
    """Return the case of an inbox row, or None while the registry has no clinic or no such patient."""
    case = _around(tx, row, composed_at)
    return None if case is None else replace(case, asked_before=asked_before(tx, row, case))


def _around(tx: Transaction, row: InboxRow, composed_at: datetime | None = None) -> Case | None:
    earlier = earlier_versions(tx, row)
    planned = _planned(earlier)
    sent = _to_correct(tx, row, planned)
    providers = [one.provider for one in sent]
    registry = tx.registry_for(row.event.patient, [*providers, *named_in(row.event)])
    if registry is None or registry.patient(row.event.patient) is None:
        return None
    known = tx.inbox_of_patient(row.patient_key, until=row.occurred_at, limit=HISTORY)
    history = newest_versions(list(known), without=row)
    later = tx.inbox_of_patient_after(row.patient_key, after=row.occurred_at, limit=HISTORY)
    others = by_arrival([*known, *later], without=row)
    first_at = min((one.received_at for one in earlier), default=row.received_at)
    return Case(
        source=row.source,
        event=row.event,
        registry=registry,
        history=history,
        others=tuple(event for _, event in others),
        others_before=sum(came_at <= first_at for came_at, _ in others),
        composed_at=composed_at or row.composed_at or row.received_at,
        previous=planned[-1].event if planned else None,
        already_sent=sent,
    )


def gather_all(tx: Transaction, event_refs: Sequence[str]) -> list[tuple[InboxRow, Case | None]]:
    """Return the cases of these events as far as they still wait to be prepared, with few questions for all."""
    tx.read_ahead_events(event_refs)
    rows = [row for one in event_refs if (row := tx.inbox_row(one)) is not None and row.state == "received"]
    tx.read_ahead_people(sorted({row.patient_key for row in rows}), HISTORY)
    cases = [(row, _around(tx, row)) for row in rows]
    tx.read_ahead_lanes([lane for row, case in cases if case is not None for lane in _lanes(row, case)])
    return [
        (row, None if case is None else replace(case, asked_before=asked_before(tx, row, case))) for row, case in cases
    ]


def _lanes(row: InboxRow, case: Case) -> list[tuple[str, str, str]]:
    """Return the lanes that this event's messages belong to: (patient key, provider, subject)."""
    providers = {one.provider for one in case.patient.care_team} | {one.provider for one in case.already_sent}
    return [(row.patient_key, one, lane_subject(case)) for one in sorted(providers)]


def asked_before(tx: Transaction, row: InboxRow, case: Case) -> tuple[SentRequest, ...]:
    """Return what was asked, and has or may have arrived, in the lanes that this event's messages belong to."""
    found: dict[SentRequest, None] = {}
    for patient_key, provider, subject in _lanes(row, case):
        for message in tx.lane(patient_key, provider, subject):
            asked = [one["action"] for one in message.plan.get("requests", []) if "action" in one]
            mine = message.plan.get("source") == row.source and message.event_ref != row.id
            if not asked or not mine or message.occurred_at > row.occurred_at or arrived_at(tx, message.id) is None:
                continue
            found.update({SentRequest(provider, message.plan["event_id"], name): None for name in request_names(asked)})
    return tuple(found)


def readable(tx: Transaction, message_id: str, job: str) -> MessageRecord | None:
    """Return the message; None for one that is not there, or cannot be read: that costs a round its own row only."""
    try:
        return tx.message(message_id)
    except SPOILT as bug:
        write(Log.BUG, message_id=message_id, error_type=type(bug).__name__, job=job)
        return None


def earlier_versions(tx: Transaction, row: InboxRow) -> list[InboxRow]:
    """Return the versions of the same event before this one, oldest first."""
    return [one for one in tx.inbox_versions(row.source, row.event.id) if one.version < row.version]


def _planned(earlier: list[InboxRow]) -> list[InboxRow]:
    return [one for one in earlier if one.state == "prepared"]


def _to_correct(tx: Transaction, row: InboxRow, planned: list[InboxRow]) -> tuple[SentLetter, ...]:
    return tuple(one for one in already_sent(tx, planned) if corrected_by(row.event, one))


def is_outrun(tx: Transaction, row: InboxRow, case: Case) -> bool:
    """Return whether a letter of an earlier version has left, or came back, since the case was gathered.

    Then what was composed says the wrong thing about it. What has not left is locked, so that it does not leave now.
    """
    planned = _planned(earlier_versions(tx, row))
    for version in planned:
        for message in tx.messages_of_event(version.id):
            for delivery in tx.deliveries(carried_by(message)):
                if delivery.state not in FINAL:
                    tx.delivery(delivery.id, lock=True)
    now, then = _to_correct(tx, row, planned), case.already_sent
    return {(one.provider, one.version) for one in now} != {(one.provider, one.version) for one in then}


def already_sent(tx: Transaction, planned: list[InboxRow]) -> tuple[SentLetter, ...]:
    """Return the newest letter of each recipient that has, or may have, an earlier version."""
    letters: dict[str, SentLetter] = {}
    for row in planned:
        for message in tx.messages_of_event(row.id):
            sent_at = arrived_at(tx, carried_by(message))
            if sent_at is None:
                continue
            letters[message.provider_id] = SentLetter(
                provider=message.provider_id,
                kind=message.letters[0] if message.letters else "L1",
                version=message.event_version,
                sent_at=sent_at,
                requests=tuple(one["text"] for one in message.plan.get("requests", [])),
            )
    return tuple(letters[name] for name in sorted(letters))


def carried_by(message: MessageRecord) -> str:
    """Return the id of the message that tells of it: itself, or the digest that tells of it with others."""
    return message.superseded_by or message.id if message.cause == TOLD_IN_DIGEST else message.id


def arrived_at(tx: Transaction, message_id: str) -> datetime | None:
    """Return when a message reached, or may have reached, its recipient; None when it surely never left."""
    for delivery in tx.deliveries(message_id):
        maybe = may_have_arrived(delivery)
        left = any(one.reached for one in tx.attempts(delivery.id))
        if maybe or left or (delivery.channel == "by-hand" and delivery.state == State.ACKNOWLEDGED):
            return handed_over_at(tx, delivery) if delivery.channel == "by-hand" else delivery.updated_at
    return None


def registry_for_check(tx: Transaction, event: ClinicEvent) -> tuple[Registry | None, tuple[ClinicEvent, ...]]:
    """Return (registry, history) for checking a new event; the history leaves the event's own versions out."""
    registry = tx.registry_for(event.patient, named_in(event))
    until = occurred_at(event) + AROUND
    known = tx.inbox_of_patient(tx.key("patient", event.patient), until=until, limit=HISTORY)
    rows = [one for one in known if one.event.id != event.id]
    return registry, newest_versions(rows)
