"""Letters beside a bare WeasyPrint run over the same HTML, over one process and two; a chart beside one validation."""

import json
import multiprocessing
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhir.resources.R4B.bundle import Bundle
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration

from coordinator.bootstrap import Workshop, workshop
from coordinator.domain.letter import Letter
from coordinator.letters.pdf import _PackagedFiles, page_count
from coordinator.letters.write import LetterRoom, load_letters
from coordinator.mapping.content import build_content
from coordinator.settings import Settings, shipped
from tests.bench.rows import Row, cpu_and_seconds
from tests.conformance.events import cases, letter, plan, recipient

ROUNDS, REPEATS = 9, 5
ROOT = Path(__file__).parents[2]
PLAIN = "product-switch"
"""A letter of one page with one table and no picture."""
PICTURES = "digest"
"""A course of three sessions. Its last session told alone has a medicine table, the readings and both pictures."""
BARE_MS, WRITTEN_IN_A_ROW, SCALES = 100.0, 6, 1.7


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    signatures = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
    tools = workshop(Settings(rule_signatures=signatures, accept_demonstration_rules=True))
    yield _chart(tools)
    room = tools.letters
    yield _letter("Letter of one page, no picture", _writer(room, PLAIN, "primary-care"), pages=1)
    both = _letter("Letter with both pictures", _writer(room, PICTURES, "psychiatrist"), pages=2)
    yield both
    yield Row("Bare WeasyPrint pdf/ua-1 of the letter with both pictures (floor: the aim)",
              both.floor, [BARE_MS] * len(both.floor), "ms", 1.0, False)  # fmt: skip
    yield _processes()


def _chart(tools: Workshop) -> Row:
    case, who = cases()["spike"], recipient("pr-psych")

    def ours() -> bytes:
        made = build_content(tools.mappings, case, plan(who), who, (letter("pr-psych"),), frozenset({"chart"}))
        return made[0].body

    bundle = json.loads(ours(), parse_float=Decimal)
    Bundle.model_validate(bundle)
    floor, mine = [], []
    for _ in range(ROUNDS):
        # CPU time, the mean of some repeats: what else the machine does is not what is asked about.
        floor.append(_cpu_ms(lambda: Bundle.model_validate(bundle)))
        mine.append(_cpu_ms(ours))
    return Row("Event to gated chart against one `R4B.Bundle.model_validate`", mine, floor, "ms", 1.5, False)


def _cpu_ms(act: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(REPEATS):
        act()
    return (time.process_time() - began) * 1000 / REPEATS


def _writer(room: LetterRoom, sample: str, audience: str) -> Callable[[], Letter]:
    made = room.samples().sample(sample)
    case = replace(made.case, digest_of=())

    def write() -> Letter:
        return room.write(case, made.plan, made.recipients[audience], fax=False)[0]  # type: ignore[index]

    return write


def _letter(what: str, ours: Callable[[], Letter], *, pages: int) -> Row:
    """The floor knows the fonts, parsed once, and renders the same HTML as tagged PDF: nothing is read back."""
    made = ours()
    if page_count(made.pdf) != pages:
        raise RuntimeError(f"{what}: the sample has no longer {pages} page(s)")
    layout = ROOT / "templates" / "layout"
    fonts, fetch = FontConfiguration(), _PackagedFiles(layout)
    faces = CSS(string=(layout / "fonts.css").read_text(), font_config=fonts, url_fetcher=fetch, base_url="letter:")

    def bare() -> object:
        page = HTML(string=made.html, url_fetcher=fetch, base_url="letter:")
        return page.write_pdf(stylesheets=[faces], font_config=fonts, pdf_variant="pdf/ua-1")

    bare()
    floor, mine = [], []
    for _ in range(ROUNDS):
        floor.append(cpu_and_seconds(bare))
        mine.append(cpu_and_seconds(ours))
    cpu, wall = ([[one[part] * 1000 for one in times] for times in (mine, floor)] for part in (0, 1))
    said = f"{what}, read back and checked, against a bare WeasyPrint pdf/ua-1"
    return Row(said, *wall, "ms", 1.15, False, cpu=(cpu[0], cpu[1]))


def _processes() -> Row:
    one, two = _rates(1), _rates(2)
    return Row("Letters with both pictures a second: two processes against one", two, one, "/s", SCALES, True)


def _rates(count: int) -> Sequence[float]:
    """Return how many letters a second this many processes write side by side, of each round."""
    context: Any = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(count), context.Queue()
    writers = [context.Process(target=_write_many, args=(barrier, answers)) for _ in range(count)]
    for writer in writers:
        writer.start()
    slowest: dict[int, float] = defaultdict(float)
    for _ in range(count * ROUNDS):
        place, took = answers.get(timeout=120)
        slowest[place] = max(slowest[place], took)
    for writer in writers:
        writer.join(timeout=30)
    return [count * WRITTEN_IN_A_ROW / slowest[place] for place in sorted(slowest)]


def _write_many(barrier: Any, answers: Any) -> None:
    write = _writer(load_letters(ROOT / "templates"), PICTURES, "psychiatrist")
    write()
    for place in range(ROUNDS):
        barrier.wait(timeout=60)
        began = time.perf_counter()
        for _ in range(WRITTEN_IN_A_ROW):
            write()
        answers.put((place, time.perf_counter() - began))
