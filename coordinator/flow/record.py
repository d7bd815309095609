"""T1: an event arrives. One transaction; answered 2xx only when it is on disk."""

import json
from collections.abc import Sequence
from contextlib import suppress

from coordinator.domain.case import ClinicEvent, occurred_at
from coordinator.domain.errors import StateConflict
from coordinator.domain.plan import Fault, Question
from coordinator.flow.case_file import HISTORY, registry_for_check
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor, Recorded
from coordinator.flow.rows import InboxRow, InboxState
from coordinator.observe.log import Log, write
from coordinator.planning.checks import check
from coordinator.planning.reading import Unreadable, read_event

Faults = tuple[tuple[str, str, str], ...]
UNPREPARED: tuple[InboxState, ...] = ("received", "question", "stuck")
"""States of an event of which there are no messages yet."""


def record(parts: Parts, source: str, body: bytes) -> Recorded:
    """Take in one event and return the answer.

    accepted: on record, will be prepared. held: on record, waits for a person's
    answer. replay: had it already. conflict: same name, other content; nothing
    changed. refused: every fault at once; nothing kept but the refusal.
    """
    try:
        event = read_event(body)
    except Unreadable as wrong:
        with parts.ledger.begin() as tx:
            return _refuse(parts, tx, source, body, None, wrong.faults)
    answer = parts.arriving.write(
        parts.ledger, before_records, (source, event), lambda tx: _record(parts, tx, source, body, event)
    )
    if answer.outcome == "accepted" and answer.event_ref is not None:
        parts.bell.ring("event", [answer.event_ref])
    return answer


def before_records(tx: Transaction, arrived: Sequence[tuple[str, ClinicEvent]]) -> None:
    """Read, when several events arrive at once, what recording them asks. One alone asks for itself."""
    if len(arrived) > 1:
        names = [(source, event.id) for source, event in arrived]
        tx.read_ahead_arrivals(names, sorted({event.patient for _, event in arrived}), HISTORY)


def canonical(event: ClinicEvent) -> bytes:
    """Return the event as one fixed JSON text: equal content gives equal bytes, whatever the spelling of the file."""
    values = json.loads(event.model_dump_json(by_alias=True, exclude_unset=True))
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _record(parts: Parts, tx: Transaction, source: str, body: bytes, event: ClinicEvent) -> Recorded:
    kept = canonical(event)
    content_key = tx.key("content", kept.decode())
    versions = tx.inbox_versions(source, event.id)
    there = next((one for one in versions if one.version == event.version), None)
    if there is not None:
        return _again(parts, tx, there, content_key, body)
    newer = [one for one in versions if one.version > event.version]
    if newer:
        fault = Fault(
            "/version",
            "event.version.old",
            "A higher version of this event is on record, so this one would put back what was corrected.",
            f"Send the change as version {newer[-1].version + 1} or higher.",
        )
        return _refuse(parts, tx, source, body, event, (fault,))
    registry, history = registry_for_check(tx, event)
    if registry is None:
        fault = Fault(
            "",
            "registry.empty",
            "The service has no registry yet, so nobody is known whom the event could be told to.",
            "Import the registry first: coordinator registry import FILE.",
        )
        return _refuse(parts, tx, source, body, event, (fault,))
    previous = versions[-1].event if versions else None
    faults, questions = check(parts.checks, event, registry, history, parts.clock.now(), previous)
    if faults:
        return _refuse(parts, tx, source, body, event, faults)
    return _keep(parts, tx, source, event, kept, content_key, questions)


def _keep(
    parts: Parts,
    tx: Transaction,
    source: str,
    event: ClinicEvent,
    kept: bytes,
    content_key: str,
    questions: tuple[Question, ...],
) -> Recorded:
    now = parts.clock.now()
    asked: Faults = tuple((one.id, one.role, one.text) for one in questions)
    row = InboxRow(
        id=parts.dice.uuid(),
        source=source,
        event=event,
        version=event.version,
        event_type=event.type,
        patient_key=tx.key("patient", event.patient),
        content_key=content_key,
        state="question" if asked else "received",
        cause="event.question" if asked else None,
        questions=asked,
        occurred_at=occurred_at(event),
        received_at=now,
        composed_at=None if asked else now,
        prepared_at=None,
        tries=0,
        fence=0,
    )
    if not tx.add_inbox(row, body=kept):
        there = tx.inbox_by_name(source, event.id, event.version)
        if there is None:
            raise LookupError("inbox row vanished")
        return _again(parts, tx, there, content_key, kept)
    for older in tx.inbox_versions(source, event.id):
        if older.version < event.version and older.state in UNPREPARED:
            # Where another worker has prepared it in this moment it stays so: its letters are corrected.
            with suppress(StateConflict):
                tx.move_inbox(older.id, "superseded", at=now, cause="event.superseded", expect=UNPREPARED)
    actor = Actor("source", source)
    tx.audit(actor, "event recorded", at=now, patient_key=row.patient_key, subject=row.id, code=row.cause)
    write(Log.EVENT_HELD if asked else Log.EVENT_ACCEPTED, event_ref=row.id, source=source, version=event.version)
    return Recorded("held" if asked else "accepted", row.id, event.id, event.version, questions=asked)


def _again(parts: Parts, tx: Transaction, there: InboxRow, content_key: str, body: bytes) -> Recorded:
    name = (there.id, there.event.id, there.version)
    if there.content_key == content_key:
        return Recorded("replay", *name, questions=there.questions if there.state == "question" else ())
    faults: Faults = (
        (
            "/version",
            "This id and version are on record with other content; nothing was changed.",
            f"Send an amendment as version {there.version + 1}, or a new record under an id of its own.",
        ),
    )
    tx.add_refusal(there.source, body, faults, parts.clock.now())
    return Recorded("conflict", *name, faults=faults)


def _refuse(
    parts: Parts, tx: Transaction, source: str, body: bytes, event: ClinicEvent | None, faults: tuple[Fault, ...]
) -> Recorded:
    now = parts.clock.now()
    told: Faults = tuple((one.pointer, one.message, one.fix) for one in faults)
    refusal = tx.add_refusal(source, body, told, now)
    tx.audit(Actor("source", source), "event refused", at=now, subject=refusal, code=faults[0].code if faults else None)
    write(Log.EVENT_REFUSED, source=source, count=len(faults))
    name, version = (None, None) if event is None else (event.id, event.version)
    return Recorded("refused", None, name, version, faults=told)
