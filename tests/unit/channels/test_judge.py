import json
from datetime import UTC, datetime

import pytest

from coordinator.channels.fhir.judge import judge_bundle, judge_document
from coordinator.channels.wire import Answer
from coordinator.domain.errors import InDoubt, NeedsHuman


class Clock:
    def now(self):
        return datetime(2026, 10, 14, 15, 0, tzinfo=UTC)


SENT = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        {"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": {"resourceType": "DocumentReference"}, "request": {"method": "POST", "url": "DocumentReference"}},
    ],
}


def answer(body, status=200, media_type="application/fhir+json", *, whole=True, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {"content-type": media_type, **headers}, raw, whole)


def entry(status, location, **response):
    return {"response": {"status": status, "location": location, **response}}


def response(*entries, kind="transaction-response"):
    return answer({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


PATIENT, DOCUMENT = entry("200 OK", "Patient/1"), entry("201 Created", "DocumentReference/2/_history/1")


def test_a_transaction_is_proven_by_every_entrys_own_status_and_named_by_its_document():
    taken = judge_bundle(response(PATIENT, DOCUMENT), SENT, Clock(), only_once=True)
    assert (taken.proven, taken.far_side_ref) == (True, "DocumentReference/2/_history/1")
    assert taken.facts["created"] == "1"


@pytest.mark.parametrize("status", ["409 Conflict", "422", "500", "404 Not Found", "", "OK", "304"])
def test_one_entry_that_did_not_land_makes_it_partial(status):
    with pytest.raises(NeedsHuman) as caught:
        judge_bundle(response(PATIENT, entry(status, None), kind="batch-response"), SENT, Clock(), only_once=True)
    assert caught.value.code == "fhir.partial"


def test_an_entry_without_a_response_is_not_taken_for_success():
    with pytest.raises(NeedsHuman):
        judge_bundle(response(PATIENT, {}), SENT, Clock(), only_once=True)


@pytest.mark.parametrize("entries", [(), (PATIENT,), (PATIENT, DOCUMENT, DOCUMENT)])
def test_a_wrong_number_of_entries_is_in_doubt(entries):
    with pytest.raises(InDoubt) as caught:
        judge_bundle(response(*entries), SENT, Clock(), only_once=True)
    assert caught.value.code == "fhir.partial"


def test_a_letter_without_a_place_of_its_own_is_in_doubt_whatever_has_one():
    with pytest.raises(InDoubt) as caught:
        judge_bundle(response(PATIENT, {"response": {"status": "201 Created"}}), SENT, Clock(), only_once=True)
    assert caught.value.code == "fhir.no-location"


def test_an_entry_that_waits_for_review_there_makes_the_whole_wait():
    taken = judge_bundle(response(PATIENT, {"response": {"status": "202 Accepted"}}), SENT, Clock(), only_once=True)
    assert (taken.proven, taken.facts["answer"]) == (False, "accepted for review")
    assert taken.expect_receipt_within_s is not None


def test_an_error_outcome_in_place_of_an_entrys_resource_is_never_success():
    bad = {**DOCUMENT, "resource": {"resourceType": "OperationOutcome", "issue": [{"severity": "fatal"}]}}
    with pytest.raises(NeedsHuman):
        judge_bundle(response(PATIENT, bad), SENT, Clock(), only_once=True)


def test_entries_in_another_order_are_in_doubt():
    with pytest.raises(InDoubt):
        judge_bundle(response(DOCUMENT, PATIENT), SENT, Clock(), only_once=True)


def test_an_error_outcome_inside_an_entry_is_never_success():
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
    with pytest.raises(NeedsHuman) as caught:
        judge_bundle(
            response(PATIENT, entry("201", "DocumentReference/2", outcome=outcome)), SENT, Clock(), only_once=True
        )
    assert caught.value.code == "fhir.outcome-error"


@pytest.mark.parametrize("body", [{"resourceType": "Patient"}, {"resourceType": "Bundle", "type": "searchset"}, [], 5])
def test_something_else_than_a_response_bundle_is_in_doubt(body):
    with pytest.raises(InDoubt):
        judge_bundle(answer(body), SENT, Clock(), only_once=True)


def test_a_warning_does_not_spoil_a_success():
    warning = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}, {"severity": "information"}]}
    assert judge_document(answer(warning, 201, location="DocumentReference/1"), Clock(), only_once=True).proven


@pytest.mark.parametrize("issue", [{"severity": "fatal"}, {"severity": "error"}, "odd"])
def test_an_error_in_a_success_is_never_delivered(issue):
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    with pytest.raises(NeedsHuman):
        judge_document(answer(outcome, 201, location="DocumentReference/1"), Clock(), only_once=True)


def test_a_conditional_create_that_found_it_there_is_delivered():
    taken = judge_document(answer({"resourceType": "DocumentReference", "id": "7"}, 200), Clock(), only_once=True)
    assert (taken.proven, taken.far_side_ref, taken.facts["answer"]) == (True, "DocumentReference/7", "already there")


@pytest.mark.parametrize(
    "headers", [{}, {"content_location": "http://far/DocumentReference/7"}, {"location": "http://far/Patient/7"}]
)
def test_a_create_without_a_condition_that_found_something_is_in_doubt_without_a_place(headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    said = answer({"resourceType": "DocumentReference", "id": "7"}, 200, **named)
    with pytest.raises(InDoubt) as caught:
        judge_document(said, Clock(), only_once=False)
    assert caught.value.code == "fhir.no-location"


def test_a_create_without_a_condition_is_proven_by_its_place_though_a_server_says_200():
    taken = judge_document(answer(b"", 200, location="http://far/DocumentReference/7"), Clock(), only_once=False)
    assert (taken.proven, "answer" in taken.facts) == (True, False)


@pytest.mark.parametrize(
    "bad",
    [
        answer(b"<html>", 201, "text/html", location="x/1"),
        answer(b"{}", 201, "", location="x/1"),
        answer(b'{"a"', 201, location="x/1"),
        answer(b"\xff\xfe", 201, location="x/1"),
        answer(b"[" * 100_000, 201, location="x/1"),
        answer(b"{}", 201, whole=False, location="x/1"),
        answer({"resourceType": "DocumentReference", "id": "7"}, 201),
        answer(b"", 204),
        answer(b"", 206, location="x/1"),
        answer(b"", 201, location="http://far/sign-in"),
        answer(b"", 201, location="http://far/Patient/1"),
        answer(b"", 201, location="http://far/DocumentReference"),
        answer({"resourceType": "OperationOutcome", "id": "7", "issue": [{"severity": "information"}]}, 200),
        answer({"resourceType": "Bundle", "id": "7"}, 200),
    ],
)
def test_a_success_that_proves_nothing_is_in_doubt(bad):
    with pytest.raises(InDoubt):
        judge_document(bad, Clock(), only_once=True)


def test_a_created_resource_without_a_body_is_delivered_by_its_location():
    assert judge_document(
        answer(b"", 201, "", location="http://far/DocumentReference/1"), Clock(), only_once=True
    ).proven
