"""The fax as TIFF: every page, one bit a dot, fine mode, and the words still there."""

import io

import pytest
from PIL import Image

from coordinator.channels.fax import Fax
from coordinator.channels.fax_tiff import fax_pages
from coordinator.domain.errors import Permanent
from coordinator.domain.registry import Endpoint
from tests.contract.people import WallClock, a_package


def a_pdf(pages: int = 2) -> bytes:
    """Return a PDF of Letter pages with black bars, made without any drawing library."""
    drawn = [Image.new("1", (850, 1100), 1) for _ in range(pages)]
    for number, page in enumerate(drawn, start=1):
        page.paste(0, (100, 100 * number, 700, 100 * number + 40))
    out = io.BytesIO()
    drawn[0].save(out, "PDF", save_all=True, append_images=drawn[1:], resolution=100)
    return out.getvalue()


def test_every_page_is_there_one_bit_a_dot_in_fine_mode():
    tiff = Image.open(io.BytesIO(fax_pages(a_pdf(3))))
    assert (tiff.n_frames, tiff.mode, tiff.width) == (3, "1", 1728)
    assert tuple(round(one) for one in tiff.info["dpi"]) == (204, 196)
    assert tiff.info["compression"] == "group4"
    assert abs(tiff.height - 11 * 196 * 1728 / (8.5 * 204)) < 3
    for number in range(3):
        tiff.seek(number)
        dark = tiff.convert("L").getbbox()
        assert dark is not None
        assert 0.02 < 1 - sum(tiff.convert("L").histogram()[128:]) / (tiff.width * tiff.height) < 0.06


def test_what_is_no_pdf_is_our_own_document_fault():
    with pytest.raises(Permanent) as caught:
        fax_pages(b"no pdf at all")
    assert caught.value.code == "fax.document"


class Kept:
    def submit(self, fax, *, deadline, about_to_send):
        self.fax = fax
        raise Permanent("fax.refused")


@pytest.mark.parametrize(("tiff", "start", "name"), [(True, b"II*\x00", "letter.tif"), (False, b"%PDF", "letter.pdf")])
def test_the_gateway_is_given_what_it_takes(tiff, start, name):
    from dataclasses import replace

    package = a_package()
    pdf = a_pdf(1)
    package = replace(
        package,
        documents=tuple(
            replace(one, body=pdf) if one.media_type == "application/pdf" else one for one in package.documents
        ),
    )
    gateway = Kept()
    endpoint = Endpoint(id="ep-fax", kind="fax", address="+1-218-555-0143")
    with pytest.raises(Permanent):
        Fax(gateway, WallClock(), tiff=tiff).send(
            package, endpoint, deadline=WallClock().now(), about_to_send=lambda _: None
        )
    assert gateway.fax.content.startswith(start)
    assert gateway.fax.file_name == name
    assert gateway.fax.media_type == ("image/tiff" if tiff else "application/pdf")
