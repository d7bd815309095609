"""The finished file: what it prints, what it refuses, and that it comes out the same."""

import errno
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from pypdf import PdfReader
from pypdfium2 import raw

from coordinator.letters.budget import PAGE_ONE_WORDS, words_of
from coordinator.letters.pdf import PdfEngine, page_count, pages_text, read_back
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import fact


@pytest.fixture(scope="session")
def engine(templates: Path) -> PdfEngine:
    return PdfEngine(templates / "layout")


def page(body: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title></head>'
        f'<body data-foot-left="" data-foot-right="">{body}</body></html>'
    )


def test_everything_a_view_prints_can_be_read_back_from_the_file(written):
    for row in written:
        read_back(row.letter.pdf, row.page.facts())


def test_page_one_has_no_more_words_than_a_busy_reader_takes(written):
    for row in written:
        assert words_of(pages_text(row.letter.pdf)[0]) <= PAGE_ONE_WORDS, row.name


def test_nothing_is_printed_outside_the_page(written):
    for row in written:
        document = pypdfium2.PdfDocument(row.letter.pdf)
        for sheet in document:
            width, height = sheet.get_size()
            layer = sheet.get_textpage()
            for index in range(layer.count_chars()):
                left, bottom, right, top = layer.get_charbox(index)
                assert -0.5 <= left <= right <= width + 0.5, row.name
                assert -0.5 <= bottom <= top <= height + 0.5, row.name
            layer.close()
            sheet.close()
        document.close()


def test_two_identifiers_and_the_reference_stand_on_every_page(written):
    for row in written:
        frame = row.page.parts["frame"]
        texts = pages_text(row.letter.pdf)
        of = "de" if row.letter.language == "es" else "of"
        for number, text in enumerate(texts, start=1):
            flat = re.sub(r"\s+", "", text)
            for part in (frame.patient.name, frame.patient.born, frame.reference):
                assert re.sub(r"\s+", "", part.text) in flat, row.name
            assert f"{number}{of}{len(texts)}" in flat, row.name


@pytest.mark.parametrize("unit", ["mg/kg", "mcg/kg/min", "mL/h"])
def test_a_unit_is_never_torn_at_the_end_of_a_line(engine, unit):
    torn = 0
    for width_mm in range(40, 80):
        html = f'<html lang="en"><head><title>x</title></head><body><p style="width: {width_mm}mm">'
        (text,) = pages_text(engine.render(f"{html}intravenous, ordered: 0.5 {unit}, weight 62 kg</p></body></html>"))
        torn += unit not in text
    assert torn == 0


def test_the_file_is_tagged_and_says_its_language_and_title(one):
    row = one("bp-spike.psychiatrist")
    reader = PdfReader(BytesIO(row.letter.pdf))
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/MarkInfo"]["/Marked"]
    assert row.letter.reference in reader.metadata.title
    assert b"pdfuaid" in reader.xmp_metadata.stream.get_data()


def test_only_the_bundled_fonts_are_in_the_file(one):
    reader = PdfReader(BytesIO(one("bp-spike.psychiatrist").letter.pdf))
    names = {
        font["/BaseFont"].split("+")[-1]
        for page in reader.pages
        for font in (ref.get_object() for ref in page["/Resources"]["/Font"].values())
    }
    assert names == {"Letter-Sans", "Letter-Sans-Bold"}


def test_the_same_letter_comes_out_as_the_same_bytes(room, one):
    row = one("stimulant-hold.psychiatrist")
    sample = row.sample
    recipient = sample.recipients["psychiatrist"]
    first = room.write(sample.case, sample.plan, recipient, fax=True)
    again = room.write(sample.case, sample.plan, recipient, fax=True)
    assert first == again
    assert first[0].pdf == row.letter.pdf


def test_a_character_that_the_font_lacks_is_refused_with_its_field(engine):
    with pytest.raises(LetterRefused) as refused:
        engine.check_glyphs([fact("Ok", 1, "event:/a"), fact("名前", 1, "registry:/patients/0/name")], "Ok 名前")
    assert refused.value.code == "letter.glyph"
    assert "registry:/patients/0/name" in refused.value.element
    assert "名" not in str(refused.value)


@pytest.mark.parametrize("text", ["Zoë Núñez-Đặng", "Łukasz Müller-Ångström", "O’Brien-Süß", "\u22124 → ≥ ½", "Őű Čž"])
def test_the_bundled_font_has_the_letters_of_our_patients(engine, text):
    assert engine.lacks(text) is None


def test_a_number_that_was_lost_on_the_way_refuses_the_letter(engine):
    made = engine.render(page("<p>184/112 and 37.5 mg</p>"))
    read_back(made, [fact("184/112", 1, "event:/a"), fact("37.5\u00a0mg", 1, "event:/b")])
    for lost in ("84/112", "184/11", "7.5 mg", "37 mg", "5 mg"):
        with pytest.raises(LetterRefused, match="text-layer") as refused:
            read_back(made, [fact(lost, 1, "event:/vitals/2")])
        assert refused.value.element == "event:/vitals/2"


def test_a_fact_over_the_end_of_a_line_is_still_found(engine):
    made = engine.render(page('<p style="width: 60pt">Zoë Núñez-Đặng Müller-Ångström once daily</p>'))
    read_back(made, [fact("Zoë Núñez-Đặng Müller-Ångström once daily", 1, "registry:/x")])


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "http://127.0.0.1:9/x.png", "letter:../words.yaml", "letter:fonts/none.ttf"]
)
def test_nothing_but_packaged_files_is_fetched(engine, address):
    with pytest.raises(LetterRefused, match="template"):
        engine.render(page(f'<img alt="x" src="{address}">'))


@pytest.mark.parametrize("at", ["LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf", "fonts.css"])
def test_a_font_that_cannot_be_opened_for_a_moment_is_the_machines_trouble_and_is_opened_the_next_time(
    templates, monkeypatch, at
):
    """Printing would go on with a font of the machine's, or with none; and never read the right one again."""
    engine = PdfEngine(templates / "layout")
    letter = page('<p style="font-family: Letter Sans">184/112 and <b>37.5 mg</b></p>')
    expected = PdfEngine(templates / "layout").render(letter)
    opens = Path.open

    def fails(path: Path, *rest: Any, **named: Any) -> Any:
        if path.name == at:
            raise OSError(errno.EMFILE, "Too many open files")
        return opens(path, *rest, **named)

    with monkeypatch.context() as ill:
        ill.setattr(Path, "open", fails)
        for _ in range(2):
            with pytest.raises(OSError, match="Too many open files"):
                engine.render(letter)
    assert engine.render(letter) == expected


def test_a_font_that_finds_no_room_for_its_copy_is_written_whole_the_next_time(templates, monkeypatch):
    """The typesetter writes each font into a folder for temporary files, and believes a half one."""
    engine = PdfEngine(templates / "layout")
    letter = page('<p style="font-family: Letter Sans">184/112 and <b>37.5 mg</b></p>')
    expected = PdfEngine(templates / "layout").render(letter)
    write = Path.write_bytes

    def half(path: Path, body: bytes) -> int:
        if len(body) > 100_000:
            write(path, body[:4096])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, body)

    with monkeypatch.context() as ill:
        ill.setattr(Path, "write_bytes", half)
        with pytest.raises(OSError, match="No space left"):
            engine.render(letter)
    assert engine.render(letter) == expected


def test_the_cover_comes_first_and_its_pages_are_counted(room, one):
    sample = one("stimulant-hold.psychiatrist").sample
    faxed = room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=True)[0].cover_pdf
    texts = pages_text(faxed)
    assert f"{page_count(faxed)}, including this cover" in " ".join(texts[0].split())
    assert "Zoë" not in texts[0]
    assert "born" not in texts[0]
    for word in ("ketamine", "Adderall", "ADHD", "stimulant"):
        assert word.lower() not in texts[0].lower()
    assert "Reply form" in texts[-1]


def sizes(pdf: bytes) -> Iterator[tuple[float, str]]:
    """Type size in points, as it is drawn, of each character of a file."""
    document = pypdfium2.PdfDocument(pdf)
    for page in document:
        layer = page.get_textpage()
        for place in range(layer.count_chars()):
            matrix = raw.FS_MATRIX()
            raw.FPDFText_GetMatrix(layer, place, matrix)
            yield raw.FPDFText_GetFontSize(layer, place) * abs(matrix.d), chr(raw.FPDFText_GetUnicode(layer, place))
    document.close()


@pytest.mark.parametrize("name", ["digest", "stimulant-hold", "bp-spike", "correction"])
def test_nothing_on_a_fax_is_set_in_less_than_eleven_points_not_even_in_a_picture(room, one, name):
    sample = one(f"{name}.psychiatrist").sample
    for letter in room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=True):
        small = {(round(size, 1), one) for size, one in sizes(letter.cover_pdf) if size < 10.95 and one.strip()}
        assert small == set()
        assert min(size for size, one in sizes(letter.pdf) if one.strip()) < 10, "the letter on paper is smaller"


def test_doses_on_a_fax_are_larger_than_the_rest(room, one):
    sample = one("dose-increase.psychiatrist").sample
    faxed = room.write(sample.case, sample.plan, sample.recipients["psychiatrist"], fax=True)[0].cover_pdf
    assert "".join(one for size, one in sizes(faxed) if 11.9 < size < 12.1).count("mg") >= 2


def test_the_misdirected_letter_and_the_cover_are_set_as_a_fax(templates):
    for page in ("layout/letter.html", "letters/fax_cover/body.html", "letters/misdirected/body.html"):
        assert '{% include "layout/fax.css" %}' in (templates / page).read_text(), page


def test_a_letter_carries_the_style_sheets_that_it_needs_and_no_other(one):
    plain, asked = one("missed.psychiatrist").letter.html, one("stimulant-hold.psychiatrist").letter.html
    assert ".form {" not in plain
    assert ".form {" in asked
    assert "font-size: 11pt" not in plain + asked


def test_the_parsed_style_sheets_print_what_the_letters_own_copy_does(room, one):
    """The style sheets are parsed once; a letter whose own copy is used instead is the same letter."""
    html = one("stimulant-hold.psychiatrist").letter.html
    marker = ".picture svg {"
    assert marker in html
    assert sorted(sizes(room._engine.render(html.replace(marker, ".picture  svg {")))) == sorted(
        sizes(room._engine.render(html))
    )


def test_letters_written_at_once_in_several_threads_are_the_same(room, one):
    from concurrent.futures import ThreadPoolExecutor

    sample = one("esketamine.primary-care").sample
    recipient = sample.recipients["primary-care"]
    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(room.write, sample.case, sample.plan, recipient, fax=False) for _ in range(4)]
    made = {run.result()[0].pdf for run in runs}
    assert made == {one("esketamine.primary-care").letter.pdf}


def test_every_sheet_says_who_owns_it_and_what_it_is(templates):
    from coordinator.letters.lexicon import read_yaml

    known = {"consult-note", "progress-note", "letter"}
    for path in sorted((templates / "letters").glob("*/letter.yaml")):
        data = read_yaml(path)
        assert data["type_code"] in known, path.parent.name
        for field in ("title", "kinds", "version", "owner", "languages", "view"):
            assert data[field], (path.parent.name, field)
        for field in ("reviewed_by", "reviewed_on"):
            assert field in data, (path.parent.name, field)


def test_every_letter_but_the_pages_around_one_has_a_sample(templates, room, written):
    told = {row.page.sheet.folder for row in written}
    folders = {path.parent.name for path in (templates / "letters").glob("*/letter.yaml")}
    assert folders - told == {"fax_cover", "reply_form", "misdirected"}


def test_two_letters_are_one_fax_with_one_cover_and_their_pages_are_numbered_as_one(room, composed):
    made = composed["T6-dose"]
    reader = next(one.plan for one in made.recipients if one.plan.provider == "pr-psych")
    session, question = room.write(made.case, made.plan, reader, fax=True)
    assert (session.kind, question.kind, question.cover_pdf) == ("L1", "L12", None)
    cover, *sheets = [" ".join(one.split()) for one in pages_text(session.cover_pdf)]
    assert f"{len(sheets) + 1}, including this cover" in cover
    assert session.title in sheets[0]
    assert sum(question.title in one for one in sheets) >= 1
    assert "Reply form" in " ".join(sheets)
    for number, sheet in enumerate(sheets, 1):
        assert f"{session.reference} version 1 · page {number} of {len(sheets)}" in sheet
        assert "including this cover" not in sheet
    assert len(sheets) >= 3
