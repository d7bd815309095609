"""Replay seeds: `python -m tests.faults.simulation 17` tells the story of one, `... 0-499` judges many."""

import sys
import time

from tests.faults.simulation.many import look_at_all, said, total
from tests.faults.simulation.many import run as run_one


def main() -> int:
    """Run the seeds named on the command line; return 1 when one breaks a promise."""
    first, _, last = (sys.argv[1] if len(sys.argv) > 1 else "0-19").partition("-")
    if not last:
        return _tell(int(first))
    began = time.monotonic()
    seen = look_at_all(range(int(first), int(last) + 1))
    bad = [one for one in seen if one.findings]
    if bad:
        sys.stdout.write(said(bad) + "\n")
    years, spent_s = sum(one.days for one in seen) / 365, time.monotonic() - began
    crashes, held = sum(one.crashes for one in seen), sum(one.held for one in seen)
    failing = [one.seed for one in bad] or "none"
    said_last = f"{len(seen)} seeds, {years:.1f} years, {crashes} crashes, {held} messages held, {spent_s:.0f} s"
    sys.stdout.write(f"{said_last}; failing: {failing}\n")
    for counts in total(seen):
        sys.stdout.write(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) + "\n")
    return 1 if bad else 0


def _tell(seed: int) -> int:
    world, findings = run_one(seed)
    verdict = f"seed {seed}: {findings or 'all six promises hold'}\n"
    sys.stdout.write("\n".join([*world.story, verdict]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
