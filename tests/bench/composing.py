"""A letter beside a bare WeasyPrint run over the same HTML; an event's gated chart beside one model validation."""

import json
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from fhir.resources.R4B.bundle import Bundle
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration

from coordinator.bootstrap import workshop
from coordinator.letters.pdf import _PackagedFiles
from coordinator.mapping.content import build_content
from coordinator.settings import Settings, shipped
from tests.bench.rows import Row, seconds
from tests.conformance.events import cases, letter, plan, recipient

ROUNDS, REPEATS = 7, 5
ROOT = Path(__file__).parents[2]


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    signatures = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
    tools = workshop(Settings(rule_signatures=signatures, accept_demonstration_rules=True))
    yield _chart(tools)
    yield _letter(tools)


def _chart(tools: object) -> Row:
    case, who = cases()["spike"], recipient("pr-psych")

    def ours() -> bytes:
        made = build_content(tools.mappings, case, plan(who), who, (letter("pr-psych"),), frozenset({"chart"}))  # type: ignore[attr-defined]
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


def _letter(tools: object) -> Row:
    """The floor knows the fonts, parsed once, and renders the same HTML as tagged PDF: nothing is read back."""
    room = tools.letters  # type: ignore[attr-defined]
    samples = room.samples()
    sample = samples.sample(samples.names()[0])
    who = next(iter(sample.recipients.values()))

    def ours() -> object:
        return room.write(sample.case, sample.plan, who, fax=False)

    html = ours()[0].html  # type: ignore[index]
    layout = ROOT / "templates" / "layout"
    fonts, fetch = FontConfiguration(), _PackagedFiles(layout)
    faces = CSS(string=(layout / "fonts.css").read_text(), font_config=fonts, url_fetcher=fetch, base_url="letter:")

    def bare() -> object:
        page = HTML(string=html, url_fetcher=fetch, base_url="letter:")
        return page.write_pdf(stylesheets=[faces], font_config=fonts, pdf_variant="pdf/ua-1")

    bare()
    floor, mine = [], []
    for _ in range(ROUNDS):
        floor.append(seconds(bare) * 1000)
        mine.append(seconds(ours) * 1000)
    return Row("Letter, read back and checked, against a bare WeasyPrint pdf/ua-1", mine, floor, "ms", 1.15, False)
