"""42 CFR Part 2 on paper: the prescribed notice on every page, the consent explained, and neither on anything else."""

import re
from dataclasses import replace

import pytest

from coordinator.domain.consent import ConsentDecision
from coordinator.letters.budget import PAGE_ONE_WORDS, page_one_words
from coordinator.letters.narrative import blocks_of
from coordinator.letters.pdf import pages_text
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.speech import ClinicSpeech
from coordinator.letters.views.patient import for_patient
from coordinator.mapping.ccda.note import progress_notes
from coordinator.mapping.load import load

NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
SAMPLES = [(name, who) for name in ("part2", "part2-change") for who in ("psychiatrist", "primary-care")]
TRACES = ("42 CFR", "P2-2026", "written consent", "Part 2")


def flat(text):
    return re.sub(r"\s+", " ", text)


@pytest.fixture(scope="module")
def made(room):
    def write(name, audience, *, fax=False, **changes):
        sample = room.samples().sample(name)
        recipient = replace(sample.recipients[audience], **changes)
        return room.write(sample.case, sample.plan, recipient, fax=fax)[0]

    return write


@pytest.mark.parametrize(("name", "audience"), SAMPLES)
def test_the_notice_stands_word_for_word_once_on_every_page_and_page_one_keeps_its_measure(made, name, audience):
    letter = made(name, audience)
    assert [flat(page).count(NOTICE) for page in pages_text(letter.pdf)] == [1] * len(pages_text(letter.pdf))
    assert letter.text.count(NOTICE) == 1
    assert page_one_words(letter.html) <= PAGE_ONE_WORDS


def test_the_letter_explains_the_consent_it_goes_by(made):
    first, second = made("part2", "psychiatrist").text, made("part2", "primary-care").text
    assert (
        "These records go to you with the patient's written consent of 1 October 2026 (our paper P2-2026-0142). "
        "It names as recipients: Dr Müller-Ångström and Dr O’Brien-Süß. Its purpose: treatment. "
        "It ends on 1 October 2027, or earlier if the patient revokes it."
    ) in flat(first)
    assert "P2-2026-0143" in second
    assert "treatment, payment, and health care operations. It holds until the patient revokes it." in flat(second)
    assert "P2-2026-0143" not in first


def test_a_fax_has_the_notice_on_every_page_but_its_cover_which_tells_of_no_programme(made):
    cover, *pages = (flat(page) for page in pages_text(made("part2", "psychiatrist", fax=True).cover_pdf))
    assert ["Safety alert" in pages[0], "Reply form" in pages[1], len(pages)] == [True, True, 2]
    assert ["Reviewed and released" in pages[0], "Consent." in pages[1]] == [True, True]
    assert all(page.count(NOTICE) == 1 for page in pages)
    assert not any(trace in cover for trace in TRACES)


def test_the_ccda_note_says_what_the_letter_says(room, made, templates):
    sample = room.samples().sample("part2")
    letter = made("part2", "psychiatrist")
    mappings = load(templates.parent / "mappings")
    (note,) = progress_notes(
        mappings,
        sample.case,
        sample.plan,
        sample.recipients["psychiatrist"],
        [(letter, blocks_of(letter.html))],
        ClinicSpeech(sample.case.clinic.time_zone),
    )
    text = flat(re.sub(r"<[^>]*>", " ", note.decode()))
    assert NOTICE in text
    assert "P2-2026-0142" in text


def test_no_other_sample_carries_any_of_it(written):
    others = [one for one in written if not one.sample.name.startswith("part2")]
    assert len(others) > 50
    for one in others:
        assert not any(trace in one.letter.html for trace in TRACES), one.name


def test_the_patient_gets_their_own_copy_without_it(room):
    sample = room.samples().sample("part2")
    copy = room.write(sample.case, sample.plan, for_patient(), fax=False)[0]
    assert not any(trace in copy.html for trace in TRACES)


@pytest.mark.parametrize("rests_on", [(None, None), ("cn-1", 2), ("cn-9", 1)])
def test_a_letter_that_cannot_explain_its_consent_is_not_written(made, rests_on):
    with pytest.raises(LetterRefused, match=r"letter\.part2"):
        made("part2", "psychiatrist", consent=ConsentDecision("permit", "consent", *rests_on))


def test_a_general_consent_explains_nothing(room):
    sample = room.samples().sample("part2")
    plain = room.samples().sample("bp-spike").case.registry
    with pytest.raises(LetterRefused, match=r"letter\.part2"):
        room.write(replace(sample.case, registry=plain), sample.plan, sample.recipients["psychiatrist"], fax=False)
