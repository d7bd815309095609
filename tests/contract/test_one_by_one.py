"""Entries sent one by one: the message has arrived when each has, the letter first of all."""

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest

from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.singles import Request, _place
from coordinator.channels.fhir_rest import FhirRest
from coordinator.channels.wire import Answer
from coordinator.domain.errors import InDoubt, NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import EntryRow
from coordinator.sandbox.ehr_capability import capability_statement
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.store.entry_part import fhir_entries
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock, a_chart, a_document, a_package
from tests.contract.scripted import ScriptedHttp, Step
from tests.contract.test_fhir_rest import FAR_PATIENT, FHIR, search_set, soon

pytestmark = pytest.mark.loopback


PLACE = {"location": "http://far/Observation/7"}


def a_message(message, **more):
    """Return a chart of a reading and a letter, each of which may be created once."""
    chart = a_chart(message)
    name = [{"system": "s", "value": message}]
    reading = {"resourceType": "Observation", "status": "final", "identifier": name, **more}
    chart["entry"].append({
        "fullUrl": "urn:uuid:o",
        "resource": reading,
        "request": {"method": "POST", "url": "Observation", "ifNoneExist": f"identifier=s|{message}"},
    })  # fmt: skip
    return chart


class Server:
    """A whole server that answers each type as told, and finds what `holds` says."""

    def __init__(self):
        self.answers = {
            kind: Step(201, b"", {**FHIR, "Location": f"http://far/{kind}/1"})
            for kind in ("DocumentReference", "Observation")
        }
        self.holds = []
        self.once = {"DocumentReference", "Observation"}

    def __call__(self, method, path, body):
        if path.endswith("/metadata"):
            return Step(200, json.dumps(self.metadata()).encode(), FHIR)
        if path.endswith("/Patient/_search"):
            return search_set(FAR_PATIENT)
        if method == "GET":
            kind = path.split("/")[-1].split("?")[0]
            return search_set(*(one for one in self.holds if one["resourceType"] == kind))
        return self.answers[path.split("/")[-1]]

    def metadata(self):
        statement = capability_statement("whole")
        for one in statement["rest"][0]["resource"]:
            one["conditionalCreate"] = one["type"] in self.once
        return statement


@contextmanager
def a_far_side(**more):
    server = Server()
    with ScriptedHttp(server) as far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        channel = FhirRest(http, NoSignIn(), WallClock(), book=MemoryEntries(), settle_s=0)
        endpoint = Endpoint(id="ep", kind="fhir-rest", address=f"{far.address}/fhir", content_level="singles")
        package = a_package(roles=("fhir-chart",))
        chart = a_document(
            "fhir-chart", json.dumps(a_message(package.message, **more)).encode(), "application/fhir+json"
        )
        object.__setattr__(package, "documents", (chart,))

        def send():
            return channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)

        def look_up():
            return channel.look_up(package, endpoint, None, deadline=soon())

        yield server, far, send, look_up


def test_a_letter_that_waits_for_review_has_not_arrived_though_its_readings_have():
    with a_far_side() as (server, _far, send, look_up):
        server.answers["DocumentReference"] = Step(202)
        taken = send()
        assert (taken.proven, taken.facts["answer"]) == (False, "accepted for review")
        assert taken.expect_receipt_within_s is not None
        assert look_up().verdict != "arrived-proven"


def test_a_letter_that_waited_for_review_has_arrived_once_it_is_found():
    with a_far_side() as (server, far, send, look_up):
        server.answers["DocumentReference"] = Step(202)
        send()
        letter = json.loads(far.asked("POST", "/fhir/DocumentReference")[0][3])
        server.holds.append({**letter, "id": "9"})
        found = look_up()
        assert (found.verdict, found.far_side_ref) == ("arrived-proven", "DocumentReference/9")


def test_nothing_is_sent_where_everything_would_go_but_the_letter():
    with a_far_side() as (server, far, send, _look_up):
        server.once.remove("DocumentReference")
        with pytest.raises(NeedsHuman) as caught:
            send()
        assert caught.value.code == "fhir.level"
        assert far.asked("POST", "/fhir/Observation") == []


@pytest.mark.parametrize("status", [507, 520, 524])
def test_a_failure_of_a_gateways_own_making_leaves_the_entry_in_doubt(status):
    with a_far_side() as (server, far, send, look_up):
        server.answers["Observation"] = Step(status)
        with pytest.raises(InDoubt):
            send()
        held = json.loads(far.asked("POST", "/fhir/Observation")[0][3])
        letter = json.loads(far.asked("POST", "/fhir/DocumentReference")[0][3])
        server.holds += [{**held, "id": "7"}, {**letter, "id": "9"}]
        assert look_up().verdict == "arrived-proven"


@pytest.mark.parametrize("kind", ["DocumentReference", "Observation"])
def test_what_is_there_twice_has_not_simply_arrived(kind):
    with a_far_side() as (server, far, send, look_up):
        server.answers[kind] = Step(412)
        with pytest.raises(InDoubt):
            send()
        held = json.loads(far.asked("POST", f"/fhir/{kind}")[0][3])
        server.holds += [{**held, "id": "7"}, {**held, "id": "8"}]
        with pytest.raises(NeedsHuman) as caught:
            look_up()
        assert caught.value.code == "fhir.412"


def test_what_landed_at_another_address_is_not_there_and_its_places_mean_nothing_here():
    old, new, book = Server(), Server(), MemoryEntries()
    package = a_package(roles=("fhir-chart",))
    chart = a_document("fhir-chart", json.dumps(a_message(package.message)).encode(), "application/fhir+json")
    object.__setattr__(package, "documents", (chart,))
    with (
        ScriptedHttp(old) as one,
        ScriptedHttp(new) as two,
        guarded_client(OutboundConfig(allow_loopback=True)) as http,
    ):
        channel = FhirRest(http, NoSignIn(), WallClock(), book=book, settle_s=0)
        for far, created in ((one, "2"), (one, "0"), (two, "2"), (two, "0")):
            endpoint = Endpoint(id="ep", kind="fhir-rest", address=f"{far.address}/fhir", content_level="singles")
            taken = channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
            assert (taken.proven, taken.facts["created"]) == (True, created)


ROW = EntryRow("sha", "DocumentReference/9")


@pytest.mark.parametrize(
    "kept", [ROW, replace(ROW, place="https://ehr.example/fhir/DocumentReference/9"), replace(ROW, place=None)]
)
def test_places_that_were_kept_before_addresses_were_noted_still_count(kept):
    book = MemoryEntries()
    book.rows["ep", "e"] = kept
    assert EntriesHere(book, "https://ehr.example/fhir").known("ep", ["e"]) == {"e": kept}


def test_what_is_in_doubt_at_another_address_stays_asked():
    book = MemoryEntries()
    there, here = (EntriesHere(book, f"https://{name}.example/fhir") for name in ("old", "new"))
    there.asked("ep", "e", "m", "first")
    there.landed("ep", "e", "Observation/1")
    there.asked("ep", "e", "m", "second")
    assert here.known("ep", ["e"]) == {"e": EntryRow(None, None, "second")}
    there.let_go("ep", "e")
    assert (here.known("ep", ["e"]), there.known("ep", ["e"])["e"].place) == ({}, "Observation/1")


def test_what_landed_with_another_patient_is_told_apart_and_its_place_still_means_what_it_did():
    book = MemoryEntries()
    here, there = (EntriesHere(book, f"https://{name}.example/fhir") for name in ("here", "there"))
    for entry, patient in (("one", "17"), ("two", "42"), ("nobody's", None)):
        here.asked("ep", entry, "m", "sha")
        here.landed("ep", entry, f"Observation/{entry}", patient)
    every = ["one", "two", "nobody's"]
    assert here.with_others("ep", every, {"42"}) == {"one": "Observation/one"}
    assert here.with_others("ep", every, {"42", "17"}) == {}
    assert there.with_others("ep", every, {"42"}) == {}
    assert here.known("ep", every)["one"] == EntryRow("sha", "Observation/one")


def test_an_answer_without_a_place_keeps_the_place_and_tells_whose_it_is():
    book = MemoryEntries()
    here = EntriesHere(book, "https://ehr.example/fhir")
    for place in ("Observation/1", None):
        here.asked("ep", "e", "m", "sha")
        here.landed("ep", "e", place, "17")
    assert here.with_others("ep", ["e"], {"42"}) == {"e": "Observation/1"}
    here.asked("ep", "new", "m", "sha")
    here.landed("ep", "new", None, "17")
    assert (here.known("ep", ["new"]), here.with_others("ep", ["new"], {"42"})) == (
        {"new": EntryRow("sha", None)},
        {"new": ""},
    )


def test_the_longest_place_with_its_marks_fits_where_the_book_keeps_it():
    book = MemoryEntries()
    here = EntriesHere(book, "https://ehr.example/fhir")
    here.asked("ep", "e", "m", "sha")
    here.landed("ep", "e", f"MedicationAdministration/{'a' * 128}", "b" * 128)
    assert len(book.rows["ep", "e"].place) <= fhir_entries.c.place.type.length


@pytest.mark.parametrize("kept", [ROW, replace(ROW, place=None)])
def test_what_landed_before_patients_were_noted_is_nobody_elses(kept):
    book, here = MemoryEntries(), EntriesHere(MemoryEntries(), "https://ehr.example/fhir")
    book.rows["ep", "e"] = kept
    assert EntriesHere(book, "https://ehr.example/fhir").with_others("ep", ["e"], {"42"}) == {}
    here.asked("ep", "e", "m", "sha")
    here.landed("ep", "e", "Observation/1")
    assert here.with_others("ep", ["e"], {"42"}) == {}


def with_subject(reference):
    return Step(
        201,
        json.dumps({"resourceType": "Observation", "id": "1", "subject": {"reference": reference}}).encode(),
        {**FHIR, "Location": "http://far/Observation/1"},
    )


def test_a_reading_that_the_answer_shows_with_another_patient_is_not_there_at_the_next_try():
    with a_far_side(subject={"reference": "urn:uuid:p"}) as (server, _far, send, _look_up):
        server.answers["Observation"] = with_subject("Patient/17")
        for _ in range(2):
            with pytest.raises(NeedsHuman) as caught:
                send()
            assert caught.value.code == "fhir.other-patient"


@pytest.mark.parametrize(("status", "headers", "proven"), [(201, {}, True), (200, {}, False), (200, PLACE, True)])
def test_200_to_a_create_without_a_condition_is_proven_by_a_place_alone(status, headers, proven):
    request = Request("Observation", "Observation", "POST")
    answer = Answer(status, headers, b"", whole=True)
    assert bool(_place(answer, request, {"resourceType": "Observation", "id": "7"})) is proven
