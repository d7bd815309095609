"""A clinic's own template is taken only when it breaks no rule."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from coordinator.letters.environment import rendered, sandboxed
from coordinator.letters.own_body import check_body
from coordinator.letters.pdf import pages_text
from coordinator.letters.refusal import LetterRefused

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


@pytest.mark.parametrize("reach", ["view.__class__.__mro__", "view | attr('__class__')", "cycler.__init__.__globals__"])
def test_a_template_that_reaches_behind_its_values_would_not_run_either(templates, reach):
    env = sandboxed(templates, {"own.html": "{{ " + reach + " }}"})
    with pytest.raises(LetterRefused):
        rendered(env, "own.html", {"view": object()})


def test_the_letter_to_a_wrong_reader_holds_nothing_clinical(room, one):
    case = one("bp-spike.psychiatrist").sample.case
    at = datetime(2026, 10, 15, 15, 0, tzinfo=UTC)
    made = room.papers.misdirected(case.clinic, case.provider("pr-pcp"), "K7QF-2M9X-4T0B", at, at)
    text = " ".join(pages_text(made)[0].split())
    assert "Please destroy every copy" in text
    assert "K7QF-2M9X-4T0B" in text
    for word in ("Zoë", "Núñez", "ketamine", "stimulant", "ADHD", "1988"):
        assert word not in text


BODIES = sorted((Path(__file__).parents[3] / "templates" / "letters").glob("*/*/body.html"))
BREACHES = {
    "<p>Take {{ 30 }} mg.</p>": "no number of its own",
    "<p>{{ '30 mg' }}</p>": "no number of its own",
    "{% if view.number == 'x3' %}<p>Call us.</p>{% endif %}": "no number of its own",
    "{% for one in view.others %}{{ loop.index }}{% endfor %}": "no number of its own",
    "<p>{{ view.number * view.number }}</p>": "printed as it is",
    "<p>{{ view.number ~ view.planned }}</p>": "printed as it is",
    "<p>{{ view.given.dose | replace('a', 'b') }}</p>": "printed as it is",
    "<p>{{ view.given.dose.text.replace('a', 'b') }}</p>": "printed as it is",
    "<p>{{ view.given.dose.value }}</p>": "printed as it is",
    "<p>{{ view.given.dose.text[:view.cut] }}</p>": "printed as it is",
    "{% set made = range %}{{ made(view.number) }}": "printed as it is",
    "{% filter upper %}{{ view.number }}{% endfilter %}": "printed as it is",
    "{% autoescape false %}{{ frame.reader.name }}{% endautoescape %}": "stays escaped",
    "{{ frame.reader.name | safe }}": "printed as it is",
    '{% include "letters/dose_change/psychiatrist/body.html" %}': "import",
    "{{ view.__class__ }}": "(.__class__)",
    "{{ cycler.__init__ }}": "cycler is not known here; there are frame, letter, view",
    "{{ patient_name }}": "patient_name is not known here",
    "<{{ 'style' }}>p": "an element is written out",
    "<p {{ 'hidden' }}>No.</p>": "an element is written out",
    "{% if view %}": "is no template",
}


@pytest.mark.parametrize("file", BODIES, ids=lambda one: f"{one.parts[-3]}-{one.parts[-2]}")
def test_a_copy_of_each_shipped_body_breaks_no_rule_of_a_clinics_own(file):
    assert list(check_body(file.read_text("utf-8"), file.parent.name)) == []


@pytest.mark.parametrize("breach", BREACHES)
def test_code_that_would_print_what_no_view_has_is_refused_with_its_line(breach):
    found = list(check_body(f"<p>Whole.</p>\n{breach}", "body.html"))
    assert any(BREACHES[breach] in one.why for one in found), found
    assert all("line" in one.why for one in found if "printed as it is" in one.why)
