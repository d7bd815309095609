"""What a letter costs: warm, against the bare engine on the same HTML in the same run, over one and two processes.

Run as `python tests/letters_bench.py`, or call `measure()`; it draws no conclusion, it reports.
"""

import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from weasyprint import HTML
from weasyprint.text.fonts import FontConfiguration

from coordinator.letters.write import LetterRoom, load_letters

ROOT = Path(__file__).parents[1]
SAMPLE, AUDIENCE = "digest", "psychiatrist"
"""The letter with both pictures on it."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds a letter, medians; and letters a second with one process and with two."""

    letter_ms: float
    bare_ms: float
    ratio: float
    one_process_per_s: float
    two_processes_per_s: float


@cache
def _room() -> LetterRoom:
    return load_letters(ROOT / "templates")


def _write() -> str:
    sample = _room().samples().sample(SAMPLE)
    return _room().write(sample.case, sample.plan, sample.recipients[AUDIENCE], fax=False)[0].html


def _many(count: int) -> float:
    """Return the seconds that `count` warm letters take in this process."""
    _write()
    begun = time.perf_counter()
    for _ in range(count):
        _write()
    return time.perf_counter() - begun


def _ms(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def measure(rounds: int = 9) -> Cost:
    """Return the costs. Both kinds take turns, so that a busy machine slows them alike."""
    html = _write()
    fonts = FontConfiguration()
    engine = _room()._engine

    def bare() -> bytes:
        made: bytes = HTML(string=html, url_fetcher=engine._fetcher, base_url="letter:").write_pdf(
            stylesheets=engine._styles[:1], font_config=fonts, pdf_variant="pdf/ua-1"
        )
        return made

    bare()
    pairs = [(_ms(_write), _ms(bare)) for _ in range(rounds)]
    letter, alone = (statistics.median(one) for one in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    single = rounds / _many(rounds)
    with ProcessPoolExecutor(2) as pool:
        begun = max(pool.map(_many, [rounds, rounds]))
    return Cost(round(letter, 1), round(alone, 1), round(ratio, 3), round(single, 2), round(2 * rounds / begun, 2))


if __name__ == "__main__":
    print(json.dumps(asdict(measure()), indent=1))  # noqa: T201
