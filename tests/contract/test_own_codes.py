"""Codes of a server's own inside an OperationOutcome, as its partner file names them."""

import json
from datetime import timedelta

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.mapping.partners import Partner
from coordinator.sandbox.ehr_capability import capability_statement
from tests.contract.people import NoSignIn, WallClock, a_package
from tests.contract.scripted import ScriptedHttp, Step
from tests.contract.test_fhir_rest import CREATED, FAR_PATIENT, FHIR, search_set

pytestmark = pytest.mark.loopback
KNOWN = Partner("known", 1, conditional_create=False, try_again={"4135": 21600}, patient_merged=("4107",))


def outcome(code, severity="error"):
    issue = {"severity": severity, "code": "processing", "details": {"coding": [{"system": "urn:x", "code": code}]}}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def step(status, code, severity="error"):
    return Step(status, json.dumps(outcome(code, severity)).encode(), FHIR)


def sent(http, *, search=None, answer=CREATED, partner=KNOWN):
    """Send one document; return what came of it, and how often it was posted."""

    def script(method, path, body):
        if path.endswith("/metadata"):
            return Step(200, json.dumps(capability_statement("oracle-like")).encode(), FHIR)
        if path.endswith("/Patient/_search"):
            return search or search_set(FAR_PATIENT)
        return answer

    with ScriptedHttp(script) as far:
        channel = FhirRest(http, NoSignIn(), WallClock(), partners={} if partner is None else {"known": partner})
        place = Endpoint(id="e", kind="fhir-rest", address=f"{far.address}/fhir", partner="known")
        soon = WallClock().now() + timedelta(seconds=8)
        try:
            came = channel.send(a_package(), place, deadline=soon, about_to_send=lambda ref: None)
        except DeliveryError as fault:
            came = fault
        return came, len(far.asked("POST", "/fhir/DocumentReference"))


@pytest.mark.parametrize("status", [400, 403, 422])
def test_a_refusal_that_says_come_again_is_tried_again_after_that_time_and_uses_no_attempt(http, status):
    came, posts = sent(http, answer=step(status, "4135"))
    assert (type(came), came.code, came.retry_after, came.uses_attempt, posts) == (
        Transient, "fhir.429", timedelta(hours=6), False, 1,
    )  # fmt: skip


@pytest.mark.parametrize("status", [200, 404, 429])
def test_a_search_that_says_come_again_finds_nobody_missing(http, status):
    came, posts = sent(http, search=step(status, "4135"))
    assert (type(came), came.retry_after, posts) == (Transient, timedelta(hours=6), 0)


def test_a_code_beside_no_hit_is_heard_too_and_a_warning_is_no_fault(http):
    entry = {"resource": outcome("4135"), "search": {"mode": "outcome"}}
    busy = {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}
    assert type(sent(http, search=Step(200, json.dumps(busy).encode(), FHIR))[0]) is Transient
    entry = {"resource": outcome("4101", "warning"), "search": {"mode": "outcome"}}
    nobody = {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}
    came, _ = sent(http, search=Step(200, json.dumps(nobody).encode(), FHIR))
    assert (type(came), came.code) == (NeedsHuman, "fhir.patient-none")


@pytest.mark.parametrize("status", [301, 404, 422])
def test_a_record_that_was_joined_with_another_is_said_so(http, status):
    came, _ = sent(http, answer=step(status, "4107"))
    assert (type(came), came.code) == (NeedsHuman, "fhir.patient-merged")


def test_an_error_instead_of_hits_is_no_missing_patient(http):
    came, posts = sent(http, search=step(200, "9999"))
    assert (type(came), came.code, posts) == (Transient, "fhir.outcome-error", 0)


def test_after_a_write_that_may_have_landed_no_code_excuses_a_second_one(http):
    assert type(sent(http, answer=step(500, "4135"))[0]) is InDoubt
    assert type(sent(http, answer=step(201, "4135"))[0]) is NeedsHuman
    assert type(sent(http, answer=step(422, "4135"), partner=None)[0]) is Permanent
