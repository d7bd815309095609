"""The patient's own copy: two languages, each whole, in words that people use."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir, extract_from_file

from coordinator.letters import formats
from coordinator.letters.environment import environment
from coordinator.letters.lexicon import load_lexicon, read_yaml
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.translations import language_for, read_catalogue

SCALES = Path(__file__).parents[3] / "mappings" / "instruments"
PRINTED = (
    "layout/letter.html", "layout/letterhead.html", "layout/footer.html", "layout/signature.html",
    "layout/statements.html", "layout/further.html", "macros/person.html",
    "letters/patient_copy/patient/ask.html", "letters/patient_copy/patient/body.html",
)  # fmt: skip
METHOD = [("**.html", "jinja2.ext:babel_extract")]
TRIMMED = {"trimmed": "true"}


def sentences(templates, name):
    return {found[1] for found in extract_from_file("jinja2.ext:babel_extract", templates / name, options=TRIMMED)}


def placeholders(text):
    return sorted(re.findall(r"%\((\w+)\)s", text))


def copies(written, reader):
    found = [row for row in written if row.audience == reader]
    assert len(found) > 15
    return found


def test_every_sentence_of_the_copy_has_its_spanish(templates):
    spanish = read_catalogue(templates / "locale" / "es.po")
    missing = {one for name in PRINTED for one in sentences(templates, name)} - spanish.keys()
    assert not missing


def test_a_sentence_without_its_translation_refuses_the_letter(templates):
    env = environment(templates, {"Yes": "Sí"})
    assert env.from_string("{% trans %}Yes{% endtrans %}").render() == "Sí"
    with pytest.raises(LetterRefused, match=r"letter\.translation"):
        env.from_string("{% trans %}No{% endtrans %}").render()


def test_a_translation_keeps_every_value_and_every_tag(templates):
    for english, spanish in read_catalogue(templates / "locale" / "es.po").items():
        assert placeholders(english) == placeholders(spanish), english
        assert sorted(re.findall(r"</?\w+", english)) == sorted(re.findall(r"</?\w+", spanish)), english


def test_the_list_of_sentences_is_the_one_the_templates_have(templates):
    options = {"**.html": TRIMMED}
    now = {row[2] for row in extract_from_dir(templates, METHOD, options)}
    known = {str(one) for one in _ids(templates / "locale" / "letters.pot")}
    assert known == now, "run: pybabel extract, as templates/README.md says"
    assert {str(one) for one in _ids(templates / "locale" / "es.po")} == now, "run: pybabel update"


def _ids(path):
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        return [one.id for one in read_po(file) if one.id]


def test_every_word_and_statement_of_the_copy_is_there_in_both_languages(templates):
    words = read_yaml(templates / "layout" / "words.yaml")
    for group, table in words["es"].items():
        assert table.keys() == words["en"][group].keys(), group
    for language in ("en", "es"):
        rows = load_lexicon(templates / "layout", SCALES, language, plain=True).statements
        assert all(one.text for table in rows.values() for one in table)


ENGLISH_ONLY = re.compile(r"\b(?:the|you|your|we|our|was|born|with|from|session|written|reference)\b", re.IGNORECASE)


def test_no_english_is_left_in_a_spanish_copy(written):
    for row in copies(written, "patient-es"):
        text = row.letter.text
        for one in row.page.facts():
            if one.kind == "name":
                text = text.replace(one.text, "")
        assert not ENGLISH_ONLY.findall(text.replace(str(row.page.parts["frame"].letterhead.closing or ""), "")), (
            row.name
        )
        assert 'lang="es"' in row.letter.html


def syllables(word):
    bare = unicodedata.normalize("NFKD", word.lower()).encode("ascii", "ignore").decode()
    groups = len(re.findall(r"[aeiouy]+", bare))
    silent = bare.endswith("e") and not bare.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


def grade(text):
    """Return the Flesch-Kincaid grade: years of school that a text takes to read."""
    said = re.sub(r"\d[\d/.,:+-]*", " ", text)
    count = max(1, len(re.findall(r"[.!?]+(?:\s|$)|\n", said)))
    words = re.findall(r"[A-Za-z’']+", said)
    return 0.39 * len(words) / count + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def test_the_english_copy_reads_at_eighth_grade_or_below(written):
    for row in copies(written, "patient"):
        body = row.letter.text.split("What we ask you to do", 1)[1].split("\n\nAdaeze", 1)[0]
        assert grade(body) <= 8, (row.name, grade(body))


def test_words_that_patients_do_not_use_would_not_pass():
    assert grade("The prescriber retains responsibility for decisions regarding concurrent stimulant medication.") > 12


def _listed(event):
    events = getattr(event, "adverse_events", ())
    return events if isinstance(events, tuple) else ()


def test_the_copy_quotes_no_free_text_of_the_clinic(written):
    quoted = 0
    for row in copies(written, "patient"):
        event = row.sample.case.event
        texts = [getattr(event, name, None) for name in ("plan", "resume_when", "amendment_reason")]
        texts += [one.term for one in _listed(event) if hasattr(one, "term")]
        for text in filter(None, texts):
            quoted += 1
            assert text not in row.letter.text, row.name
    assert quoted > 10


def test_the_copy_never_tells_the_patient_to_change_a_stimulant(written):
    for row in copies(written, "patient"):
        assert "Do not change them because of this page." in row.letter.text
    asked = next(row for row in written if row.name == "stimulant-hold.patient.L14")
    assert "Nothing changes until that person talks with you." in asked.letter.text


def test_dates_times_and_numbers_are_written_as_people_of_the_language_write_them():
    at = datetime(2026, 10, 14, 18, 5, tzinfo=UTC)
    assert formats.patient_date(at.date(), "en") == "October 14, 2026"
    assert formats.patient_date(at.date(), "es") == "14 de octubre de 2026"
    assert formats.patient_time(at, "America/Chicago", "en") == "1:05\u00a0PM\u00a0CDT"
    assert formats.patient_time(at, "America/Chicago", "es").startswith("1:05\u00a0p")
    assert formats.patient_quantity(Decimal("37.50"), "mg", "es") == "37.5\u00a0mg"


@pytest.mark.parametrize(
    ("recorded", "used"), [(None, "en"), ("es", "es"), ("es-MX", "es"), ("vi", "en"), ("en-US", "en")]
)
def test_the_language_on_record_is_used_where_we_have_it(recorded, used):
    assert language_for(recorded) == used


def test_only_a_patients_copy_comes_in_another_language(room, one):
    sample = one("bp-spike.psychiatrist").sample
    with pytest.raises(LetterRefused, match="translation"):
        room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False, language="es")
