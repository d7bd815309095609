"""How long an event takes to become a gated chart, beside one bare R4B model validation of the same bundle.

    python -m tests.conformance.benchmark_mapping

CPU time, medians of interleaved rounds in one process; the ratio is what counts, the goal is at most 1.5.
"""

import json
import statistics
import sys
import time
from decimal import Decimal
from pathlib import Path

from fhir.resources.R4B.bundle import Bundle

from coordinator.mapping.content import build_content
from coordinator.mapping.load import load
from tests.conformance.events import cases, letter, plan, recipient

ROUNDS = 30


def main() -> None:
    """Print the medians in ms and their ratio."""
    mappings = load(Path(__file__).parents[2] / "mappings")
    case, who = cases()["spike"], recipient("pr-psych")
    chart = frozenset({"chart"})

    def ours() -> bytes:
        return build_content(mappings, case, plan(who), who, (letter("pr-psych"),), chart)[0].body  # type: ignore[arg-type]

    bundle = json.loads(ours(), parse_float=Decimal)
    Bundle.model_validate(bundle)
    bare, whole = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        Bundle.model_validate(bundle)
        middle = time.process_time()
        ours()
        bare.append(middle - start)
        whole.append(time.process_time() - middle)
    model, made = statistics.median(bare) * 1000, statistics.median(whole) * 1000
    said = f"{len(bundle['entry'])} entries: model {model:.1f} ms, event to gated chart {made:.1f} ms"
    sys.stdout.write(f"{said}, ratio {made / model:.2f}\n")


if __name__ == "__main__":
    main()
