"""Many seeds side by side, and what they found."""

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.faults.simulation.chance import Weather
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


def look(seed: int, weather: Weather | None = None) -> Seen:
    """Run one seed."""
    logging.disable()
    try:
        world, findings = run(seed, weather)
    finally:
        logging.disable(logging.NOTSET)
    days = (world.clock.now() - world.began).total_seconds() / 86_400
    story = tuple(world.story[-80:]) if findings else ()
    return Seen(seed, tuple(findings), world.crashes, len(world.books.held), days, story)


def look_at_all(seeds: Iterable[int], *, processes: int | None = None) -> list[Seen]:
    """Run the seeds on all cores and return what each came to, in order."""
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        return list(pool.map(look, seeds, chunksize=4))


def said(bad: list[Seen]) -> str:
    """Return the failing seeds in words, with the command that replays the first and the end of its story."""
    lines = [f"{len(bad)} failing seeds. Replay one with: python -m tests.faults.simulation {bad[0].seed}"]
    for one in bad:
        lines += [f"seed {one.seed}:", *(f"  {finding}" for finding in one.findings)]
    return "\n".join([*lines, "", *bad[0].story])
