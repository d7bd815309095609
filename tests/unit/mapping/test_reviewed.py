"""The table of what proves what in the FHIR content names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
NAMED = re.compile(r"`((?:tests/[\w/]+/)?test_\w+\.py)(?:::(test_\w+))?`")


def test_every_test_that_the_table_of_the_content_names_is_there() -> None:
    named = NAMED.findall((ROOT / "docs" / "fhir-content.md").read_text(encoding="utf-8"))
    assert len(named) > 50
    for file, name in named:
        path = ROOT / file if file.startswith("tests/") else Path(__file__).parent / file
        assert path.exists(), file
        assert not name or f"def {name}(" in path.read_text(encoding="utf-8"), (file, name)
