import base64
import hashlib
from dataclasses import replace

import pytest

from coordinator.channels.fhir.kept import Finding, compare, contradicts, read_back
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.said import relative
from coordinator.channels.fhir.whose import names_another

BODY = b"%PDF-1.7 letter"
DATA = base64.b64encode(BODY).decode()
HASH = base64.b64encode(hashlib.sha1(BODY, usedforsecurity=False).digest()).decode()
BY_NUMBER = {"type": "Patient", "identifier": {"system": "urn:example:mrn", "value": "NS-1"}}
OURS = Match("far-1", "identifier", frozenset({"urn:example:mrn|NS-1"}))
SENT = {
    "resourceType": "DocumentReference",
    "status": "current",
    "subject": BY_NUMBER,
    "date": "2026-10-14T15:00:00-05:00",
    "content": [{"attachment": {"contentType": "application/pdf", "data": DATA}}],
    "context": {"period": {"start": "2026-10-14T13:00:00-05:00"}},
}


def stored(**changes):
    return {name: value for name, value in {**SENT, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/far-1"},
        {"reference": "https://ehr.example/fhir/Patient/far-1"},
        {"reference": "https://ehr.example/fhir/Patient/far-1/_history/3"},
        {"reference": "Patient/far-1", "display": "N., Z."},
        BY_NUMBER,
    ],
)
def test_the_patient_is_ours_by_the_servers_own_id_or_by_the_reference_as_sent(subject):
    assert compare(SENT, stored(subject=subject), OURS) == Finding(None)


@pytest.mark.parametrize(
    "subject",
    [
        {"reference": "Patient/far-2"},
        {"reference": "https://ehr.example/fhir/Patient/far-11"},
        {"reference": "Patient/far-2", **BY_NUMBER},
        {"identifier": {"system": "urn:example:mrn", "value": "NS-2"}},
        {"identifier": {"system": "urn:other", "value": "NS-1"}},
    ],
)
def test_any_other_patient_is_another(subject):
    assert compare(SENT, stored(subject=subject), OURS).code == "fhir.other-patient"


def test_a_letter_that_was_sent_and_is_kept_under_a_number_that_is_not_theirs_now_is_anothers():
    older = {**SENT, "subject": {"type": "Patient", "identifier": {"system": "urn:example:mrn", "value": "NS-0"}}}
    assert compare(older, older, OURS).code == "fhir.other-patient"
    joined = replace(OURS, record=frozenset({"urn:example:mrn|NS-0"}))
    assert compare(older, older, joined).code is None


@pytest.mark.parametrize("subject", [None, {}, {"display": "Zoë"}])
def test_a_letter_about_nobody_has_lost_its_patient(subject):
    assert compare(SENT, stored(subject=subject), OURS).differs == ("patient",)


TEXT = base64.b64encode(b"the words of the letter").decode()
TWO = {**SENT, "content": [*SENT["content"], {"attachment": {"contentType": "text/plain", "data": TEXT}}]}
ELSEWHERE = {"attachment": {"contentType": "text/plain", "url": "https://files.example/1"}}


def test_a_form_that_is_kept_elsewhere_excuses_itself_and_no_other():
    as_sent = compare(TWO, {**TWO, "content": [TWO["content"][0], ELSEWHERE]}, OURS)
    assert (as_sent.code, as_sent.by_link) == (None, True)
    altered = {"attachment": {"contentType": "application/pdf", "data": TEXT[:-4]}}
    found = compare(TWO, {**TWO, "content": [altered, ELSEWHERE]}, OURS)
    assert (found.code, found.differs) == ("fhir.altered", ("content",))


@pytest.mark.parametrize(
    "attachment", [{"data": DATA}, {"hash": HASH}, {"hash": HASH, "url": "Binary/1"}, {"data": DATA, "hash": HASH}]
)
def test_the_letter_is_there_by_its_bytes_or_by_their_hash(attachment):
    assert compare(SENT, stored(content=[{"attachment": attachment}]), OURS).code is None


@pytest.mark.parametrize("attachment", [{}, {"data": "QUJD"}, {"hash": "QUJD"}, {"data": "!"}, {"title": "x"}])
def test_other_bytes_or_none_are_not_the_letter(attachment):
    assert compare(SENT, stored(content=[{"attachment": attachment}]), OURS).differs == ("content",)


def test_one_of_two_forms_that_is_missing_is_missed():
    two = {**SENT, "content": [*SENT["content"], {"attachment": {"contentType": "text/plain", "data": "QUJD"}}]}
    assert compare(two, stored(), OURS).differs == ("content",)


@pytest.mark.parametrize("found", ["2026-10-14T20:00:00Z", "2026-10-14T15:00:00.123-05:00"])
def test_the_same_instant_in_another_zone_or_with_fractions_is_the_same(found):
    assert compare(SENT, stored(date=found), OURS).code is None


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"date": None}, "date"),
        ({"date": "2026-10-15"}, "date"),
        ({"date": "2026-10-14T15:00:00"}, "date"),
        ({"context": {}}, "context.period.start"),
        ({"status": None}, "status"),
    ],
)
def test_what_was_dropped_is_named_unless_this_server_is_known_to_set_it(changes, differs):
    assert compare(SENT, stored(**changes), OURS).differs == (differs,)
    assert compare(SENT, stored(**changes), OURS, ("date", "context.period", "status")).code is None


def test_a_correction_that_lost_what_it_replaces_is_not_as_sent():
    correction = {**SENT, "relatesTo": [{"code": "replaces", "target": {"identifier": {"value": "m-1"}}}]}
    assert compare(correction, stored(), OURS).differs == ("relatesTo",)
    kept = stored(relatesTo=[{"code": "replaces", "target": {"reference": "DocumentReference/4"}}])
    assert compare(correction, kept, OURS).code is None


def test_an_answer_that_leaves_things_out_contradicts_nothing():
    bare = {"resourceType": "DocumentReference", "id": "9"}
    for returned in (None, bare, {"resourceType": "OperationOutcome"}, {**bare, "content": [{"attachment": {}}]}):
        assert contradicts(SENT, returned, OURS).code is None
    other = {**bare, "content": [{"attachment": {"data": "QUJD"}}]}
    assert contradicts(SENT, other, OURS).code == "fhir.altered"


def test_a_place_is_read_wherever_it_stands_and_nothing_else_is_a_place():
    assert relative("http://far/fhir/DocumentReference/9/_history/1", "DocumentReference") == "DocumentReference/9"
    assert relative("DocumentReference/9", "DocumentReference") == "DocumentReference/9"
    for odd in (None, "", "9", "Binary/9", "DocumentReference/"):
        assert relative(odd, "DocumentReference") is None
    assert not names_another({"subject": {"reference": "Group/7"}}, OURS)


class Holding:
    """A server that holds these, by place."""

    def __init__(self, **held):
        self.held = {name.replace("_", "/"): value for name, value in held.items()}
        self.asked = []

    def read(self, place):
        self.asked.append(place)
        return self.held[place]

    def is_ours(self, url):
        return "://" not in url or url.startswith("https://ehr.example/fhir/")


@pytest.mark.parametrize("url", ["Binary/1", "https://ehr.example/fhir/Binary/1"])
def test_a_form_kept_as_a_binary_of_that_server_is_read_too(url):
    letter = stored(content=[{"attachment": {"url": url}}])
    server = Holding(DocumentReference_9=letter, Binary_1={"resourceType": "Binary", "data": DATA})
    assert read_back(server, "DocumentReference/9", [SENT], OURS) == Finding(None)
    server = Holding(DocumentReference_9=letter, Binary_1={"resourceType": "Binary", "data": "QUJD"})
    assert read_back(server, "DocumentReference/9", [SENT], OURS).differs == ("content",)


def test_a_form_kept_at_another_host_is_never_asked_for_with_our_token_and_it_is_said():
    letter = stored(content=[{"attachment": {"url": "https://elsewhere.example/Binary/1"}}])
    server = Holding(DocumentReference_9=letter)
    found = read_back(server, "DocumentReference/9", [SENT], OURS)
    assert (found.code, found.by_link, server.asked) == (None, True, ["DocumentReference/9"])
