"""Invented messages, questions and refusals for the web applications."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from coordinator.domain.delivery import State
from coordinator.flow.read_models import (
    AttemptView,
    DeliveryView,
    DocumentView,
    HeldEvent,
    MessageDetail,
    MessageRow,
    ReceiptView,
    Refusal,
    TimelineEntry,
)

NOW = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)
LETTER = b"""<!doctype html><html lang="en"><title>Letter</title><style>body{font:12pt/1.5 serif;margin:3rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #999;text-align:left;padding:.3rem}</style>
<h1>Blood pressure rose to 184/112 during ketamine</h1><h2>What we ask you to do</h2>
<ol><li>Please review the stimulant dose before the next session on 21 October 2026.</li></ol>
<p>Ada Marlowe, born 4 May 1989, had an intravenous ketamine session on 14 October 2026.</p>
<table>
<tr><th>Time</th><th>Blood pressure</th><th>Heart rate</th></tr><tr><td>Before</td><td>128/82</td><td>74</td></tr>
<tr><td>40 minutes</td><td>184/112</td><td>108</td></tr><tr><td>At discharge</td><td>136/86</td><td>80</td></tr></table>
"""

WHY = {
    State.PENDING: ("", "", None),
    State.CLAIMED: ("", "", None),
    State.ON_WIRE: ("", "", None),
    State.SENT: ("The mail system has it; arrival at the recipient's own system is awaited.", "", None),
    State.ACKNOWLEDGED: ("", "", None),
    State.IN_DOUBT: (
        "The connection broke after the letter had left; it may have arrived.",
        "Call the office and ask whether the letter with this reference is there.",
        "front-desk",
    ),
    State.HELD: (
        "There is no consent in force for this recipient.",
        "Ask the patient, record the answer, then release the message.",
        "front-desk",
    ),
    State.DEAD: (
        "The number belongs to a voice line, not to a fax machine.",
        "Call the office, correct and verify the fax number, then send again.",
        "front-desk",
    ),
    State.CANCELLED: ("A newer message about the same dose replaced it.", "", None),
}
CAUSES = {State.IN_DOUBT: "fhir.reset", State.HELD: "consent.missing", State.DEAD: "fax.not-a-fax"}
NEEDS = {State.IN_DOUBT, State.HELD, State.DEAD}


def a_row(number: int, **changes) -> MessageRow:
    state = changes.get("state", State.ACKNOWLEDGED)
    why, step, role = WHY[state]
    base = MessageRow(
        id=f"m-{number}",
        patient_name="Ada Marlowe",
        patient_id="P-1001",
        birth_date="1989-05-04",
        provider_id="prov-okafor",
        recipient="Dr. Chidi Okafor",
        letters=("L2",),
        title="Session summary",
        priority="routine",
        channel="fhir-rest",
        state=state,
        cause=CAUSES.get(state),
        why=why,
        next_step=step,
        role=role,
        needs_person=state in NEEDS,
        attempts=0 if state == State.PENDING else 1,
        due_at=NOW + timedelta(minutes=4) if state == State.PENDING else None,
        created_at=NOW - timedelta(hours=3, minutes=number),
        updated_at=NOW - timedelta(minutes=number),
        event_type="session-outcome",
        event_id=f"sess-{number}",
        event_version=1,
        delivery_id=f"d-{number}",
        reference=f"K7QF-2M9X-{number:04d}",
    )
    return replace(base, **changes)


def rich_rows() -> list[MessageRow]:
    vu, okafor = ("prov-vu", "Dr. Linh Vũ"), ("prov-okafor", "Dr. Chidi Okafor")
    cole = ("prov-cole", "Harriet Cole, NP")

    def row(number, who, to, channel, state, title="Session summary", **more):
        name, patient, born = who
        return a_row(
            number, patient_name=name, patient_id=patient, birth_date=born, provider_id=to[0], recipient=to[1],
            channel=channel, state=state, title=title, **more,
        )  # fmt: skip

    ada, zoe = ("Ada Marlowe", "P-1001", "1989-05-04"), ("Zoë Núñez-Đặng", "P-1002", "1994-11-30")
    ben, ines = ("Benedikt Skálá", "P-1003", "1971-02-17"), ("Inés Aldana", "P-1004", "2001-08-09")
    return [
        row(1, ada, okafor, "fhir-rest", State.ACKNOWLEDGED, "Urgent safety alert", priority="urgent", letters=("L5",)),
        row(2, ada, vu, "direct", State.SENT, priority="urgent"),
        row(3, zoe, cole, "fax", State.DEAD, "Dose-change notice", attempts=3, event_type="dose-change"),
        row(4, ben, cole, "fax", State.DEAD),
        row(5, ines, okafor, "fhir-rest", State.PENDING, attempts=2, cause="http.503"),
        row(6, zoe, vu, "direct", State.HELD, "Stimulant request", priority="urgent", event_type="dose-change"),
        row(7, ben, okafor, "fhir-rest", State.IN_DOUBT, "Correction: Session summary", priority="stat"),
        row(8, ines, ("prov-hand", "Dr. Ulla Berg"), "by-hand", State.HELD, cause="hand.print",
            why="This office takes paper only.", next_step="Print the letter, hand it over, record who took it."),
        row(9, ada, cole, "fax", State.CANCELLED, "Dose-change notice", event_type="dose-change"),
        row(10, ben, vu, "direct", State.ACKNOWLEDGED),
        row(11, ines, cole, "fax", State.ON_WIRE),
    ]  # fmt: skip


def a_delivery(row: MessageRow, **changes) -> DeliveryView:
    at = row.created_at
    arrived = row.state == State.ACKNOWLEDGED
    attempt = AttemptView(
        number=1,
        started_at=at,
        on_wire_at=at + timedelta(milliseconds=40),
        ended_at=at + timedelta(milliseconds=310),
        outcome="proven" if arrived else "permanent" if row.state == State.DEAD else "taken",
        cause=row.cause,
        sentence=row.why or "Taken, with proof of arrival.",
        status=201 if arrived else None,
        facts=(("TLS", "1.3"), ("server", "ehr.northlake.example"), ("ms", "310")),
        next_due_at=row.due_at,
        worker="w1",
    )
    receipt = ReceiptView(at + timedelta(seconds=2), "acknowledged", None, "Arrival is proven.")
    base = DeliveryView(
        id=row.delivery_id,
        channel=row.channel,
        endpoint_id="ep-1",
        address="https://ehr.northlake.example/fhir/r4",
        state=row.state,
        cause=row.cause,
        why=row.why,
        next_step=row.next_step,
        role=row.role,
        due_at=row.due_at,
        resend_of=None,
        resend_reason=None,
        created_at=at,
        attempts=(attempt,) if row.attempts else (),
        receipts=(receipt,) if arrived else (),
        may_resend=row.state in {State.ACKNOWLEDGED, State.DEAD},
        may_not_resend_because=None if row.state in {State.ACKNOWLEDGED, State.DEAD} else "A try is under way.",
        may_release=row.state in {State.HELD, State.IN_DOUBT} and row.channel != "by-hand",
        may_cancel=row.state in {State.HELD, State.PENDING},
        may_record_handover=row.state == State.HELD and row.channel == "by-hand",
    )
    return replace(base, **changes)


def a_detail(row: MessageRow, token: str = "act-1") -> MessageDetail:
    return MessageDetail(
        row=row,
        audience="psychiatrist",
        consent="In force when this was written: c-11, version 2.",
        rules=(("R3", "urgent", "Blood pressure 184/112 mmHg at 40 minutes; the signed limit is 180/110."),),
        requests=("Please review the stimulant dose before the next session on 21 October 2026.",),
        supersedes=None,
        superseded_by=None,
        documents=(
            DocumentView(f"{row.id}-html", "letter-html", "Session summary", "text/html", "ab" * 32, len(LETTER)),
            DocumentView(f"{row.id}-pdf", "letter-pdf", "Session summary", "application/pdf", "cd" * 32, 182_400),
            DocumentView(f"{row.id}-fhir", "fhir-chart", "Bundle", "application/fhir+json", "ef" * 32, 14_000),
        ),
        deliveries=(a_delivery(row),),
        timeline=(
            TimelineEntry(row.created_at, "ehr", "event accepted"),
            TimelineEntry(row.created_at + timedelta(seconds=1), "preparer", "message composed"),
            TimelineEntry(row.updated_at, "deliverer", row.why or "arrived, with proof"),
        ),
        action_token=token,
    )


def some_questions() -> list[HeldEvent]:
    return [
        HeldEvent(
            event_ref="ev-1",
            source="ehr",
            event_id="sess-2044",
            event_version=1,
            event_type="session-outcome",
            patient_name="Benedikt Skálá",
            patient_id="P-1003",
            received_at=NOW - timedelta(minutes=50),
            questions=(
                ("weight", "nurse", "The weight is 181 kg; the last one was 82 kg. Was it measured in pounds?"),
                ("copied", "clinician", "The vital signs equal those of 7 October in every value. Are they today's?"),
            ),
            cause="A value is possible but unusual.",
            next_step="Look at the session sheet, then answer.",
        ),
        HeldEvent(
            event_ref="ev-2",
            source="ehr",
            event_id="dose-88",
            event_version=2,
            event_type="dose-change",
            patient_name="Inés Aldana",
            patient_id="P-1004",
            received_at=NOW - timedelta(hours=2),
            questions=(),
            cause="A code of this event has no row in the mapping tables.",
            next_step="Add the row to mappings/codes; the event goes on by itself.",
        ),
    ]


def some_refusals() -> list[Refusal]:
    return [
        Refusal(
            "rf-1",
            "ehr",
            NOW - timedelta(minutes=12),
            (
                ("/administration/dose", "A number needs its unit.", 'Write it like {"value": "37.5", "unit": "mg"}.'),
                ("/vitals/2/bp", "The lower value is above the upper one.", "Swap them, if that is what was meant."),
            ),
        )
    ]
