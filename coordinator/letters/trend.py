"""The picture of a course so far: each dose as a stem, and up to two scores on the whole range of their scale."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from coordinator.domain.events import SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.drawing import (
    LEFT,
    SIZE,
    Drawing,
    Point,
    Scale,
    Sheet,
    discs,
    marked,
    polyline,
    pt,
    right_of,
    squares,
)
from coordinator.letters.traced import Traced, fact

_PANEL, _HIGH = 52.0, 30.0
"""From one panel's ground to the next, and how high a panel's own scale is."""
_MOST_SCORES = 2


@dataclass(frozen=True)
class Series:
    """One score over the course: its name, first and last total, and the highest that the scale has."""

    name: Traced
    first: Traced
    last: Traced
    highest: Traced


@dataclass(frozen=True)
class Trend:
    """The course so far: doses (upper panel) and up to two scores, one panel each.

    `drawing` is None where it would show one unchanged dose and nothing else; `one_dose`: each
    session gave the same; `ended`: the course is over.
    """

    drawing: Drawing | None
    first_on: Traced
    last_on: Traced
    first_dose: Traced | None
    last_dose: Traced | None
    series: tuple[Series, ...]
    one_dose: bool
    ended: bool


@dataclass(frozen=True)
class _Doses:
    """The doses that can be compared, with the first and the last as they are written."""

    points: tuple[tuple[date, float], ...]
    first: Traced
    last: Traced


@dataclass(frozen=True)
class _Totals:
    """The totals of one score."""

    points: tuple[tuple[date, float], ...]
    lowest: float
    highest: float
    series: Series


def trend(brief: Brief, *, ended: bool = False) -> Trend | None:
    """Return the course so far, or the whole of one that has `ended`; None before its second day."""
    rows = _course(brief)
    days = [_day(brief, one) for _, one in rows]
    if len(rows) < 2 or days[0] == days[-1]:
        return None
    doses, totals = _doses(brief, rows), _totals(brief, rows)
    if doses is None and not totals:
        return None
    first_on, last_on = (_told_day(brief, *row) for row in (rows[0], rows[-1]))
    one_dose = doses is not None and len(doses.points) == len(rows) and len({value for _, value in doses.points}) == 1
    return Trend(
        drawing=None if one_dose and not totals else _drawn(days, doses, totals, _under(days, first_on, last_on)),
        first_on=first_on,
        last_on=last_on,
        first_dose=doses.first if doses else None,
        last_dose=doses.last if doses else None,
        series=tuple(one.series for one in totals),
        one_dose=one_dose,
        ended=ended,
    )


def _drawn(
    days: Sequence[date], doses: _Doses | None, totals: Sequence[_Totals], ends: tuple[Traced, Traced]
) -> Drawing:
    sheet = Sheet(right_of(str(one.series.name) for one in totals), height=_HIGH + 17 - _PANEL)
    x = Scale(days[0].toordinal(), days[-1].toordinal(), LEFT, sheet.right)
    if doses:
        _draw_doses(sheet, doses, x)
    for place, one in enumerate(totals):
        _draw_totals(sheet, one, x, first=place == 0)
    sheet.time(LEFT, ends[0])
    sheet.time(sheet.right, ends[1])
    return sheet.done()


def _under(days: Sequence[date], first: Traced, last: Traced) -> tuple[Traced, Traced]:
    """Return the first and the last day as they stand under the picture: the year is told once, in its sentence."""
    if days[0].year != days[-1].year:
        return first, last
    short = formats.day_of_year
    return replace(first, text=short(days[0])), replace(last, text=short(days[-1]))


def _panel(sheet: Sheet, low: float, high: float) -> Scale:
    """Begin the next panel below: its ground is a line, its scale the whole range."""
    sheet.height += _PANEL
    sheet.draw("rules", f"M{pt(LEFT)} {pt(sheet.height)}H{pt(sheet.right)}")
    return Scale(low, high, sheet.height, sheet.height - _HIGH)


def _draw_doses(sheet: Sheet, doses: _Doses, x: Scale) -> None:
    y = _panel(sheet, 0.0, max(value for _, value in doses.points))
    tops: list[Point] = [(x(day.toordinal()), y(value)) for day, value in doses.points]
    for top in tops:
        sheet.draw("solid", polyline([(top[0], sheet.height), top]))
        sheet.keep_clear([(top[0], sheet.height), top])
    ends = (len(tops) - 1, 0)
    marks = marked(tops, ends)
    sheet.draw("full", discs(marks))
    sheet.keep_clear([], marks)
    sheet.name(sheet.height - _HIGH / 2, None, "dose")
    for place, text in zip(ends, (doses.last, doses.first), strict=True):
        sheet.value(tops[place], text, above=True, must=True)


def _draw_totals(sheet: Sheet, totals: _Totals, x: Scale, *, first: bool) -> None:
    y = _panel(sheet, totals.lowest, totals.highest)
    points: list[Point] = [(x(day.toordinal()), y(value)) for day, value in totals.points]
    sheet.draw("solid" if first else "dashed", polyline(points))
    ends = (len(points) - 1, 0)
    marks = marked(points, ends)
    sheet.draw("hollow" if first else "full", discs(marks) if first else squares(marks))
    sheet.keep_clear(points, marks)
    sheet.name(sheet.height - _HIGH / 2 - SIZE / 2, totals.series.name, None)
    sheet.name(sheet.height - _HIGH / 2 + SIZE / 2 + 1, totals.series.highest, "of")
    for place, text in zip(ends, (totals.series.last, totals.series.first), strict=True):
        sheet.value(points[place], text, above=True, must=True)


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


def _doses(brief: Brief, rows: Sequence[tuple[str, SessionOutcome]]) -> _Doses | None:
    """Return the doses; None when product, route or unit changed, since those do not compare."""
    given = [
        (_day(brief, one), dose.dose, f"{at}/administration/dose", (dose.product, dose.route, dose.dose.unit))
        for at, one in rows
        if (dose := one.administration) is not None and isinstance(dose.dose, Quantity)
    ]
    if len(given) < 2 or len({key for *_, key in given}) > 1:
        return None
    first, last = (brief.amount(given[place][1], given[place][2]) for place in (0, -1))
    return _Doses(tuple((day, float(amount.value)) for day, amount, *_ in given), first, last)


def _totals(brief: Brief, rows: Sequence[tuple[str, SessionOutcome]]) -> list[_Totals]:
    """Return up to two scores that were taken twice, each on the whole range of its scale, which so makes no slope."""
    found: dict[str, list[tuple[date, int, str]]] = {}
    for at, one in rows:
        for index, score in enumerate(one.scores):
            if isinstance(score.total, int) and not score.instrument.startswith("cadss"):
                found.setdefault(score.instrument, []).append((score.on, score.total, f"{at}/scores/{index}"))
    told = [(key, points) for key, points in found.items() if len(points) > 1][:_MOST_SCORES]
    totals = []
    for key, points in told:
        scale = brief.lexicon.instrument(key)
        ends = [fact(str(points[place][1]), points[place][1], f"{points[place][2]}/total") for place in (0, -1)]
        data = f"letters:/instruments/{key}"
        series = Series(
            name=fact(scale.name, key, f"{points[0][2]}/instrument", f"{data}/name"),
            first=ends[0],
            last=ends[1],
            highest=fact(str(scale.highest), scale.highest, f"{data}/highest"),
        )
        marks = tuple((on, float(total)) for on, total, _ in points)
        totals.append(_Totals(marks, float(scale.lowest), float(scale.highest), series))
    return totals
