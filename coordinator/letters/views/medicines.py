"""Medicines in a letter: what changed, the stimulant as we understand it, and the clinic's own dose."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from coordinator.domain.events import Administration, DoseChange, MedicineTaken, Regimen, SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import KnownMedication
from coordinator.domain.values import NotDone, Unknown, folded
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact

PER_WEIGHT_PLACES = Decimal("0.001")


@dataclass(frozen=True)
class MedicineRow:
    """A row of the table of medicines: drug, before, now, from when, why, who decided."""

    drug: Traced
    before: Traced
    now: Traced
    since: Traced
    why: Traced
    decided_by: Traced


@dataclass(frozen=True)
class Statement:
    """One party's statement of a regimen: product, dose and rhythm, who says so, as of when."""

    regimen: Traced
    said_by: Traced
    as_of: Traced


@dataclass(frozen=True)
class Taken:
    """What was taken before the session: amount, when, and who says so.

    `product` is None when it is the one the statement before it names, `day` is None
    when it is the day of the session.
    """

    product: Traced | None
    dose: Traced
    at: Traced
    known_time: bool
    day: Traced | None
    report: Traced


@dataclass(frozen=True)
class Stimulant:
    """The stimulant as we understand it. Both tuples empty: none is known to us.

    `asked_apart`: a letter of its own (L12) in the same message asks which statement holds.
    `asked_prescriber`: that letter goes to another reader.
    """

    statements: tuple[Statement, ...]
    taken: tuple[Taken, ...]
    asked_apart: bool = False
    asked_prescriber: bool = False


@dataclass(frozen=True)
class Given:
    """The dose of the session."""

    product: Traced
    route: Traced
    dose: Traced
    known: bool
    ordered: Traced | None
    weight: Traced | None
    per_weight: Traced | None
    started: Traced
    ended: Traced | None


def given(brief: Brief, session: SessionOutcome, at: str) -> Given | None:
    """Return what was given, or None when nothing was."""
    one = session.administration
    if one is None:
        return None
    place = f"{at}/administration"
    weight = session.weight if isinstance(session.weight, Quantity) else None
    return Given(
        product=brief.words("product", one.product, f"{place}/product"),
        route=brief.words("route", one.route, f"{place}/route"),
        dose=brief.amount(one.dose, f"{place}/dose"),
        known=isinstance(one.dose, Quantity),
        ordered=brief.amount(one.ordered, f"{place}/ordered") if one.ordered else None,
        weight=brief.amount(weight.normalised(), f"{at}/weight") if weight and _by_weight(one) else None,
        per_weight=None if one.ordered else per_weight(session, at),
        started=brief.time(one.started_at, f"{place}/started_at"),
        ended=brief.time(one.ended_at, f"{place}/ended_at") if one.ended_at else None,
    )


def _by_weight(one: Administration) -> bool:
    return one.product == "ketamine" and (one.ordered is None or one.ordered.normalised().unit == "mg/kg")


def per_weight(session: SessionOutcome, at: str) -> Traced | None:
    """Return the dose for body weight in mg/kg, half-even to three places, or None where it has no meaning."""
    one, weight = session.administration, session.weight
    if one is None or not isinstance(one.dose, Quantity) or not isinstance(weight, Quantity):
        return None
    mass, body = one.dose.normalised(), weight.normalised()
    if one.product != "ketamine" or mass.unit != "mg" or body.unit != "kg" or body.value <= 0:
        return None
    value = (mass.value / body.value).quantize(PER_WEIGHT_PLACES, ROUND_HALF_EVEN)
    return fact(formats.quantity(value, "mg/kg"), value, f"{at}/administration/dose", f"{at}/weight")


def earlier_session(brief: Brief) -> tuple[SessionOutcome, str] | None:
    """Return the last earlier session of the same course in which a dose was given, with its source."""
    event = brief.case.event
    found = None
    for place, one in enumerate(brief.case.history):
        told = isinstance(one, SessionOutcome) and one.administration is not None and one.status != "entered-in-error"
        if told and isinstance(one, SessionOutcome) and one.course.id == event.course.id:
            found = (one, f"history/{place}:")
    return found


def own_drug(brief: Brief, session: SessionOutcome, at: str) -> Traced:
    """Return the clinic's own drug as a session gave it, with its route. The session gave a dose."""
    one = session.administration
    if one is None:
        raise LetterRefused("letter.template", "a session that gave no dose")
    return fact(
        f"{brief.lexicon.say('product', one.product)}, {brief.lexicon.say('route', one.route)}",
        one.product,
        f"{at}/administration/product",
        f"{at}/administration/route",
        kind="words",
    )


def dose_of(brief: Brief, session: SessionOutcome, at: str) -> Traced:
    """Return the dose that a session gave."""
    one = session.administration
    return brief.amount(one.dose if one else None, f"{at}/administration/dose")


def session_row(brief: Brief) -> MedicineRow | None:
    """Return the row of the clinic's own drug for a session: the last dose and this one.

    Who decided is who answers for the session, never who typed it in.
    """
    session = brief.session
    one = session.administration
    if one is None:
        return None
    before = earlier_session(brief)
    was, same = _before(brief, before, one)
    by = session.attested_by
    return MedicineRow(
        drug=own_drug(brief, session, "event:"),
        before=was,
        now=brief.amount(one.dose, "event:/administration/dose"),
        since=brief.day_of(one.started_at, "event:/administration/started_at"),
        why=_why(brief, one, same=same),
        decided_by=(brief.person(by) if by else None) or brief.missing(None, "event:/attested_by"),
    )


def _why(brief: Brief, one: Administration, *, same: bool) -> Traced:
    """Return why this dose: the session's own reason, else that of the newest order since the session before."""
    if one.reason:
        return fact(one.reason, None, "event:/administration/reason")
    if same:
        return brief.words("reason", "as_before", "event:/course")
    before = earlier_session(brief)
    for place, past in reversed(list(enumerate(brief.case.history))):
        if before is not None and before[1] == f"history/{place}:":
            break
        ours = isinstance(past, DoseChange) and past.subject == "clinic-drug" and past.status == "active"
        if (
            ours
            and isinstance(past, DoseChange)
            and past.effective_from <= formats.local_day(one.started_at, brief.zone)
        ):
            return reason_of(brief, past, f"history/{place}:")
    return brief.words("reason", "session", "event:/course")


def _before(brief: Brief, before: tuple[SessionOutcome, str] | None, now: Administration) -> tuple[Traced, bool]:
    if before is None or before[0].administration is None:
        first = brief.session.course.session_number == 1
        return brief.words("missing", "first" if first else "unknown", "event:/course/session_number"), False
    was = before[0].administration
    place = f"{before[1]}/administration"
    text = brief.amount(was.dose, f"{place}/dose")
    if was.product != now.product or was.route != now.route:
        name = f"{text} {brief.lexicon.say('product', was.product)}, {brief.lexicon.say('route', was.route)}"
        return fact(name, text.value, f"{place}/dose", f"{place}/product", f"{place}/route"), False
    return text, was.dose == now.dose


def change_row(brief: Brief, asked_of: Traced | None) -> MedicineRow:
    """Return the row of a change of dose. For a request, `asked_of` is who decides: the prescriber."""
    change = brief.change
    before, now = change.from_, change.to
    known = next((one for one in (now, before) if isinstance(one, Regimen)), None)
    at = "event:/to" if known is now else "event:/from"
    decider = change.decided_by or (change.recorded_by if change.subject == "clinic-drug" else None)
    by = asked_of or (brief.person(decider) if decider else None)
    return MedicineRow(
        drug=drug_name(brief, known, at) if known else brief.missing(Unknown(unknown=True), at),
        before=_stopped(brief, before) if is_switch(change) else regimen(brief, before, "event:/from"),
        now=_now(brief, change, asked=asked_of is not None),
        since=_since(brief, change),
        why=reason_of(brief, change, "event:"),
        decided_by=by or brief.missing(None, "event:/decided_by"),
    )


def is_switch(change: DoseChange) -> bool:
    """Return whether one product takes the place of another: their doses do not compare."""
    before, now = change.from_, change.to
    return isinstance(before, Regimen) and isinstance(now, Regimen) and folded(before.product) != folded(now.product)


def _stopped(brief: Brief, before: Regimen | Unknown | None) -> Traced:
    """Return the product that was stopped, named with its dose, so that it is never read as the new one's."""
    dose = regimen(brief, before, "event:/from")
    if not isinstance(before, Regimen):
        return dose
    name = drug_name(brief, before, "event:/from")
    return fact(f"{name}, {dose}", dose.value, *dose.sources, *name.sources)


def reason_of(brief: Brief, change: DoseChange, at: str) -> Traced:
    """Return why: the clinician's sentence, else the words for the code, else the source's own code, spaced."""
    if change.reason.text:
        return fact(change.reason.text, change.reason.code, f"{at}/reason/text")
    code = change.reason.code
    words = brief.lexicon.words["why"].get(code, code.replace("-", " "))
    return fact(words, code, f"{at}/reason/code", kind="words")


def _since(brief: Brief, change: DoseChange) -> Traced:
    start = brief.day(change.effective_from, "event:/effective_from")
    if change.effective_to is None:
        return start
    end = brief.day(change.effective_to, "event:/effective_to")
    text = brief.lexicon.say("span", "from_to").format(start=start.text, end=end.text)
    return fact(text, change.effective_from, "event:/effective_from", "event:/effective_to")


def _now(brief: Brief, change: DoseChange, *, asked: bool) -> Traced:
    if isinstance(change.to, Regimen):
        return regimen(brief, change.to, "event:/to")
    words = brief.lexicon.say("asked_now" if asked else "action", change.action)
    scope = f" {brief.lexicon.say('scope', change.scope)}" if change.scope else ""
    return fact(f"{words}{scope}", change.action, "event:/action", "event:/scope", kind="words")


def drug_name(brief: Brief, one: Regimen, at: str) -> Traced:
    """Return the product with its route or form."""
    product = brief.lexicon.words["product"].get(one.product, one.product)
    route = f", {brief.lexicon.say('route', one.route)}" if one.route else ""
    return fact(f"{product}{route}", one.product, f"{at}/product", f"{at}/route", kind="name")


def regimen(brief: Brief, value: Regimen | Unknown | None, at: str) -> Traced:
    """Return dose and rhythm ("30 mg once daily"), or the words for why there is none."""
    if not isinstance(value, Regimen):
        return brief.missing(value, at)
    parts = [brief.amount(value.dose, f"{at}/dose").text]
    if value.form:
        parts.append(brief.lexicon.say("form", value.form))
    if value.frequency:
        parts.append(value.frequency)
    return fact(" ".join(parts), value.dose, f"{at}/dose", f"{at}/form", f"{at}/frequency")


def stimulant(brief: Brief, session: SessionOutcome | None, at: str) -> Stimulant:
    """Return every party's newest statement of the stimulant, and what was taken before the session."""
    known = [(index, one) for index, one in enumerate(brief.case.patient.medications) if one.role == "stimulant"]
    newest: dict[tuple[str, str], tuple[int, KnownMedication]] = {}
    for index, one in sorted(known, key=lambda row: row[1].as_of):
        newest[(folded(one.product), one.source)] = (index, one)
    medicines = session.other_medications_taken if session else ()
    taken = () if isinstance(medicines, NotDone | Unknown) else medicines
    products = {one.product for _, one in newest.values()}
    lines = [
        _taken(brief, one, f"{at}/other_medications_taken/{index}", products, session)
        for index, one in enumerate(taken)
        if session is not None and one.role == "stimulant"
    ]
    said = sorted(newest.values(), key=lambda row: row[0])
    return Stimulant(
        statements=tuple(_statement(brief, one, index) for index, one in said),
        taken=tuple(lines),
        asked_apart="L12" in brief.recipient.letters,
        asked_prescriber=any(
            "L12" in one.letters and one.consent.permits and one.not_sent_because is None
            for one in brief.plan.recipients
            if one.provider != brief.recipient.provider
        ),
    )


def _statement(brief: Brief, one: KnownMedication, index: int) -> Statement:
    place = brief.at_patient(f"/medications/{index}")
    dose = brief.amount(one.dose, f"{place}/dose").text
    text = f"{one.product} {dose}" + (f" {one.frequency}" if one.frequency else "")
    return Statement(
        regimen=fact(text, one.product, f"{place}/product", f"{place}/dose", f"{place}/frequency"),
        said_by=brief.words("source", one.source, f"{place}/source"),
        as_of=brief.day(one.as_of, f"{place}/as_of"),
    )


def _taken(brief: Brief, one: MedicineTaken, place: str, known: set[str], session: SessionOutcome) -> Taken:
    last = one.last_taken_at
    told = isinstance(last, datetime)
    start = session.administration.started_at if session.administration else None
    same_day = (
        isinstance(last, datetime)
        and start is not None
        and formats.local_day(last, brief.zone) == formats.local_day(start, brief.zone)
    )
    return Taken(
        product=None if known == {one.product} else fact(one.product, one.product, f"{place}/product", kind="name"),
        dose=brief.amount(one.dose, f"{place}/dose"),
        at=brief.time(last, f"{place}/last_taken_at")
        if isinstance(last, datetime)
        else brief.missing(last, f"{place}/last_taken_at"),
        known_time=told,
        day=brief.day_of(last, f"{place}/last_taken_at") if isinstance(last, datetime) and not same_day else None,
        report=brief.words("report", one.source, f"{place}/source"),
    )


def other_medicines(brief: Brief, session: SessionOutcome, at: str) -> tuple[Traced, ...]:
    """Return the other medicines taken that are not stimulants, each as one line."""
    told = session.other_medications_taken
    rows = () if isinstance(told, NotDone | Unknown) else told
    lines = []
    for index, one in enumerate(rows):
        if one.role != "stimulant":
            place = f"{at}/other_medications_taken/{index}"
            dose = brief.amount(one.dose, f"{place}/dose").text
            text = f"{one.product} {dose}" + (f" {one.frequency}" if one.frequency else "")
            lines.append(fact(text, one.product, f"{place}/product", f"{place}/dose", f"{place}/frequency"))
    return tuple(lines)
