"""The pages that say which test keeps which promise name tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`((?:[\w]+/)*(?:test_\w+|channel_suite)\.py)(?:::(test_\w+))?`")
FOLDERS = {
    "fhir-content": ("tests/unit/mapping", "."),
    "delivery": ("tests",),
    "letters-reviewed": ("tests/unit/letters", "."),
}
"""Where the names of each page are looked up, in this order."""


@pytest.mark.parametrize("page", FOLDERS)
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    named = NAMED.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    for file, name in named:
        places = [path for folder in FOLDERS[page] if (path := ROOT / folder / file).exists()]
        assert places, f"no such file: {file}"
        assert not name or f"def {name}(" in places[0].read_text(encoding="utf-8"), f"no such test: {file}::{name}"
