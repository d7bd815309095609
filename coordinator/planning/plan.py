"""The whole decision about one event version: who, whether, what, how urgently, by which route, by when."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from coordinator.domain.case import Case
from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.part2 import is_part2
from coordinator.domain.plan import PRIORITIES, Plan, Priority, Question, RecipientPlan, Request, RuleOutcome
from coordinator.domain.values import folded
from coordinator.planning import clocks
from coordinator.planning.conditions import Facts
from coordinator.planning.facts import facts_of
from coordinator.planning.letters_due import DISCREPANCY, Due, letters_due
from coordinator.planning.recipients import (
    WHY_NOT,
    Recipient,
    channels_of,
    consent_for,
    needs_own_consent,
    recipients_of,
)
from coordinator.planning.requests_due import requests_for
from coordinator.planning.rules import RuleBook, evaluate

ROUTINE_HOURS = 4
"""Working hours after which a routine change of dose or adverse event that has not arrived is shown to staff."""
ROUTINE_DAYS = 2
ACKNOWLEDGE_DAYS = 5
"""Business days for the answer to a routine request (closed-loop practice; a proposal to sign off)."""


def make_plan(case: Case, book: RuleBook, questions: tuple[Question, ...]) -> Plan:
    """Return the plan for an event version. A pure function of its arguments.

    Nothing is left out: a recipient who may not be told stays in it, with the reason
    and nothing else. Questions do not stop the planning; whoever carries the plan
    out waits for their answers.
    """
    facts = facts_of(case)
    outcomes = evaluate(book, case, facts)
    before: tuple[RuleOutcome, ...] = ()
    if case.previous is not None and case.previous.patient == case.event.patient:
        before = evaluate(book, replace(case, event=case.previous, previous=None))
    plans = tuple(_for(case, facts, book, one, outcomes, before) for one in recipients_of(case))
    return Plan(
        event_id=case.event.id,
        event_version=case.event.version,
        questions=questions,
        rules=outcomes,
        recipients=plans,
        lane_subject=lane_subject(case),
        notes=_notes(plans),
    )


def lane_subject(case: Case) -> str:
    """Return what the messages of this event are about: an older one on the same subject must not overtake them."""
    event = case.event
    if isinstance(event, SessionOutcome):
        return f"session:{hashlib.sha256(f'{case.source}|{event.id}'.encode()).hexdigest()[:16]}"
    if event.subject == "stimulant":
        return "stimulant"
    regimen = next((one for one in (event.to, event.from_) if one is not None and hasattr(one, "product")), None)
    product = folded(getattr(regimen, "product", "unknown"))
    if event.subject == "clinic-drug":
        return f"clinic-drug:{product}"
    return f"medicine:{hashlib.sha256(product.encode()).hexdigest()[:16]}"


def _concerning(outcomes: Sequence[RuleOutcome], book: RuleBook, to: Recipient) -> list[RuleOutcome]:
    """Return the rules that fired and concern a recipient, most severe first.

    Among equals the rule that is severe by itself goes before one that was raised by
    a circumstance.
    """
    fired = [one for one in outcomes if one.fired and book.rule(one.id).concerns(to.roles)]

    def severity(one: RuleOutcome) -> tuple[int, int, int]:
        own: Priority = book.rule(one.id).row["priority"]
        return -PRIORITIES.index(one.priority or "routine"), -PRIORITIES.index(own), int(one.id[1:])

    return sorted(fired, key=severity)


def _for(
    case: Case,
    facts: Facts,
    book: RuleBook,
    to: Recipient,
    outcomes: Sequence[RuleOutcome],
    before: Sequence[RuleOutcome],
) -> RecipientPlan:
    """Return one recipient's part of the plan."""
    fired = _concerning(outcomes, book, to)
    due = letters_due(case, to, fired, differ=any(one.id == DISCREPANCY and one.fired for one in outcomes))
    today = case.composed_at.astimezone(ZoneInfo(case.clinic.time_zone)).date()
    consent = consent_for(case.patient, to.provider.id, due.letters, today, part2=is_part2(case))
    priority = _priority(fired, _concerning(before, book, to) if to.holds else [])
    refused = due.nothing_because
    if not consent.permits:
        refused = WHY_NOT[consent.reason]
    elif refused is None and needs_own_consent(case.patient, consent, today):
        refused = "The patient has turned 18, and the consent on record is not the patient's own."
    if refused is not None:
        return RecipientPlan(to.provider.id, to.audience, consent, "routine", (), (), (), not_sent_because=refused)
    asks = due.when == "now" and due.letters != ("L9",)
    requests = requests_for(case, facts, book, to, fired, due.letters) if asks else ()
    return RecipientPlan(
        provider=to.provider.id,
        audience=to.audience,
        consent=consent,
        priority=priority,
        letters=due.letters,
        requests=requests,
        channels=channels_of(to.provider, today),
        when=due.when,
        digest_due_at=due.digest_due_at,
        why=due.why,
        phone_call=priority == "stat",
        acknowledge_by_at=_acknowledge_by(case.composed_at, priority, requests, to),
        tell_a_person_by_at=_tell_by(case, priority, due, fired),
    )


def _priority(fired: Sequence[RuleOutcome], before: Sequence[RuleOutcome]) -> Priority:
    """Return the highest priority; a correction keeps that of the letter it corrects when that was higher."""
    priority: Priority = "routine"
    for one in (*fired, *before):
        priority = clocks.higher(priority, one.priority or "routine")
    return priority


def _acknowledge_by(start: datetime, priority: Priority, requests: Sequence[Request], to: Recipient) -> datetime | None:
    zone = to.provider.time_zone
    if priority in clocks.TELL_A_PERSON:
        return clocks.after_hours(start, clocks.TELL_A_PERSON[priority].total_seconds() / 3600, zone)
    if not requests:
        return None
    by = clocks.end_of_business_day(start, ACKNOWLEDGE_DAYS, zone)
    return min([by, *(one.due_at for one in requests if one.due_at is not None)])


def _tell_by(case: Case, priority: Priority, due: Due, fired: Sequence[RuleOutcome]) -> datetime:
    start = due.digest_due_at or case.composed_at
    zone = case.clinic.time_zone
    if priority in clocks.TELL_A_PERSON:
        return clocks.after_hours(start, clocks.TELL_A_PERSON[priority].total_seconds() / 3600, zone)
    event = case.event
    adverse = isinstance(event, SessionOutcome) and isinstance(event.adverse_events, tuple) and event.adverse_events
    if isinstance(event, DoseChange) or fired or (adverse and due.when == "now"):
        return clocks.after_working_hours(start, ROUTINE_HOURS, zone)
    return clocks.end_of_business_day(start, ROUTINE_DAYS, zone)


def _notes(plans: Sequence[RecipientPlan]) -> tuple[str, ...]:
    if plans:
        return ()
    return ("Nobody outside the clinic is on the patient's care team, so nobody is told.",)
