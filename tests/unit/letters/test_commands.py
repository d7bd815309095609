"""The commands for people who work on letters."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_clinic_templates import GOOD

from coordinator.cli import main
from coordinator.letters.refusal import EXPLAINED
from coordinator.letters.text import text_of


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(main, [str(one) for one in words])


def test_a_preview_is_written_with_its_band(run, tmp_path):
    out = tmp_path / "letter.html"
    done = run("preview-letter", "L5", "--audience", "primary-care", "--sample", "bp-spike", "--out", out)
    assert done.exit_code == 0, done.output
    assert "PREVIEW - NOT SENT" in out.read_text()


def test_a_preview_can_be_a_pdf(run, tmp_path):
    out = tmp_path / "letter.pdf"
    assert run("preview-letter", "L1", "--sample", "digest", "--out", out).exit_code == 0
    assert out.read_bytes().startswith(b"%PDF-1.7")


def test_a_sample_that_has_no_such_letter_names_those_that_have(run):
    done = run("preview-letter", "L7", "--sample", "bp-spike")
    assert done.exit_code == 1
    assert "course-end" in done.output


def test_a_second_language_is_for_the_patients_copy_and_it_is_said_so(run):
    done = run("preview-letter", "L5", "--sample", "bp-spike", "--language", "es")
    assert done.exit_code == 1
    assert "Only the patient's copy (L14) is written in a second language." in done.output


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("L10", "including this cover"),
        ("L11", "Wrong recipient, or no longer my patient"),
        ("L13", "Please destroy every copy"),
    ],
)
def test_the_papers_around_a_letter_can_be_looked_at_too(run, tmp_path, kind, says):
    out = tmp_path / "paper.html"
    assert run("preview-letter", kind, "--sample", "bp-spike", "--out", out).exit_code == 0
    text = " ".join(text_of(out.read_text()).split())
    assert says in text
    assert "PREVIEW - NOT SENT" in text
    assert ("Adderall" in text) is (kind == "L11"), "cover and misdirected letter name no drug"


def test_a_patients_copy_has_no_fax_cover(run):
    done = run("preview-letter", "L10", "--audience", "patient", "--sample", "bp-spike")
    assert (done.exit_code, "makes no letter L10 for patient" in done.output) == (1, True)


def test_a_clinics_own_letters_are_checked_and_named(run, tmp_path):
    good = tmp_path / "session_missed" / "psychiatrist"
    good.mkdir(parents=True)
    (good / "body.html").write_text(GOOD)
    assert "1 file may be used." in run("check-letters", tmp_path).output
    (good / "body.html").write_text(GOOD + "<p>A proven treatment.</p>")
    done = run("check-letters", tmp_path)
    assert done.exit_code == 1
    assert "session_missed/psychiatrist/body.html" in done.output
    assert "- “proven”: no claim of proof." in done.output
    assert "does not start with this folder" in done.output


def test_a_rule_that_many_samples_break_is_said_once_with_what_to_do(run, tmp_path):
    mine = tmp_path / "session_missed" / "psychiatrist"
    mine.mkdir(parents=True)
    (mine / "body.html").write_text(GOOD.replace("{{ next_line(view) }}", ""))
    text = run("check-letters", tmp_path).output
    assert text.count("the finished letter does not show this value") == 1
    assert "Where: " in text
    assert "To do: Print every value of the view." in text
    assert "letter.text-layer" not in text


def test_every_code_of_a_refusal_is_explained():
    used = set()
    for path in (Path(__file__).parents[3] / "coordinator" / "letters").rglob("*.py"):
        used |= set(re.findall(r'LetterRefused\(\s*"(letter\.[\w-]+)"', path.read_text(encoding="utf-8")))
    assert len(used) > 4
    assert used == set(EXPLAINED)


def test_a_folder_that_breaks_a_rule_stops_the_service_with_each_reason(run, tmp_path, monkeypatch):
    (tmp_path / "letterhead.yaml").write_text("closing_line: We cure ADHD.\n", encoding="utf-8")
    monkeypatch.setenv("COORDINATOR_CLINIC_LETTERS_DIR", str(tmp_path))
    done = run("preview-letter", "L5", "--sample", "bp-spike")
    assert done.exit_code == 1
    assert "no marketing language" in done.output
    assert ".." not in done.output


def test_a_file_under_no_letters_name_and_an_empty_folder_are_refused(run, tmp_path):
    assert "no template in this folder" in run("check-letters", tmp_path).output
    (tmp_path / "mine.html").write_text("x")
    assert "no letter of this name" in run("check-letters", tmp_path).output
    shutil.rmtree(tmp_path)
