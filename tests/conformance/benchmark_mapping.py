"""How long an event takes to become a gated chart, beside one bare R4B model validation of the same bundle.

    python -m tests.conformance.benchmark_mapping

Interleaved rounds of some repeats each in one process; the ratio is what counts, by CPU time and by the clock on the
wall, in the middle and in the worst round. The goal is at most 1.5.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from fhir.resources.R4B.bundle import Bundle

from coordinator.mapping.content import build_content
from coordinator.mapping.load import load
from tests.conformance.events import cases, letter, plan, recipient

ROUNDS, REPEATS = 20, 5


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return (CPU ms, wall ms) of one call, as the mean of some repeats."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(REPEATS):
        act()
    return (time.process_time() - cpu) * 1000 / REPEATS, (time.perf_counter() - wall) * 1000 / REPEATS


def main() -> None:
    """Print the medians in ms, and the ratios."""
    mappings = load(Path(__file__).parents[2] / "mappings")
    case, who = cases()["spike"], recipient("pr-psych")
    chart = frozenset({"chart"})

    def ours() -> bytes:
        return build_content(mappings, case, plan(who), who, (letter("pr-psych"),), chart)[0].body  # type: ignore[arg-type]

    bundle = json.loads(ours(), parse_float=Decimal)
    Bundle.model_validate(bundle)
    rounds = [(_timed(lambda: Bundle.model_validate(bundle)), _timed(ours)) for _ in range(ROUNDS)]
    for place, clock in enumerate(("CPU", "wall")):
        bare = statistics.median(one[0][place] for one in rounds)
        whole = statistics.median(one[1][place] for one in rounds)
        ratios = sorted(one[1][place] / one[0][place] for one in rounds)
        sys.stdout.write(
            f"{clock}: {len(bundle['entry'])} entries: model {bare:.1f} ms, event to gated chart {whole:.1f} ms, "
            f"ratio {statistics.median(ratios):.2f}, worst round {ratios[-1]:.2f}\n"
        )


if __name__ == "__main__":
    main()
