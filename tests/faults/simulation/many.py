"""Many seeds side by side, and what they found."""

import gc
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from coordinator.domain.delivery import MOVES
from tests.faults.simulation.chance import Weather
from tests.faults.simulation.far_side import MOODS
from tests.faults.simulation.judge import run


@dataclass(frozen=True)
class Seen:
    """What one seed came to."""

    seed: int
    findings: tuple[str, ...]
    crashes: int
    held: int
    days: float
    story: tuple[str, ...]
    moves: Mapping[str, int] = field(default_factory=dict)
    moods: Mapping[str, int] = field(default_factory=dict)
    places: frozenset[str] = frozenset()
    digests: tuple[int, int] = (0, 0)
    """Sessions told of in a digest of another one, and digests that were taken back."""


def look(seed: int, weather: Weather | None = None) -> Seen:
    """Run one seed."""
    logging.disable()
    gc.disable()  # the run is short and its rows are many; what is left is collected between two runs
    try:
        world, findings = run(seed, weather)
    finally:
        gc.enable()
        gc.collect(1)
        logging.disable(logging.NOTSET)
    days = (world.clock.now() - world.began).total_seconds() / 86_400
    story = tuple(world.story[-80:]) if findings else ()
    return Seen(
        seed, tuple(findings), world.crashes, len(world.books.held), days, story, dict(world.moved),
        dict(world.books.moods), frozenset(world.places), world.told_in_digests,
    )  # fmt: skip


def look_at_all(seeds: Iterable[int], *, processes: int | None = None) -> list[Seen]:
    """Run the seeds on all cores and return what each came to, in order."""
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        return list(pool.map(look, seeds, chunksize=4))


ALL_MOVES = tuple(f"{old} -> {new}" for old, moves in MOVES.items() for new in sorted(moves))


def total(seen: Iterable[Seen]) -> tuple[Counter[str], Counter[str]]:
    """Return how often each move of a delivery was made, and how often each behaviour of a recipient was met."""
    moves, moods = Counter(dict.fromkeys(ALL_MOVES, 0)), Counter(dict.fromkeys(MOODS, 0))
    for one in seen:
        moves.update(one.moves)
        moods.update(one.moods)
    return moves, moods


def said(bad: list[Seen]) -> str:
    """Return the failing seeds in words, with the command that replays the first and the end of its story."""
    lines = [f"{len(bad)} failing seeds. Replay one with: python -m tests.faults.simulation {bad[0].seed}"]
    for one in bad:
        lines += [f"seed {one.seed}:", *(f"  {finding}" for finding in one.findings)]
    return "\n".join([*lines, "", *bad[0].story])
