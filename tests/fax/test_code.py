"""The code of the reference on every reply form: its size on the page, and read back from what a fax leaves of it."""

import subprocess
from io import BytesIO

import pypdfium2
import pytest
from PIL import Image
from reading import ACROSS_DPI, DOWN_DPI, SHARPER, faxed_pages, sent_page

from coordinator.letters.pdf import pages_text

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

SMALLEST_MM = 25
INCH_MM = 25.4
SHARP_DPI = 300
READ = """
import sys
import zxingcpp
from PIL import Image
print(*(one.text for one in zxingcpp.read_barcodes(Image.open(sys.stdin.buffer))))
"""


def read_code(python, image: Image.Image) -> str:
    """Return what a reader of codes finds on a picture of a page."""
    whole = BytesIO()
    image.convert("L").save(whole, format="PNG", compress_level=1)
    done = subprocess.run([python, "-c", READ], input=whole.getvalue(), capture_output=True, timeout=60, check=True)
    return done.stdout.decode().strip()


def measured(page: Image.Image, across_dpi: float, down_dpi: float) -> tuple[float, float]:
    """Return width and height in mm of the code on a picture of a form: the first black thing in its right third.

    No row of modules of a code is white from end to end, so it ends where a white row does.
    """
    grey = page.convert("L")
    left = grey.width * 2 // 3
    rows = [grey.crop((left, y, grey.width, y + 1)).point(lambda one: 255 if one < 128 else 0).getbbox()
            for y in range(grey.height)]  # fmt: skip
    top = next(y for y, row in enumerate(rows) if row)
    bottom = next(y for y in range(top, len(rows)) if rows[y] is None)
    black = [row for row in rows[top:bottom] if row]
    width = max(row[2] for row in black) - min(row[0] for row in black)
    return width / across_dpi * INCH_MM, (bottom - top) / down_dpi * INCH_MM


def test_the_code_of_every_form_is_25_mm_and_reads_as_the_reference_printed_and_faxed(room, codes, sample, audience):
    made = room.samples().sample(sample)
    letters = room.write(made.case, made.plan, made.recipients[audience], fax=True)
    reference = letters[0].reference
    forms = 0
    for letter in letters:
        forms += _looked_at(letter.pdf, reference, codes)
    fax = letters[0].cover_pdf
    assert _looked_at(fax, reference, codes, faxed=True) == forms <= 1


def _looked_at(pdf: bytes, reference: str, codes, *, faxed: bool = False) -> int:
    """Look at each page that is a reply form; return how many there are."""
    numbers = [place for place, text in enumerate(pages_text(pdf)) if "Reply form" in text.splitlines()[0]]
    document = pypdfium2.PdfDocument(pdf)
    try:
        for number in numbers:
            sharp = document[number].render(scale=SHARP_DPI / 72, grayscale=True).to_pil()
            assert min(measured(sharp, SHARP_DPI, SHARP_DPI)) >= SMALLEST_MM
            assert read_code(codes, sharp) == reference
            if faxed:
                sent = sent_page(document[number])
                assert min(measured(sent, ACROSS_DPI, DOWN_DPI)) >= SMALLEST_MM
                assert read_code(codes, faxed_pages(pdf)[number]) == reference
    finally:
        document.close()
    return len(numbers)


def test_a_code_that_a_fax_spoils_is_found_out(room, codes):
    made = room.samples().sample("bp-spike")
    (letter,) = room.write(made.case, made.plan, made.recipients["psychiatrist"], fax=True)
    (form,) = [page for page, text in zip(faxed_pages(letter.cover_pdf), pages_text(letter.cover_pdf), strict=True)
               if "Reply form" in text]  # fmt: skip
    assert read_code(codes, form) == letter.reference
    blurred = form.resize((form.width // 16, form.height // 16)).resize(form.size)
    assert read_code(codes, blurred) == ""
    small = form.resize((form.width * 7 // 10, form.height * 7 // 10))
    assert max(measured(small, SHARPER * ACROSS_DPI, SHARPER * ACROSS_DPI)) < SMALLEST_MM
