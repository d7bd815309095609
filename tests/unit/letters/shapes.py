"""Sessions and courses of many shapes, for the two pictures of a letter."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

from coordinator.domain.events import SessionOutcome
from coordinator.letters.brief import Brief
from coordinator.letters.samples import Sample
from coordinator.letters.write import LetterRoom

BEGUN = datetime(2026, 10, 14, 9, 50, tzinfo=timezone(timedelta(hours=-5)))
Reading = tuple[str, int, int, int, int | None]
"""Slot, minutes since the first, systolic, diastolic, pulse."""


def _bell(minute: int, rise: int) -> int:
    return int(rise * math.exp(-(((minute - 45) / 30) ** 2)))


SESSIONS: dict[str, list[Reading]] = {
    "spike": [
        ("baseline", 0, 134, 84, 88),
        ("30-min", 30, 172, 104, 108),
        ("50-min", 50, 184, 112, 118),
        ("70-min", 70, 168, 100, 110),
        ("100-min", 100, 150, 92, 100),
        ("discharge", 130, 138, 86, 92),
    ],
    "flat": [("baseline", 0, 120, 80, 70), ("40-min", 40, 120, 80, 70), ("discharge", 120, 120, 80, 70)],
    "highest soon": [
        ("baseline", 0, 134, 84, 88),
        ("8-min", 8, 184, 112, 118),
        ("50-min", 50, 160, 100, 108),
        ("discharge", 130, 138, 86, 92),
    ],
    "highest last": [("baseline", 0, 120, 78, 88), ("50-min", 50, 150, 100, 108), ("discharge", 130, 178, 108, 112)],
    "highest near the end": [
        ("baseline", 0, 134, 84, 88),
        ("50-min", 50, 150, 90, 91),
        ("100-min", 100, 176, 106, 90),
        ("discharge", 108, 170, 104, 84),
    ],
    "no pulse": [("baseline", 0, 134, 84, None), ("50-min", 50, 184, 112, None), ("discharge", 130, 138, 86, None)],
    "pulse misses the highest": [
        ("baseline", 0, 134, 84, 80),
        ("30-min", 30, 160, 98, 95),
        ("50-min", 50, 184, 112, None),
        ("70-min", 70, 160, 98, 99),
        ("discharge", 130, 138, 86, 84),
    ],
    "many": [
        ("baseline", 0, 128, 80, 70),
        *((f"{i}-min", i, 128 + _bell(i, 45), 80 + _bell(i, 22), 70 + _bell(i, 25)) for i in range(2, 125, 2)),
        ("discharge", 126, 130, 82, 72),
    ],
    "no words": [("5-min", 0, 134, 84, 88), ("30-min", 30, 150, 90, 91), ("90-min", 90, 139, 85, 84)],
    "minutes": [("baseline", 0, 134, 84, 88), ("3-min", 3, 150, 90, 91), ("discharge", 9, 139, 85, 84)],
    "extreme": [
        ("baseline", 0, 150, 95, 88),
        ("40-min", 40, 238, 141, 152),
        ("60-min", 60, 220, 130, 140),
        ("discharge", 130, 179, 109, 92),
    ],
    "low": [("baseline", 0, 92, 51, 48), ("40-min", 40, 104, 58, 55), ("discharge", 130, 90, 50, 46)],
    "at the limits": [
        ("baseline", 0, 174, 106, 88),
        ("40-min", 40, 178, 108, 90),
        ("60-min", 60, 177, 107, 92),
        ("discharge", 130, 175, 105, 92),
    ],
    "narrow": [("baseline", 0, 140, 128, 88), ("40-min", 40, 150, 136, 90), ("discharge", 130, 142, 126, 92)],
}


def session(sample: Sample, rows: Sequence[Reading]) -> SessionOutcome:
    """The sample's session with these readings."""
    told = _dumped(sample)
    told["vitals"] = [
        {"slot": slot, "at": (BEGUN + timedelta(minutes=minute)).isoformat(), "systolic": high, "diastolic": low}
        | ({} if rate is None else {"heart_rate": rate})
        for slot, minute, high, low, rate in rows
    ]
    return SessionOutcome.model_validate_json(json.dumps(told))


Scores = Callable[[int], list[tuple[str, int]]]


def course(
    sample: Sample, days: Sequence[int], dose: Callable[[int], str | None], scores: Scores
) -> list[SessionOutcome]:
    """Sessions of one course on these days, with this dose (None: unknown) and these scores in each."""
    made = []
    for place, after in enumerate(days):
        told, day = _dumped(sample), date(2026, 9, 1) + timedelta(days=after)
        given = dose(place)
        told["id"] = f"sess-{place}"
        told["administration"] |= {
            "started_at": f"{day}T10:00:00-05:00",
            "ended_at": f"{day}T10:40:00-05:00",
            "dose": {"unknown": True} if given is None else {"value": given, "unit": "mg"},
        }
        told["scores"] = [{"instrument": key, "total": total, "on": str(day)} for key, total in scores(place)]
        told["vitals"] = []
        made.append(SessionOutcome.model_validate_json(json.dumps(told)))
    return made


def _dumped(sample: Sample) -> dict:
    return json.loads(sample.case.event.model_dump_json(by_alias=True))


STEADY = (30, 32.5, 35, 35, 37.5, 40, 40, 40, 42.5, 45, 45, 45)
COURSES: dict[str, tuple[Sequence[int], Callable[[int], str | None], Scores]] = {
    "two": (range(0, 6, 3), lambda i: str(30 + i), lambda i: [("phq-9", 19 - i)]),
    "three": (range(0, 9, 3), lambda i: str(30 + i), lambda i: [("phq-9", 19 - 4 * i), ("gad-7", 12 - 2 * i)]),
    "twelve": (range(0, 36, 3), lambda i: str(STEADY[i]), lambda i: [("phq-9", 22 - i), ("gad-7", 15 - i)]),
    "gaps": (
        range(0, 36, 3),
        lambda i: None if i in (3, 4) else "40",
        lambda i: ([("madrs", 36 - 2 * i)] if i % 3 == 0 else []) + ([("qids-sr16", 18 - i)] if i % 4 == 1 else []),
    ),
    "no scores": (range(0, 15, 3), lambda i: str(30 + i), lambda i: []),
    "no doses": (range(0, 12, 3), lambda i: None, lambda i: [("phq-9", 19 - i)]),
    "down and up": (
        range(0, 18, 3),
        lambda i: str(60 - 8 * i),
        lambda i: [("phq-9", 5 + 4 * i), ("gad-7", 4 * i)],
    ),
    "uneven": ((0, 1, 2, 3, 4, 60), lambda i: str(30 + i), lambda i: [("asrs-v1.1", i)]),
    "forty": (range(0, 80, 2), lambda i: str(30 + i), lambda i: [("phq-9", max(0, 27 - i))]),
}


def brief_of(room: LetterRoom, sample: Sample, event: SessionOutcome, history: Sequence[SessionOutcome] = ()) -> Brief:
    """What the presenters look at, for this session."""
    case = replace(sample.case, event=event, history=tuple(history), digest_of=())
    return room.brief(case, sample.plan, sample.recipients["psychiatrist"])


def drawn(room: LetterRoom, html: bool = False) -> Iterator[tuple[str, object]]:
    """Every shape with its picture: the values, or as it stands in a letter."""
    from coordinator.letters.curve import curve
    from coordinator.letters.trend import trend
    from coordinator.letters.views.measured import vitals

    sample = room.samples().sample("bp-spike")
    macros = room._env.get_template("macros/vitals.html").module
    for name, rows in SESSIONS.items():
        event = session(sample, rows)
        brief = brief_of(room, sample, event)
        made = curve(brief, event, "event:")
        yield name, str(macros.curve_picture(made, vitals(brief, event, "event:"))) if html else made
    for name, (days, dose, scores) in COURSES.items():
        events = course(sample, days, dose, scores)
        made = trend(brief_of(room, sample, events[-1], events[:-1]))
        yield name, str(macros.trend_picture(made)) if html else made
