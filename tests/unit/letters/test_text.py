import pytest

from coordinator.letters.pdf import stands_in
from coordinator.letters.text import text_of
from coordinator.letters.web_page import page_policy, style_hash


def test_headings_paragraphs_and_lists_become_lines():
    html = "<h1>Title</h1><p>One\n two.</p><ol><li>first</li><li>second</li></ol><ul><li>dot</li></ul><p>End</p>"
    assert text_of(html) == "Title\nOne two.\n\n1. first\n2. second\n- dot\nEnd\n"


def test_a_table_row_repeats_the_headings():
    html = (
        "<table><thead><tr><td></td><th>Before</th><th>After</th></tr></thead>"
        "<tbody><tr><th>Dose</th><td>5 mg</td><td>6 mg</td></tr></tbody></table>"
    )
    assert text_of(html) == "- Dose. Before: 5 mg; After: 6 mg\n"


def test_a_picture_gives_its_text_alternative_and_not_its_labels():
    html = "<p>a</p><svg><title>Pressure 184/112</title><text>999</text></svg>"
    text = text_of(html)
    assert "Pressure 184/112" in text
    assert "999" not in text


def test_entities_are_resolved_and_style_is_left_out():
    assert text_of("<head><title>x</title><style>p{}</style></head><p>O&#39;Brien &lt;b&gt; 5\u00a0mg</p>") == (
        "O'Brien <b> 5 mg\n"
    )


def test_terms_and_their_words_stand_on_one_line():
    assert text_of("<dl><dt>To</dt><dd>Dr A</dd><dt>Copy</dt><dd>Dr B</dd></dl>") == "To: Dr A\nCopy: Dr B\n"


def test_every_letter_shows_as_one_web_page_under_the_policy_of_its_own_style(written):
    for row in written:
        assert style_hash(row.letter.html) in page_policy(row.letter.html)
        assert "http" not in row.letter.html.replace('xmlns="http://www.w3.org/2000/svg"', ""), row.name


def test_a_page_with_a_style_of_its_own_is_refused():
    with pytest.raises(ValueError, match="style"):
        style_hash('<style>p{}</style><p style="color: red">')


def test_a_sentence_of_a_picture_that_the_letter_says_too_stands_once():
    html = (
        "<figure><svg><title>The course from May to June. Dose 41 mg at first. Seen on paper only.</title></svg>"
        "</figure>"
        "<p>The course from May to June. Dose 41 mg at first.</p>"
    )
    assert text_of(html) == (
        "The course from May to June. Seen on paper only.\n\nThe course from May to June. Dose 41 mg at first.\n"
    )


def test_a_picture_that_says_nothing_more_than_the_letter_leaves_no_caption():
    html = "<p>Dose 41 mg.</p><figure><svg><title>The course. Dose 41 mg.</title></svg></figure><p>End.</p>"
    assert text_of(html) == "Dose 41 mg.\n\nEnd.\n"


def test_a_list_that_goes_on_from_another_letter_keeps_its_numbers():
    html = '<ol start="2"><li>Please call.</li><li>Please write.</li></ol>'
    assert text_of(html) == "2. Please call.\n3. Please write.\n"


def test_a_form_in_plain_words_has_boxes_to_tick_lines_to_write_on_and_its_reference_once(one):
    letter = one("bp-spike.psychiatrist").letter
    form = letter.text.split("Reply form\n", 1)[1]
    assert "[ ] I agree and will do what is asked." in form
    assert "[ ] A different plan (dose, from which day): ____________" in form
    assert "Name ____________" in form
    assert form.count(letter.reference) == 1


@pytest.mark.parametrize(
    ("needle", "page"),
    [
        ("soft\u00adhyphen", "a softhyphen stands"),
        ("soft\u00adhyphen", "a soft- hyphen stands"),
        ("soft\u00adhyphen", "a soft\u2010 hyphen stands"),
        ("soft\u00adhyphen", "a soft\u00adhyphen stands"),
        ("\u05d3\u05d5\u05d3\u200f", "\u05d3\u05d5\u05d3"),
        ("a\u200bb", "ab"),
        ("a\u200db", "a\u200db"),
    ],
)
def test_what_shapes_a_text_and_is_not_printed_itself_is_not_missed_on_the_page(needle, page):
    assert stands_in(needle, page)


def test_a_soft_hyphen_makes_no_two_words_one():
    assert not stands_in("soft\u00adhyphen", "soft and hyphen")
