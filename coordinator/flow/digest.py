"""Digests: the uneventful sessions of a patient, told to a recipient in one letter when the week is over."""

from collections import defaultdict
from dataclasses import asdict, replace

from coordinator.domain.case import Case
from coordinator.domain.errors import SPOILT, lacks_means
from coordinator.domain.events import SessionOutcome
from coordinator.domain.part2 import is_part2
from coordinator.flow.case_file import gather, readable
from coordinator.flow.compose import compose_for, documents_of
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.prepare import PREPARE, first_delivery
from coordinator.flow.rows import TOLD_IN_DIGEST, MessageRecord
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.observe.log import Log, write
from coordinator.planning.plan import make_plan

BATCH = 200


def prepare_digests(parts: Parts) -> int:
    """Write each due digest: one letter per (patient, recipient). Return how many items were told."""
    now = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        due = [one for name in tx.digests_due(now, BATCH) if (one := readable(tx, name, "digest")) is not None]
    groups: dict[tuple[str, str], list[MessageRecord]] = defaultdict(list)
    for message in due:
        groups[message.patient_key, message.provider_id].append(message)
    for items in groups.values():
        try:
            _one_digest(parts, items)
        except SPOILT as bug:
            write(Log.BUG, message_id=items[-1].id, error_type=type(bug).__name__, job="digest")
    return len(due)


def _one_digest(parts: Parts, items: list[MessageRecord]) -> None:
    newest = items[-1]
    with parts.ledger.begin(write=False) as tx:
        case = _case(tx, items)
    if case is None:
        _hold(parts, items, "registry.patient-missing")
        return
    plan = make_plan(case, parts.workshop.rules, ())
    mine = next((one for one in plan.recipients if one.provider == newest.provider_id), None)
    if mine is None or mine.not_sent_because is not None or not mine.letters:
        _hold(parts, items, "consent.no-consent" if mine is None else f"consent.{mine.consent.reason}")
        return
    try:
        made = compose_for(parts.workshop, case, plan, replace(mine, when="now"))
    except (MappingHeld, LetterRefused) as refused:
        code = "event.letter" if isinstance(refused, LetterRefused) else "event.mapping"
        write(Log.LETTER_HELD, message_id=newest.id, code=code)
        _hold(parts, items, code)
        return
    except Exception as bug:
        # As for one event: it may not cost the digests after it, and the clocks after those.
        ill = lacks_means(bug)
        write(Log.NO_MEANS if ill else Log.BUG, message_id=newest.id, error_type=type(bug).__name__, job="digest")
        if not ill:
            _hold(parts, items, "bug")
        return
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        current = [tx.message(one.id, lock=True) for one in items]
        if any(one is None or one.state != "digest" for one in current):
            return
        # The data went after each session, except Part 2 material, which goes with its letter or not at all.
        contents = tuple(one for one in made.contents if one.level != "chart" or is_part2(case))
        for document in documents_of(newest.id, replace(made, contents=contents)):
            tx.add_document(document, at=now)
        for one in items[:-1]:
            tx.move_message(one.id, "superseded", at=now, cause=TOLD_IN_DIGEST, superseded_by=newest.id)
        # The letter rests on every session it tells of, so what it is may differ from what the last one alone was.
        rests_on = {"part2": is_part2(case), "consent": asdict(mine.consent)}
        plan_now = {**newest.plan, **rests_on}
        tx.open_waiting(
            newest.id, letters=newest.letters, priority=newest.priority, plan=plan_now,
            acknowledge_by_at=newest.acknowledge_by_at, tell_by_at=newest.tell_by_at, at=now,
        )  # fmt: skip
        first_delivery(parts, tx, newest, mine)
        tx.audit(PREPARE, "digest prepared", at=now, patient_key=newest.patient_key, subject=newest.id)


def _case(tx: Transaction, items: list[MessageRecord]) -> Case | None:
    rows = [tx.inbox_row(one.event_ref) for one in items]
    sessions = [row.event for row in rows if row is not None and isinstance(row.event, SessionOutcome)]
    last = rows[-1]
    if last is None or not sessions:
        return None
    case = gather(tx, last)
    if case is None:
        return None
    return replace(case, digest_of=tuple(sessions), previous=None, already_sent=())


def _hold(parts: Parts, items: list[MessageRecord], cause: str) -> None:
    """Leave a digest that cannot be written where people see it: withheld, each with the cause."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        for one in items:
            current = tx.message(one.id, lock=True)
            if current is not None and current.state == "digest":
                tx.move_message(one.id, "withheld", at=now, cause=cause)
                tx.audit(PREPARE, "digest held", at=now, patient_key=one.patient_key, subject=one.id, code=cause)
