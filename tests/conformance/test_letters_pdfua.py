"""veraPDF (validation-model, from Maven Central) on PDF/UA-1: every letter of every sample, for every reader.

Only what a machine can check of the standard; nothing beyond it is claimed. The joined file that goes
to a fax gateway (cover and letter) is not asked about: it carries no tags and claims nothing.
Needs Java 17 and Maven (`tests/conformance/prepare`); else skipped, and says so.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from weasyprint import HTML

from coordinator.letters.write import load_letters

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "java" / "letters"
SOUND = "<html lang=en><title>t</title><body><h1>h</h1><table><tr>{corner}<th scope=col>b</th></tr>{row}</table>"
ROW = "<tr><th scope=row>c</th><td>d</td></tr>"

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("java") is None or not (HERE / "build" / ".prepared").is_file(),
        reason="NOT JUDGED BY VERAPDF: run tests/conformance/prepare with Maven and a JDK of 17 or newer",
    ),
]


def judged(folder: Path) -> dict[str, str]:
    """Return the failed rules ("clause-test", separated by blanks) of every PDF in the folder, by its name."""
    said = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", "build/classes:build/lib/*", "VeraPdf", folder],
        cwd=HERE, text=True, timeout=200, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    assert all(int(checks) > 0 for _, checks, _ in rows)
    return {name: failed for name, _, failed in rows}


def test_no_letter_breaks_a_rule_of_pdf_ua(tmp_path: Path) -> None:
    room = load_letters(ROOT / "templates")
    samples = room.samples()
    for name in samples.names():
        made = samples.sample(name)
        for audience, recipient in made.recipients.items():
            for place, letter in enumerate(room.write(made.case, made.plan, recipient, fax=False)):
                (tmp_path / f"{name}.{audience}.{place}.{letter.kind}.pdf").write_bytes(letter.pdf)
    answers = judged(tmp_path)
    assert len(answers) == len(list(tmp_path.glob("*.pdf"))) > 80
    assert {name: failed for name, failed in answers.items() if failed} == {}


def test_the_judge_refuses_a_table_with_a_corner_that_no_heading_explains(tmp_path: Path) -> None:
    for name, corner in (("sound", "<th scope=col>a</th>"), ("faulty", "<td></td>")):
        html = SOUND.format(corner=corner, row=ROW)
        HTML(string=html).write_pdf(tmp_path / f"{name}.pdf", pdf_variant="pdf/ua-1")
    (tmp_path / "untagged.pdf").write_bytes(HTML(string=SOUND.format(corner="", row=ROW)).write_pdf())
    answers = judged(tmp_path)
    assert answers["sound.pdf"] == ""
    assert answers["faulty.pdf"] == "7.5-1"
    assert answers["untagged.pdf"] != ""
