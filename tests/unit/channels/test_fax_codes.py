import pytest

from coordinator.channels.fax_codes import FAX_FAILURES, RETRYABLE, SUSPENDS_NUMBER, classify

ROWS = {
    "fax.line": (15, 40, 43, 44, 52, 88, 100, 110),
    "fax.busy": (17,),
    "fax.no-answer": (16, 30, 48, 87, 112),
    "fax.training": (6, 8, 10, 11, 12, 18, 20, 21, 22, 26, 28, 29, 38, 41, 53, 60, 63, 77, 80, 82, 84, 117),
    "fax.bad-number": (34, 49, 73, 115),
    "fax.no-fax-tone": (19,),
    "fax.refused": (50,),
    "fax.document": (4, 54, 55, 57, 69, 113, 128, 129, 130, 131, 132, 133),
    "fax.account": (5, 46, 86, 105, 125),
}
AGAIN = {"fax.line", "fax.busy", "fax.no-answer", "fax.training"}


@pytest.mark.parametrize(("code", "number"), [(code, number) for code, numbers in ROWS.items() for number in numbers])
def test_each_number_has_its_class(code, number):
    assert classify(number) == (code, code in AGAIN)


def test_the_table_has_no_number_that_is_not_tested():
    assert sorted(FAX_FAILURES) == sorted(number for numbers in ROWS.values() for number in numbers)


@pytest.mark.parametrize("number", [None, 0, 1, 999, -17])
def test_an_unknown_number_is_looked_at_by_a_person_and_not_dialled_again(number):
    assert classify(number) == ("fax.unknown", False)


@pytest.mark.parametrize("number", [7, 13, 14, 25, 31, 32, 68, 75, 76])
def test_a_published_number_that_says_nothing_sure_of_the_number_or_the_line_is_a_persons_matter(number):
    assert classify(number) == ("fax.unknown", False)


@pytest.mark.parametrize(("number", "code"), [(131, "fax.partial"), (132, "fax.no-fax-tone"), (133, "fax.refused")])
def test_a_number_with_two_meanings_is_read_by_the_kind_of_error(number, code):
    assert classify(number, kind="FAX_ERROR").code == code
    for kind in ("DOCUMENT_CONVERSION_ERROR", "documentConversionError", None, ["FAX_ERROR"]):
        assert classify(number, kind=kind).code == "fax.document"


def test_an_account_without_means_is_the_accounts_matter_even_when_pages_arrived():
    assert classify(46, partial=True).code == "fax.account"


def test_partial_pages_are_a_failure_whatever_the_number_says():
    assert classify(17, partial=True).code == "fax.partial"


def test_a_changed_number_is_never_dialled_again_and_both_kinds_of_doubt_about_a_number_suspend_it():
    assert {"fax.bad-number", "fax.no-fax-tone"} == SUSPENDS_NUMBER
    assert not SUSPENDS_NUMBER & RETRYABLE
