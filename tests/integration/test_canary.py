"""A patient whose every field is a canary goes through everything; the canary sings nowhere in clear."""

import json
import logging

import pytest
import sqlalchemy as sa
from bench_parts import STAFF, example

from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Refused, Transient
from coordinator.flow.read_models import MessageFilter
from coordinator.flow.record import record
from coordinator.store.tables import METADATA

CANARY = "Zqxcanary"
CANARIES = (CANARY, CANARY.upper(), CANARY.lower(), "1977-07-07", "7777777")


def canary_clinic():
    clinic = example("clinic")
    patient = clinic["patients"][0]
    patient |= {
        "id": f"{CANARY}-MRN",
        "name": {"family": f"{CANARY}family", "given": [f"{CANARY}given"], "preferred": f"{CANARY}pref"},
        "birth_date": "1977-07-07",
        "address": {"lines": [f"{CANARY} Street"], "city": CANARY, "state": "MN", "postal_code": "55804"},
        "phone": "+1-218-777-7777",
        "identifiers": [{"system": "urn:example:northshore:mrn", "value": f"{CANARY}-7", "held_by": "pr-psych"}],
    }
    patient["medications"][0]["product"] = f"{CANARY}amine"
    for one in patient["consents"]:
        one["evidence"] = f"{CANARY} form"
    return clinic


def canary_event(name, **changes):
    event = example(name) | {"patient": f"{CANARY}-MRN"} | changes
    if "plan" in event:
        event["plan"] = f"{CANARY} plan."
        event["adverse_events"][0]["term"] = f"{CANARY} nausea"
        event["other_medications_taken"][0]["product"] = f"{CANARY}amine"
    return event


def clear_text(bench) -> str:
    """Return everything that stands in clear in the database."""
    found = []
    with bench.store.begin(write=False) as tx:
        for table in METADATA.sorted_tables:
            for row in tx.connection.execute(sa.select(table)):
                found += [value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(found)


def test_no_patient_data_in_logs_exceptions_or_plain_columns(bench, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("fontTools", "weasyprint"):
        logging.getLogger(name).setLevel(logging.WARNING)
    body = json.dumps(canary_clinic(), ensure_ascii=False).encode()
    assert bench.registry.write_whole(body, STAFF).outcome == "updated"
    channel, errors = bench.channels["fhir-rest"], []
    for number, fault in enumerate(
        (
            "take",
            Transient("fhir.503", detail=CANARY.encode()),
            ("refuse", Permanent("fhir.422", detail=CANARY.encode())),
            NeedsHuman("fhir.patient-not-matched", detail=CANARY.encode()),
            ("lose", InDoubt("fhir.timeout", detail=CANARY.encode())),
            ValueError("ours"),
        )
    ):
        channel.script = [fault]
        event = canary_event("session-outcome.bp-spike", id=f"s-{number}")
        event["course"]["session_number"] = number + 3
        answer = bench.submit(event)
        assert answer.outcome in {"accepted", "held"}, answer.faults
        if answer.outcome == "held":
            bench.desk.answer(answer.event_ref, confirmed=True, reason="checked", actor=STAFF)
        bench.prepare(answer)
        bench.send_due()
    bench.clock.turn(hours=1)
    bench.sweep()
    for row in bench.desk.messages(MessageFilter(text=CANARY), STAFF):
        assert CANARY in row.patient_name
        try:
            bench.desk.resend(row.delivery_id, reason="asked for it again", token=bench.dice.token(), actor=STAFF)
        except Refused as refused:
            errors.append(repr(refused) + refused.reason)
    bench.send_due()
    wrong = canary_event("session-outcome.bp-spike", id="wrong", status=f"{CANARY}-status")
    wrong[f"{CANARY}field"] = 1
    answer = record(bench.parts, "ehr", json.dumps(wrong).encode())
    assert answer.outcome == "refused"
    said = "\n".join([caplog.text, *errors, *(str(one.__dict__) for one in caplog.records)])
    stored = clear_text(bench)
    assert len(bench.channels["fax"].held) >= 1
    for one in CANARIES:
        assert one not in said
        assert one not in stored
    assert bench.broken() == []


@pytest.mark.parametrize("kind", ["status", "weight"])
def test_a_refusal_names_the_place_and_not_the_value(bench, kind):
    event = canary_event("session-outcome.bp-spike")
    event[kind] = f"{CANARY}-value"
    answer = bench.submit(event)
    assert answer.outcome == "refused"
    assert any(one[0].startswith(f"/{kind}") for one in answer.faults)
    assert CANARY not in repr(answer.faults)
