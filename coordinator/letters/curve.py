"""The picture of a session: blood pressure and pulse over its time, with the signed limits as lines.

Every picture has the same scale, so that a calm session looks calm and two letters can be laid side by side.
Labelled are the readings that the table beside it tells of: before the dose, the highest, at discharge. The table
names them; below the picture stand their times alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from coordinator.domain.events import SessionOutcome, VitalSigns
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.drawing import (
    LEFT,
    SIZE,
    Drawing,
    Point,
    Scale,
    Sheet,
    Style,
    Word,
    discs,
    marked,
    polyline,
    pt,
    right_of,
    spread,
    squares,
)
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.measured import baseline_of, discharge_of, peak_of, readings

_LOWEST, _HIGHEST = 60, 190
"""mmHg that every picture shows; more where a reading or a limit lies outside."""
_UNIT_AT, _TOP, _BOTTOM = 5.0, 17.0, 79.0
_SLOWEST, _FASTEST = 50, 130
"""Beats a minute that every picture shows."""
_PULSE_TOP, _PULSE_BOTTOM = 109.0, 125.0
_Slot = Literal["before", "highest", "discharge"]
"""The columns of the table beside the picture."""
_FEWEST = 3
"""Readings that a curve needs; with fewer the table says it all."""


@dataclass(frozen=True)
class Limits:
    """The limits of the signed rule about high readings."""

    systolic: Traced
    diastolic: Traced


@dataclass(frozen=True)
class Curve:
    """Blood pressure (upper panel) and pulse (lower panel) over one session. `unsaid`: labels that no table has."""

    drawing: Drawing
    limits: Limits | None
    has_pulse: bool
    unsaid: tuple[Traced, ...]


def curve(brief: Brief, session: SessionOutcome, at: str) -> Curve | None:
    """Return the curve of one session, or None when fewer than three whole readings were recorded."""
    rows = readings(session)
    if len(rows) < _FEWEST or rows[0][1].at == rows[-1][1].at:
        return None
    limits, sheet = _limits(brief), Sheet(right_of(()))
    x = Scale(rows[0][1].at.timestamp(), rows[-1][1].at.timestamp(), LEFT, sheet.right)
    rates = _rates(session, x)
    sheet.height = (_PULSE_BOTTOM if rates else _BOTTOM + 16) + 7
    sheet.draw("rules", f"M{pt(LEFT)} {pt(sheet.height)}H{pt(sheet.right)}")
    shown: dict[int, _Slot | None] = {}
    for index, slot in _worth_labelling(session, rows).items():
        when = session.vitals[index].at
        clock = fact(formats.clock_time(when, brief.zone), when, f"{at}/vitals/{index}/at")
        if sheet.time(x(when.timestamp()), clock):
            shown[index] = slot
    heights = _pressure(sheet, rows, x, shown, limits, at)
    if rates:
        _pulse(sheet, rates, x, shown, at)
    for height in heights:
        sheet.limit(height)
    drawing = sheet.done()
    return Curve(
        drawing,
        limits,
        bool(rates),
        _unsaid(drawing, {f"{at}/vitals/{index}" for index, slot in shown.items() if slot}),
    )


def _worth_labelling(session: SessionOutcome, rows: Sequence[tuple[int, VitalSigns]]) -> dict[int, _Slot | None]:
    """Return the readings to label, the most important first, each with what the table calls it.

    A curve that begins or ends with another reading has that one labelled too.
    """
    base, peak, last = baseline_of(session), peak_of(session), discharge_of(session)
    wanted: list[tuple[int, _Slot | None]] = [(peak[0], "highest")] if peak else []
    wanted.append((base[0], "before") if base else (rows[0][0], None))
    wanted.append((last[0], "discharge") if last else (rows[-1][0], None))
    shown: dict[int, _Slot | None] = {}
    for index, slot in wanted:
        shown.setdefault(index, slot)
    return shown


def _pressure(
    sheet: Sheet,
    rows: Sequence[tuple[int, VitalSigns]],
    x: Scale,
    shown: dict[int, _Slot | None],
    limits: Limits | None,
    at: str,
) -> list[float]:
    """Draw both lines with their labels and names; return where the limits stand."""
    signed = [limits.systolic, limits.diastolic] if limits else []
    both = [(one.at.timestamp(), _whole(one.systolic), _whole(one.diastolic)) for _, one in rows]
    known = [value for _, *pair in both for value in pair] + [_whole(one.value) for one in signed]
    y = Scale(min(_LOWEST, *known), max(_HIGHEST, *known), _BOTTOM, _TOP)
    high = [(x(when), y(value)) for when, value, _ in both]
    low = [(x(when), y(value)) for when, _, value in both]
    places = {index: place for place, (index, _) in enumerate(rows)}
    labelled = [places[index] for index in shown]
    both_lines: tuple[tuple[list[Point], Style], ...] = ((high, "full"), (low, "hollow"))
    for points, style in both_lines:
        marks = marked(points, labelled)
        sheet.draw("solid", polyline(points))
        sheet.draw(style, discs(marks))
        sheet.keep_clear(points, marks)
    lines = [y(_whole(one.value)) for one in signed]
    ends = [high[-1][1], low[-1][1], *lines]
    beside = spread([min(ends) - SIZE - 1, *ends], _UNIT_AT)
    names: list[tuple[Word, Traced | None]] = [("pressure", None), ("systolic", None), ("diastolic", None)]
    names += [("limit", one) for one in signed]
    for height, (word, text) in zip(beside, names, strict=True):
        sheet.name(height, text, word)
    for index, slot in shown.items():
        one = rows[places[index]][1]
        for name, value, points, above in (
            ("systolic", one.systolic, high, True),
            ("diastolic", one.diastolic, low, False),
        ):
            text = fact(str(value), value, f"{at}/vitals/{index}/{name}")
            sheet.value(points[places[index]], text, above=above, must=slot == "highest")
    return lines


def _rates(session: SessionOutcome, x: Scale) -> list[tuple[int, float, int]]:
    """Return the pulse readings in the time of the curve: index, instant, rate. Fewer than three are no line."""
    rows = [
        (index, one.at.timestamp(), one.heart_rate)
        for index, one in sorted(enumerate(session.vitals), key=lambda row: row[1].at)
        if isinstance(one.heart_rate, int) and x.low <= one.at.timestamp() <= x.high
    ]
    return rows if len(rows) >= _FEWEST else []


def _pulse(
    sheet: Sheet, rows: Sequence[tuple[int, float, int]], x: Scale, shown: dict[int, _Slot | None], at: str
) -> None:
    rates = [rate for *_, rate in rows]
    y = Scale(min(_SLOWEST, *rates), max(_FASTEST, *rates), _PULSE_BOTTOM, _PULSE_TOP)
    points = [(x(when), y(rate)) for _, when, rate in rows]
    places = {index: place for place, (index, *_) in enumerate(rows)}
    labelled = [index for index in shown if index in places]
    marks = marked(points, [places[index] for index in labelled])
    sheet.draw("dashed", polyline(points))
    sheet.draw("full", squares(marks))
    sheet.keep_clear(points, marks)
    sheet.name(points[-1][1], None, "pulse")
    for index in labelled:
        place = places[index]
        text = fact(str(rows[place][2]), rows[place][2], f"{at}/vitals/{index}/heart_rate")
        sheet.value(points[place], text, above=True)


def _limits(brief: Brief) -> Limits | None:
    """Return the signed limits of the rule about high readings, where it was evaluated with both."""
    for place, one in enumerate(brief.plan.rules):
        if one.id == "R3" and one.state == "evaluated":
            found = [
                fact(str(value), int(value), f"plan:/rules/{place}/thresholds/{key}")
                for key in ("systolic", "diastolic")
                if (value := one.thresholds.get(key)) is not None
            ]
            return Limits(*found) if len(found) == 2 else None
    return None


def _unsaid(drawing: Drawing, told: set[str]) -> tuple[Traced, ...]:
    """Return the labelled values that stand in no table: of readings that are neither of the three."""
    texts = [one.text for one in drawing.labels if one.text is not None]
    return tuple(one for one in texts if "/vitals/" in one.sources[0] and one.sources[0].rpartition("/")[0] not in told)


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole reading is needed")
    return value
