"""A mistake in the rules' or instruments' files is named with its place, before any event is looked at."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from coordinator.cli import main
from coordinator.planning.rule_check import rule_problems

MAPPINGS = Path(__file__).parents[3] / "mappings"
VALIDATION, CAUSES = "rules/validation.yaml", "rules/causes.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(MAPPINGS, tmp_path / "mappings")
    return tmp_path / "mappings"


def change(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    text = file.read_text("utf-8")
    assert old in text, f"{name} has no {old!r}"
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_the_shipped_files_can_be_used() -> None:
    assert rule_problems(MAPPINGS, MAPPINGS / "rules" / "signatures.demonstration.yaml") == ()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        (VALIDATION, "accept:", "acept:", "accept missing; there is no key acept"),
        (VALIDATION, "only: {products:", "only: {prodcts:", "there is no key prodcts"),
        (VALIDATION, "id: new-regimen-missing", "id: regimen-per-weight", "stands there twice"),
        (VALIDATION, "level: refuse", "level: refusing", "names no predicate or level that exists"),
        (CAUSES, "says:", "sais:", "says missing; there is no key sais"),
        (CAUSES, "causes:", "causes: [", "line"),
        ("rules/escalation.yaml", "after_minutes:", "after_minuets:", "after_minutes missing"),
        ("rules/retries.yaml", "default:", "defualt:", "the default channel needs a routine schedule"),
        ("rules/coordination.yaml", "yields_to:", "yeilds_to:", "there is no key yeilds_to"),
        ("rules/coordination.yaml", "thresholds:", "treshholds:", "thresholds missing"),
        ("instruments/phq-9.yaml", "range: [0, 27]", "range: [0, 26]", "the bands must cover the range"),
        ("instruments/phq-9.yaml", "recall:", "recal:", "recall missing; there is no key recal"),
        ("instruments/phq-9.yaml", "id: phq-9", "id: phq-9\nid: phq-8", "a key stands twice"),
    ],
)
def test_a_mistake_is_named_with_its_file(folder: Path, name: str, old: str, new: str, said: str) -> None:
    change(folder, name, old, new)
    (problem, *more) = rule_problems(folder)
    assert said in problem
    assert problem.startswith(Path(name).name)
    assert more == []


def test_mistakes_in_several_files_are_named_at_once(folder: Path) -> None:
    change(folder, VALIDATION, "accept:", "acept:")
    change(folder, CAUSES, "says:", "sais:")
    (folder / "rules" / "retries.yaml").unlink()
    assert len(rule_problems(folder)) == 3


def test_the_command_names_them_and_says_no(folder: Path) -> None:
    change(folder, VALIDATION, "accept:", "acept:")
    done = CliRunner().invoke(main, ["check-mappings", "--mappings", str(folder)])
    assert done.exit_code == 1
    assert "there is no key acept" in done.output
