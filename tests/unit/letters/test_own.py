"""A clinic's own letterhead and letters: used when they break no rule, refused with the reason when they do."""

import base64
import io
from datetime import UTC, datetime

import pypdfium2
import pytest
from PIL import Image, ImageDraw
from test_clinic_templates import GOOD

from coordinator.bootstrap import workshop
from coordinator.domain.errors import ConfigurationError
from coordinator.letters.pdf import page_count, pages_text
from coordinator.letters.web_page import page_policy
from coordinator.settings import Settings

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="8" height="20"/>'
    '<circle cx="28" cy="10" r="8" fill="none" stroke="#000" stroke-width="3"/></svg>'
)
WORDS = """name: Lakeside Clinic
lines: [Department of Interventional Psychiatry]
closing_line: We answer every letter within two working days.
logo: {file: mark.svg, alt: Lakeside Clinic, height_mm: 12}
"""
AT = datetime(2026, 10, 15, 15, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "letterhead.yaml").write_text(WORDS)
    (tmp_path / "mark.svg").write_text(SVG)
    return tmp_path


@pytest.fixture
def sample(room):
    return room.samples().sample("missed")


def reasons(room, folder):
    return " | ".join(f"{one.element}: {one.why}" for _, one in room.review_folder(folder)[1])


def png(draw, size=(400, 200)):
    image = Image.new("RGB", size, "white")
    draw(ImageDraw.Draw(image))
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


def test_the_letterhead_logo_and_closing_line_are_on_every_variant(room, folder, sample):
    own = room.using(folder)
    made = own.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=True)[0]
    for text in (made.html, made.text, " ".join(pages_text(made.pdf)), " ".join(pages_text(made.cover_pdf)[1:])):
        for said in ("Lakeside Clinic", "Department of Interventional Psychiatry", "within two working days"):
            assert said in " ".join(text.split())
    assert (
        f'src="data:image/svg+xml;base64,{base64.b64encode(SVG.encode()).decode()}" alt="Lakeside Clinic"' in made.html
    )
    assert "img-src data:" in page_policy(made.html)
    assert "+1 218-555-0110" in made.text.replace("\u00a0", " ")


def test_the_patients_copy_has_it_too_in_either_language(room, folder):
    own, found = room.using(folder), room.samples().sample("bp-spike")
    for language in ("en", "es"):
        assert "Lakeside Clinic" in own.patient_copy(found.case, found.plan, language).text


def test_the_picture_is_really_drawn_in_the_pdf(room, folder, sample):
    plain = room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False)[0]
    own = room.using(folder).write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False)[0]
    assert b"/Figure" in own.pdf or len(own.pdf) > len(plain.pdf)


def test_a_cover_never_names_illness_or_drug_even_in_the_clinics_name(room, folder, sample):
    clinic = sample.case.clinic.model_copy(update={"name": "Duluth Ketamine and Depression Center"})
    provider = sample.case.provider("pr-pcp")
    for made in (
        room.papers.fax_cover(clinic, provider, "K7QF-2M9X-4T0B", 2, AT),
        room.papers.misdirected(clinic, provider, "K7QF-2M9X-4T0B", AT, AT),
    ):
        text = " ".join(pages_text(made))
        assert "etamin" not in text
        assert "epress" not in text
        assert "+1 218-555-0110" in text.replace("\u00a0", " ")
    (folder / "letterhead.yaml").write_text("name: Duluth Ketamine Center\ncover_name: DKC\n")
    assert "DKC" in pages_text(room.using(folder).papers.fax_cover(clinic, provider, "K7QF-2M9X-4T0B", 2, AT))[0]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("name: [1]", "one line"),
        ("name: The proven clinic", "no claim of proof"),
        ("name: 名", "font has no"),
        ("colour: red", "not known"),
        ("lines: [a, b, c, d]", "at most 3 lines"),
        ("logo: {file: mark.svg}", "alt is missing"),
        ("logo: {file: mark.svg, alt: x, height_mm: 30}", "whole number from 5 to 20"),
        ("logo: {file: ../x.svg, alt: x}", "not in this folder"),
        ("logo: {file: 'https://cdn.example/x.svg', alt: x}", "not in this folder"),
        ("name: [", "not readable as YAML in line"),
        ("name: A\nclosing_line: x\nname: B", "not readable as YAML in line 1: a key stands twice"),
        ("- name: A", "it needs lines such as"),
        ("", "it needs lines such as"),
    ],
)
def test_a_letterhead_that_breaks_a_rule_is_refused_with_the_reason(room, folder, words, why):
    (folder / "letterhead.yaml").write_text(words)
    assert why in reasons(room, folder)


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("<script>alert(1)</script>", "element script"),
        ('<image href="https://cdn.example/x.png"/>', "element image"),
        ('<rect width="9" height="9" onclick="x()"/>', "attribute onclick"),
        ('<rect width="9" height="9" fill="url(https://cdn.example/x)"/>', "attribute fill"),
        ('<text y="9">Lakeside</text>', "element text"),
        ('<rect width="40" height="20" fill="#f4f4f4"/>', "nothing of it would be seen"),
        ('<rect width="40" height="20"/>', "black box"),
        ('<rect width="30" height="20" fill="#888"/><rect width="5" height="20"/>', "grey"),
    ],
)
def test_an_svg_that_runs_fetches_or_fails_on_a_fax_is_refused(room, folder, inside, why):
    (folder / "mark.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20">{inside}</svg>')
    assert why in reasons(room, folder)


def test_an_svg_with_entities_and_a_file_that_is_no_picture_are_refused(room, folder):
    (folder / "mark.svg").write_text('<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG)
    assert "entities" in reasons(room, folder)
    (folder / "mark.svg").write_text("GIF89a")
    assert "neither PNG nor SVG" in reasons(room, folder)
    (folder / "mark.svg").write_text(SVG.replace('viewBox="0 0 40 20"', 'viewBox="0 0 400 20"'))
    assert "mm wide" in reasons(room, folder)
    (folder / "mark.svg").write_bytes(SVG.encode() + b" " * 100_001)
    assert "bigger than" in reasons(room, folder)


def test_a_png_is_taken_when_a_fax_can_show_it(room, folder):
    (folder / "letterhead.yaml").write_text(WORDS.replace("mark.svg", "mark.png"))
    (folder / "mark.png").write_bytes(png(lambda pen: pen.rectangle((20, 20, 120, 180), fill="black")))
    assert reasons(room, folder) == ""
    (folder / "mark.png").write_bytes(png(lambda pen: pen.rectangle((20, 20, 380, 180), fill="#9ab")))
    assert "fax" in reasons(room, folder)


def body(folder, text):
    path = folder / "session_missed" / "psychiatrist" / "body.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_clinics_own_letter_is_really_used_and_says_so_in_its_record(room, folder, sample):
    body(folder, GOOD)
    made = room.using(folder).write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False)[0]
    assert "Our own wording" in made.text
    assert "the clinic's own" in made.template_version
    other = room.using(folder).write(sample.case, sample.plan, sample.recipients["primary-care"], fax=False)[0]
    assert "the clinic's own" not in other.template_version


def test_the_service_writes_with_them_and_does_not_start_with_broken_ones(folder, sample):
    body(folder, GOOD)
    letters = workshop(Settings(clinic_letters_dir=folder)).letters
    made = letters.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False)[0]
    assert "Our own wording" in made.text
    body(folder, GOOD + "<p>A proven treatment.</p>")
    with pytest.raises(ConfigurationError, match="no claim of proof"):
        workshop(Settings(clinic_letters_dir=folder))
    with pytest.raises(ConfigurationError, match="COORDINATOR_CLINIC_LETTERS_DIR: none"):
        workshop(Settings(clinic_letters_dir=folder / "none"))


@pytest.mark.parametrize(
    ("added", "why"),
    [
        ("<p>Call 555-0100.</p>", "no number of its own"),
        ("<style>.status{display:none}</style>", "element style"),
        ('<p style="display:none">x</p>', "attribute style"),
        ("<!-- ", "comment of HTML"),
        ('<img src="https://cdn.example/x.png">', "element img"),
        ("<script>x</script>", "element script"),
        ("</main>", "element main"),
        ("{{ ''.__class__.__mro__ }}", "printed as it is"),
        ("{% for one in range(999999999) %}x{% endfor %}", "range is not known here"),
        ("{{ view.no_such_thing }}", "letter.template"),
        ("{% import 'macros/none.html' as x %}", "come in by"),
        ("<p>It is safe.</p>", "no claim of safety"),
    ],
)
def test_a_letter_that_breaks_a_rule_is_refused_with_the_reason(room, folder, added, why):
    body(folder, GOOD + added)
    assert why in reasons(room, folder)


def test_a_letter_that_leaves_a_fact_out_is_refused_with_the_field(room, folder):
    body(folder, "<p>{{ view.on }}</p>")
    assert "letter.text-layer" in reasons(room, folder)


def _inked(pdf, box):
    """Return how many dots of a part of page one (millimetres: left, top, right, bottom) are black."""
    document = pypdfium2.PdfDocument(pdf)
    page = document[0].render(scale=4, grayscale=True).to_pil()
    document.close()
    part = page.crop([round(edge * 4 * 72 / 25.4) for edge in box])
    return part.histogram()[0]


@pytest.mark.parametrize("file", ["mark.svg", "mark.png"])
def test_a_logo_is_as_large_as_the_clinic_says_however_large_its_file_is(room, folder, sample, file):
    shape = png(lambda draw: draw.rectangle((0, 0, 2000, 1000), outline="black", width=120), size=(2000, 1000))
    (folder / "mark.png").write_bytes(shape)
    (folder / "letterhead.yaml").write_text(WORDS.replace("mark.svg", file))
    own = room.using(folder)
    plain = room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=False)[0]
    made = own.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=True)[0]
    assert page_count(made.pdf) == page_count(plain.pdf)
    sheet = 215.9
    for pdf in (made.pdf, pdf_from_page_two(made.cover_pdf)):
        assert _inked(pdf, (sheet - 18 - 24, 12, sheet - 18, 12 + 12)) > 0
        assert _inked(pdf, (sheet - 18 - 60, 12, sheet - 18 - 25, 12 + 12)) == 0


def pdf_from_page_two(pdf):
    whole = pypdfium2.PdfDocument(pdf)
    whole.del_page(0)
    body = io.BytesIO()
    whole.save(body)
    whole.close()
    return body.getvalue()
