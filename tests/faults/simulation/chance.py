"""Everything that is random or tells the time in a run, drawn from one seed."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 10, 16, 15, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Weather:
    """What a run is like. The default has a little of everything."""

    moods: Mapping[str, int] | None = None
    """Weights of what a send meets, in place of the far side's own."""
    acts: Mapping[str, int] | None = None
    """Weights of what happens next while a worker stands in a send, by method name."""
    crash_chance: float = 0.02
    crash_places: tuple[str, ...] = ()
    """Only places that begin so; empty means everywhere."""
    meanwhile_steps: int = 3
    deepest: int = 2
    """How many sends may stand inside one another."""
    steps: int = 90
    patience: int = 1
    """How much more often than usual time just passes."""
    news: float = 1.0
    """How much more often than usual an event comes in."""
    quiet: float = 0.2
    """How many of the events are sessions that call for no letter of their own."""
    people: float = 1.0
    """How much more often than usual somebody changes a consent or clicks."""


HOPELESS = Weather(
    moods={"job-fails": 16, "lose-then-timeout": 6, "away": 3, "ask-a-person": 1},
    crash_chance=0.005, steps=220, patience=2, news=0.1, people=0.1,
)  # fmt: skip
"""Few messages, of which hardly one gets through, and days go by, so that schedules are spent."""


QUIET = Weather(crash_chance=0.01, steps=200, patience=3, quiet=0.9, people=0.3)
"""Uneventful sessions, amended and taken back while days go by: digests are written, and written anew."""


def weather_of(seed: int) -> Weather:
    """Return what a seed's run is like: of eight, one is hopeless and one quiet."""
    return {7: HOPELESS, 3: QUIET}.get(seed % 8, Weather())


class Crash(BaseException):
    """The process or one of its workers dies here. No handler of the product catches it, as none catches a kill -9."""

    def __init__(self, place: str, *, whole: bool) -> None:
        super().__init__(place)
        self.place = place
        self.whole = whole


class VirtualClock:
    """A clock that stands still between steps and jumps when the run says so, also backwards."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def turn(self, by: timedelta) -> None:
        self.time += by


class SeededDice:
    """The service's own randomness, from the run's seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"dice-{seed}")

    def jitter(self) -> float:
        return self._random.uniform(0.8, 1.2)

    def token(self) -> str:
        return f"{self._random.getrandbits(256):064x}"

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
