"""What a checker of the machine-checkable part of PDF/UA-1 says of the letters. Nothing beyond that is claimed."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.servers

POSITION_DECIDES = "UA-15-003"
"""The PDF engine writes table headers without a scope; the checker warns, and accepts it where the position decides,
which is the case in our tables: one row of headings above, one column of them at the left, no cell spanned."""


def test_the_checker_finds_no_error_in_any_letter(room, pdfua, sample, audience, tmp_path):
    made = room.samples().sample(sample)
    for place, letter in enumerate(room.write(made.case, made.plan, made.recipients[audience], fax=True)):
        path = tmp_path / f"{place}.pdf"
        path.write_bytes(letter.pdf)
        command = [pdfua, "check", "--format", "json", path]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        findings = json.loads(done.stdout)["findings"]
        assert [one for one in findings if one["severity"] == "error"] == []
        assert {one["rule_id"] for one in findings} <= {POSITION_DECIDES}
