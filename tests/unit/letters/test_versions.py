"""The version that a letter's record names tells of every change of what the letter says, and of how it looks."""

import shutil
from pathlib import Path

import pytest
import yaml
from versions import made_of, sources, untold

RECORD = Path(__file__).parents[2] / "golden" / "letter-versions.yaml"


def _record():
    return yaml.safe_load(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def test_every_change_of_a_letter_of_the_words_or_of_the_style_sheets_has_raised_its_version(templates, pytestconfig):
    before, now = _record(), made_of(templates)
    assert not untold(before, now), "raise `version` in letter.yaml, in the table, or in layout/style.yaml"
    if pytestconfig.getoption("--update-letters", default=False):
        RECORD.write_text(yaml.safe_dump(now, sort_keys=True), encoding="utf-8")
    else:
        assert before == now, "pytest tests/unit/letters --update-letters"


@pytest.fixture
def copied(templates, tmp_path):
    return Path(shutil.copytree(templates, tmp_path / "templates"))


CHANGES = {
    "letters/safety_alert/psychiatrist/body.html": {"safety_alert"},
    "letters/reply_form/body.html": {
        "course_end", "course_start", "discrepancy", "reply_form", "safety_alert", "session_missed",
        "stimulant_request",
    },
    "macros/scores.html": {"course_end", "dose_change", "session_summary", "stimulant_request"},
    "layout/print.css": {"style.yaml"},
    "layout/words.yaml": {"words.yaml"},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_touches_each_letter_that_is_made_of_the_part_and_no_other(templates, copied, name):
    before = made_of(templates)
    with (copied / name).open("a", encoding="utf-8") as file:
        file.write("\n" if name.endswith("css") else "\n{# more #}" if name.endswith("html") else "\n# more\n")
    changed = {part for part, one in made_of(copied).items() if one != before[part]}
    assert changed == CHANGES[name]
    assert set(untold(before, made_of(copied))) == CHANGES[name]


def test_a_raised_version_tells_of_the_change(templates, copied):
    before = made_of(templates)
    body = copied / "letters" / "safety_alert" / "psychiatrist" / "body.html"
    body.write_text(body.read_text(encoding="utf-8") + "<p>Please call.</p>\n", encoding="utf-8")
    sheet = copied / "letters" / "safety_alert" / "letter.yaml"
    old = before["safety_alert"]["version"]
    sheet.write_text(sheet.read_text(encoding="utf-8").replace(f"version: {old}", f"version: {old + 1}"), "utf-8")
    assert untold(before, made_of(copied)) == []


def test_a_letter_is_made_of_its_frame_and_of_the_macros_that_it_uses(templates):
    parts = sources(templates, "letters/safety_alert/psychiatrist/body.html", "layout/letter.html")
    assert {"layout/signature.html", "layout/further.html", "macros/vitals.html", "macros/picture.html"} <= parts
    assert "macros/change.html" not in parts
