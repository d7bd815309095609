"""Whatever comes in is refused with reasons, or composed with its text whole and escaped: two hundred odd events.

Letters are made as HTML and text, and what reads a PDF back reads the text instead: drawing them takes a minute.
"""

import copy
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from coordinator.domain.case import Case
from coordinator.flow.compose import Composed, ForRecipient, compose
from coordinator.flow.parts import Workshop
from coordinator.letters import pdf
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.text import text_of
from coordinator.letters.write import load_letters
from coordinator.mapping.load import load
from coordinator.planning.checks import CheckBook, check, load_checks
from coordinator.planning.faults import Unreadable
from coordinator.planning.reading import read_event, read_registry
from coordinator.planning.rules import load_rules
from tests.unit.flow.mutated import mutated, read

ROOT = Path(__file__).parents[3]
RULES = ROOT / "mappings" / "rules"
AT = datetime(2026, 11, 1, tzinfo=UTC)
HELD_BY_DESIGN = ("letter.glyph", "letter.lint")
"""A character that the letters' font lacks, a word that no letter may say: held with the field, for a person."""
TOLD = {
    "status_reason", "plan", "resume_when", "amendment_reason", "monitoring_shortened_reason", "reason/text",
    "administration/reason", "administration/lot_number", "adverse_events/*/term", "adverse_events/*/action",
    "other_medications_taken/*/product", "other_medications_taken/*/frequency", "rescue_medications/*/product",
    "from/product", "from/frequency", "to/product", "to/frequency",
}  # fmt: skip
"""The free texts of an event, each of which some letter or resource says."""


def events() -> list[dict[str, Any]]:
    names = ("session-outcome.bp-spike", "session-outcome.esketamine", "dose-change.ketamine",
             "dose-change.stimulant-hold")  # fmt: skip
    spike, _, _, hold = made = [read(name) for name in names]
    full = {
        "other_medications_taken": [*spike["other_medications_taken"], {"role": "other", "product": "Sertraline",
            "dose": {"value": "50", "unit": "mg"}, "frequency": "every morning", "source": "pharmacy"}],
        "rescue_medications": [{"product": "labetalol", "role": "antihypertensive",
            "dose": {"value": "10", "unit": "mg"}, "at": "2026-10-14T10:50:00-05:00"}],
        "monitoring_shortened_reason": "own wish", "status_reason": "as told", "version": 2,
        "amendment_reason": "typing fault", "height": {"value": "170", "unit": "cm"},
    }  # fmt: skip
    reported = {"kind": "reported-by-prescriber", "requested_of": None, "reported_by": "pr-psych"}
    return [*made, {**spike, **full}, {**hold, **reported}]


def clinic() -> dict[str, Any]:
    """The example's clinic, whose reader by Direct takes the letter as a C-CDA note too."""
    made: dict[str, Any] = read("clinic")
    endpoints = [endpoint for provider in made["providers"] for endpoint in provider["endpoints"]]
    for one in endpoints:
        if one["kind"] == "direct":
            one["ccda"] = "progress-note"
    return made


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    def read_back(made: bytes, facts: Any) -> str:
        text = re.sub(r"\s+", " ", text_of(made.decode()))
        lost = [one.sources[0] for one in facts if not pdf.stands_in(one.text, text)]
        if lost:
            raise LetterRefused("letter.text-layer", lost[0])
        return text

    with pytest.MonkeyPatch.context() as instead:
        instead.setattr(pdf.PdfEngine, "render", lambda _, html: html.encode())
        instead.setattr(pdf, "read_back", read_back)
        instead.setattr(pdf, "page_count", lambda _: 1)
        instead.setattr(pdf, "join", lambda first, *_: first)
        rules = load_rules(
            RULES / "coordination.yaml", RULES / "signatures.demonstration.yaml", accept_demonstration=True
        )
        yield Workshop(rules=rules, mappings=load(ROOT / "mappings"), letters=load_letters(ROOT / "templates"))


@pytest.fixture(scope="module")
def book() -> CheckBook:
    return load_checks(RULES, ROOT / "mappings" / "instruments")


def outcome(shop: Workshop, book: CheckBook, event: Any, registry: Any) -> Composed | Unreadable | LetterRefused:
    """Return what is composed of an event, or why nothing is. Any other exception is the test's."""
    try:
        known, told = read_registry(json.dumps(registry).encode()), read_event(json.dumps(event).encode())
    except Unreadable as wrong:
        return wrong
    faults, questions = check(book, told, known, (), AT)
    if faults:
        return Unreadable(faults)
    try:
        return compose(shop, Case("mutated", told, known, (), AT), questions)
    except LetterRefused as held:
        return held


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its place, the items of a list under one."""
    if isinstance(value, str):
        yield path.removeprefix("/"), value
    for key, child in value.items() if isinstance(value, dict) else ():
        yield from texts(child, f"{path}/{key}")
    for child in value if isinstance(value, list) else ():
        yield from texts(child, f"{path}/*")


def plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def lost(event: Any, made: Composed) -> list[str]:
    """Return the places of texts that neither a letter nor a resource says."""
    told = [one for one in made.recipients if one.letters]
    if not told or event.get("status") == "entered-in-error":
        return []
    said = [plain(text_of(letter.html)) for one in told for letter in one.letters]
    said += [plain(text) for one in told for body in one.contents for _, text in texts(json.loads(body.body))]
    whole = "\n".join(said)
    return [where for where, text in texts(event) if where in TOLD and plain(text) not in whole]


@pytest.mark.parametrize("seed", range(4))
def test_an_odd_event_is_refused_with_reasons_or_composed_with_its_text_whole_and_escaped(shop, book, seed):
    random, bases, around = Random(seed), events(), clinic()
    seen: Counter[type] = Counter()
    for number in range(50):
        event = mutated(random, random.choice(bases), bases, most=2)
        registry = mutated(random, around, [around], most=1) if number % 5 == 0 else copy.deepcopy(around)
        made = outcome(shop, book, event, registry)
        seen[type(made)] += 1
        if isinstance(made, Unreadable):
            assert all(one.message and one.fix for one in made.faults)
        elif isinstance(made, LetterRefused):
            assert made.code in HELD_BY_DESIGN, f"seed {seed}, event {number}: {made}"
        else:
            assert lost(event, made) == [], f"seed {seed}, event {number}"
            assert all(whole(one) for one in made.recipients), f"seed {seed}, event {number}"
    assert seen[Composed] > 5
    assert seen[Unreadable] > 5


def whole(one: ForRecipient) -> bool:
    """Whether no text has become a tag in a letter, and each C-CDA note can be read."""
    tags = ("<script>alert", "<b>bold")
    return not any(tag in letter.html for letter in one.letters for tag in tags) and all(
        ET.fromstring(note) is not None for note in one.notes
    )


def test_every_event_that_is_mutated_is_composed_when_nothing_is_wrong_with_it(shop, book):
    for event in events():
        made = outcome(shop, book, event, clinic())
        assert isinstance(made, Composed), event["id"]
        assert lost(event, made) == []
