"""The reply form as it comes out of the printer: measured in the PDF, for every letter that has one."""

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from coordinator.letters.pdf import pages_text

MM = 72 / 25.4
SMALLEST_CODE_MM = 25
SMALLEST_BOX_MM = 4
MARGIN_MM = 18


@pytest.fixture(scope="session")
def forms(written):
    """Return (name, the form's text, its squares in mm, the reference) of every reply form."""
    found = []
    for row in written:
        for number, text in enumerate(pages_text(row.letter.pdf)):
            if "Reply form" in text:
                squares = _squares(row.letter.pdf, number)
                found.append((row.name, " ".join(text.split()), squares, row.letter.reference))
    return found


def _squares(pdf: bytes, number: int) -> list[tuple[bool, float]]:
    """Return the squares of a page: whether each stands at the left margin, as the boxes do, and its side in mm."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        sides = []
        for one in document[number].get_objects(filter=[pdfium.FPDF_PAGEOBJ_PATH], max_depth=5):
            left, bottom, right, top = one.get_bounds()
            if abs((right - left) - (top - bottom)) < 0.5:
                sides.append((left < MARGIN_MM * MM + 1, round((right - left) / MM, 1)))
        return sides
    finally:
        document.close()


def test_the_code_is_big_enough_for_a_fax_and_never_the_only_carrier(forms):
    assert len(forms) > 15
    for name, text, squares, reference in forms:
        assert max(side for _, side in squares) >= SMALLEST_CODE_MM, name
        assert text.count(reference) >= 2, name


def test_every_box_can_be_ticked_with_a_pen(forms):
    for name, _, squares, _ in forms:
        boxes = [side for left, side in squares if left]
        assert len(boxes) >= 5, name
        assert min(boxes) >= SMALLEST_BOX_MM, name


def test_every_form_says_where_to_and_has_room_for_who_answers(forms):
    for name, text, _, _ in forms:
        for part in (
            "+1 218-555-0110",
            "Please call me, at:",
            "Wrong recipient, or no longer my patient.",
            "Signature",
        ):
            assert part in text, (name, part)
        assert "Name" in text.split("Wrong recipient", 1)[1], name
