"""What a picture of a letter is made of, and how its labels find room.

Units are points; y grows downwards. A picture is drawn for a fax (labels of 11 pt) and shown a little smaller on
paper. Everything of one style is one path: the engine and a screen reader have few parts to go through, and a
picture stays cheap. Series differ by line style and mark, never by colour, and stay apart in a 1-bit fax.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from coordinator.letters.traced import Traced

Point = tuple[float, float]
Style = Literal["rules", "limits", "solid", "dashed", "full", "hollow"]
Word = Literal["pressure", "systolic", "diastolic", "pulse", "limit", "dose", "of"]
"""A word beside a point; the picture macro has its wording."""

WIDTH = 250.0
LEFT = 16.0
"""The first point stands here; the last one as far right as the names of the series leave room."""
_NAMES_APART = 8.0
"""From the end of a line to its name."""
SIZE = 11.0
"""Type size of a label in points: the smallest that a fax carries."""
CAPITALS = 8.0
"""Height of a figure of that size."""
_RADIUS, _HALF_SIDE = 2.6, 2.2
_ROUND = "c0-1.4 1.2-2.6 2.6-2.6s2.6 1.2 2.6 2.6-1.2 2.6-2.6 2.6-2.6-1.2-2.6-2.6z"
"""A disc of that radius, begun at its left."""
_OFF_A_MARK = 3.4
"""What is kept free around the middle of a mark."""
_OFF = 8.0
_OFF_A_LINE = 3.0
_SMALL_LIFTS, _HIGHEST_LIFT = 5, 28
"""How often a label is first lifted by two points off what is in its way, and how far it may be lifted at all."""
_CLOSEST_MARKS = 6.5
"""Readings nearer to each other than this are a line without marks."""
_DIGIT, _NARROW, _WIDE, _CAPITAL, _LETTER = 0.556, 0.278, 0.84, 0.72, 0.53
"""Widths in em of the letters' family: a figure, a point or colon or space, an m, a capital, a letter on average."""
WORD_WIDE = 48.0
"""Room that the longest of the words beside a line takes."""


@dataclass(frozen=True)
class Label:
    """Text beside a point: a traced fact, a word, or a word and its fact. It begins at `x`.

    Where it begins is worked out here also where it stands in the middle of something: the
    engine sets a text that it has to centre itself twice.
    """

    x: str
    y: str
    text: Traced | None
    word: Word | None = None


@dataclass(frozen=True)
class Drawing:
    """What the picture macro draws: one path for each style, then the labels. An empty path is not drawn."""

    width: str
    height: str
    rules: str
    limits: str
    solid: str
    dashed: str
    full: str
    hollow: str
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Scale:
    """Maps values onto a stretch of points."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value stands; one outside the range stands at its end."""
        if self.high == self.low:
            return (self.start + self.end) / 2
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Box:
    """The room that something takes."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box", gap: float = 2.0) -> bool:
        """Return whether two come nearer to each other than `gap`."""
        return (
            self.left - gap < other.right
            and other.left < self.right + gap
            and self.top - gap < other.bottom
            and other.top < self.bottom + gap
        )

    def cut_by(self, one: Point, two: Point) -> bool:
        """Return whether a straight line between two points runs through the box (Liang and Barsky)."""
        first, last = 0.0, 1.0
        for start, move, low, high in (
            (one[0], two[0] - one[0], self.left, self.right),
            (one[1], two[1] - one[1], self.top, self.bottom),
        ):
            if move == 0:
                if not low <= start <= high:
                    return False
                continue
            ends = sorted(((low - start) / move, (high - start) / move))
            first, last = max(first, ends[0]), min(last, ends[1])
        return first <= last


def text_width(text: str) -> float:
    """Return about how wide a label is: what has to be kept free for it."""
    ems = sum(_width(one) for one in text)
    return ems * SIZE


def _width(one: str) -> float:
    if one.isdigit():
        return _DIGIT
    if one in " .,:/-\u00a0filtI":
        return _NARROW
    return _WIDE if one in "mMW%" else _CAPITAL if one.isupper() else _LETTER


def right_of(names: Iterable[str]) -> float:
    """Return where the last point stands, so that a word and the longest of these names have room beside it."""
    return WIDTH - _NAMES_APART - max([WORD_WIDE, *(text_width(one) for one in names)])


def pt(value: float) -> str:
    """Return a length as the picture has it: a tenth of a point is finer than any fax."""
    return format(round(value, 1), "g")


def polyline(points: Sequence[Point]) -> str:
    """Return the path through all points."""
    return "M" + "L".join(f"{pt(x)} {pt(y)}" for x, y in points)


def discs(points: Iterable[Point]) -> str:
    """Return the path of one round mark at each point."""
    return "".join(f"M{pt(x - _RADIUS)} {pt(y)}{_ROUND}" for x, y in points)


def squares(points: Iterable[Point]) -> str:
    """Return the path of one square mark at each point."""
    half, side = _HALF_SIDE, 2 * _HALF_SIDE
    return "".join(f"M{pt(x - half)} {pt(y - half)}h{side}v{side}h{-side}z" for x, y in points)


def marked(points: Sequence[Point], always: Iterable[int]) -> list[Point]:
    """Return the points that get a mark: all while they stand apart, else those of `always`."""
    apart = all(two[0] - one[0] >= _CLOSEST_MARKS for one, two in pairwise(points))
    kept = set(always)
    return [one for index, one in enumerate(points) if apart or index in kept]


@dataclass
class Sheet:
    """One picture while it is drawn: what stands there already keeps its room."""

    right: float
    """Where the last point stands."""
    height: float = 0.0
    labels: list[Label] = field(default_factory=list)
    _boxes: list[Box] = field(default_factory=list)
    _marks: list[Box] = field(default_factory=list)
    _lines: list[Sequence[Point]] = field(default_factory=list)
    _paths: dict[str, str] = field(default_factory=dict)

    def draw(self, style: Style, path: str) -> None:
        """Add a path to those of its style."""
        self._paths[style] = self._paths.get(style, "") + path

    def keep_clear(self, points: Sequence[Point], marks: Iterable[Point] = ()) -> None:
        """Keep labels off a line through these points, and off these marks."""
        self._lines.append(points)
        self._marks += [Box(x - _OFF_A_MARK, y - _OFF_A_MARK, x + _OFF_A_MARK, y + _OFF_A_MARK) for x, y in marks]

    def value(self, at: Point, text: Traced, *, above: bool, must: bool = False) -> None:
        """Label a point above or below it, or beside that, wherever there is room.

        One that `must` stand is lifted off what is in its way.
        """
        wide = text_width(str(text))
        near, far = (at[1] - _OFF, at[1] + _OFF + CAPITALS) if above else (at[1] + _OFF + CAPITALS, at[1] - _OFF)
        middle = min(max(at[0], wide / 2), self.right + 12 - wide / 2)
        away = [near - lift if above else near + lift for lift in range(0, _HIGHEST_LIFT, 2)]
        aside = (middle - wide / 2 - 2, middle + wide / 2 + 2)
        places = [(middle, y) for y in away[:_SMALL_LIFTS]] + [(x, near) for x in aside]
        places += [(x, far) for x in (middle, *aside)]
        if must:
            places += [(middle, y) for y in away]
        inside = (one for one in places if one[0] >= wide / 2 and one[1] >= CAPITALS)
        free = (one for one in inside if self._is_free(_box(one, wide)))
        found = next(free, places[0] if must else None)
        if found is not None:
            self._put(found[0] - wide / 2, found[1], wide, text, None)

    def name(self, height: float, text: Traced | None, word: Word | None) -> None:
        """Write what a line is, beside its end at this height."""
        said = " ".join(part for part in (word, str(text) if text else None) if part)
        self._put(self.right + _NAMES_APART, height + CAPITALS / 2, text_width(said), text, word)

    def time(self, x: float, text: Traced) -> bool:
        """Write a time under the picture; return whether it found room."""
        wide = text_width(str(text))
        middle = min(max(x, wide / 2), WIDTH - wide / 2)
        places = [(middle + shift, self.height + CAPITALS + 6) for shift in (0.0, 4.0, -4.0, 8.0, -8.0)]
        free = next((one for one in places if self._is_free(_box(one, wide), 5.0)), None)
        if free is None:
            return False
        self.draw("rules", f"M{pt(x)} {pt(self.height)}v4")
        self._put(free[0] - wide / 2, free[1], wide, text, None)
        return True

    def limit(self, y: float) -> None:
        """Draw a limit across the picture, open where a label stands."""
        x = LEFT
        for box in sorted(self._boxes, key=lambda one: one.left):
            if box.top - 2.5 < y < box.bottom + 2.5 and box.left < self.right and box.right > x:
                if box.left - 2 > x:
                    self.draw("limits", polyline([(x, y), (box.left - 2, y)]))
                x = box.right + 2
        if x < self.right:
            self.draw("limits", polyline([(x, y), (self.right + 4, y)]))

    def done(self) -> Drawing:
        """Return the picture, as high as what stands in it."""
        paths = {
            style: self._paths.get(style, "") for style in ("rules", "limits", "solid", "dashed", "full", "hollow")
        }
        lowest = max([self.height, *(one.bottom for one in self._boxes)])
        return Drawing(pt(WIDTH), pt(lowest + 3), labels=tuple(self.labels), **paths)

    def _is_free(self, box: Box, gap: float = 2.0) -> bool:
        if any(box.meets(other, gap) for other in self._boxes) or any(box.meets(other, 0.0) for other in self._marks):
            return False
        clear = Box(box.left - _OFF_A_LINE, box.top - _OFF_A_LINE, box.right + _OFF_A_LINE, box.bottom + _OFF_A_LINE)
        return not any(clear.cut_by(one, two) for line in self._lines for one, two in pairwise(line))

    def _put(self, left: float, y: float, wide: float, text: Traced | None, word: Word | None) -> None:
        self._boxes.append(_box((left + wide / 2, y), wide))
        self.labels.append(Label(pt(left), pt(y), text, word))


def _box(at: Point, wide: float) -> Box:
    return Box(at[0] - wide / 2, at[1] - CAPITALS, at[0] + wide / 2, at[1])


def spread(wanted: Sequence[float], top: float, apart: float = SIZE + 1) -> list[float]:
    """Return the heights moved off each other just enough for lines of text, in the same order."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = [max(wanted[index], top) for index in order]
    for _ in range(len(heights)):
        for place in range(1, len(heights)):
            short = apart - (heights[place] - heights[place - 1])
            if short > 0:
                up = min(short / 2, max(heights[place - 1] - top, 0.0)) if place == 1 else short / 2
                heights[place - 1] -= up
                heights[place] += short - up
    found = [0.0] * len(wanted)
    for index, height in zip(order, heights, strict=True):
        found[index] = height
    return found
