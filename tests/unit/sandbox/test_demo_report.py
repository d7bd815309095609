"""The demo's last page: readable in a window of 80 columns and in a wide one."""

import io
from datetime import UTC, datetime
from types import SimpleNamespace as Part

import pytest
from rich.console import Console

from coordinator.domain.delivery import State
from coordinator.sandbox.demo_report import show

AT = datetime(2026, 10, 14, 18, 10, tzinfo=UTC)
ARRIVED = {"why": "Arrived, with proof.", "next_step": "", "needs_person": False, "state": State.ACKNOWLEDGED}
REFUSED = {
    "why": "No fax machine answered at this number.",
    "next_step": "Call the office and have the number read back.",
    "needs_person": True,
    "state": State.HELD,
}
ZOE = {"patient_name": "Zoë Núñez-Đặng", "recipient": "Łukasz Müller-Ångström, MD", "title": "Urgent safety alert"}
BAKKE = {"patient_name": "Ingrid Bakke", "recipient": "Maeve O’Brien-Süß, DO", "title": "Correction: Session summary"}
ROWS = [Part(**ZOE, channel="fhir-rest", **ARRIVED), Part(**BAKKE, channel="fax", **REFUSED)]
HELD = [
    Part(
        patient_name="Zoë Núñez-Đặng",
        event_type="session-outcome",
        questions=(("q", "nurse", "It is not known when Adderall XR was last taken. Can the patient be asked?"),),
        cause="event.waits",
        next_step="",
    )
]


def shown(width: int, rows=ROWS, held=HELD) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width), rows, held, {"ehr": 4, "hisp": 4, "fax": 5})
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_longer_than_the_window_and_no_name_is_broken(width):
    text = shown(width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    for whole in ("Müller-Ångström", "O’Brien-Süß", "Núñez-Đặng", "acknowledged", "fhir-rest"):
        assert whole in text


def test_each_message_is_at_most_two_lines_at_80_columns_and_one_in_a_wide_window():
    table = shown(80).split("Waiting for a person")[0].splitlines()
    assert len([line for line in table[4:] if line.strip()]) <= 2 * len([*ROWS, *HELD])
    wide = shown(120).split("Waiting for a person")[0].splitlines()
    assert len([line for line in wide if line.strip()]) == 2 + len([*ROWS, *HELD])


def test_what_waits_says_for_whom_why_and_what_to_do():
    text = shown(80)
    assert "  Ingrid Bakke, to Maeve O’Brien-Süß, DO\n      No fax machine answered at this number. Call" in text
    said = " ".join(text.split())
    assert "have the number read back." in said
    assert "Zoë Núñez-Đặng, session-outcome It is not known when Adderall XR was last taken." in said
    assert "Arrived, with proof." not in text


def test_nothing_waiting_leaves_that_part_out():
    text = shown(80, ROWS[:1], [])
    assert "Waiting" not in text
    assert "What the recipients hold: EHR 4, HISP 4, fax 5." in text
