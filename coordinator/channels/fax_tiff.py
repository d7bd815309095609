"""The stored fax PDF as the line carries it: TIFF, one bit a dot, 1,728 dots wide, 204 by 196 an inch (ITU-T T.4)."""

import io

import pypdfium2
from PIL import Image

from coordinator.domain.errors import Permanent
from coordinator.letters.pdf import PDF_ENGINE

DOTS_WIDE = 1728
ACROSS_DPI, DOWN_DPI = 204, 196
BLACK_BELOW = 128
"""Grey lighter than this is paper. The letters' own fax form uses black alone."""


def fax_pages(pdf: bytes) -> bytes:
    """Return every page of the PDF as one TIFF; raise Permanent when it is no PDF that can be drawn."""
    try:
        with PDF_ENGINE:
            pages = _drawn(pdf)
    except (pypdfium2.PdfiumError, ValueError) as fault:
        raise Permanent("fax.document") from fault
    if not pages:
        raise Permanent("fax.document")
    out = io.BytesIO()
    pages[0].save(
        out, "TIFF", save_all=True, append_images=pages[1:], compression="group4", dpi=(ACROSS_DPI, DOWN_DPI)
    )  # fmt: skip
    return out.getvalue()


def _drawn(pdf: bytes) -> list[Image.Image]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        pages = []
        for page in document:
            grey = page.render(scale=DOTS_WIDE / page.get_width(), grayscale=True).to_pil()
            tall = round(grey.height * DOWN_DPI / ACROSS_DPI)
            fitted = grey.resize((DOTS_WIDE, tall), Image.Resampling.LANCZOS)
            pages.append(fitted.point(lambda shade: 255 if shade >= BLACK_BELOW else 0, mode="1"))
            page.close()
        return pages
    finally:
        document.close()
