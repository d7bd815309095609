"""What a fax machine leaves of a page, and what can still be read of it."""

import os
import re
import subprocess
import unicodedata
from collections import Counter
from functools import lru_cache
from html.parser import HTMLParser
from io import BytesIO

import pypdfium2
from PIL import Image

ACROSS_DPI, DOWN_DPI = 204, 98
"""Group 3 standard resolution, which the receiving machine may negotiate down to (ITU-T T.4)."""
SHARPER = 1.5
"""How much larger the reader looks at the page: what any reader of faxes can do. Nothing is added to what was sent."""
READ_S = 60

NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
"""A dose, a reading, a time, a score; a telephone number or a reference with its hyphens is one number."""


def faxed_pages(pdf: bytes) -> list[Image.Image]:
    """Return each page as 204 x 98 dpi in pure black and white, lines doubled as the receiver prints them."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [_faxed(page) for page in document]
    finally:
        document.close()


def sent_page(page: pypdfium2.PdfPage) -> Image.Image:
    """Return a page as it goes over the line: 204 dots an inch across, 98 down, each black or white."""
    sharp = page.render(scale=4 * ACROSS_DPI / 72, grayscale=True).to_pil()
    across, down = round(sharp.width / 4), round(sharp.height * DOWN_DPI / ACROSS_DPI / 4)
    return sharp.resize((across, down), Image.Resampling.BOX).point(lambda grey: 255 if grey > 140 else 0).convert("1")


def _faxed(page: pypdfium2.PdfPage) -> Image.Image:
    sent = sent_page(page)
    page.close()
    # The receiver prints each line twice as high; a reader, man or machine, sees a smooth page of that.
    shown = (round(sent.width * SHARPER), round(sent.height * SHARPER * ACROSS_DPI / DOWN_DPI))
    return sent.convert("L").resize(shown, Image.Resampling.BICUBIC)


LOOKS = ("4", "6", "11")
"""How tesseract cuts a page up: columns of lines; one block of lines; words wherever they stand. The first drops a
short number that stands alone in a table's cell, the second one beside a drawing, the third none but their order."""


def read_page(image: Image.Image, look: str) -> str:
    """Return what tesseract reads of a page, cut up in this way."""
    whole = BytesIO()
    image.save(whole, format="PNG", dpi=(SHARPER * ACROSS_DPI, SHARPER * ACROSS_DPI), compress_level=1)
    return _read(whole.getvalue(), look)


@lru_cache(maxsize=256)
def _read(png: bytes, look: str) -> str:
    command = ["tesseract", "-", "-", "-l", "eng", "--psm", look]
    surroundings = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=png, capture_output=True, timeout=READ_S, check=True, env=surroundings)
    return unicodedata.normalize("NFC", done.stdout.decode())


def lost_of(printed: Counter[str], pages: list[Image.Image]) -> dict[str, int]:
    """Return what is lost of a fax however its pages are cut up: each number must come back, whole and as often as it
    was printed, in one and the same way of looking at them. A further look is taken only while something is missing.
    """
    left = dict(printed)
    for look in LOOKS:
        read = "\n".join(read_page(one, look) for one in pages)
        missing = lost(printed, read)
        left = {number: min(times, missing[number]) for number, times in left.items() if number in missing}
        if not left:
            break
    return left


def numbers(text: str) -> Counter[str]:
    """Return every number of a text and how often it stands there."""
    return Counter(NUMBER.findall(text.replace("\N{NON-BREAKING HYPHEN}", "-")))


def lost(printed: Counter[str], read: str) -> dict[str, int]:
    """Return what was printed more often than it was read, whole, and how often that is."""
    return dict(printed - numbers(read))


class _Pictures(HTMLParser):
    """Collects the labels inside the pictures of a letter."""

    def __init__(self) -> None:
        super().__init__()
        self.labels: list[str] = []
        self._in_label = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_label = tag == "text"

    def handle_endtag(self, tag: str) -> None:
        self._in_label = False

    def handle_data(self, data: str) -> None:
        if self._in_label:
            self.labels.append(data)


def in_pictures(html: str) -> Counter[str]:
    """Return the numbers that label the pictures of a letter.

    A reader of lines of text jumbles words strewn over a drawing; so pictures are read on
    their own (`lost_of_picture`), and what they repeat is read where it is written.
    """
    reader = _Pictures()
    reader.feed(html)
    return sum((numbers(one) for one in reader.labels), Counter())


def pictures(html: str) -> list[str]:
    """Return the pictures of a letter."""
    return re.findall(r"<figure\b.*?</figure>", html, flags=re.DOTALL)


CLOSER = (1.0, 2 / 3, 3 / 4, 4 / 3)
"""How near a reader holds a label: as the rest of the page, further away, nearer. Of a nought that stands alone the
reader makes a letter at some distances, and the number at most."""
LABEL = re.compile(r'<text x="([\d.]+)" y="([\d.]+)">([^<]*\d[^<]*)</text>')
UP, DOWN, ASIDE, EM = 10.5, 3.0, 3.5, 6.2
"""Points around a label that a reader looks at, and about how wide one of its characters is."""


def lost_of_picture(picture: str, page: Image.Image, left: float, top: float) -> dict[str, int]:
    """Return which labels of a picture are lost that stands alone on a page, its corner `left` and `top` points away.

    The eye goes to one label after the other; so what stands around each, lines and all,
    is cut out, and the cuttings are read as lines of a column.
    """
    point = SHARPER * ACROSS_DPI / 72
    cuttings = []
    for x, y, text in LABEL.findall(picture):
        wide = EM * len(text)
        start = left + float(x)
        box = (start - ASIDE, top + float(y) - UP, start + wide + ASIDE, top + float(y) + DOWN)
        cuttings.append(page.crop(tuple(round(edge * point) for edge in box)))
    high = cuttings[0].height
    column = Image.new("L", (max(one.width for one in cuttings) + 2 * high, (2 * len(cuttings) + 1) * high), 255)
    for place, one in enumerate(cuttings):
        column.paste(one, (high, (2 * place + 1) * high))
    missing = dict(in_pictures(picture))
    for nearer in CLOSER:
        size = (round(column.width * nearer), round(column.height * nearer))
        now = lost(in_pictures(picture), read_page(column.resize(size, Image.Resampling.BICUBIC), "6"))
        missing = {number: min(times, now[number]) for number, times in missing.items() if number in now}
        if not missing:
            break
    return missing
