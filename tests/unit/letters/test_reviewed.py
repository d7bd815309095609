"""The table of what proves what names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`((?:tests/[\w/]+/)?test_\w+\.py)(?:::(test_\w+))?`")


def test_every_test_that_the_table_names_is_there():
    named = NAMED.findall((ROOT / "docs" / "letters-reviewed.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    for file, name in named:
        path = ROOT / file if file.startswith("tests/") else Path(__file__).parent / file
        assert path.exists(), file
        assert not name or f"def {name}(" in path.read_text(encoding="utf-8"), (file, name)


def test_every_kind_of_letter_and_every_scenario_is_in_the_page():
    page = (ROOT / "docs" / "letters-reviewed.md").read_text(encoding="utf-8")
    for name in (*(f"L{number}" for number in range(1, 15)), *(f"T{number}" for number in range(1, 13))):
        assert re.search(rf"\b{name}\b", page), name
