"""Each macro on its own: both sides of every branch."""

import re
from types import SimpleNamespace as Part

import pytest
from jinja2 import UndefinedError

from coordinator.letters.environment import environment, sandboxed
from coordinator.letters.text import text_of


@pytest.fixture(scope="session")
def macro(templates):
    env = environment(templates)

    def call(path: str, *arguments) -> str:
        module, name = path.split(".")
        return text_of(str(getattr(env.get_template(f"macros/{module}.html").module, name)(*arguments))).strip()

    return call


def reading(pressure: str = "120/80") -> Part:
    return {"at": "09:50", "pressure": pressure, "heart_rate": "70", "spo2": "98 %"}


def strip(**changes) -> Part:
    whole = {
        "zone": "CDT",
        "baseline": Part(**reading("134/84")),
        "peak": Part(**reading("184/112")),
        "discharge": Part(**reading("138/86")),
        "rise": "+50/+28",
        "apart": (),
        "symptoms": "none",
    }
    return Part(**{**whole, **changes})


def test_the_rise_is_said_or_why_it_is_not(macro):
    assert macro("vitals.rise_sentence", strip()) == ("Rise: +50/+28 mmHg. Symptoms of high blood pressure: none.")
    assert "because a reading is missing" in macro("vitals.rise_sentence", strip(rise=None))


def test_the_pressure_is_one_sentence_whatever_was_recorded(macro):
    sentence = "vitals.pressure_sentence"
    assert macro(sentence, strip()) == (
        "Blood pressure was 134/84 mmHg before the dose, 184/112 mmHg at its highest and 138/86 mmHg at discharge."
    )
    assert "highest blood pressure recorded was 184/112" in macro(sentence, strip(discharge=None))
    assert "no later reading" in macro(sentence, strip(peak=None, discharge=None))


def test_a_reading_that_is_missing_from_the_strip_says_so(macro):
    assert "Discharge: not recorded" in macro("vitals.vitals_strip", strip(discharge=None), True)
    nothing = strip(baseline=None, peak=None, discharge=None, rise=None)
    assert macro("vitals.vitals_strip", nothing, False) == "No blood pressure was recorded."
    assert "rise" not in macro("vitals.rise_sentence", nothing)


def test_adverse_events_are_listed_or_said_to_be_none_or_unknown(macro):
    event = Part(term="nausea", severity="mild", serious=True, resolved="11:10 CDT", action="none needed")
    told = Part(events=(event,), events_missing=None, given=("ondansetron 4 mg, 10:40 CDT",))
    assert macro("safety.events_line", told) == (
        "Adverse events: nausea, mild, serious, resolved: 11:10 CDT, action: none needed. "
        "Treated with: ondansetron 4 mg, 10:40 CDT."
    )
    assert macro("safety.events_line", Part(events=(), events_missing=None, given=())) == (
        "Adverse events: none reported."
    )
    assert macro("safety.events_line", Part(events=None, events_missing="unknown", given=())) == (
        "Adverse events: unknown."
    )


def test_the_risk_line_says_how_it_was_screened(macro):
    risk = Part(risk="low risk", risk_tool="C-SSRS screener", risk_how="by interview", item_9="0", item_9_highest="3")
    assert macro("safety.risk_line", risk) == (
        "Suicide-risk screen: low risk (C-SSRS screener, by interview); self-harm item of the depression scale: 0 of 3."
    )
    bare = Part(risk="not recorded", risk_tool=None, risk_how=None, item_9=None, item_9_highest=None)
    assert macro("safety.risk_line", bare) == "Suicide-risk screen: not recorded."


def test_dissociation_is_present_absent_or_missing(macro):
    base = {"sedation": "4", "sedation_at": None, "cadss": None, "resolved": None}
    present = Part(
        **{**base, "dissociation": True, "dissociation_missing": None, "cadss": "14", "resolved": "11:15 CDT"}
    )
    assert macro("safety.mind_line", present).startswith("Dissociation: present (CADSS 14), resolved: 11:15 CDT.")
    assert macro("safety.mind_line", Part(**{**base, "dissociation": False, "dissociation_missing": None})).startswith(
        "Dissociation: none."
    )
    assert macro(
        "safety.mind_line", Part(**{**base, "dissociation": False, "dissociation_missing": "unknown"})
    ).startswith("Dissociation: unknown.")


def test_the_stimulant_is_told_as_understood_or_as_unknown_to_us(macro):
    said = Part(regimen="Adderall XR 30 mg once daily", said_by="patient", as_of="1 October 2026")
    taken = Part(product=None, dose="30 mg", at="07:30 CDT", known_time=True, day=None, report="patient report")
    told = Part(statements=(said,), taken=(taken,), asked_apart=False, asked_prescriber=False)
    assert macro("medicines.stimulant_lines", told) == (
        "Stimulant as we understand it: Adderall XR 30 mg once daily (patient, 1 October 2026). "
        "Last taken: 30 mg at 07:30 CDT that day (patient report). Please tell us if this is wrong."
    )
    nothing = Part(statements=(), taken=(), asked_apart=False, asked_prescriber=False)
    assert macro("medicines.stimulant_lines", nothing) == (
        "Stimulant: none is known to us. Please tell us if this is wrong."
    )


def test_where_another_letter_asks_which_statement_holds_this_one_does_not_ask_too(macro):
    said = Part(regimen="Adderall XR 30 mg once daily", said_by="patient", as_of="1 October 2026")
    told = {"statements": (said, said), "taken": ()}
    text = macro("medicines.stimulant_lines", Part(**told, asked_apart=True, asked_prescriber=False))
    assert text.endswith("These statements differ; the other letter sent with this one asks you which of them holds.")
    assert "Please tell us" not in text
    text = macro("medicines.stimulant_lines", Part(**told, asked_apart=False, asked_prescriber=True))
    assert text.endswith("These statements differ; we have asked the prescriber which of them holds.")


def test_a_time_taken_that_nobody_knows_is_said_to_be_unknown(macro):
    taken = Part(product="Vyvanse", dose="30 mg", at="unknown", known_time=False, day=None, report="patient report")
    assert macro("medicines.taken_line", taken) == "Last taken, Vyvanse: 30 mg, time unknown (patient report)."


def test_a_medicine_table_says_when_nothing_else_changed(macro):
    assert macro("medicines.medicine_table", None) == "We made no changes to medicines."
    row = Part(drug="ketamine", before="35 mg", now="41 mg", since="14 October 2026", why="response", decided_by="Dr A")
    assert "We made no other changes to medicines." in macro("medicines.medicine_table", row)


def test_open_holds_are_named_each_with_its_end_and_what_becomes_of_the_request(macro):
    hold = Part(drug="Adderall XR", asked_on="8 October 2026", resume_when="the evening after each session")
    told = macro("course.holds_lines", (hold,), True)
    assert "Open hold: we asked for Adderall XR to be held from 8 October 2026" in told
    assert "It was to end: the evening after each session. Our request ends with the course" in told
    endless = Part(drug="Adderall XR", asked_on="8 October 2026", resume_when=None)
    assert "The prescriber decides whether it still applies." in macro("course.holds_lines", (endless,), False)
    assert macro("course.holds_lines", (), False) == "No stimulant hold of ours is open."


@pytest.mark.parametrize(
    ("digest", "said"),
    [("weekly", "one summary a week"), ("per-phase", "each phase of treatment"), ("every-session", "every session")],
)
def test_what_letters_will_come_depends_on_the_clinic(macro, digest, said):
    text = macro("course.what_comes", digest)
    assert said in text
    assert "If you would rather not receive summaries" in text


def test_a_session_that_was_missed_is_one_sentence_with_the_last_dose(macro):
    missed = Part(number="4", on="16 October 2026", status="was missed", course_over=False, given=None, last_given=None)
    assert (
        macro("session.missed_sentence", missed, "Zoe")
        == "Session 4 for Zoe on 16 October 2026 was missed. No dose was given."
    )
    last = Part(dose="41 mg", on="14 October 2026")
    over = Part(
        number=None, on="16 October 2026", status="was cancelled", course_over=True, given=None, last_given=last
    )
    assert macro("session.missed_sentence", over, "Zoe") == (
        "The session for Zoe on 16 October 2026 was cancelled. The course of treatment has ended. "
        "No dose was given. The last dose before it: 41 mg on 14 October 2026."
    )
    begun = Part(
        number="4", on="16 October 2026", status="was stopped early", course_over=False, given=last, last_given=None
    )
    assert macro("session.missed_sentence", begun, "Zoe") == "Session 4 for Zoe on 16 October 2026 was stopped early."


def test_a_score_without_band_or_earlier_value_still_says_its_window(macro):
    score = Part(
        name="ASRS-5", about="ADHD screener", total="15", highest="24", band=None, window="past 6 months",
        on="1 October 2026", previous=None, previous_on=None,
    )  # fmt: skip
    assert macro("scores.score_line", (score,)) == ("ASRS-5 (ADHD screener) 15 of 24 (past 6 months, 1 October 2026)")


def test_a_missing_part_stops_a_macro_instead_of_printing_nothing(macro):
    with pytest.raises(UndefinedError):
        macro("safety.risk_line", Part(risk="low risk"))
    with pytest.raises(UndefinedError):
        macro("safety.risk_line", Part(risk=None, risk_tool=None, item_9=None))


def test_a_sentence_with_a_missing_value_stops_the_letter(templates):
    env = environment(templates)
    with pytest.raises(UndefinedError):
        env.from_string("{% trans a=a %}x {{ a }}{% endtrans %}").render(a=None)
    with pytest.raises(UndefinedError):
        env.from_string("{{ _('x %(a)s', a=a) }}").render(a=None)


def test_everything_is_escaped(templates):
    env = environment(templates)
    assert env.from_string("{{ a }}").render(a="<b>") == "&lt;b&gt;"
    assert env.from_string("{% trans a=a %}x {{ a }}{% endtrans %}").render(a="<b>") == "x &lt;b&gt;"


def test_the_filters_carry_the_rules_of_writing_doses(templates):
    from decimal import Decimal

    env = environment(templates)
    assert env.from_string("{{ value | quantity('mg') }}").render(value=Decimal("37.50")) == "37.5\u00a0mg"


def test_an_uploaded_template_cannot_reach_behind_its_values(templates):
    env = sandboxed(templates, {"x.html": "{{ view.__class__.__mro__ }}"})
    with pytest.raises(Exception, match=r"unsafe|access"):
        env.get_template("x.html").render(view="a")


def test_no_macro_is_without_its_word_of_explanation(templates):
    for path in sorted((templates / "macros").glob("*.html")):
        source = path.read_text(encoding="utf-8")
        assert source.startswith("{#"), path.name
        assert re.search(r"macro \w+", source), path.name
