"""What a system that takes nothing but text gets: the whole letter, no wider than its window."""

import re

import pytest

from coordinator.letters.columns import TEXT_COLUMNS, in_columns
from coordinator.letters.text import text_of

ROW = (
    "<table><thead><tr><td></td><th>Before</th><th>Now</th></tr></thead><tbody>"
    "<tr><th>ketamine</th><td>5 mg</td><td>6 mg</td></tr>"
    "<tr><th>rest</th><td>none</td><td>{now}</td></tr></tbody></table>"
)


def flat(text):
    return " ".join(text.split())


@pytest.mark.parametrize("columns", [80, TEXT_COLUMNS, 40, 20])
def test_no_line_of_any_letter_is_wider_than_the_window(written, columns):
    for row in written:
        assert max(map(len, in_columns(row.letter.html, columns).splitlines())) <= columns, row.name


@pytest.mark.parametrize("columns", [80, TEXT_COLUMNS, 40])
def test_every_amount_drug_name_score_date_and_time_of_the_letter_is_there(written, columns):
    for row in written:
        shown = flat(in_columns(row.letter.html, columns))
        for one in row.page.facts():
            if max(map(len, one.text.split()), default=0) < columns - 4:
                assert flat(one.text) in shown, (row.name, one)
            else:  # a word that no line holds is cut
                assert "".join(one.text.split()) in shown.replace(" ", ""), (row.name, one)


def test_nothing_of_the_letters_words_is_lost(written):
    for row in written:
        words = "".join(re.findall(r"[^\W_]", text_of(row.letter.html)))
        assert "".join(re.findall(r"[^\W_]", in_columns(row.letter.html))) == words, row.name


@pytest.mark.parametrize("columns", [TEXT_COLUMNS, 40])
def test_no_amount_is_torn_from_its_unit_and_no_time_from_its_zone(written, columns):
    whole = re.compile(r"[+\d./]+ (?:mg/kg|mg|mcg|kg|mmHg|%|/min|[A-Z]{3,4})")
    seen = 0
    for row in written:
        lines = in_columns(row.letter.html, columns).splitlines()
        for one in row.page.facts():
            if whole.fullmatch(flat(one.text)):
                seen += 1
                assert any(flat(one.text) in line for line in lines), (row.name, one.text)
    assert seen > 300


def test_a_row_that_fits_is_one_line_with_every_value_beside_its_heading():
    assert in_columns(ROW.format(now="none")) == "- ketamine: Before 5 mg; Now 6 mg\n- rest: Before none; Now none\n"


def test_a_table_with_a_row_too_wide_has_a_line_for_every_value_and_its_rows_look_alike():
    assert in_columns(ROW.format(now="a plan to be told of later"), 40) == (
        "- ketamine\n  Before: 5 mg\n  Now: 6 mg\n- rest\n  Before: none\n  Now: a plan to be told of later\n"
    )


def test_an_item_that_goes_on_is_set_in():
    assert in_columns("<ol><li>Please tell us the dose of 20 mg</li></ol>", 20) == (
        "1. Please tell us\n   the dose of 20 mg\n"
    )


def test_what_is_to_be_ticked_and_filled_in_is_drawn():
    form = '<p class="choice"><span class="box"></span>Call me at: <span class="rule short"></span></p>'
    assert in_columns(form) == "[ ] Call me at: ____________\n"


def test_a_word_longer_than_the_line_is_cut_and_stays_whole_otherwise():
    assert (
        in_columns("<p>See 12345678901234567890123 now</p>", 20).replace("\n", "") == "See 12345678901234567890123 now"
    )


def test_a_window_narrower_than_twenty_signs_is_refused():
    with pytest.raises(ValueError, match="20"):
        in_columns("<p>a</p>", 19)
