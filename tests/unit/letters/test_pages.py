"""What each printed or faxed page holds: no sheet for a signature alone, no paragraph torn, no heading left behind."""

import re
from html import unescape

import pytest

from coordinator.letters.budget import words_of
from coordinator.letters.own import Own
from coordinator.letters.pdf import pages_text, stands_in

ENOUGH_WORDS = 12
"""A page holds at least a sentence or two beside what stands on every letter."""
PART = re.compile(r"<(p|li|h1|h2)\b([^>]*)>(.*?)</\1>", re.DOTALL)
CLOSING = "With kind regards from all of us."


def _flat(text):
    return " ".join(text.split())


def _words(html):
    return _flat(unescape(re.sub(r"<[^>]*>", " ", html))).replace(" .", ".")


@pytest.fixture(scope="session")
def faxes(room, composed):
    """Return (name, the frame of each letter, pages with the cover first, HTML as printed) of every fax."""
    found = []
    for name, made in composed.items():
        for one in made.recipients:
            if one.letters and one.letters[0].cover_pdf is not None:
                pages = room.pages(made.case, made.plan, one.plan)
                found.append(_fax(f"{name}.{one.plan.provider}", pages, one.letters))
    for name in room.samples().names():
        sample = room.samples().sample(name)
        for key, one in sample.recipients.items():
            if one.audience != "patient":
                pages = room.pages(sample.case, sample.plan, one)
                found.append(_fax(f"{name}.{key}", pages, room.write(sample.case, sample.plan, one, fax=True)))
    return found


def _fax(name, pages, letters):
    frames = [page.parts["frame"] for page in pages]
    return name, frames, pages_text(letters[0].cover_pdf), "".join(letter.html for letter in letters)


@pytest.fixture(scope="session")
def sheets(written, faxes):
    """Return (name, frames, pages, HTML) of every letter as printed and as faxed."""
    printed = [
        (f"{row.name} printed", [row.page.parts["frame"]], pages_text(row.letter.pdf), row.letter.html)
        for row in written
    ]
    return [*printed, *((f"{name} faxed", frames, pages[1:], html) for name, frames, pages, html in faxes)]


def test_no_cover_of_any_fax_names_the_patient_an_illness_or_a_drug(faxes, room):
    words = room.brief(*_any(room)).lexicon.words
    telling = [*words["product"].values(), *words["indication"].values(), "ketamine", "ADHD", "psychosis", "stimulant"]
    for name, frames, (cover, *_), _ in faxes:
        patient = frames[0].patient
        hidden = [*str(patient.name).replace(",", " ").split(), str(patient.born), str(patient.number), *telling]
        assert not [one for one in hidden if len(one) > 2 and one.lower() in _flat(cover).lower()], name
        assert str(frames[0].reference) in cover, name


def _any(room):
    sample = room.samples().sample("bp-spike")
    return sample.case, sample.plan, sample.recipients["psychiatrist"]


def test_every_sheet_of_a_fax_says_which_it_is_of_how_many_whose_it_is_and_its_reference(faxes):
    for name, frames, (cover, *pages), _ in faxes:
        assert f"{len(pages) + 1}, including this cover" in _flat(cover), name
        for number, page in enumerate(pages, 1):
            flat = re.sub(r"\s+", "", page)
            for part in (frames[0].patient.name, frames[0].patient.born, frames[0].reference):
                assert re.sub(r"\s+", "", str(part)) in flat, (name, number)
            assert f"page{number}of{len(pages)}" in flat, (name, number)


def _own(page, frame):
    """Return what a page holds beside its foot and the end of every letter."""
    text = _flat(page)
    sign = frame.signature
    ends = [f"{frame.patient.name} · born {frame.patient.born}", f"{frame.reference} version {frame.version}", CLOSING]
    ends += ["Reviewed and released.", "Not reviewed by a clinician yet.", str(sign.author) if sign.author else ""]
    text = re.sub(r"(· )?(page|página) \d+ (of|de) \d+", " ", text)
    for one in filter(None, ends):
        text = text.replace(_flat(one), " ")
    return re.sub(r"Recorded (by|on) .*?\d\d:\d\d \w+\.", " ", text)


def test_no_page_of_any_letter_holds_a_signature_or_a_closing_alone(sheets):
    poor = []
    for name, frames, pages, _ in sheets:
        for number, page in enumerate(pages, 1):
            if min(words_of(_own(page, one)) for one in frames) < ENOUGH_WORDS:
                poor.append((name, number))
    assert len(sheets) > 200
    assert not poor


def test_a_page_with_a_signature_alone_would_be_found(sheets, written):
    row = next(one for one in written if one.name == "bp-spike.psychiatrist.L5")
    frame = row.page.parts["frame"]
    page = f"{frame.signature.author}\nReviewed and released. Recorded by {frame.signature.recorder}, "
    page += f"{frame.signature.at}.\n{frame.patient.name} · born {frame.patient.born}\n"
    page += f"{frame.reference} version 1 · page 2 of 3"
    assert words_of(_own(page, frame)) < ENOUGH_WORDS


def test_the_closing_line_of_a_clinic_is_never_alone_on_a_page(room):
    own = room.with_own(Own(words={"closing_line": CLOSING}))
    told = 0
    for name in ("bp-spike", "dose-increase", "stimulant-hold", "crowded", "digest", "emergency"):
        sample = room.samples().sample(name)
        for one in sample.recipients.values():
            if one.audience == "patient":
                continue
            frame = own.pages(sample.case, sample.plan, one)[0].parts["frame"]
            (letter,) = own.write(sample.case, sample.plan, one, fax=True)
            for pdf in (letter.pdf, letter.cover_pdf):
                for page in pages_text(pdf):
                    told += CLOSING in _flat(page)
                    assert CLOSING not in _flat(page) or words_of(_own(page, frame)) >= ENOUGH_WORDS, name
    assert told > 20


def test_no_paragraph_and_no_item_of_a_list_runs_over_the_end_of_a_page(sheets):
    torn, looked = [], 0
    for name, _, pages, html in sheets:
        whole = _flat(" ".join(pages))
        for _, _, inner in PART.findall(re.sub(r"<svg\b.*?</svg>", " ", html, flags=re.DOTALL)):
            text = _words(inner)
            if len(text.split()) > 12 and stands_in(text, whole):
                looked += 1
                if not any(stands_in(text, _flat(page)) for page in pages):
                    torn.append((name, text[:60]))
    assert looked > 1500
    assert not torn


def test_no_page_ends_with_a_heading(sheets):
    for name, frames, pages, html in sheets:
        heads = {_words(inner) for tag, _, inner in PART.findall(html) if tag in ("h1", "h2")}
        for page in pages:
            foot = {_flat(f"{one.patient.name} · born {one.patient.born}") for one in frames}
            lines = [_flat(line) for line in page.splitlines() if line.strip()]
            body = [
                line for line in lines if line not in foot and not re.search(r"(page|página) \d+ (of|de) \d+$", line)
            ]
            assert body[-1] not in heads, (name, body[-1])
