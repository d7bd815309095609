import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.channels.fhir_message import FhirMessage
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.channel_suite import ChannelSuite, Scene
from tests.contract.people import (
    CANARY,
    CLINIC,
    PATIENT,
    NoSignIn,
    WallClock,
    a_document,
    a_package,
    document_reference,
)
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback

FHIR = {"Content-Type": "application/fhir+json"}


def a_response(code, **more):
    header = {"resourceType": "MessageHeader", "response": {"identifier": "far-7", "code": code, **more}}
    return json.dumps({"resourceType": "Bundle", "type": "message", "entry": [{"resource": header}]}).encode()


OUTCOME = json.dumps({"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}).encode()
ANSWERS = {
    "": Step(200, a_response("ok"), FHIR),
    "break-after": Step(act="close-after-reading"),
    "silence-after": Step(act="hang"),
    "drip": Step(200, b"{}", FHIR, "drip-headers"),
    "transient-error": Step(200, a_response("transient-error"), FHIR),
    "fatal-error": Step(200, a_response("fatal-error"), FHIR),
    "outcome": Step(200, OUTCOME, FHIR),
    "html": Step(200, b"<html>", {"Content-Type": "text/html"}),
    **{str(status): Step(status, OUTCOME, FHIR) for status in (307, 400, 401, 404, 408, 429, 500, 502, 503, 504)},
}


class TestFhirMessage(ChannelSuite):
    refusals = (
        ("transient-error", "transient", "fhir.503"),
        ("fatal-error", "permanent", "fhir.422"),
        ("outcome", "needs-human", "fhir.outcome-error"),
        ("html", "in-doubt", "fhir.not-fhir"),
        ("307", "needs-human", "fhir.redirect"),
        ("400", "permanent", "fhir.400"),
        ("401", "needs-human", "fhir.401"),
        ("404", "permanent", "fhir.404"),
        ("408", "in-doubt", "fhir.408"),
        ("429", "transient", "fhir.429"),
        ("500", "in-doubt", "fhir.500"),
        ("502", "in-doubt", "fhir.502"),
        ("503", "transient", "fhir.503"),
        ("504", "in-doubt", "fhir.504"),
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _http(cls):
        with guarded_client(OutboundConfig(allow_loopback=True)) as http:
            cls.http = http
            yield

    @contextmanager
    def scene(self, fault=""):
        with ScriptedHttp(lambda method, path, body: ANSWERS.get(fault, ANSWERS[""])) as far:
            address = f"http://127.0.0.1:{a_dead_port()}" if fault == "refused-connection" else far.address
            self.far = far
            yield Scene(
                FhirMessage(self.http, NoSignIn(), WallClock()),
                Endpoint(id="ep", kind="fhir-message", address=f"{address}/fhir"),
                a_package(roles=("fhir-message",)),
                lambda: sum(len(one[3]) for one in far.asked("POST", "/fhir/$process-message")),
            )

    def two_letters(self, package):
        letters = [{"resource": document_reference(package.message)} for _ in range(2)]
        body = json.dumps({"resourceType": "Bundle", "type": "message", "entry": letters}).encode()
        return replace(package, documents=(a_document("fhir-message", body, "application/fhir+json"),))

    def letters_at(self, scene):
        (posted,) = self.far.asked("POST", "/fhir/$process-message")
        kinds = [one["resource"]["resourceType"] for one in json.loads(posted[3])["entry"]]
        return kinds.count("DocumentReference")


def answer_to(step, package=None):
    with (
        ScriptedHttp(lambda method, path, body: step) as far,
        guarded_client(OutboundConfig(allow_loopback=True)) as http,
    ):
        return FhirMessage(http, NoSignIn(), WallClock()).send(
            package or a_package(roles=("fhir-message",)),
            Endpoint(id="ep", kind="fhir-message", address=far.address),
            deadline=WallClock().now() + timedelta(seconds=8),
            about_to_send=lambda ref: None,
        )


def test_only_a_response_message_that_says_ok_is_proof():
    proof = answer_to(Step(200, a_response("ok"), FHIR))
    assert (proof.proven, proof.far_side_ref, proof.expect_receipt_within_s) == (True, "far-7", None)


OURS = {
    "resourceType": "Bundle",
    "type": "message",
    "id": "bundle-1",
    "entry": [{"fullUrl": "urn:uuid:header-1", "resource": {"resourceType": "MessageHeader", "id": "header-1"}}],
}


def our_message():
    package = a_package(roles=("fhir-message",))
    document = a_document("fhir-message", json.dumps(OURS).encode(), "application/fhir+json")
    return replace(package, documents=(document,))


@pytest.mark.parametrize("name", ["header-1", "urn:uuid:header-1", "MessageHeader/header-1", "bundle-1"])
def test_a_response_message_names_the_message_that_it_answers(name):
    assert answer_to(Step(200, a_response("ok", identifier=name), FHIR), our_message()).proven


@pytest.mark.parametrize("code", ["ok", "fatal-error", "transient-error"])
@pytest.mark.parametrize("name", ["header-0", "", None])
def test_a_response_to_another_message_says_nothing_of_ours(name, code):
    with pytest.raises(InDoubt):
        answer_to(Step(200, a_response(code, identifier=name), FHIR), our_message())


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_success_without_a_response_message_is_taken_and_still_waited_for(status):
    taken = answer_to(Step(status))
    assert taken.proven is False
    assert taken.expect_receipt_within_s is not None


@pytest.mark.parametrize(("code", "kind"), [("transient-error", Transient), ("fatal-error", Permanent)])
def test_a_response_message_that_refuses_is_no_success_and_its_code_says_whether_to_try_again(code, kind):
    with pytest.raises(kind):
        answer_to(Step(200, a_response(code), FHIR))
    said = json.loads(a_response(code))
    said["entry"].append({"resource": json.loads(OUTCOME)})
    with pytest.raises(kind):
        answer_to(Step(200, json.dumps(said).encode(), FHIR))


@pytest.mark.parametrize("body", [b"{}", b'{"error": "invalid_token"}', b"[]"])
def test_a_success_that_is_no_fhir_is_in_doubt(body):
    with pytest.raises(InDoubt):
        answer_to(Step(200, body, FHIR))


def test_an_error_in_any_outcome_of_a_response_message_is_no_success():
    said = json.loads(a_response("ok"))
    issues = [[{"severity": "information"}], [{"severity": "error"}]]
    said["entry"] += [{"resource": {"resourceType": "OperationOutcome", "issue": one}} for one in issues]
    with pytest.raises(NeedsHuman) as caught:
        answer_to(Step(200, json.dumps(said).encode(), FHIR))
    assert caught.value.code == "fhir.outcome-error"


def test_a_created_status_without_anything_usable_is_in_doubt():
    with pytest.raises(InDoubt):
        answer_to(Step(201, b"", FHIR))


OWN = {"system": f"urn:coordinator:{CLINIC.npi}:mrn", "value": PATIENT.id}
THEIRS = {"system": "urn:example:mrn", "value": f"NS-{CANARY}"}
OLD = {**THEIRS, "value": "NS-MRN-1001"}


def about(*numbers, **subject):
    """Return our message with a patient of these numbers, and a letter about that patient."""
    package = our_message()
    patient = {"resource": {"resourceType": "Patient", "identifier": list(numbers)}}
    letter = {"resource": document_reference(package.message, subject=subject)}
    body = json.dumps({**OURS, "entry": [*OURS["entry"], patient, letter]}).encode()
    return replace(package, documents=(a_document("fhir-message", body, "application/fhir+json"),))


@pytest.mark.parametrize(
    "package",
    [
        about(THEIRS, OWN, reference="urn:uuid:p"),
        about(OWN, reference="urn:uuid:p"),
        about(type="Patient", identifier=THEIRS),
    ],
)
def test_a_message_goes_by_the_numbers_that_the_registry_has_now(package):
    assert answer_to(Step(200), package).status == 200


@pytest.mark.parametrize(
    "package",
    [
        about(OLD, OWN, reference="urn:uuid:p"),
        about(THEIRS, OLD, OWN, reference="urn:uuid:p"),
        about(type="Patient", identifier=OLD),
        about({**OWN, "value": "MRN-2"}),
    ],
)
def test_a_message_that_was_composed_under_another_number_is_composed_anew(package):
    with pytest.raises(NeedsHuman) as caught:
        answer_to(Step(200), package)
    assert caught.value.code == "fhir.patient-renumbered"


def test_without_a_message_body_it_is_held():
    with guarded_client(OutboundConfig(allow_loopback=True)) as http, pytest.raises(NeedsHuman) as caught:
        FhirMessage(http, NoSignIn(), WallClock()).send(
            a_package(),
            Endpoint(id="ep", kind="fhir-message", address="https://ehr.example"),
            deadline=WallClock().now() + timedelta(seconds=8),
            about_to_send=lambda ref: None,
        )
    assert caught.value.code == "fhir.level"
