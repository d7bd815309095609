"""What a fax machine leaves of a page, and what can still be read of it."""

import re
import subprocess
import unicodedata
from io import BytesIO

import pypdfium2
from PIL import Image

ACROSS_DPI, DOWN_DPI = 204, 98
"""Group 3 standard resolution, which the receiving machine may negotiate down to (ITU-T T.4)."""
SHARPER = 1.5
"""How much larger the reader looks at the page; nothing is added to what was sent."""
READ_S = 60

NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")


def faxed_pages(pdf: bytes) -> list[Image.Image]:
    """Return each page as 204 x 98 dpi in pure black and white, lines doubled as the receiver prints them."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [_faxed(page) for page in document]
    finally:
        document.close()


def _faxed(page: pypdfium2.PdfPage) -> Image.Image:
    sharp = page.render(scale=4 * ACROSS_DPI / 72, grayscale=True).to_pil()
    across, down = round(sharp.width / 4), round(sharp.height * DOWN_DPI / ACROSS_DPI / 4)
    page.close()
    sent = sharp.resize((across, down), Image.Resampling.BOX).point(lambda grey: 255 if grey > 140 else 0).convert("1")
    # The receiver prints each line twice as high; a reader, man or machine, sees a smooth page of that.
    shown = (round(across * SHARPER), round(down * SHARPER * ACROSS_DPI / DOWN_DPI))
    return sent.convert("L").resize(shown, Image.Resampling.BICUBIC)


def read_page(image: Image.Image, layout: int = 4) -> str:
    """Return what tesseract reads. `layout` 4 takes the page as columns of lines, 6 as one block of lines."""
    whole = BytesIO()
    image.save(whole, format="PNG", dpi=(SHARPER * ACROSS_DPI, SHARPER * ACROSS_DPI))
    command = ["tesseract", "-", "-", "-l", "eng", "--psm", str(layout)]
    done = subprocess.run(command, input=whole.getvalue(), capture_output=True, timeout=READ_S, check=True)
    return unicodedata.normalize("NFC", done.stdout.decode())


def lost(texts: list[str], read: str) -> list[str]:
    """Return the numbers, dates, times and telephone numbers of the texts that were not read back whole."""
    return sorted({one for text in texts for one in NUMBER.findall(text) if not _stands_in(one, read)})


def _stands_in(number: str, read: str) -> bool:
    return re.search(rf"(?<![\d.,]){re.escape(number)}(?!\d)(?![.,]\d)", read) is not None
