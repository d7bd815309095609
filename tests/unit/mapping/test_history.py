"""check-mappings looks into git: a file that changed under its version is named, before a commit and after it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from coordinator.cli import main
from coordinator.cli.history import earlier_contents

ROOT = Path(__file__).parents[3]
WEIGHT = "events/session-outcome.weight.yaml"

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@x.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own with its mappings, examples and approved resources committed."""
    for part in ("mappings", "docs/examples", "tests/golden/mapping"):
        shutil.copytree(ROOT / part, tmp_path / part)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def checked(checkout: Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check-mappings", "--mappings", str(checkout / "mappings")])
    return done.exit_code, done.output


def change(checkout: Path, old: str, new: str) -> None:
    file = checkout / "mappings" / WEIGHT
    file.write_text(file.read_text().replace(old, new))


def test_a_change_is_named_until_its_version_rises_and_a_commit_does_not_hide_it(checkout: Path) -> None:
    assert checked(checkout)[0] == 0
    change(checkout, "order: 30", "order: 31")
    named = f"{WEIGHT}: changed, so it needs a higher `version`"
    code, said = checked(checkout)
    assert (code, named in said) == (1, True)
    git(checkout, "commit", "-qam", "second")
    code, said = checked(checkout)
    assert (code, named in said) == (1, True)
    change(checkout, "version: 1", "version: 2")
    assert named not in checked(checkout)[1]


def test_every_content_of_a_file_is_found_again(checkout: Path) -> None:
    change(checkout, "order: 30", "order: 31")
    git(checkout, "commit", "-qam", "second")
    found = earlier_contents(checkout / "mappings")
    assert found is not None
    assert ["order: 31" in one for one in found[WEIGHT]] == [True, False]


def test_without_a_history_it_says_that_nothing_was_compared(tmp_path: Path) -> None:
    for part in ("mappings", "docs/examples", "tests/golden/mapping"):
        shutil.copytree(ROOT / part, tmp_path / part)
    assert "no git history" in checked(tmp_path)[1]


def test_what_was_read_is_approved_by_the_same_command_and_nothing_that_is_held(checkout: Path) -> None:
    change(checkout, "version: 1", "version: 2")
    code, said = checked(checkout)
    assert (code, "coordinator check-mappings --approve" in said) == (1, True)
    command = ["check-mappings", "--approve", "--mappings", str(checkout / "mappings")]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "Approved: session-outcome.bp-spike.json" in done.output) == (0, True)
    assert checked(checkout)[0] == 0
    change(checkout, "event.weight or", "event.wieght or")
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "Nothing was approved" in done.output) == (1, True)
