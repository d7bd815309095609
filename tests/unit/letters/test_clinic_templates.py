"""A clinic's own template is taken only when it breaks no rule."""

from datetime import UTC, datetime

from coordinator.letters.pdf import pages_text

GOOD = """{% from "macros/medicines.html" import medicine_table, stimulant_lines %}
{% from "macros/vitals.html" import vitals_strip, rise_sentence, curve_picture %}
{% from "macros/safety.html" import risk_line, events_line, mind_line %}
{% from "macros/session.html" import given_line, missed_sentence, next_line %}
{% from "macros/course.html" import holds_lines %}
<h2>Our own wording</h2>
<p>{{ missed_sentence(view, frame.patient.name) }}
{% if view.status_reason %}{{ view.status_reason }}.{% endif %}
{% if view.given %}{{ given_line(view.given) }}.{% endif %}</p>
{% if view.vitals %}{% if view.curve %}{{ curve_picture(view.curve, view.vitals) }}{% endif %}
{{ vitals_strip(view.vitals, true) }}<p>{{ rise_sentence(view.vitals) }}</p>
<p>{{ mind_line(view.mind) }}</p><p>{{ risk_line(view.safety) }} {{ events_line(view.safety) }}</p>{% endif %}
{{ medicine_table(none) }}{{ stimulant_lines(view.stimulant) }}
{{ holds_lines(view.holds, view.course_over) }}
{% for one in view.others %}<p>{{ one }}</p>{% endfor %}
<p>{{ next_line(view) }}</p>
"""


def test_a_template_that_says_everything_is_taken(room):
    assert room.review_upload("L8", "psychiatrist", GOOD) == ()


def test_a_template_that_leaves_a_fact_out_is_refused_with_the_field(room):
    found = room.review_upload("L8", "psychiatrist", GOOD.replace("{{ next_line(view) }}", ""))
    assert {one.why for one in found} == {"letter.text-layer"}
    assert any("next_session_on" in one.element for one in found)


def test_a_template_with_a_forbidden_word_is_refused_with_what_to_write(room):
    found = room.review_upload("L8", "psychiatrist", GOOD + "<p>A proven treatment.</p>")
    assert any("no claim of proof" in one.why for one in found)


def test_a_template_that_asks_for_a_field_that_is_not_there_is_refused(room):
    found = room.review_upload("L8", "psychiatrist", GOOD + "{{ view.mood_of_the_day }}")
    assert {one.why for one in found} == {"letter.template"}


def test_a_template_that_reaches_behind_its_values_is_refused(room):
    found = room.review_upload("L8", "psychiatrist", GOOD + "{{ view.__class__.__init__.__globals__ }}")
    assert {one.why for one in found} == {"letter.template"}


def test_the_letter_to_a_wrong_reader_holds_nothing_clinical(room, one):
    case = one("bp-spike.psychiatrist").sample.case
    at = datetime(2026, 10, 15, 15, 0, tzinfo=UTC)
    made = room.papers.misdirected(case.clinic, case.provider("pr-pcp"), "K7QF-2M9X-4T0B", at, at)
    text = " ".join(pages_text(made)[0].split())
    assert "Please destroy every copy" in text
    assert "K7QF-2M9X-4T0B" in text
    for word in ("Zoë", "Núñez", "ketamine", "stimulant", "ADHD", "1988"):
        assert word not in text
