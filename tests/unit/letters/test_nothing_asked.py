"""What a letter asks stands in its Box A: nothing below it asks for more, least of all below "No action needed"."""

import re

import pytest

from coordinator.letters.text import text_of

BOX = re.compile(r'<section class="ask">.*?</section>', re.DOTALL)
QUOTED = re.compile("“[^”]*”")
ASKING = re.compile(
    r"\bplease\b|\bkindly\b"
    r"|\bwe (?:ask|urge|request|expect|need|want|would like) you\b"
    r"|\b(?:could|would|can|will) you\b|\byou (?:should|must|need to|have to)\b"
    r"|\b(?:tell|call|let|send|fax|inform) us\b"
    r"|^(?:(?:re)?check|watch|measure|monitor|call|remove|return|review|evaluate|consider|arrange|confirm|decide|refer"
    r"|follow|make sure|ensure|sign|keep|do not|hold|stop|see)\b",
    re.IGNORECASE,
)
STANDING = {
    "to put us right about what is taken": "Please tell us if this is wrong.",
    "to be written to less often": "If you would rather not receive summaries, please tell us; "
    "requests and safety alerts will still reach you.",
}
"""Offers that stand in letters whatever is asked. None of them asks for care, and nobody waits for an answer."""
BESIDE_A_BOX_THAT_ASKS = {
    "what the one who is asked is to decide, at more length": "We ask you to consider ",
    "the banner of a correction, right above the box": "Please remove version ",
}
"""How a sentence begins that belongs to what Box A asks. In a letter whose box asks for nothing it may not stand."""


def asking(text):
    """Return the sentences of a text that ask its reader for something. What is quoted was asked of somebody else."""
    lines = (" ".join(QUOTED.sub("“”", line).split()) for line in text.splitlines())
    sentences = (one for line in lines if not line.startswith("[ ]") for one in re.split(r"(?<=[.?!])\s+", line))
    return [one for one in sentences if ASKING.search(one)]


def _box_and_rest(row):
    html = row.letter.html
    box = BOX.search(html)
    assert box is not None, row.name
    return text_of(html[: html.index("<body")] + f"<body>{box.group()}</body></html>"), text_of(BOX.sub("", html))


def _to_clinicians(written):
    return [row for row in written if row.letter.kind != "L14" and row.page.body is not None]


def test_what_a_letter_asks_is_said_in_its_box_and_a_letter_that_needs_no_action_asks_nothing(written):
    unsaid = {}
    for row in _to_clinicians(written):
        box, rest = _box_and_rest(row)
        told = tuple(BESIDE_A_BOX_THAT_ASKS.values()) if "No action needed" not in box else ()
        found = [one for one in asking(rest) if one not in STANDING.values() and not one.startswith(told)]
        if found:
            unsaid[row.name] = found
    assert not unsaid


def test_the_letters_looked_at_are_of_every_kind_with_and_without_requests(written):
    rows = [(row, _box_and_rest(row)) for row in _to_clinicians(written)]
    none = {row.letter.kind for row, (box, _) in rows if "No action needed" in box}
    assert none == {"L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8"}
    some = {row.letter.kind for row, (box, _) in rows if "1. Please" in box}
    assert some >= {"L1", "L2", "L4", "L5", "L7", "L8", "L9", "L12"}
    whole = " ".join(" ".join(rest.split()) for _, (_, rest) in rows)
    assert all(one in whole for one in STANDING.values())
    assert all(begin in whole for begin in BESIDE_A_BOX_THAT_ASKS.values())


def test_a_correction_that_asks_for_nothing_else_still_says_in_its_box_what_to_do_with_the_earlier_version(one):
    box, _ = _box_and_rest(one("correction-without-requests.primary-care"))
    assert "Please remove the earlier version. This letter asks for nothing else." in " ".join(box.split())
    assert "No action needed" not in box


def test_a_request_about_a_stimulant_speaks_to_whoever_is_asked_and_tells_every_other_reader_of_it(one):
    box, asked = _box_and_rest(one("stimulant-hold-asked-of-primary-care.primary-care"))
    assert "1. Please decide whether Adderall XR should be held" in box
    assert "We ask you to consider holding Adderall XR" in asked
    assert "The decision is yours; nothing changes until you decide." in asked
    box, copy = _box_and_rest(one("stimulant-hold-asked-of-primary-care.psychiatrist"))
    assert "No action needed – for information." in box
    assert "We asked Maeve O’Brien-Süß, DO (primary care): “Please decide" in " ".join(copy.split())
    assert "The decision is the prescriber's; nothing changes until then." in copy


@pytest.mark.parametrize(
    "sentence",
    [
        "Please watch the blood pressure between sessions.",
        "Between sessions, please watch for urinary symptoms.",
        "Watch the blood pressure.",
        "We ask you to recheck the blood pressure.",
        "You should consider an ECG.",
        "If it is raised, call us.",
        "Do not change the dose.",
    ],
)
def test_a_sentence_that_asks_is_found(sentence):
    assert asking(f"The dose was the same.\n{sentence} The course goes on.") == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "Between sessions, blood pressure matters for this treatment.",
        "What matters between sessions: raised blood pressure, urinary symptoms, and pregnancy.",
        "We asked Dr Example: “Please decide whether it should be held.”",
        "We ask the prescriber to consider holding Adderall XR.",
        "Our telephone: +1 218-555-0110, after hours +1 218-555-0111.",
        "[ ] Please call me, at: ____",
    ],
)
def test_a_sentence_that_only_tells_is_not(sentence):
    assert asking(sentence) == []
