"""What the letters say, for the worked scenarios."""

import dataclasses
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.plan import Request
from coordinator.letters.lint import load_lint
from coordinator.letters.pdf import pages_text
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.write import load_letters

SCALES = Path(__file__).parents[3] / "mappings" / "instruments"


def written_for(room, sample, audience="psychiatrist", **changes):
    recipient = dataclasses.replace(sample.recipients[audience], **changes)
    plan = dataclasses.replace(
        sample.plan,
        recipients=tuple(recipient if one.provider == recipient.provider else one for one in sample.plan.recipients),
    )
    return room.write(sample.case, plan, recipient, fax=False)


def test_a_spike_prints_its_true_peak_and_rise_and_the_stimulant_as_taken(one):
    for audience in ("psychiatrist", "primary-care"):
        text = one(f"bp-spike.{audience}").letter.text
        assert "Highest: 184/112" in text
        assert "+50/+28 mmHg" in text
        assert "134/84 mmHg before the dose, 184/112 mmHg at its highest" in text
        assert "172" not in text
        assert "Stimulant as we understand it: Adderall XR 30 mg once daily (patient, 1 October 2026)." in text
        assert "30 mg at 07:30 CDT that day (patient report)" in text
        assert "Please tell us if this is wrong." in text


def test_a_request_names_its_time_in_the_readers_zone(one):
    assert "By 15 October 2026, 11:12 MST." in one("bp-spike.psychiatrist").letter.text
    assert "By 21 October 2026, 13:12 CDT." in one("bp-spike.primary-care").letter.text


def test_one_spike_makes_one_alert_with_the_most_severe_reason(one):
    text = one("bp-spike.psychiatrist").letter.text
    assert text.count("Very high blood pressure during the session") == 1
    assert text.startswith("Lakeside Interventional Psychiatry\n")
    assert "URGENT" in text


def test_no_letter_has_an_empty_box(written):
    for row in written:
        if row.page.body is None:
            assert "What we ask you to do\n1. Please remove" in row.letter.text, row.name
            continue
        if row.letter.kind == "L14":
            assert "1. Keep taking" in row.letter.text or "1. Siga tomando" in row.letter.text
            continue
        box = row.letter.text.split("What we ask you to do\n", 1)[1]
        asked = row.page.parts["frame"].asks
        beside = row.page.beside is not None and row.page.beside.asks
        none = "No action needed for what this letter tells." if beside else "No action needed – for information."
        if row.letter.kind == "L9":
            none = "Please remove the earlier version. This letter asks for nothing else."
        expected = asked[0].text.text if asked else none
        assert expected.replace("\u00a0", " ") in box.split("\n")[0] + box.split("\n")[1], row.name


def test_a_request_without_words_is_refused(room, one):
    sample = one("bp-spike.psychiatrist").sample
    with pytest.raises(LetterRefused, match=r"letter\.empty-box"):
        written_for(room, sample, requests=(Request(text="  ", rule="R3", due_at=None),))


def test_the_copy_for_primary_care_says_what_was_asked_of_whom_and_asks_nothing(one):
    text = one("stimulant-hold.primary-care").letter.text
    assert "No action needed – for information." in text
    assert "We asked Łukasz Müller-Ångström, MD (psychiatrist):" in text
    assert "Please decide whether Adderall XR should be held on treatment days" in text
    assert "Reply form" not in text


def test_a_request_is_one_letter_with_its_reply_form_as_the_last_page(one):
    row = one("stimulant-hold.psychiatrist")
    assert row.letter.kind == "L4"
    assert "The decision is yours; nothing changes until you decide." in row.letter.text
    form = row.letter.text.split("Reply form", 1)[1]
    for part in (
        row.letter.reference,
        "Wrong recipient",
        "A different plan (dose, from which day):",
        "Signature",
        "Adderall XR 30 mg once daily",
    ):
        assert part in form
    assert row.letter.text.count("the evening after each session") == 1


def test_a_correction_shows_what_was_and_is_and_that_a_request_falls(one):
    row = one("correction.psychiatrist")
    text = row.letter.text
    assert row.letter.kind == "L9"
    assert row.letter.version == 2
    for line in (
        "CORRECTED LETTER – version 2 replaces version 1",
        "- Weight. Was: 95 kg; Is now: 59 kg",
        "- Dose for body weight. Was: 0.316 mg/kg; Is now: 0.508 mg/kg",
        "- Blood pressure (mmHg), before the dose. Was: 142/87; Is now: 124/78",
        "Yes. Request 1 in our letter of 14 October 2026, 15:10 CDT no longer applies.",
    ):
        assert line in text
    assert len(row.page.parts["correction"].differences) == 3
    assert "Please remove version 1" in text
    assert "What happened" not in text
    assert "Summary" in text


def test_a_request_that_still_stands_is_said_to_stand(room, one):
    sample = one("correction.psychiatrist").sample
    same = Request(text=sample.case.already_sent[0].requests[0], rule="R1", due_at=None)
    text = written_for(room, sample, requests=(same,))[0].text
    assert "Request 1 of the earlier letter still stands." in text
    assert "no longer applies" not in text


def test_a_retraction_withdraws_everything_and_repeats_nothing_clinical(one):
    text = one("retraction.psychiatrist").letter.text
    assert "RETRACTED LETTER" in text
    assert one("retraction.psychiatrist").letter.title == "Retracted letter"
    assert one("correction.psychiatrist").letter.title == "Corrected letter: Treatment session summary"
    assert "Nothing in it applies, and its requests are withdrawn." in text
    for part in ("184/112", "ketamine", "41 mg", "Adderall", "PHQ"):
        assert part not in text


def test_a_retraction_asks_that_the_letter_be_removed_and_whether_anything_was_done(one):
    for name in ("retraction.psychiatrist", "retraction.primary-care", "retraction-without-reason.psychiatrist"):
        box = one(name).letter.text.split("What we ask you to do\n", 1)[1]
        assert box.startswith("1. Please remove the earlier letter from the patient's record.\n2. If anything was done")
        assert "please call us today: +1 218-555-0110, after hours +1 218-555-0111." in box


def test_a_correction_without_anything_to_correct_is_refused(room, one):
    sample = one("bp-spike.psychiatrist").sample
    with pytest.raises(LetterRefused, match=r"letter\.template"):
        written_for(room, sample, letters=("L9", "L1"))


def test_somebody_who_may_not_have_a_letter_is_never_named_in_one(room, one):
    sample = one("bp-spike.psychiatrist").sample
    pcp = dataclasses.replace(
        sample.recipients["primary-care"],
        consent=ConsentDecision("deny", "restriction", "cn-2", 3),
        not_sent_because="restriction",
    )
    plan = dataclasses.replace(sample.plan, recipients=(sample.recipients["psychiatrist"], pcp))
    text = room.write(sample.case, plan, sample.recipients["psychiatrist"], fax=False)[0].text
    assert "Brien" not in text
    assert "Copy to" not in text


def test_the_statements_of_adhd_are_on_every_letter_with_a_body(written):
    must = (
        "it is not FDA-approved for ADHD",
        "responses vary between patients",
        "hours to days",
        "temporarily worse",
        "no universal dosing standard",
        "stimulant decisions remain with the prescriber",
    )
    others = 0
    for row in written:
        course = row.sample.case.patient.course
        if row.page.body is None:
            continue
        if row.letter.kind == "L14":
            assert [str(one) for one in row.page.parts["frame"].statements if str(one) not in row.letter.text] == []
            assert row.page.parts["frame"].statements
            continue
        if course is None or "adhd" not in course.indications:
            others += 1
            assert "Stimulant decisions remain with the prescriber." in row.letter.text, row.name
            continue
        missing = [part for part in must if part not in row.letter.text]
        assert not missing, (row.name, missing)
    assert others


def test_advice_not_to_drive_is_printed_only_where_it_was_recorded(one):
    assert "advised not to drive" in one("bp-spike.psychiatrist").letter.text
    assert "advised not to drive" not in one("nothing-recorded.psychiatrist").letter.text


def test_what_is_unknown_is_said_to_be_unknown(one):
    text = one("nothing-recorded.psychiatrist").letter.text
    assert "Adverse events: unknown." in text
    assert "Suicide-risk screen: not recorded." in text
    assert "not done: declined" in text
    assert "Stimulant: none is known to us." in text
    assert "No blood pressure was recorded." in text
    assert "Now: unknown" in text


def test_no_reported_event_is_said_and_not_left_blank(one):
    assert "Adverse events: none reported." in one("esketamine.psychiatrist").letter.text


def test_a_switch_of_product_is_told_as_stopped_and_started(one):
    text = one("product-switch.psychiatrist").letter.text
    assert "we stopped ketamine, intranasal, 50 mg and started esketamine (Spravato), intranasal, 56 mg" in text
    assert "not interchangeable" in text
    assert "increase" not in text


def test_a_reported_change_is_told_as_reported(one):
    text = one("stimulant-reported.psychiatrist").letter.text
    assert "We pass this on as reported; it was not our decision." in text
    assert "Before: unknown" in text


def test_the_primary_care_letter_has_nothing_of_the_sessions_inner_side(written):
    for row in written:
        if "primary-care" in row.sample.recipients and row.audience != "psychiatrist":
            if row.letter.kind != "L5":
                assert "Dissociation" not in row.letter.text, row.name
            assert "The patient reports" not in row.letter.text, row.name


def test_scores_stand_with_range_band_window_and_the_one_before(one):
    text = one("digest.psychiatrist").letter.text
    line = "PHQ-9 (depression) 11 of 27, moderate (past 2 weeks, 14 October 2026; before: 15 on 10 October 2026)"
    assert line in text


def test_a_digest_tells_of_each_session_once(one):
    text = one("digest.psychiatrist").letter.text
    assert "Dose: 32.5 mg; Pressure before, mmHg: 122/79; Highest: 141/88; Discharge: 124/80" in text
    assert "- 2. Date: 10 October 2026; Dose: 39 mg; Pressure before, mmHg: not recorded" in text
    assert "Dose 32.5 mg at first, 41 mg most recently." in text


def test_a_request_names_who_is_to_decide_and_never_says_that_it_was_decided(one):
    for audience in ("psychiatrist", "primary-care"):
        text = one(f"stimulant-hold.{audience}").letter.text
        assert "Who decides: Łukasz Müller-Ångström, MD" in text
        assert "Decided by" not in text
    assert "Decided by: Adaeze Okafor, MD" in one("dose-increase.psychiatrist").letter.text


def test_nobody_but_who_answers_for_a_session_is_said_to_have_decided_its_dose(one):
    text = one("nothing-recorded.psychiatrist").letter.text
    assert "Decided by: not recorded" in text
    assert "Not reviewed by a clinician yet. Recorded by Dana Reyes, RN" in text
    assert "ketamine, dose unknown, intravenous" in text


def test_the_copy_of_a_request_says_it_once_and_all_of_it_on_one_page(one):
    row = one("stimulant-hold.primary-care")
    assert row.letter.text.count("should be held") == 1
    assert "We ask the prescriber" not in row.letter.text
    assert len(pages_text(row.letter.pdf)) == 1
    assert "We ask the prescriber to consider holding" in one("stimulant-hold-told-to-one.primary-care").letter.text


def test_the_end_of_a_course_tells_first_and_last_and_nothing_that_goes_on(one):
    text = one("course-end.psychiatrist").letter.text
    assert "First dose: 32.5 mg; Last dose: 41 mg; Last given: 14 October 2026" in text
    assert "Now:" not in text
    assert "(past 2 weeks, 14 October 2026; first: 19 on 7 October 2026)" in text
    switched = one("course-end-after-switch.psychiatrist").letter.text
    assert "First dose: ketamine, intravenous, 41 mg; Last dose: 56 mg" in switched
    assert "not interchangeable" in switched
    assert "PHQ-9 (depression) 11 of 27" in switched


def test_a_stat_letter_says_that_we_also_telephone(one):
    text = one("emergency.psychiatrist").letter.text
    assert "We will also telephone you." in text
    assert "Emergency care was used." in text
    assert "The time of discharge is not recorded." in text
    assert "labetalol 10 mg, 10:45 CDT" in text
    assert "Symptoms of high blood pressure: chest pain, visual disturbance." in text


def test_an_extreme_outside_the_three_readings_is_still_told(one):
    text = one("extremes-apart.primary-care").letter.text
    assert "Highest: 170/102" in text
    assert "+36/+30 mmHg" in text
    assert "Highest diastolic pressure: 114 mmHg at 10:20 CDT." in text
    assert "Highest pulse: 131 per minute at 10:20 CDT." in text
    assert "Lowest oxygen saturation: 89 % at 10:20 CDT." in text


def test_a_summary_of_a_session_that_was_not_completed_says_so(one):
    row = one("extremes-apart.psychiatrist")
    assert row.letter.kind == "L1"
    assert "Session missed or stopped" in row.letter.text
    assert "took place. No dose was given." in row.letter.text


def test_names_survive_whole(one):
    for name in ("bp-spike.psychiatrist", "long-name.psychiatrist"):
        row = one(name)
        assert str(row.page.parts["frame"].patient.name) in row.letter.text
    assert "Łukasz Müller-Ångström, MD" in one("bp-spike.psychiatrist").letter.text
    assert "O’Brien-Süß, DO" in one("bp-spike.primary-care").letter.text


def test_a_name_with_markup_is_printed_and_not_run(room, one):
    sample = one("bp-spike.psychiatrist").sample
    patient = sample.case.registry.patients[0]
    name = patient.name.model_copy(update={"family": "<b>O'Neil & Sons</b>"})
    registry = sample.case.registry.model_copy(update={"patients": (patient.model_copy(update={"name": name}),)})
    changed = dataclasses.replace(sample, case=dataclasses.replace(sample.case, registry=registry))
    letter = written_for(room, changed)[0]
    assert "<b>O'Neil" not in letter.html
    assert "&lt;b&gt;O&#39;Neil &amp; Sons&lt;/b&gt;" in letter.html


def test_an_order_about_a_stimulant_is_refused(room, one):
    sample = one("bp-spike.psychiatrist").sample
    for words in (
        "Hold the stimulant.",
        "Please stop Adderall XR from today.",
        "It is proven.",
        "Give 5.0 mg.",
        "Take QD.",
    ):
        with pytest.raises(LetterRefused, match=r"letter\.lint: plan:/recipients/0/requests/0/text"):
            written_for(room, sample, requests=(Request(text=words, rule=None, due_at=None),))


def test_no_template_says_a_forbidden_word(templates):
    lint = load_lint(templates / "layout" / "lint.yaml")
    assert lint.check_templates(templates) == ()


def test_no_template_prints_a_number_of_its_own(templates):
    code = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>|&#?\w+;", re.DOTALL)
    for path in sorted(templates.rglob("*.html")):
        text = code.sub(" ", path.read_text(encoding="utf-8"))
        text = re.sub(r"@page \{.*?\n\}|@page \{[^\n]*", " ", text, flags=re.DOTALL)
        assert not re.search(r"\d", text), path.name


def test_a_template_that_asks_for_what_is_not_there_stops_the_letter(templates, tmp_path, one):
    copy = tmp_path / "templates"
    shutil.copytree(templates, copy)
    body = copy / "letters" / "safety_alert" / "psychiatrist" / "body.html"
    body.write_text(body.read_text() + "{{ view.no_such_field }}")
    sample = one("bp-spike.psychiatrist").sample
    with pytest.raises(LetterRefused, match=r"letter\.template"):
        written_for(load_letters(copy, SCALES), sample)


def test_a_body_that_leaves_the_statements_out_cannot(templates, tmp_path, one):
    copy = tmp_path / "templates"
    shutil.copytree(templates, copy)
    (copy / "letters" / "missed.html").write_text("")
    (copy / "letters" / "session_missed" / "psychiatrist" / "body.html").write_text("<p>x</p>")
    sample = one("missed.psychiatrist").sample
    with pytest.raises(LetterRefused, match="text-layer"):
        written_for(load_letters(copy, SCALES), sample)


def test_a_code_without_words_refuses_the_letter(room, one):
    sample = one("bp-spike.psychiatrist").sample
    with pytest.raises(LetterRefused, match=r"letter\.template: L6 for psychiatrist|letter\.template"):
        written_for(room, sample, letters=("L3",))


def test_a_refusal_holds_no_value_of_the_patient(room, one):
    sample = one("bp-spike.psychiatrist").sample
    patient = sample.case.registry.patients[0]
    name = patient.name.model_copy(update={"family": "名前"})
    registry = sample.case.registry.model_copy(update={"patients": (patient.model_copy(update={"name": name}),)})
    changed = dataclasses.replace(sample, case=dataclasses.replace(sample.case, registry=registry))
    with pytest.raises(LetterRefused) as refused:
        written_for(room, changed)
    assert refused.value.code == "letter.glyph"
    assert "名" not in str(refused.value)
    assert "Zo" not in str(refused.value)


def test_the_subject_of_a_message_names_no_patient_and_no_drug(written):
    for row in written:
        words = "Carta clínica, referencia" if row.letter.language == "es" else "Clinical letter, reference"
        assert row.letter.subject == f"{words} {row.letter.reference}"


def test_a_preview_carries_its_band(room):
    html = room.preview("L5", "psychiatrist", "bp-spike")
    assert "PREVIEW - NOT SENT" in html
    with pytest.raises(KeyError):
        room.preview("L1", "psychiatrist", "bp-spike")


def test_a_copy_and_a_resend_say_so_on_the_cover_only(room, one):
    from coordinator.letters.pdf import pages_text

    case = one("bp-spike.primary-care").sample.case
    at = datetime(2026, 10, 15, 15, 0, tzinfo=UTC)
    plain = pages_text(room.papers.fax_cover(case.clinic, case.provider("pr-pcp"), "K7QF-2M9X-4T0B", 3, at))[0]
    assert "COPY" not in plain
    assert "RESENT" not in plain
    marked = room.papers.fax_cover(
        case.clinic,
        case.provider("pr-pcp"),
        "K7QF-2M9X-4T0B",
        3,
        at,
        copy_of="Direct, 14 October 2026",
        resent=True,
        attempt=2,
    )
    text = " ".join(pages_text(marked)[0].split())
    assert "COPY of Direct, 14 October 2026" in text
    assert "RESENT" in text
    assert "attempt 2" in text
    assert "+1 218-555-0143" in text


def test_a_person_whose_name_is_a_forbidden_word_still_gets_letters(room, one):
    sample = one("bp-spike.psychiatrist").sample
    patient = sample.case.registry.patients[0]
    name = patient.name.model_copy(update={"family": "Safe", "given": ("Spa",)})
    registry = sample.case.registry.model_copy(update={"patients": (patient.model_copy(update={"name": name}),)})
    changed = dataclasses.replace(sample, case=dataclasses.replace(sample.case, registry=registry))
    assert "Spa Safe" in written_for(room, changed)[0].text


def test_a_changed_dose_is_told_with_the_reason_of_its_order(room, one):
    order = one("dose-increase.psychiatrist").sample.case.event
    sample = one("first-session.psychiatrist").sample
    early = order.model_copy(update={"effective_from": sample.case.event.administration.started_at.date()})
    changed = dataclasses.replace(sample, case=dataclasses.replace(sample.case, history=(early,)))
    assert "Why: Mood better, focus unchanged after three sessions." in written_for(room, changed)[0].text
    assert "Why: planned session" in one("first-session.psychiatrist").letter.text


def test_a_letter_says_which_template_and_which_tables_it_was_made_with(one, templates):
    def version(path):
        return yaml.safe_load((templates / path).read_text("utf-8"))["version"]

    made = one("bp-spike.psychiatrist").letter.template_version
    tables = [f"{name} {version(f'layout/{name}.yaml')}" for name in ("words", "instruments", "statements", "style")]
    assert made == f"safety_alert/psychiatrist {version('letters/safety_alert/letter.yaml')} ({', '.join(tables)})"


def test_a_preview_is_the_letter_that_would_go_with_a_band_above_it(room):
    band = '<p class="band">PREVIEW - NOT SENT</p>'
    looked = set()
    for name in ("bp-spike", "first-session", "course-start", "correction"):
        made = room.samples().sample(name)
        for audience in ("psychiatrist", "primary-care"):
            for letter in room.write(made.case, made.plan, made.recipients[audience], fax=False):
                preview = room.preview(letter.kind, audience, name)
                assert band in preview
                assert preview.replace(band, "") == letter.html
                looked.add(letter.kind)
    assert looked == {"L1", "L2", "L5", "L6", "L9"}
