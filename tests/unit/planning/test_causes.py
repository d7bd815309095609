"""The table of causes."""

import pytest
import yaml

from coordinator.domain.errors import ConfigurationError
from coordinator.planning.causes import load_causes
from coordinator.planning.recipients import WHY_NOT


@pytest.fixture(scope="module")
def causes(rules_dir):
    return load_causes(rules_dir / "causes.yaml")


def test_every_cause_is_a_sentence_with_a_next_step(causes):
    for one in causes.table.values():
        assert one.sentence.endswith(".")
        assert one.next_step.endswith(".")
        assert one.sentence[0].isupper()


def test_an_unknown_code_gets_the_words_of_a_bug_and_keeps_its_own_code(causes):
    found = causes.get("moon.phase")
    assert found.code == "moon.phase"
    assert found.sentence == causes.get("bug").sentence
    assert found.role == "engineer"


def test_every_reason_for_missing_consent_has_a_cause(causes):
    assert all(f"consent.{reason}" in causes.table for reason in WHY_NOT)


@pytest.mark.parametrize(
    "rows",
    [
        {"bug": {"says": "x.", "next": "y."}},
        {"bug": {"says": "x.", "next": "y.", "who": "the boss"}},
        {"fax.busy": {"says": "x.", "next": "y.", "who": "engineer"}},
    ],
)
def test_a_row_that_lacks_a_part_is_refused_at_load(tmp_path, rows):
    path = tmp_path / "causes.yaml"
    path.write_text(yaml.safe_dump({"causes": rows}))
    with pytest.raises(ConfigurationError):
        load_causes(path)
