"""Golden letters: a change of wording shows as a difference somebody has to look at."""

from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "letters"


def test_every_letter_reads_as_it_did_when_last_reviewed(written, pytestconfig):
    update = pytestconfig.getoption("--update-letters", default=False)
    different = []
    for row in written:
        for suffix, now in (("html", row.letter.html), ("txt", row.letter.text)):
            path = GOLDEN / f"{row.name}.{suffix}"
            if update:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(now, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != now:
                different.append(path.name)
    assert not different, "look at the letters; if right: pytest tests/unit/letters --update-letters"


def test_no_golden_letter_is_left_over(written):
    names = {f"{row.name}.{suffix}" for row in written for suffix in ("html", "txt")}
    assert {path.name for path in GOLDEN.iterdir()} == names
