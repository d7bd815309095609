"""Golden letters: a change of wording shows as a difference somebody has to look at.

A golden letter holds its body. The style sheets that it carries stand once beside them, in `styles`.
"""

import re
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "letters"
STYLES = GOLDEN / "styles"
SHEETS = ("print.css", "form.css", "close.css", "part2.css")
STYLE = re.compile(r"<style>\n(.*?)</style>", re.DOTALL)


def shortened(html, sheets):
    """Return the letter with the names of the style sheets in place of their text; what is in none of them stays."""
    style = STYLE.search(html)
    assert style is not None
    text = style.group(1)
    for name, css in sheets.items():
        text = text.replace(css, f"/* {name} */\n")
    return html.replace(style.group(1), "\n".join(line for line in text.splitlines() if line) + "\n")


def goldens(written, templates):
    """Return file name -> what stands in it, for all letters and the style sheets."""
    sheets = {name: (templates / "layout" / name).read_text(encoding="utf-8").rstrip("\n") for name in SHEETS}
    found = {f"styles/{name}": css + "\n" for name, css in sheets.items()}
    for row in written:
        found[f"{row.name}.html"] = shortened(row.letter.html, sheets)
        found[f"{row.name}.txt"] = row.letter.text
    return found


def test_every_letter_reads_as_it_did_when_last_reviewed(written, templates, pytestconfig):
    update = pytestconfig.getoption("--update-letters", default=False)
    different = []
    for name, now in goldens(written, templates).items():
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(now, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != now:
            different.append(path.name)
    assert not different, "look at the letters; if right: pytest tests/unit/letters --update-letters"


def test_a_golden_letter_names_the_style_sheets_that_it_carries_and_repeats_none(written, templates):
    made = goldens(written, templates)
    for name, text in made.items():
        if name.endswith(".html"):
            named = STYLE.search(text).group(1).split("\n")[:-1]
            parts = [part for part in ("form", "close", "part2") if re.search(rf'class="(page |long )?{part}"', text)]
            assert named == [f"/* {one}.css */" for one in ("print", *parts)], name


def test_no_golden_letter_is_left_over(written, templates):
    there = {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file()}
    assert there == set(goldens(written, templates))
