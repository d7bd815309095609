"""A reviewed answer of the prescriber is in the next message, as the stimulant is now known, at the far record system.

The whole way: a letter by secure link, the answer by link or reply form, a clinician's review, the next session, and
what the other provider's record system then holds.
"""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from bench_parts import STAFF, example
from link_parts import LinkBench

from coordinator.channels.fhir_rest import FhirRest
from coordinator.flow.said import Evidence, Said
from coordinator.mapping.load import load
from coordinator.sandbox.ehr import Ehr
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.settings import shipped
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn

pytestmark = pytest.mark.loopback

PAGE = b"%PDF-1.7 the reply form as it came by fax"
EVIDENCE = Evidence("application/pdf", PAGE, hashlib.sha256(PAGE).hexdigest())
LICENCE = "MD 55012, Minnesota"
NPI = "http://hl7.org/fhir/sid/us-npi"


def says(dose, as_of) -> Said:
    regimen = {
        "product": "Adderall XR",
        "form": "extended-release",
        "dose": {"value": dose, "unit": "mg"},
        "frequency": "once daily",
        "as_of": as_of,
    }
    who = {"name": "Łukasz Müller-Ångström", "role": "psychiatrist"}
    return Said.model_validate({"kind": "current-dose", "dose": regimen, **who})


SAID = says("20", "2026-10-15")


class Practice:
    """A psychiatrist who reads letters by link, and a primary-care practice with a record system."""

    def __init__(self, bench, ehr, http):
        self.bench, self.ehr = bench, ehr
        self.links = LinkBench(bench)
        clinic = example("clinic")
        clinic["providers"][0]["endpoints"] = [
            {"id": "ep-psych-link", "kind": "secure-link", "address": "office@northshore.example",
             "verified_on": "2026-09-01"}
        ]  # fmt: skip
        clinic["providers"][1]["endpoints"] = [
            {"id": "ep-pcp-fhir", "kind": "fhir-rest", "address": ehr.address, "verified_on": "2026-09-01"}
        ]
        clinic["patients"][0]["identifiers"] = [
            {"system": "urn:example:hillside:mrn", "value": "HF-1", "held_by": "pr-pcp"}
        ]
        written = bench.registry.write_whole(json.dumps(clinic, ensure_ascii=False).encode(), STAFF)
        assert written.outcome == "updated", written.faults
        bench.approve("ep-pcp-fhir", ehr.address)
        with bench.store.begin(write=False) as tx:
            ehr.admit(tx.patient(tx.key("patient", "MRN-1001")), "pr-pcp")
        partners = load(shipped("mappings")).partners
        bench.channels["fhir-rest"] = FhirRest(
            http, NoSignIn(), bench.clock, partners=partners, book=MemoryEntries(), settle_s=0
        )

    def session(self, day=14, number=3, dose="30"):
        """Report a session of that day, send everything that is due, and return the psychiatrist's message."""
        event = json.loads(json.dumps(example("session-outcome.bp-spike")).replace("2026-10-14", f"2026-10-{day}"))
        if day != 14:
            event["id"] = f"se-{day}"
            event.pop("next_session_on")  # the example's is before some of these days
            event["course"] |= {"session_number": number}
            event["other_medications_taken"][0]["dose"]["value"] = dose
            for one in event["vitals"]:
                one["systolic"] -= day  # no session has the readings of another
        self.bench.clock.time = max(self.bench.clock.now(), datetime(2026, 10, day, 20, tzinfo=UTC))
        answer = self.bench.submit(event)
        assert answer.outcome == "accepted", answer
        message = {one.provider_id: one for one in self.bench.prepare(answer)}["pr-psych"]
        self.bench.send_due()
        return message

    def answer(self, via, message):
        if via == "link":
            assert self.links.reader.answer(self.links.enter(), SAID, "n-1") is True
        else:
            self.links.answers.record(message.id, SAID, via="form", evidence=EVIDENCE, token="t-1", actor=STAFF)

    def review(self, accepted):
        (waiting,) = self.links.answers.waiting(STAFF)
        self.links.answers.review(
            waiting.id, accepted=accepted, actor=STAFF, licence=LICENCE, reason="compared with the record"
        )

    def plans(self):
        """Return what the record system holds of regimens as known: (dose, status, NPI of who told it)."""
        found = []
        for one in self.ehr.resources("MedicationRequest"):
            told = one.get("reportedReference", {}).get("reference", "")
            people = [who for who in self.ehr.resources("Practitioner") if told == f"Practitioner/{who['id']}"]
            npi = people[0]["identifier"][0]["value"] if people else None
            dose = one["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"]
            assert one["intent"] == "plan"
            assert ("reportedReference" in one) is not ("reportedBoolean" in one)
            found.append((str(dose), one["status"], npi))
        return sorted(found, key=repr)


@pytest.fixture(scope="module")
def http():
    with guarded_client(OutboundConfig(allow_loopback=True)) as client:
        yield client


@pytest.fixture
def practice(bench, http, tmp_path):
    ehr = Ehr(tmp_path / "ehr")
    ehr.start()
    yield Practice(bench, ehr, http)
    ehr.stop()


@pytest.mark.parametrize("via", ["link", "form"])
def test_a_reviewed_answer_of_the_prescriber_is_in_the_next_message(practice, via):
    message = practice.session()
    assert practice.plans() == [("30", "active", None)]
    practice.answer(via, message)
    practice.review(accepted=True)
    practice.session(15, 4)
    npi = example("clinic")["providers"][0]["npi"]
    assert practice.plans() == sorted([("20", "active", npi), ("30", "active", None)], key=repr)


def test_sessions_that_say_the_same_are_one_plan_and_another_dose_ends_it(practice):
    for day, number in ((14, 3), (15, 4), (16, 5)):
        practice.session(day, number)
    assert practice.plans() == [("30", "active", None)]
    practice.session(23, 6, dose="20")
    assert practice.plans() == [("20", "active", None), ("30", "completed", None)]
    practice.session(24, 7)
    assert sorted(status for _, status, _ in practice.plans()) == ["active", "completed", "completed"]


def test_a_patient_who_says_what_the_prescriber_answered_adds_no_plan(practice):
    practice.answer("link", practice.session())
    practice.review(accepted=True)
    practice.session(15, 4, dose="20")
    npi = example("clinic")["providers"][0]["npi"]
    assert practice.plans() == sorted([("20", "active", npi), ("30", "completed", None)], key=repr)


@pytest.mark.parametrize("reviewed", [False, True], ids=["not yet reviewed", "rejected"])
def test_an_answer_that_nobody_has_accepted_is_told_to_nobody(practice, reviewed):
    practice.answer("link", practice.session())
    if reviewed:
        practice.review(accepted=False)
    practice.session(15, 4)
    assert {dose for dose, _, _ in practice.plans()} == {"30"}


def test_the_next_answer_ends_the_one_before_and_a_session_in_between_adds_nothing(practice):
    practice.answer("link", practice.session())
    practice.review(accepted=True)
    practice.session(15, 4)
    message = practice.session(16, 5)
    assert [dose for dose, _, _ in practice.plans()].count("20") == 1
    newer = says("15", "2026-10-16")
    practice.links.answers.record(message.id, newer, via="phone", evidence=None, token="t-2", actor=STAFF)
    practice.review(accepted=True)
    assert {(dose, status) for dose, status, _ in practice.plans()} == {("30", "active"), ("20", "active")}
    practice.session(23, 6)
    told = {(dose, status) for dose, status, _ in practice.plans()}
    assert told == {("30", "active"), ("20", "completed"), ("15", "active")}
