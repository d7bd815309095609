"""The order in which every letter tells, the same for all, so that a reader finds things; and its few headings."""

import re

HEADING = re.compile(r"<h2>(.*?)</h2>", re.DOTALL)
MOST_HEADINGS = 3
COLUMNS = {
    ("Medicine", "Before", "Now", "From", "Why", "Decided by"),
    ("Medicine", "At present", "Requested", "From", "Why", "Who decides"),
}


def _told(row):
    """Return a letter's own part: from its title to its signature, without what stands behind it."""
    html = row.letter.html
    return html[html.index("<h1>") : html.index('<section class="sign">')]


def test_every_letter_has_its_parts_in_the_same_order(written):
    for row in written:
        html = row.letter.html
        parts = ['<header class="head">', "<h1>", '<dl class="who">']
        parts += ['<section class="notice">'] if "correction" in row.page.parts else []
        parts += ['<section class="ask">']
        parts += ['<section class="sign">']
        parts += ['<section class="form">'] if row.page.form else []
        places = [html.index(part) for part in parts]
        assert places == sorted(places), row.name
        if row.page.body:
            assert html.index('<section class="ask">') < html.index('<p class="status">'), row.name


def test_a_letter_has_at_most_three_headings_beside_its_box(written):
    for row in written:
        if row.page.body and row.letter.kind != "L14":
            asked, *own = HEADING.findall(_told(row))
            assert asked == "What we ask you to do", row.name
            assert 1 <= len(own) <= MOST_HEADINGS, (row.name, own)


def test_the_table_of_medicines_says_before_now_from_when_why_and_who_decided(written):
    seen = set()
    for row in written:
        for table in re.findall(r'<table class="medicines">(.*?)</table>', row.letter.html, re.DOTALL):
            heads = tuple(re.sub(r"<[^>]*>", "", one) for one in re.findall(r"<th scope=\"col\".*?</th>", table))
            if heads[1] != "First dose":
                assert heads in COLUMNS, row.name
                seen.add(heads)
                assert "We made no other changes to medicines." in table, row.name
    assert seen == COLUMNS


def test_the_stimulant_is_told_as_we_understand_it_with_the_wish_to_be_put_right(written):
    told = 0
    for row in written:
        text = " ".join(row.letter.text.split())
        if "Stimulant as we understand it:" in text:
            told += 1
            right = ("Please tell us if this is wrong.", "asks you which of them holds", "we have asked the prescriber")
            assert any(one in text for one in right), row.name
    assert told > 60
