"""Every row of the fault matrix names tests that there are; the page shows the same."""

import re
from pathlib import Path

import pytest

from tests.faults.report import PAGE, row_table
from tests.faults.rows import ROWS

TESTS = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_matrix_names_tests_that_there_are_or_says_what_is_not_tried(name):
    row = ROWS[name]
    assert row.tests or row.untried
    for one in row.tests:
        file, _, start = one.partition("::")
        found = re.findall(rf"def ({re.escape(start)}\w*)\(", (TESTS / file).read_text(encoding="utf-8"))
        assert found, f"no such test: {one}"


def test_the_page_shows_the_rows_as_they_are():
    assert row_table() in PAGE.read_text(encoding="utf-8"), "run: python -m tests.faults.report"
