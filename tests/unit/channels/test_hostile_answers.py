"""Whatever a far side says, a channel names an outcome: nothing else may come out."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.channels.fax_gateway import PhaxioConfig, PhaxioGateway
from coordinator.channels.fhir.capability import CapabilityBook, parse_capability
from coordinator.channels.fhir.judge import judge_bundle, judge_document
from coordinator.channels.fhir.match import match_patient
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir_message import FhirMessage
from coordinator.channels.fhir_rest import FhirRest
from coordinator.channels.receipts.notice import read_notice
from coordinator.channels.wire import Answer, Wire
from coordinator.domain.errors import DeliveryError, NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Taken
from coordinator.sandbox.ehr_capability import capability_statement
from tests.contract.people import PATIENT as SYNTHETIC
from tests.contract.people import NoSignIn, StillClock, a_chart, a_package, a_provider

WORDS = (
    "resourceType", "Bundle", "type", "transaction-response", "searchset", "entry", "response", "status", "location",
    "resource", "OperationOutcome", "issue", "severity", "error", "Patient", "id", "identifier", "system", "value",
    "name", "family", "given", "birthDate", "search", "mode", "match", "link", "relation", "next", "rest", "server",
    "interaction", "code", "searchParam", "masterIdentifier", "DocumentReference", "MessageHeader", "ok", "outcome",
    "data", "success", "tags", "recipients", "error_id", "201", "meta", "tag", "create", "CapabilityStatement",
    "fhirVersion", "4.0.1", "message",
)  # fmt: skip
word = st.sampled_from(WORDS)
leaf = st.none() | st.booleans() | st.integers(-5, 500) | word | st.text(max_size=5)
anything = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word, inner, max_size=5), max_leaves=25
)


def spots(said, path=()):
    """Every place in a JSON value, as a path."""
    yield path
    children = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, child in children:
        yield from spots(child, (*path, key))


def replaced(said, path, by):
    if not path:
        return by
    copy = dict(said) if isinstance(said, dict) else list(said)
    copy[path[0]] = replaced(said[path[0]], path[1:], by)
    return copy


def spoilt(said):
    """A right answer with one of its parts replaced by anything."""
    return st.builds(lambda path, by: replaced(said, path, by), st.sampled_from(list(spots(said))), anything)


PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1988-03-07",
    "identifier": [{"system": "urn:example:mrn", "value": "NS-Zebrafinch"}],
    "name": [{"family": "Núñez-Zebrafinch", "given": ["Zoë"]}],
    "address": [{"postalCode": "55804"}],
}
FOUND = {
    "resourceType": "Bundle",
    "type": "searchset",
    "link": [{"relation": "self", "url": "x"}],
    "entry": [{"resource": PATIENT, "search": {"mode": "match"}}],
}
HELD = {
    "resourceType": "Bundle",
    "entry": [{"resource": {"resourceType": "DocumentReference", "id": "d", "masterIdentifier": {"value": "v"},
                            "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:m"}]}}],
}  # fmt: skip
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "x"}]}
DONE = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "entry": [
        {"response": {"status": "200 OK", "location": "Patient/1", "outcome": OUTCOME}},
        {"response": {"status": "201 Created", "location": "DocumentReference/2"}},
    ],
}
SAID = {
    "resourceType": "Bundle",
    "type": "message",
    "entry": [
        {"resource": {"resourceType": "MessageHeader", "response": {"identifier": "x", "code": "ok"}}},
        {"resource": OUTCOME},
    ],
}
FAX = {
    "success": True,
    "data": {"id": 1, "status": "failure", "num_pages": 2, "tags": {"delivery": "t"}, "error_id": 17,
             "recipients": [{"status": "failure", "error_id": 17}]},
}  # fmt: skip
UNNUMBERED = SYNTHETIC.model_copy(update={"identifiers": ()})
EP = Endpoint(id="ep", kind="fhir-rest", address="https://ehr.example/fhir")
CLOCK = StillClock()
SOON = CLOCK.now() + timedelta(seconds=30)


def as_answer(said):
    return Answer(200, {"content-type": "application/fhir+json"}, json.dumps(said).encode(), True)


def playing(*said):
    """A client whose far side answers so, in turn; the last one stays."""
    queue = [*said]

    def play(request):
        body = json.dumps(queue.pop(0) if len(queue) > 1 else queue[0]).encode()
        return httpx.Response(200, headers={"Content-Type": "application/fhir+json"}, stream=httpx.ByteStream(body))

    return httpx.Client(transport=httpx.MockTransport(play))


@given(anything | spoilt(DONE) | spoilt(OUTCOME))
def test_any_answer_to_a_write_is_taken_or_one_of_the_errors(said):
    for judge in (
        lambda a: judge_document(a, CLOCK, only_once=True),
        lambda a: judge_bundle(a, a_chart(), CLOCK, only_once=True),
    ):
        with contextlib.suppress(DeliveryError):
            assert isinstance(judge(as_answer(said)), Taken)


@given(spoilt(capability_statement("athena-like")))
def test_any_capability_statement_can_be_read(said):
    if isinstance(said, dict):
        parse_capability(said, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("padding", "known"), [(3 << 20, True), (17 << 20, False)])
def test_metadata_of_some_megabytes_is_read_and_an_endless_one_is_not(padding, known):
    said = {**capability_statement("athena-like"), "description": "x" * padding}
    with playing(said) as http:
        server = FhirServer(Wire(http, CLOCK), NoSignIn(), EP, SOON)
        if known:
            assert CapabilityBook().of(EP, server).fhir_version == "4.0.1"
        else:
            with pytest.raises(NeedsHuman, match="not-fhir"):
                CapabilityBook().of(EP, server)


@settings(deadline=None)
@given(anything | spoilt(FOUND), st.sampled_from([SYNTHETIC, UNNUMBERED]))
def test_any_search_result_matches_one_who_is_surely_the_patient_or_nobody(said, patient):
    with contextlib.suppress(DeliveryError), playing(said) as http:
        server = FhirServer(Wire(http, CLOCK), NoSignIn(), EP, SOON)
        match = match_patient(server, patient, a_provider(), EP)
        assert match.far_side_id
        assert "Zebrafinch" in json.dumps(said)


@settings(deadline=None)
@given(anything | spoilt(HELD) | spoilt(FOUND))
def test_any_answer_to_a_look_up_gives_a_verdict(said):
    with contextlib.suppress(DeliveryError), playing(said) as http:
        found = FhirRest(http, NoSignIn(), CLOCK).look_up(
            a_package(roles=("fhir-chart",), message="m"), EP, None, deadline=SOON
        )
        assert found.verdict == "unknown" or "urn:uuid:m" in json.dumps(said)


@settings(deadline=None)
@given(anything | spoilt(SAID) | spoilt(FAX))
def test_any_answer_of_a_message_server_or_a_fax_gateway_is_named(said):
    with playing(said) as http:
        with contextlib.suppress(DeliveryError):
            FhirMessage(http, NoSignIn(), CLOCK).send(
                a_package(roles=("fhir-message",)), EP, deadline=SOON, about_to_send=lambda ref: None
            )
        gateway = PhaxioGateway(http, PhaxioConfig("https://fax.example", "k", "s"), CLOCK)
        with contextlib.suppress(DeliveryError):
            gateway.status("1", deadline=SOON)


@settings(deadline=None)
@given(anything | spoilt({**FAX, "data": [FAX["data"]]}))
def test_any_list_of_faxes_gives_only_ours(said):
    with playing(said) as http, contextlib.suppress(DeliveryError):
        gateway = PhaxioGateway(http, PhaxioConfig("https://fax.example", "k", "s"), CLOCK)
        assert all(one.tag == "t" for one in gateway.find("t", deadline=SOON))


@given(st.binary(max_size=400))
def test_any_mail_is_read_without_a_fault(raw):
    read_notice(raw)


@given(st.sampled_from(["disposition-notification", "delivery-status", "rfc822", "global"]), st.text(max_size=120))
def test_any_report_is_read_without_a_fault(kind, text):
    head = 'Content-Type: multipart/report; boundary="b"'
    raw = f"{head}\r\n\r\n--b\r\nContent-Type: message/{kind}\r\n\r\n{text}\r\n--b--"
    read_notice(raw.encode("utf-8", "surrogatepass"))
