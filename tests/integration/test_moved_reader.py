"""T3: the primary-care provider changes in the middle of a course, while a summary of the week waits for its retry."""

import copy
import json
from datetime import datetime

import pytest
from bench_parts import STAFF, example
from test_digest import by, quiet, take_in

from coordinator.domain.delivery import State
from coordinator.domain.errors import Transient
from coordinator.flow.read_models import MessageFilter

LEFT = "release.left-care-team"
NEXT_PCP = {
    "id": "pr-next",
    "name": {"family": "Adeyemi", "given": ["Tunde"], "suffix": "MD"},
    "npi": "1999999042",
    "specialty": "family-medicine",
    "organization": "Birch Hill Clinic",
    "time_zone": "America/Chicago",
    "endpoints": [{"id": "ep-next-fax", "kind": "fax", "address": "+1-218-555-0151", "verified_on": "2026-09-02"}],
}


def at(bench, local: str) -> None:
    """Turn the clock to an instant of the clinic's September."""
    bench.clock.time = datetime.fromisoformat(f"2026-09-{local}:00-05:00")


def session(number: int, day: int, weight: str = "82") -> dict:
    text = json.dumps(quiet(number, 14)).replace("2026-10-14", f"2026-09-{day:02}")
    event = json.loads(text) | {"next_session_on": None, "other_medications_taken": [], "scores": []}
    event["weight"]["value"] = weight
    return event


def patient(**care: object) -> dict:
    """The patient as the registry has them from September on."""
    made = copy.deepcopy(example("clinic")["patients"][0])
    for one in (*made["care_team"], *made["consents"]):
        one["from"] = "2026-09-01"
    made["course"]["started_on"] = "2026-09-08"
    return made | care


def moved() -> dict:
    """The same, treated by somebody else from 15 September on."""
    made = patient()
    made["care_team"][1]["to"] = "2026-09-14"
    made["care_team"].append({"provider": "pr-next", "role": "primary-care", "from": "2026-09-15"})
    made["consents"].append(
        {**made["consents"][1], "id": "cn-9", "recipient": "pr-next", "from": "2026-09-15", "evidence": "form"}
    )
    return made


def text(bench, message) -> str:
    with bench.store.begin(write=False) as tx:
        (one,) = [part[0] for part in tx.documents(message.id) if part[1] == "letter-text"]
        return " ".join(tx.document(one)[0].body.decode().split())


@pytest.fixture
def waiting(bench):
    """The first session was told, and the summary of 11 September found the line busy on that Friday evening."""
    at(bench, "08T13:30")
    assert bench.registry.write("patients", "MRN-1001", json.dumps(patient()).encode(), STAFF).outcome == "updated"
    take_in(bench, session(1, 8))
    bench.send_due()
    assert len(bench.channels["fax"].held) == 1
    at(bench, "11T13:30")
    (item,) = by(take_in(bench, session(2, 11)), "pr-pcp", "digest")
    at(bench, "11T17:01")
    bench.channels["fax"].script = [Transient("fax.busy")]
    bench.sweep()
    bench.send_due()
    assert bench.state(item.id) == State.PENDING
    return item


def test_the_summary_of_the_week_goes_when_the_week_is_over_and_tells_of_its_session(bench, waiting):
    told = text(bench, waiting)
    assert "On 11 September 2026, Zoë Núñez-Đặng had session 2 of 6" in told
    assert "8 September" not in told
    at(bench, "11T17:45")
    bench.send_due()
    assert bench.state(waiting.id) == State.ACKNOWLEDGED
    assert len(bench.channels["fax"].held) == 2


def test_the_retry_is_held_once_the_reader_has_changed_and_a_person_is_asked(bench, waiting):
    at(bench, "15T09:00")
    assert bench.registry.write("providers", "pr-next", json.dumps(NEXT_PCP).encode(), STAFF).outcome == "created"
    assert bench.registry.write("patients", "MRN-1001", json.dumps(moved()).encode(), STAFF).outcome == "updated"
    bench.send_due()
    assert (bench.state(waiting.id), bench.cause(waiting.id)) == (State.HELD, LEFT)
    assert len(bench.channels["fax"].held) == 1
    assert bench.broken() == []
    asked = [row for row in bench.desk.messages(MessageFilter(), STAFF) if row.id == waiting.id]
    assert [row.needs_person for row in asked] == [True]
    assert asked[0].next_step.startswith("Cancel it and send to whoever followed")


def test_what_comes_after_goes_to_the_next_reader_alone_and_a_correction_to_both(bench, waiting):
    at(bench, "15T09:00")
    bench.registry.write("providers", "pr-next", json.dumps(NEXT_PCP).encode(), STAFF)
    bench.registry.write("patients", "MRN-1001", json.dumps(moved()).encode(), STAFF)
    bench.send_due()
    bench.desk.cancel(waiting.id, reason="the patient has moved to Birch Hill", actor=STAFF)
    at(bench, "18T13:30")
    later = take_in(bench, session(3, 18))
    assert by(later, "pr-pcp", "digest") == by(later, "pr-pcp", "open") == []
    (item,) = by(later, "pr-next", "digest")
    at(bench, "18T17:01")
    bench.sweep()
    bench.send_due()
    assert bench.state(item.id) == State.ACKNOWLEDGED
    told = text(bench, item)
    assert "On 18 September 2026, Zoë Núñez-Đặng had session 3 of 6" in told
    assert "Tunde Adeyemi, MD (primary care), Birch Hill Clinic" in told
    assert "O’Brien" not in told
    at(bench, "20T09:00")
    again = session(1, 8, weight="80") | {"version": 2, "amendment_reason": "The weight was another patient's."}
    again["recorded_at"] = "2026-09-20T09:00:00-05:00"
    corrected = {one.provider_id: one for one in take_in(bench, again)}
    assert {"pr-pcp", "pr-next"} <= corrected.keys()
    bench.send_due()
    for reader in ("pr-pcp", "pr-next"):
        assert bench.state(corrected[reader].id) == State.ACKNOWLEDGED, reader
    assert "CORRECTED LETTER" in text(bench, corrected["pr-pcp"])
    assert "CORRECTED LETTER" not in text(bench, corrected["pr-next"])
    assert bench.broken() == []
