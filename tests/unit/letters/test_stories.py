"""The worked scenarios, from the event through planning to the finished letter."""

import re

import pytest

from coordinator.letters.budget import PAGE_ONE_WORDS, words_of
from coordinator.letters.pdf import pages_text, stands_in


@pytest.fixture(scope="session")
def told(composed):
    """Return the text of one reader's letter, of the first or of a named kind."""

    def find(story: str, provider: str, kind: str | None = None) -> str:
        made = next(one for one in composed[story].recipients if one.plan.provider == provider)
        letter = next(one for one in made.letters if kind in (None, one.kind))
        return " ".join(letter.text.split())

    return find


def test_t1_the_spike_makes_one_urgent_letter_with_its_true_peak_and_no_order(composed, told):
    assert [[one.kind for one in row.letters] for row in composed["T1-spike"].recipients] == [["L5"], ["L5"]]
    text = told("T1-spike", "pr-psych")
    for said in ("184/112", "+50/+28", "ketamine 41 mg", "30 mg at 07:30 CDT", "patient report"):
        assert said in text
    assert "172" not in text
    assert "Very high blood pressure during the session. On 14 October" in text


def test_t1_the_hold_asks_its_prescriber_with_an_end_and_a_reply_form(told):
    text = told("T1-hold", "pr-psych", "L4")
    assert "the evening after each session" in text
    assert "wrong recipient" in text.lower() or "not my patient" in text.lower()
    assert "What we ask you to do" in told("T1-hold", "pr-pcp", "L4")


def test_t1_the_last_session_ends_the_course_and_lists_the_hold_that_is_still_open(composed, told):
    assert [[one.kind for one in row.letters] for row in composed["T1-end"].recipients] == [["L7"], ["L7"]]
    for reader in ("pr-psych", "pr-pcp"):
        text = told("T1-end", reader)
        assert "Adderall XR" in text
        assert "16 October 2026" in text
        assert "the evening after each session, once blood pressure is back to baseline" in text


@pytest.mark.parametrize("story", ["T1-end", "T1-called-off"])
def test_t1_on_either_way_out_of_the_course_the_prescriber_is_asked_to_close_the_hold(told, story):
    asked = "Please decide when Adderall XR is taken again: our request to hold it ends with this course."
    assert asked in told(story, "pr-psych")
    assert "Reply form" in told(story, "pr-psych")
    assert asked not in told(story, "pr-pcp")
    for reader in ("pr-psych", "pr-pcp"):
        assert "Open hold: we asked for Adderall XR to be held from 16 October 2026" in told(story, reader)
        assert "Next session" not in told(story, reader)
        assert "Plan: none is recorded." in told(story, reader)


def test_t1_missed_sessions_name_the_open_hold_and_the_last_dose(composed, told):
    assert [[one.kind for one in row.letters] for row in composed["T1-missed"].recipients] == [["L8"], ["L8"]]
    text = told("T1-missed", "pr-psych")
    assert "Open hold: we asked for Adderall XR" in text
    assert "was missed. No dose was given. The last dose before it: 41 mg on 14 October 2026." in text
    assert "Next session: not yet scheduled." in text
    assert "URGENT" in text


def test_t1_the_course_starts_with_a_letter_before_its_first_session(composed, told):
    assert [[one.kind for one in row.letters] for row in composed["T1-start"].recipients] == [["L6"], ["L6"]]
    for reader in ("pr-psych", "pr-pcp"):
        text = told("T1-start", reader)
        for said in ("First session: 8 October 2026.", "usually not covered by insurance", "Please send no summaries"):
            assert said in text


def test_a_first_session_nobody_announced_says_what_the_start_of_a_course_says(told):
    text = told("T6-dose", "pr-psych", "L1")
    assert "usually not covered by insurance" in text
    assert "From now on you will hear from us whenever a dose changes" in text
    assert "usually not covered by insurance" in told("T6-dose", "pr-pcp")
    later = told("T4-amended", "pr-psych")
    assert "usually not covered by insurance" not in later
    assert "ou will hear from us" not in later


def test_t2_the_reader_left_out_is_neither_copied_nor_mentioned(composed, told):
    blocked = next(one for one in composed["T2-restriction"].recipients if one.plan.provider == "pr-pcp")
    assert blocked.letters == ()
    assert blocked.contents == ()
    text = told("T2-restriction", "pr-psych")
    assert "0.5 mg/kg" in text
    assert "0.6 mg/kg" in text
    for hidden in ("Copy to", "O’Brien", "Hillside", "restrict", "cn-3"):
        assert hidden not in text


def test_t2_the_dose_for_body_weight_is_told_in_milligrams_with_the_scores_behind_it(told):
    text = told("T2-restriction", "pr-psych")
    assert "For the 65 kg weighed on 14 October 2026, that is 32.5 mg before and 39 mg now." in text
    assert "PHQ-9 (depression) 11 of 27, moderate (past 2 weeks, 14 October 2026; before: 19 on 7 October 2026)" in text
    assert "Suicide-risk screen: low risk" in text


def test_t3_the_new_primary_care_provider_gets_the_letter_and_the_old_one_the_correction(composed, told):
    assert [one.plan.provider for one in composed["T3-moved"].recipients] == ["pr-psych", "pr-new"]
    old = told("T3-correction", "pr-pcp")
    assert "CORRECTED LETTER" in old.upper()
    assert "CORRECTED LETTER" not in told("T3-correction", "pr-new").upper()


def test_t4_was_and_is_now_stand_side_by_side_and_the_request_is_taken_back(told):
    for reader in ("pr-psych", "pr-pcp"):
        text = told("T4-amended", reader)
        for said in ("142/87", "124/78", "95 kg", "59 kg", "0.316 mg/kg", "0.508 mg/kg", "no longer applies"):
            assert said in text, (reader, said)
        assert text.count("Was:") == 3, reader


def test_t5_the_same_record_again_makes_the_same_letter(composed):
    first, again = composed["T1-spike"], composed["T5-again"]
    for one, other in zip(first.recipients, again.recipients, strict=True):
        assert [made.pdf for made in one.letters] == [made.pdf for made in other.letters]


@pytest.mark.parametrize(("story", "ours", "theirs"), [("T6-dose", "20 mg", "30 mg"), ("T6-form", "10 mg", "20 mg")])
def test_t6_a_disagreement_is_asked_with_both_statements_and_no_change_line(told, story, ours, theirs):
    text = told(story, "pr-psych", "L12")
    assert ours in text
    assert theirs in text
    assert "We have changed nothing" in text
    assert "→" not in text


@pytest.mark.parametrize("story", ["T6-dose", "T6-form"])
def test_t6_the_reply_form_lets_the_prescriber_choose_between_the_statements(told, story):
    letter, form = told(story, "pr-psych", "L12").split("Reply form", 1)
    patient, prescriber = (
        "Adderall XR 20 mg once daily" if story == "T6-dose" else "Adderall 10 mg twice daily",
        "Adderall XR 30 mg once daily" if story == "T6-dose" else "Adderall XR 20 mg once daily",
    )
    assert f"Prescribed now: {patient} (patient, 1 October 2026)." in form
    assert f"Prescribed now: {prescriber} (prescriber, 10 October 2026)." in form
    assert "Something else:" in form
    for unclear in ("Correct", "I agree", "A different plan"):
        assert unclear not in form
    assert "your record states" in letter


def test_t7_a_minors_letter_holds_only_what_was_recorded(told):
    assert "born 14 November 2009" in told("T7-minor", "pr-psych")


def test_t8_a_switch_stops_one_product_and_starts_the_other(told):
    text = told("T8-switch", "pr-psych")
    assert "ketamine" in text
    assert "esketamine (Spravato)" in text
    assert "increase" not in text.lower()
    assert "12" not in [word.strip("%") for word in text.split() if word.endswith("%")]


def test_t8_micrograms_are_shown_once_as_they_were_ordered(told):
    text = told("T8-micrograms", "pr-psych")
    assert text.count("500 mcg/kg") == 1
    assert "0.5 mg/kg" not in text


def test_t9_the_confirmed_weight_is_the_one_printed(told):
    text = told("T9-confirmed", "pr-psych")
    assert "81.6 kg" in text
    assert "180 kg" not in text


def test_t10_an_answer_is_due_by_the_sun_in_each_readers_own_zone(told):
    assert "By 1 November 2026, 12:10 MST." in told("T10-clocks", "pr-psych")
    assert "CDT" in told("T10-clocks", "pr-pcp")


def test_t11_every_name_is_composed_whole_and_escaped(composed, told):
    text = told("T11-names", "pr-psych")
    for name in ("Zoë Núñez-Đặng, III", "Łukasz Müller-Ångström, MD", "O'Hara & Sons <North> Psychiatry"):
        assert name in text
    letter = composed["T11-names"].recipients[0].letters[0]
    assert "<North>" not in letter.html
    assert "Núñez-Đặng" in " ".join(pages_text(letter.pdf))


def test_t12_a_fax_has_a_cover_without_patient_illness_or_drug(composed):
    made = composed["T12-fax-only"].recipients[0].letters[0]
    cover = pages_text(made.cover_pdf)[0]
    for hidden in ("Zoë", "Núñez", "ketamine", "ADHD", "1988", "Adderall"):
        assert hidden not in cover
    assert made.reference in cover


def test_page_one_of_every_story_keeps_its_measure(written):
    for row in written:
        assert words_of(pages_text(row.letter.pdf)[0]) <= PAGE_ONE_WORDS, row.name


def test_every_story_of_the_twelve_is_there(composed):
    assert {name.split("-")[0] for name in composed} == {f"T{number}" for number in range(1, 13)}


def test_what_must_stand_on_page_one_stands_there_also_where_a_letter_runs_over(written):
    over = 0
    for row in written:
        first, *rest = pages_text(row.letter.pdf)
        over += bool(rest) and "About this treatment" in first[: len(first) // 2]
        for one in row.page.parts["frame"].statements:
            assert stands_in(one.text, first), (row.name, one.text)
    assert over


def test_a_fax_keeps_them_on_its_first_page_behind_the_cover_too(room):
    for name in ("digest", "crowded", "correction"):
        sample = room.samples().sample(name)
        for recipient in sample.recipients.values():
            page = room.pages(sample.case, sample.plan, recipient)[0]
            made = room.write(sample.case, sample.plan, recipient, fax=True)[0]
            for one in page.parts["frame"].statements:
                assert stands_in(one.text, pages_text(made.cover_pdf)[1]), (name, one.text)


def test_the_letter_about_the_end_of_a_course_says_so_of_its_picture_and_of_what_is_not_recorded(told, one):
    flat = told("T1-end", "pr-psych")
    assert "The course so far" not in flat
    assert "The dose was the same at each session." in flat
    drawn = " ".join(one("course-end.psychiatrist").letter.text.split())
    assert "Dose 32.5 mg at first, 41 mg at the end." in drawn
    assert "most recently" not in drawn


def test_advice_not_to_drive_stands_on_page_one_of_every_letter_that_has_it(written):
    advice = "The patient was advised not to drive or use machinery until the next day after sleep."
    there = {
        row.name: stands_in(advice, pages_text(row.letter.pdf)[0])
        for row in written
        if advice in " ".join(row.letter.text.split())
    }
    assert len(there) > 60
    assert [name for name, on_page_one in there.items() if not on_page_one] == []


def test_a_letter_that_fits_on_one_page_in_smaller_spaces_has_one_page_and_its_plan_on_it(written):
    closer = [row for row in written if "/* A letter whose end would else stand" in row.letter.html]
    assert closer
    for row in closer:
        first = pages_text(row.letter.pdf)[0]
        assert stands_in(f"{row.page.parts['frame'].signature.at}.", first), row.name
    digest = next(row for row in written if row.name == "digest.psychiatrist.L1")
    assert "Plan: Continue induction" in " ".join(pages_text(digest.letter.pdf)[0].split())


FORGIVEN = {"long-name.psychiatrist.L1", "long-name.primary-care.L2"}
"""A name of ninety letters costs page one the words of two statements."""


def test_no_second_page_has_one_or_two_statements_alone(written):
    alone = set()
    for row in written:
        if row.page.form is None and "What you will receive" not in row.letter.text:
            for page in pages_text(row.letter.pdf)[1:]:
                if " ".join(page.split()).startswith("More about this treatment.") and words_of(page) < 35:
                    alone.add(row.name)
    assert alone <= FORGIVEN


def test_no_text_letter_says_a_sentence_twice(written):
    for row in written:
        letter = row.letter.text.split("Reply form\n", 1)[0]
        lines = [re.sub(r"^\d\. ", "", line) for line in letter.splitlines() if not line.startswith("- ")]
        said = [one for line in lines for one in re.split(r"(?<=\.) (?=[A-Z])", line) if len(one.split()) > 5]
        assert len(said) == len(set(said)), (row.name, [one for one in said if said.count(one) > 1])
