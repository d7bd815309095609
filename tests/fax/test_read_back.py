"""Every letter through a fax machine at its coarsest: each number is read back by a machine, as often as it stands."""

from collections import Counter

import pytest
from reading import faxed_pages, in_pictures, lost, lost_of, lost_of_picture, numbers, pictures
from shapes import drawn

from coordinator.letters.pdf import PdfEngine, pages_text

LETTER_WIDE, PICTURE_WIDE, ROUND = 612, 250, 12
"""Points across a page, across a picture as it is faxed, and around it in this test."""

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def test_every_number_date_time_and_telephone_number_is_read_back(room, templates, tesseract, sample, audience):
    made = room.samples().sample(sample)
    letters = room.write(made.case, made.plan, made.recipients[audience], fax=True)
    fax = letters[0].cover_pdf
    printed = sum((numbers(text) for text in pages_text(fax)), Counter())
    assert printed[letters[0].reference] >= 3, "the reference stands on the cover, in the letter and at its foot"
    wanted = printed - sum((in_pictures(letter.html) for letter in letters), Counter())
    assert lost_of(wanted, faxed_pages(fax)) == {}
    for picture in (one for letter in letters for one in pictures(letter.html)):
        assert lost_of_faxed(templates, picture) == {}


def test_every_label_of_a_picture_of_any_shape_is_read_back(room, templates, tesseract):
    spoilt = {name: lost for name, picture in drawn(room, html=True) if (lost := lost_of_faxed(templates, picture))}
    assert spoilt == {}


def test_a_picture_that_a_fax_spoils_is_found_out(room, templates, tesseract):
    made = room.samples().sample("bp-spike")
    (picture,) = pictures(room.write(made.case, made.plan, made.recipients["psychiatrist"], fax=False)[0].html)
    assert lost_of_faxed(templates, picture) == {}
    tiny = picture.replace('font-size="11"', 'font-size="5"')
    assert len(lost_of_faxed(templates, tiny)) > 5


def fax_style(templates) -> str:
    """The letters' own style sheets, as a fax has them."""
    return "\n".join((templates / "layout" / name).read_text(encoding="utf-8") for name in ("print.css", "fax.css"))


def lost_of_faxed(templates, picture: str) -> dict[str, int]:
    """What is lost of a picture that stands alone on a page, in the letters' own style, as a fax leaves it."""
    css = fax_style(templates) + f"@page {{ margin: {ROUND}pt }}"
    html = f'<!DOCTYPE html><html lang="en"><head><title>t</title><style>{css}</style></head>'
    pdf = PdfEngine(templates / "layout").render(f'{html}<body class="fax" {FOOT}>{picture}</body></html>')
    (page,) = faxed_pages(pdf)
    return lost_of_picture(picture, page, left=LETTER_WIDE - ROUND - PICTURE_WIDE, top=ROUND)


def test_a_number_that_is_not_there_or_not_often_enough_is_reported_as_lost():
    printed = numbers("41 mg at 10:40, again 41 mg; call 218-555-0110")
    assert lost(printed, "ketamine 4l mg at 10:40, 41 mg, 218-555-0110") == {"41": 1}
    assert lost(printed, "410 mg at 10:4, 41 mg, 41 mg, 218-555-011") == {"10:40": 1, "218-555-0110": 1}


TABLE = "".join(
    f"<tr><td>{10 + row}:{40 + row}</td><td>{134 + row}/{84 - row}</td><td>{88 + row}</td><td>{98 - row} %</td>"
    f"<td>{row + 1}{row}.5 mg</td><td>{2 * row + 13} of {3 * row + 27}</td></tr>"
    for row in range(9)
)


FOOT = 'data-foot-left="left" data-foot-right="right" data-foot-page="page" data-foot-of=" of "'


def faxed_table(templates, style: str) -> dict[str, int]:
    """Return what is lost of a table under the letters' own style sheet with this rule added."""
    css = fax_style(templates)
    page = (
        f'<!DOCTYPE html><html lang="en"><head><title>t</title><style>{css} {style}</style></head>'
        f'<body class="fax" {FOOT}><table>{TABLE}</table></body></html>'
    )
    pdf = PdfEngine(templates / "layout").render(page)
    return lost_of(numbers("\n".join(pages_text(pdf))), faxed_pages(pdf))


@pytest.mark.parametrize(
    ("style", "survives"),
    [
        ("", True),
        ("body.fax td { border: 2pt solid #000; padding: 0; }", False),
        ("body.fax td { font-size: 5pt; }", False),
        ("body.fax td { color: #bbb; }", False),
    ],
    ids=["as it is", "vertical rules", "tiny type", "grey"],
)
def test_a_style_that_a_fax_spoils_is_found_out(templates, tesseract, style, survives):
    assert (faxed_table(templates, style) == {}) is survives
