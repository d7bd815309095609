"""Every letter of the table has something that makes it: an event, or an act of a person. Nothing is preview only."""

from pathlib import Path
from typing import get_args

import pytest

from coordinator.domain.plan import LetterKind

BY_EVENT: dict[LetterKind, tuple[str, str, str]] = {
    "L1": ("T11-names", "pr-psych", "first session"),
    "L2": ("T11-names", "pr-pcp", "first session"),
    "L3": ("T2-restriction", "pr-psych", "dose changed"),
    "L4": ("T1-hold", "pr-psych", "request to the prescriber"),
    "L5": ("T1-spike", "pr-pcp", "rule R3"),
    "L6": ("T1-start", "pr-psych", "course start"),
    "L7": ("T1-end", "pr-pcp", "last planned session"),
    "L8": ("T1-missed", "pr-psych", "rule R21"),
    "L9": ("T4-amended", "pr-psych", "correction"),
    "L11": ("T1-hold", "pr-psych", "request to the prescriber"),
    "L12": ("T6-dose", "pr-psych", "rule R17"),
}
"""Kind -> a story that goes through planning, a reader, and why the message exists."""
BESIDE_A_LETTER: dict[LetterKind, str] = {"L10": "T12-fax-only"}
"""Made with every letter that may go by fax."""


@pytest.mark.parametrize("kind", BY_EVENT)
def test_an_event_makes_it(composed, kind):
    story, reader, why = BY_EVENT[kind]
    plan = next(one.plan for one in composed[story].recipients if one.plan.provider == reader)
    assert kind in plan.letters
    assert plan.why == why
    made = next(one.letters for one in composed[story].recipients if one.plan.provider == reader)
    assert kind == "L11" or kind in {one.kind for one in made}
    if kind == "L11":
        assert any("Reply form" in one.text for one in made)


def test_every_fax_has_its_cover(composed):
    made = composed[BESIDE_A_LETTER["L10"]].recipients[0].letters[0]
    assert made.cover_pdf is not None


BY_A_PERSON: dict[LetterKind, str] = {
    "L13": "test_a_letter_to_a_wrong_reader_needs_an_incident_and_says_nothing_clinical",
    "L14": "test_the_page_of_a_message_offers_both_and_shows_them_as_pdf",
}
"""Kind -> the test that walks the act, at the console, over the store."""


@pytest.mark.parametrize("kind", BY_A_PERSON)
def test_a_person_makes_it_at_the_console(kind):
    acts = (Path(__file__).parents[2] / "integration" / "test_paper_pages.py").read_text(encoding="utf-8")
    assert f"def {BY_A_PERSON[kind]}(" in acts


def test_no_kind_is_left_over():
    assert {*BY_EVENT, *BESIDE_A_LETTER, *BY_A_PERSON} == set(get_args(LetterKind))
