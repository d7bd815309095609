"""What was measured in a session: the blood-pressure strip, scores, safety, and how it came out."""

from dataclasses import dataclass
from datetime import datetime

from coordinator.domain.events import (
    AdverseEvent,
    Dissociation,
    RescueMedication,
    Score,
    Sedation,
    SessionOutcome,
    VitalSigns,
)
from coordinator.domain.values import NotDone, Unknown
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact


@dataclass(frozen=True)
class Reading:
    """One set of readings. `at` is without its zone, which the strip names once.

    `pressure` is systolic over diastolic in mmHg; rates are per minute, saturation in %.
    """

    at: Traced
    pressure: Traced
    heart_rate: Traced
    spo2: Traced


@dataclass(frozen=True)
class Extreme:
    """An extreme value that stands in none of the readings shown: what it is, the value, when."""

    what: str
    value: Traced
    at: Traced


@dataclass(frozen=True)
class Vitals:
    """Before the dose, the highest, at discharge. `rise` is highest minus before, both halves.

    `apart` tells the extremes that stand in none of the three: (what, value, when).
    """

    zone: Traced
    baseline: Reading | None
    peak: Reading | None
    discharge: Reading | None
    rise: Traced | None
    apart: tuple[Extreme, ...]
    symptoms: Traced


@dataclass(frozen=True)
class ScoreLine:
    """One score with what is needed to read it."""

    name: Traced
    about: Traced
    total: Traced
    highest: Traced | None
    band: Traced | None
    window: Traced
    on: Traced
    previous: Traced | None
    previous_on: Traced | None


@dataclass(frozen=True)
class EventLine:
    """One adverse event, with its course."""

    term: Traced
    severity: Traced
    serious: bool
    resolved: Traced | None
    outcome: Traced | None
    """How it came out, where no time of its end is recorded."""
    action: Traced | None


@dataclass(frozen=True)
class Safety:
    """What came out of looking for harm. `events` None when nobody recorded whether there was any."""

    risk: Traced
    risk_tool: Traced | None
    risk_how: Traced | None
    item_9: Traced | None
    item_9_highest: Traced | None
    events: tuple[EventLine, ...] | None
    events_missing: Traced | None
    given: tuple[Traced, ...]


@dataclass(frozen=True)
class Mind:
    """Sedation and dissociation: what the session did to awareness, and when it was over."""

    sedation: Traced
    sedation_at: Traced | None
    dissociation: bool
    dissociation_missing: Traced | None
    cadss: Traced | None
    resolved: Traced | None


def readings(session: SessionOutcome) -> list[tuple[int, VitalSigns]]:
    """Return the readings that have a whole blood pressure, in order of time, each with its index."""
    rows = enumerate(session.vitals)
    whole = [row for row in rows if isinstance(row[1].systolic, int) and isinstance(row[1].diastolic, int)]
    return sorted(whole, key=lambda row: row[1].at)


def baseline_of(session: SessionOutcome) -> tuple[int, VitalSigns] | None:
    """Return the last whole reading before the dose, or None."""
    rows = [row for row in readings(session) if row[1].slot == "baseline"]
    return rows[-1] if rows else None


def peak_of(session: SessionOutcome) -> tuple[int, VitalSigns] | None:
    """Return the reading after the dose began with the highest systolic value (the diastolic one decides a tie)."""
    rows = [row for row in readings(session) if row[1].slot != "baseline"]
    return max(rows, key=lambda row: (_whole(row[1].systolic), _whole(row[1].diastolic)), default=None)


def discharge_of(session: SessionOutcome) -> tuple[int, VitalSigns] | None:
    """Return the last reading at discharge, or None."""
    rows = [row for row in readings(session) if row[1].slot == "discharge"]
    return rows[-1] if rows else None


def vitals(brief: Brief, session: SessionOutcome, at: str) -> Vitals | None:
    """Return the blood-pressure strip; None when no reading was recorded. `at` is the session's source."""
    if not session.vitals:
        return None
    base, peak, last = baseline_of(session), peak_of(session), discharge_of(session)
    zone = formats.zone_name(session.vitals[0].at, brief.zone)
    return Vitals(
        zone=fact(zone, brief.zone, "registry:/clinic/time_zone", f"{at}/vitals/0/at"),
        baseline=_reading(brief, base, at),
        peak=_reading(brief, peak, at),
        discharge=_reading(brief, last, at),
        rise=_rise(session, at),
        apart=_extremes(brief, session, at, {row[0] for row in (base, peak, last) if row}),
        symptoms=_symptoms(brief, session, at),
    )


def pressure(one: VitalSigns, at: str) -> Traced:
    """Return a whole blood pressure as "184/112"."""
    text = f"{_whole(one.systolic)}/{_whole(one.diastolic)}"
    return fact(text, (one.systolic, one.diastolic), f"{at}/systolic", f"{at}/diastolic")


def _reading(brief: Brief, row: tuple[int, VitalSigns] | None, at: str) -> Reading | None:
    if row is None:
        return None
    place, one = f"{at}/vitals/{row[0]}", row[1]
    return Reading(
        at=fact(formats.clock_time(one.at, brief.zone), one.at, f"{place}/at"),
        pressure=pressure(one, place),
        heart_rate=brief.count(one.heart_rate, f"{place}/heart_rate"),
        spo2=brief.count(one.spo2, f"{place}/spo2", "%"),
    )


def _extremes(brief: Brief, session: SessionOutcome, at: str, shown: set[int]) -> tuple[Extreme, ...]:
    """Return the highest diastolic value and pulse and the lowest saturation, where no shown reading has them."""
    found = []
    for what, name, unit, sign in (
        ("diastolic", "diastolic", "mm[Hg]", 1),
        ("pulse", "heart_rate", "/min", 1),
        ("saturation", "spo2", "%", -1),
    ):
        rows = [
            (sign * value, index)
            for index, one in enumerate(session.vitals)
            if isinstance(value := getattr(one, name), int)
        ]
        if not rows:
            continue
        extreme, index = max(rows, key=lambda row: row[0])
        if any(value == extreme and place in shown for value, place in rows):
            continue
        place = f"{at}/vitals/{index}"
        value = brief.count(getattr(session.vitals[index], name), f"{place}/{name}", unit)
        found.append(Extreme(what, value, brief.time(session.vitals[index].at, f"{place}/at")))
    return tuple(found)


def _rise(session: SessionOutcome, at: str) -> Traced | None:
    """Each half's own highest value minus the value before the dose: the two may stand in different readings."""
    base = baseline_of(session)
    after = [row for row in readings(session) if row[1].slot != "baseline"]
    if base is None or not after:
        return None
    high = max(after, key=lambda row: _whole(row[1].systolic))
    low = max(after, key=lambda row: _whole(row[1].diastolic))
    up = _whole(high[1].systolic) - _whole(base[1].systolic)
    up_low = _whole(low[1].diastolic) - _whole(base[1].diastolic)
    return fact(
        f"{formats.signed(up)}/{formats.signed(up_low)}",
        (up, up_low),
        f"{at}/vitals/{high[0]}/systolic",
        f"{at}/vitals/{low[0]}/diastolic",
        f"{at}/vitals/{base[0]}/systolic",
        f"{at}/vitals/{base[0]}/diastolic",
    )


def _symptoms(brief: Brief, session: SessionOutcome, at: str) -> Traced:
    place, value = f"{at}/blood_pressure_symptoms", session.blood_pressure_symptoms
    if value == "none" or (isinstance(value, tuple) and not value):
        return brief.words("symptom", "none", place)
    if isinstance(value, tuple):
        return fact(", ".join(brief.lexicon.say("symptom", one) for one in value), value, place, kind="words")
    return brief.missing(value, place)


def score_line(brief: Brief, score: Score, at: str, earlier: tuple[Score, str] | None) -> ScoreLine:
    """Return one score with range, band, recall window and the one before."""
    scale = brief.lexicon.instrument(score.instrument)
    data = f"letters:/instruments/{scale.key}"
    known = isinstance(score.total, int)
    band = scale.band(score.total) if isinstance(score.total, int) else None
    return ScoreLine(
        name=fact(scale.name, scale.key, f"{at}/instrument", f"{data}/name"),
        about=fact(scale.about, None, f"{data}/about", kind="words"),
        total=brief.count(score.total, f"{at}/total"),
        highest=fact(str(scale.highest), scale.highest, f"{data}/highest") if known else None,
        band=fact(band, band, f"{data}/bands", kind="words") if band else None,
        window=fact(scale.window, None, f"{data}/window"),
        on=brief.day(score.on, f"{at}/on"),
        previous=brief.count(earlier[0].total, f"{earlier[1]}/total") if earlier else None,
        previous_on=brief.day(earlier[0].on, f"{earlier[1]}/on") if earlier else None,
    )


def scores(brief: Brief, session: SessionOutcome, at: str) -> tuple[ScoreLine, ...]:
    """Return the session's scores (dissociation stands with safety), each with the one before it in the history."""
    rows = []
    for index, one in enumerate(session.scores):
        if not one.instrument.startswith("cadss"):
            rows.append(score_line(brief, one, f"{at}/scores/{index}", _earlier(brief, one)))
    return tuple(rows)


def course_scores(brief: Brief, rows: tuple[tuple[str, SessionOutcome], ...]) -> tuple[ScoreLine, ...]:
    """Return the last score of each scale over a course's sessions (source, session), each with the first one."""
    first: dict[str, tuple[Score, str]] = {}
    last: dict[str, tuple[Score, str]] = {}
    for at, session in rows:
        for index, one in enumerate(session.scores):
            if not one.instrument.startswith("cadss") and isinstance(one.total, int):
                first.setdefault(one.instrument, (one, f"{at}/scores/{index}"))
                last[one.instrument] = (one, f"{at}/scores/{index}")
    return tuple(score_line(brief, *last[key], None if last[key] == first[key] else first[key]) for key in last)


def _earlier(brief: Brief, score: Score) -> tuple[Score, str] | None:
    found: tuple[Score, str] | None = None
    for place, event in enumerate(brief.case.history):
        if not isinstance(event, SessionOutcome) or event.status == "entered-in-error":
            continue
        for index, one in enumerate(event.scores):
            same = one.instrument == score.instrument and isinstance(one.total, int) and one.on < score.on
            if same and (found is None or one.on >= found[0].on):
                found = (one, f"history/{place}:/scores/{index}")
    return found


def safety(brief: Brief, session: SessionOutcome, at: str) -> Safety:
    """Return the safety line: every part says what was found, or that it was not recorded."""
    risk = session.suicide_risk
    known_risk = None if risk is None or isinstance(risk, NotDone | Unknown) else risk
    place = f"{at}/suicide_risk"
    events = session.adverse_events
    told = None if isinstance(events, NotDone | Unknown) else events
    return Safety(
        risk=brief.words("risk", known_risk.result, f"{place}/result") if known_risk else brief.missing(risk, place),
        risk_tool=brief.words("risk_tool", known_risk.instrument, f"{place}/instrument") if known_risk else None,
        risk_how=brief.words("administered", known_risk.administered, f"{place}/administered") if known_risk else None,
        item_9=_item_9(brief, session, at),
        item_9_highest=_item_9_highest(brief, session),
        events=None if told is None else event_lines(brief, session, at),
        events_missing=brief.missing(events, f"{at}/adverse_events") if told is None else None,
        given=tuple(
            _given_line(brief, one, f"{at}/rescue_medications/{index}")
            for index, one in enumerate(session.rescue_medications)
        ),
    )


def mind(brief: Brief, session: SessionOutcome, at: str) -> Mind:
    """Return sedation and dissociation, each found or said to be missing."""
    sedation, away = session.sedation, session.dissociation
    deep = sedation if isinstance(sedation, Sedation) else None
    known = away if isinstance(away, Dissociation) else None
    cadss = known.cadss_total if known and known.present else None
    return Mind(
        sedation=brief.count(deep.lowest, f"{at}/sedation/lowest")
        if deep
        else brief.missing(sedation, f"{at}/sedation"),
        sedation_at=brief.time(deep.at, f"{at}/sedation/at") if deep else None,
        dissociation=bool(known and known.present),
        dissociation_missing=None if known else brief.missing(away, f"{at}/dissociation"),
        cadss=brief.count(cadss, f"{at}/dissociation/cadss_total") if isinstance(cadss, int) else None,
        resolved=_resolved(brief, known.resolved_at, f"{at}/dissociation/resolved_at")
        if known and known.present
        else None,
    )


def _given_line(brief: Brief, one: RescueMedication, at: str) -> Traced:
    dose = brief.amount(one.dose, f"{at}/dose").text
    text = f"{one.product} {dose}, {formats.clinic_time(one.at, brief.zone)}"
    return fact(text, one.product, f"{at}/product", f"{at}/dose", f"{at}/at")


def _item_9(brief: Brief, session: SessionOutcome, at: str) -> Traced | None:
    for index, one in enumerate(session.scores):
        if one.instrument == "phq-9" and one.item_9 is not None:
            return brief.count(one.item_9, f"{at}/scores/{index}/item_9")
    return None


def _item_9_highest(brief: Brief, session: SessionOutcome) -> Traced | None:
    """Return the highest value of the self-harm item, so that its value is never a lone digit on a fax."""
    for one in session.scores:
        if one.instrument == "phq-9" and one.item_9 is not None:
            scale = brief.lexicon.instrument(one.instrument)
            highest = scale.item_highest
            data = f"letters:/instruments/{scale.key}/item_highest"
            if highest is None:
                raise LetterRefused("letter.template", f"instruments.yaml {scale.key} items")
            return fact(str(highest), highest, data)
    return None


def event_lines(brief: Brief, session: SessionOutcome, at: str) -> tuple[EventLine, ...]:
    """Return the adverse events that were recorded; none also when nobody recorded whether there were any."""
    events = session.adverse_events
    told = () if isinstance(events, NotDone | Unknown) else events
    return tuple(_event_line(brief, one, f"{at}/adverse_events/{index}") for index, one in enumerate(told))


def _event_line(brief: Brief, one: AdverseEvent, at: str) -> EventLine:
    resolved = one.resolved_at
    return EventLine(
        term=fact(one.term, one.term, f"{at}/term"),
        severity=brief.words("severity", one.severity, f"{at}/severity"),
        serious=one.serious,
        resolved=None if resolved is None else _resolved(brief, resolved, f"{at}/resolved_at"),
        outcome=brief.words("outcome", one.outcome, f"{at}/outcome") if one.outcome and resolved is None else None,
        action=fact(one.action, one.action, f"{at}/action") if one.action else None,
    )


def _resolved(brief: Brief, value: object, at: str) -> Traced:
    return brief.time(value, at) if isinstance(value, datetime) else brief.missing(value, at)


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole reading is needed")
    return value
