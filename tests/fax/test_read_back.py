"""Every letter through a fax machine at its coarsest: each number is read back by a machine."""

import pytest
from reading import faxed_pages, lost, read_page

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def test_every_number_date_time_and_telephone_number_is_read_back(room, tesseract, sample, audience):
    made = room.samples().sample(sample)
    recipient = made.recipients[audience]
    letters = room.write(made.case, made.plan, recipient, fax=True)
    for page, letter in zip(room.pages(made.case, made.plan, recipient), letters, strict=True):
        faxed = faxed_pages(letter.cover_pdf)
        read = "\n".join(read_page(one) for one in faxed)
        texts = [one.text for one in page.facts() if "case:/reference" not in one.sources]
        if lost(texts, read):  # a number that one way of looking at the page misses may be read in the other
            read += "\n".join(read_page(one, layout=6) for one in faxed)
        assert lost(texts, read) == []
        assert as_reference(letter.reference) in as_reference(read)


def as_reference(text: str) -> str:
    """Return the text as a reference is looked up: it has no letters O, I or L, so each is taken for its digit."""
    return text.upper().replace("O", "0").replace("I", "1").replace("L", "1")


def test_a_number_that_is_not_there_is_reported_as_lost():
    assert lost(["41 mg", "184/112"], "ketamine 4l mg, 184/112") == ["41"]
    assert lost(["4 mg"], "41 mg and 0.4") == ["4"]
