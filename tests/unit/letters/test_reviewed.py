"""The page of what was looked at leaves out no kind of letter and no scenario."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_every_kind_of_letter_and_every_scenario_is_in_the_page():
    page = (ROOT / "docs" / "letters-reviewed.md").read_text(encoding="utf-8")
    for name in (*(f"L{number}" for number in range(1, 15)), *(f"T{number}" for number in range(1, 13))):
        assert re.search(rf"\b{name}\b", page), name
