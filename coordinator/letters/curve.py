"""The two pictures of a letter, as geometry: blood pressure over the session, and the course so far.

Units are points; y grows downwards. Only the three readings that matter are labelled,
so a picture holds no number that the letter does not also say in words. Series differ
by line style and mark, never by colour, and stay apart in a 1-bit fax.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from coordinator.domain.events import SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.traced import Traced, fact

WIDTH, HEIGHT = 250, 118
LEFT, RIGHT = 6.0, 244.0
LABEL_GAP = 36.0
"""Two labels nearer than this would run into each other; the less important one is left to the table."""


@dataclass(frozen=True)
class Line:
    """A polyline."""

    points: str
    style: Literal["solid", "dashed", "limit"]


@dataclass(frozen=True)
class Mark:
    """A point of a series."""

    x: str
    y: str
    shape: Literal["full", "hollow", "square"]


@dataclass(frozen=True)
class Label:
    """A traced text beside a point."""

    x: str
    y: str
    anchor: Literal["start", "middle", "end"]
    text: Traced


@dataclass(frozen=True)
class Drawing:
    """What the picture macro draws."""

    width: int
    height: int
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Curve:
    """Blood pressure (upper panel) and heart rate (lower panel) over one session; limits as dashed lines."""

    drawing: Drawing
    limits: tuple[Traced, ...]
    has_heart_rate: bool


@dataclass(frozen=True)
class Series:
    """One score over the course: its name, first and last total."""

    name: Traced
    first: Traced
    last: Traced


@dataclass(frozen=True)
class Trend:
    """The course so far: doses (upper panel) and up to two scores (lower panel)."""

    drawing: Drawing
    first_on: Traced
    last_on: Traced
    first_dose: Traced | None
    last_dose: Traced | None
    series: tuple[Series, ...]


@dataclass(frozen=True)
class _Scale:
    """Maps values onto a stretch of points."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _pt(value: float) -> str:
    return format(round(value, 1), "g")


def _line(points: Sequence[tuple[float, float]], style: Literal["solid", "dashed", "limit"]) -> Line:
    return Line(" ".join(f"{_pt(x)},{_pt(y)}" for x, y in points), style)


def _marks(points: Sequence[tuple[float, float]], shape: Literal["full", "hollow", "square"]) -> list[Mark]:
    return [Mark(_pt(x), _pt(y), shape) for x, y in points]


def _anchor(x: float) -> Literal["start", "middle", "end"]:
    return "start" if x < LEFT + 14 else "end" if x > RIGHT - 14 else "middle"


def curve(brief: Brief, session: SessionOutcome, at: str) -> Curve | None:
    """Return the curve of one session, or None when fewer than three whole readings were recorded."""
    rows = [
        (index, one, one.systolic, one.diastolic)
        for index, one in sorted(enumerate(session.vitals), key=lambda row: row[1].at)
        if isinstance(one.systolic, int) and isinstance(one.diastolic, int)
    ]
    if len(rows) < 3:
        return None
    limits = _limits(brief)
    values = [v for _, _, high, low in rows for v in (high, low)] + [value for value, _ in limits]
    x = _Scale(rows[0][1].at.timestamp(), rows[-1][1].at.timestamp(), LEFT, RIGHT)
    y = _Scale(min(values), max(values), 60.0, 14.0)
    upper = [(x(one.at.timestamp()), y(high)) for _, one, high, _ in rows]
    lower = [(x(one.at.timestamp()), y(low)) for _, one, _, low in rows]
    lines = [_line(upper, "solid"), _line(lower, "solid")]
    lines += [_line([(LEFT, y(value)), (RIGHT, y(value))], "limit") for value, _ in limits]
    marks = _marks(upper, "full") + _marks(lower, "hollow")
    shown = _worth_labelling(session, [row[0] for row in rows], x)
    labels: list[Label] = []
    for index, one, high, low in rows:
        if index in shown:
            place, px = f"{at}/vitals/{index}", x(one.at.timestamp())
            for value, name, py in ((high, "systolic", y(high) - 5), (low, "diastolic", y(low) + 13)):
                text = fact(str(value), value, f"{place}/{name}")
                labels.append(Label(_pt(px), _pt(py), _anchor(px), text))
            clock = fact(formats.clock_time(one.at, brief.zone), one.at, f"{place}/at")
            labels.append(Label(_pt(px), _pt(HEIGHT - 2), _anchor(px), clock))
    rates = _heart_rate(session, at, x, shown)
    return Curve(
        drawing=Drawing(WIDTH, HEIGHT, (*lines, *rates.lines), (*marks, *rates.marks), (*labels, *rates.labels)),
        limits=tuple(text for _, text in limits),
        has_heart_rate=bool(rates.lines),
    )


def _worth_labelling(session: SessionOutcome, indexes: Sequence[int], x: _Scale) -> set[int]:
    """Return the readings to label: the highest, then the first, then the last, as far as there is room."""
    peak = max(indexes[1:], key=lambda i: (_number(session.vitals[i].systolic), _number(session.vitals[i].diastolic)))
    shown: set[int] = set()
    for index in (peak, indexes[0], indexes[-1]):
        here = x(session.vitals[index].at.timestamp())
        if all(abs(here - x(session.vitals[other].at.timestamp())) >= LABEL_GAP for other in shown):
            shown.add(index)
    return shown


def _heart_rate(session: SessionOutcome, at: str, x: _Scale, shown: set[int]) -> Drawing:
    rows = [
        (index, one.at.timestamp(), one.heart_rate)
        for index, one in sorted(enumerate(session.vitals), key=lambda row: row[1].at)
        if isinstance(one.heart_rate, int) and x.low <= one.at.timestamp() <= x.high
    ]
    if len(rows) < 3:
        return Drawing(WIDTH, HEIGHT, (), (), ())
    rates = [rate for _, _, rate in rows]
    y = _Scale(min(rates), max(rates), 102.0, 92.0)
    points = [(x(when), y(rate)) for _, when, rate in rows]
    labels = tuple(
        Label(
            _pt(x(when)), _pt(y(rate) - 4), _anchor(x(when)), fact(str(rate), rate, f"{at}/vitals/{index}/heart_rate")
        )
        for index, when, rate in rows
        if index in shown
    )
    return Drawing(WIDTH, HEIGHT, (_line(points, "dashed"),), tuple(_marks(points, "square")), labels)


def _limits(brief: Brief) -> list[tuple[int, Traced]]:
    """Return the signed limits of the rule about high readings, where it was evaluated."""
    for place, one in enumerate(brief.plan.rules):
        if one.id == "R3" and one.state == "evaluated":
            found = []
            for key, value in sorted(one.thresholds.items()):
                if ("systolic" in key or "diastolic" in key) and str(value).isdigit():
                    found.append((int(value), fact(str(value), value, f"plan:/rules/{place}/thresholds/{key}")))
            return found
    return []


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def trend(brief: Brief) -> Trend | None:
    """Return the course so far, or None before its second session."""
    rows = _course(brief)
    days = [_day(brief, one) for _, one in rows]
    if len(rows) < 2 or days[0] == days[-1]:
        return None
    x = _Scale(days[0].toordinal(), days[-1].toordinal(), LEFT, RIGHT)
    doses = _doses(brief, rows, x)
    drawings, series = _scores(brief, rows, x)
    if doses is None and not series:
        return None
    first_on, last_on = (_told_day(brief, *row) for row in (rows[0], rows[-1]))
    dates = (
        Label(_pt(LEFT), _pt(HEIGHT - 2), "start", first_on),
        Label(_pt(RIGHT), _pt(HEIGHT - 2), "end", last_on),
    )
    parts = [*([doses] if doses else []), *drawings]
    return Trend(
        drawing=Drawing(
            WIDTH,
            HEIGHT,
            tuple(line for part in parts for line in part.lines),
            tuple(mark for part in parts for mark in part.marks),
            (*(label for part in parts for label in part.labels), *dates),
        ),
        first_on=first_on,
        last_on=last_on,
        first_dose=doses.labels[0].text if doses else None,
        last_dose=doses.labels[-1].text if doses else None,
        series=series,
    )


def _course(brief: Brief) -> list[tuple[str, SessionOutcome]]:
    events = [(f"history/{place}:", one) for place, one in enumerate(brief.case.history)]
    events.append(("event:", brief.case.event))
    course = brief.case.event.course.id
    return [
        (at, one)
        for at, one in events
        if isinstance(one, SessionOutcome)
        and one.course.id == course
        and one.administration is not None
        and one.status != "entered-in-error"
    ]


def _day(brief: Brief, one: SessionOutcome) -> date:
    return formats.local_day(_start(one), brief.zone)


def _start(one: SessionOutcome) -> datetime:
    return one.administration.started_at if one.administration else one.recorded_at


def _told_day(brief: Brief, at: str, one: SessionOutcome) -> Traced:
    return brief.day_of(_start(one), f"{at}/administration/started_at")


def _doses(brief: Brief, rows: Sequence[tuple[str, SessionOutcome]], x: _Scale) -> Drawing | None:
    """Return the doses as stems; None when product, route or unit changed, since those do not compare."""
    given = []
    for at, one in rows:
        dose = one.administration
        if dose is not None and isinstance(dose.dose, Quantity):
            given.append(
                (_day(brief, one), dose.dose, f"{at}/administration/dose", (dose.product, dose.route, dose.dose.unit))
            )
    if len(given) < 2 or len({key for *_, key in given}) > 1:
        return None
    y = _Scale(0.0, float(max(amount.value for _, amount, *_ in given)), 48.0, 16.0)
    tops = [(x(day.toordinal()), y(float(amount.value))) for day, amount, *_ in given]
    ends = (0, len(given) - 1)
    labels = tuple(
        Label(_pt(tops[i][0]), _pt(tops[i][1] - 5), _anchor(tops[i][0]), brief.amount(given[i][1], given[i][2]))
        for i in ends
    )
    stems = tuple(_line([(px, 48.0), (px, py)], "solid") for px, py in tops)
    return Drawing(
        WIDTH, HEIGHT, (*stems, _line([(LEFT, 48.0), (RIGHT, 48.0)], "solid")), tuple(_marks(tops, "full")), labels
    )


def _scores(
    brief: Brief, rows: Sequence[tuple[str, SessionOutcome]], x: _Scale
) -> tuple[list[Drawing], tuple[Series, ...]]:
    """Return up to two scores as lines on their own full range, so that a slope is not made by the scale."""
    found: dict[str, list[tuple[date, int, str]]] = {}
    for at, one in rows:
        for index, score in enumerate(one.scores):
            if isinstance(score.total, int) and not score.instrument.startswith("cadss"):
                found.setdefault(score.instrument, []).append((score.on, score.total, f"{at}/scores/{index}"))
    told = [(key, points) for key, points in found.items() if len(points) >= 2][:2]
    drawings, series = [], []
    shapes: tuple[tuple[Literal["solid", "dashed"], Literal["hollow", "square"]], ...] = (
        ("solid", "hollow"),
        ("dashed", "square"),
    )
    for place, (key, points) in enumerate(told):
        scale = brief.lexicon.instrument(key)
        y = _Scale(float(Decimal(scale.lowest)), float(scale.highest), 100.0, 66.0)
        spots = [(min(max(x(on.toordinal()), LEFT), RIGHT), y(total)) for on, total, _ in points]
        style, shape = shapes[place]
        ends = [fact(str(points[i][1]), points[i][1], f"{points[i][2]}/total") for i in (0, -1)]
        name = fact(scale.name, key, f"{points[0][2]}/instrument", f"letters:/instruments/{key}/name")
        drawings.append(Drawing(WIDTH, HEIGHT, (_line(spots, style),), tuple(_marks(spots, shape)), ()))
        series.append(Series(name=name, first=ends[0], last=ends[1]))
    return drawings, tuple(series)
