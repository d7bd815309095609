import pytest

from coordinator.channels.fax_codes import FAX_FAILURES, RETRYABLE, SUSPENDS_NUMBER, classify

ROWS = {
    "fax.line": (15, 52, 88, 100, 110),
    "fax.busy": (17,),
    "fax.no-answer": (16, 30, 87, 112),
    "fax.training": (6, 8, 10, 12),
    "fax.bad-number": (34, 49, 73, 115),
    "fax.no-fax-tone": (19,),
    "fax.refused": (50,),
    "fax.document": (4, 54, 55, 57, 69, 128, 129, 130, 131, 132, 133),
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


def test_partial_pages_are_a_failure_whatever_the_number_says():
    assert classify(17, partial=True).code == "fax.partial"


def test_a_changed_number_is_never_dialled_again_and_both_kinds_of_doubt_about_a_number_suspend_it():
    assert {"fax.bad-number", "fax.no-fax-tone"} == SUSPENDS_NUMBER
    assert not SUSPENDS_NUMBER & RETRYABLE
