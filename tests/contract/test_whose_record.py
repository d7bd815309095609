"""Whose record a letter goes to, and lies in: by the number that counts now, and by what the server holds itself."""

import json
from dataclasses import replace

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.web import Reply
from tests.contract.entries import MemoryEntries
from tests.contract.people import (
    CANARY,
    NoSignIn,
    WallClock,
    a_document,
    a_package,
    document_reference,
)
from tests.contract.real_content import LETTER, case_of, example, package_of
from tests.contract.scripted import Step
from tests.contract.test_ehr_plays import Far, a_channel, made
from tests.contract.test_fhir_rest import CREATED, FAR_PATIENT, FHIR, far_side, soon, with_far_side

pytestmark = pytest.mark.loopback

SYSTEM, NUMBER, WRONG = "urn:example:mrn", f"NS-{CANARY}", "NS-MRN-1001"


def named(number, system=SYSTEM):
    return {"type": "Patient", "identifier": {"system": system, "value": number}}


def a_letter(package, subject, **more):
    body = json.dumps(document_reference(package.message, subject=subject, **more)).encode()
    others = tuple(one for one in package.documents if one.role != "fhir-document")
    return replace(package, documents=(*others, a_document("fhir-document", body, "application/fhir+json")))


def held_of(package, subject, **more):
    return {**json.loads(package.document("fhir-document").body), "id": "9", "subject": subject, **more}


def endpoint_of(far, **more):
    return Endpoint(id="ep", kind="fhir-rest", address=f"{far.address}/fhir", **more)


def post(channel, far, package, **endpoint):
    marks = []
    try:
        return channel.send(package, endpoint_of(far, **endpoint), deadline=soon(), about_to_send=marks.append), marks
    except NeedsHuman as held:
        return held.code, marks


def posts(far):
    return far.asked("POST", "/fhir/DocumentReference")


ANOTHERS = [{"reference": "Patient/17"}, {"reference": "https://ehr.example/fhir/Patient/17"}, named(WRONG)]


@pytest.mark.parametrize("subject", ANOTHERS)
def test_a_letter_that_an_earlier_try_filed_with_another_patient_has_not_arrived(subject):
    package = a_letter(a_package(attempt=2), named(NUMBER))
    with with_far_side(far_side(CREATED, play="whole", documents=(held_of(package, subject),))) as (channel, far):
        code, marks = post(channel, far, package, content_level="document")
        assert (code, posts(far), len(marks)) == ("fhir.other-patient", [], 1)
        found = channel.look_up(package, endpoint_of(far), None, deadline=soon())
        assert (found.verdict, found.code, found.retry) == ("failed", "fhir.other-patient", False)


def test_of_two_copies_the_one_with_another_patient_is_what_counts():
    package = a_letter(a_package(attempt=2), named(NUMBER))
    right = held_of(package, {"reference": "Patient/far-1"})
    wrong = held_of(package, {"reference": "Patient/17"}, id="8")
    with with_far_side(far_side(CREATED, documents=(right, wrong))) as (channel, far):
        assert post(channel, far, package)[0] == "fhir.other-patient"


MERGED = {
    "resourceType": "Patient",
    "id": "17",
    "active": False,
    "link": [{"type": "replaced-by", "other": {"reference": "Patient/far-1"}}],
}
BY_WAY_OF = {**MERGED, "link": [{"type": "replaced-by", "other": {"reference": "Patient/16"}}]}
LOOP = {**MERGED, "id": "16", "link": [{"type": "replaced-by", "other": {"reference": "Patient/17"}}]}
TAKEN_OVER = {**FAR_PATIENT, "link": [{"type": "replaces", "other": {"reference": "Patient/17"}}]}
KEEPS_BOTH = {**FAR_PATIENT, "identifier": [*FAR_PATIENT["identifier"], {"system": SYSTEM, "value": WRONG}]}


@pytest.mark.parametrize(
    ("patients", "subject", "proven"),
    [
        ((FAR_PATIENT, MERGED), {"reference": "Patient/17"}, True),
        ((FAR_PATIENT, BY_WAY_OF, {**MERGED, "id": "16"}), {"reference": "Patient/17"}, True),
        ((TAKEN_OVER,), {"reference": "Patient/17"}, True),
        ((KEEPS_BOTH,), named(WRONG), True),
        ((FAR_PATIENT, {**MERGED, "id": "18"}), {"reference": "Patient/17"}, False),
        ((FAR_PATIENT, {**MERGED, "link": []}), {"reference": "Patient/17"}, False),
        ((FAR_PATIENT, BY_WAY_OF, LOOP), {"reference": "Patient/17"}, False),
    ],
)
def test_a_record_that_the_server_has_joined_with_ours_is_ours(patients, subject, proven):
    package = a_letter(a_package(attempt=2), named(NUMBER))
    far = far_side(CREATED, patients=patients, documents=(held_of(package, subject),))
    with with_far_side(far) as (channel, far):
        came, _ = post(channel, far, package)
        assert (came if isinstance(came, str) else came.proven) == (proven or "fhir.other-patient")
        found = channel.look_up(package, endpoint_of(far), None, deadline=soon())
        assert found.verdict == ("arrived-proven" if proven else "failed")


def answered_with(answer, stored):
    """Return a far side that answers the letter like this, and lets what it stored be read."""
    far = far_side(answer, play="whole")
    usual = far.script

    def script(method, path, body):
        if method == "GET" and path.endswith("/DocumentReference/9"):
            return Step(200, json.dumps(stored).encode(), FHIR) if stored else Step(403)
        return usual(method, path, body)

    far.script = script
    return far


@pytest.mark.parametrize(("whose", "proven"), [("Patient/17", False), ("Patient/far-1", True), (None, True)])
def test_a_server_that_says_only_that_it_has_the_letter_is_asked_whose_it_is(whose, proven):
    package = a_letter(a_package(), named(NUMBER))
    there = Step(200, b"", {**FHIR, "Location": "http://far/fhir/DocumentReference/9"})
    stored = whose and held_of(package, {"reference": whose})
    with with_far_side(answered_with(there, stored)) as (channel, far):
        came, _ = post(channel, far, package, content_level="document")
        assert (came if isinstance(came, str) else came.proven) == (proven or "fhir.other-patient")


class Renumbered:
    """A clinic that knew its patient by somebody else's number when it first sent the message."""

    def __init__(self, folder, http, mappings, play="epic-like", **content):
        self.there = Far(folder, play)
        self.ehr = self.there.ehr
        self.book = MemoryEntries()
        self.channel = a_channel(http, mappings, self.book)
        self.package, self.endpoint = made(mappings, self.there, play, **content)
        (number,) = (one for one in self.package.patient.identifiers if one.held_by == "pr-psych")
        record = {**self.ehr.resources("Patient")[0], "identifier": [{"system": number.system, "value": "NS-42"}]}
        self.ehr.seed(record, "42")
        self.ehr.seed(
            {"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": "Patient/42"}}, "visit-42"
        )
        self.right = self.package.patient.model_copy(
            update={"identifiers": (number.model_copy(update={"value": "NS-42"}),)}
        )

    def refuse_the(self, kind):
        """Have the server answer 503 to the first of this kind."""
        create, left = self.ehr._create, [1]

        def creating(resource, request):
            if resource["resourceType"] == kind and left:
                left.pop()
                return Reply(503, b"", {})
            return create(resource, request)

        self.ehr._create = creating

    def send(self, **change):
        self.package = replace(self.package, **change)
        marks = []
        try:
            taken = self.channel.send(self.package, self.endpoint, deadline=soon(), about_to_send=marks.append)
        except NeedsHuman as held:
            assert marks, "something of it is there"
            return held.code
        return taken

    def correct_the_number(self, **more):
        return self.send(patient=self.right, attempt=2, **more)

    def whose(self, kind):
        return sorted({one["subject"]["reference"] for one in self.ehr.resources(kind)})

    def change(self, what, kind="DocumentReference"):
        with self.ehr._shelf.keep() as db:
            db.execute(f"UPDATE resources SET body={what} WHERE type=?", (kind,))


@pytest.fixture
def sent_wrongly(tmp_path, http, mappings):
    """The letter is with the other patient; the first reading was not taken, and the number is corrected now."""
    one = Renumbered(tmp_path, http, mappings)
    one.refuse_the("Observation")
    with pytest.raises(Transient):
        one.send()
    yield one
    one.ehr.stop()


def test_a_letter_that_landed_with_another_patient_is_not_delivered_by_a_second_try(sent_wrongly):
    assert sent_wrongly.correct_the_number() == "fhir.other-patient"
    assert sent_wrongly.ehr.resources("Observation") == []
    found = sent_wrongly.channel.look_up(sent_wrongly.package, sent_wrongly.endpoint, None, deadline=soon())
    assert (found.verdict, found.code) == ("failed", "fhir.other-patient")
    assert sent_wrongly.correct_the_number() == "fhir.other-patient", "it stays so until somebody there has moved it"


def test_what_lies_with_another_patient_is_told_before_anything_that_else_keeps_it_from_going(sent_wrongly):
    sent_wrongly.change("json_set(body,'$.status','finished')", "Encounter")
    assert sent_wrongly.correct_the_number() == "fhir.other-patient"


def test_a_letter_that_was_moved_to_the_right_record_counts_and_the_readings_follow_it(sent_wrongly):
    sent_wrongly.change("json_set(body,'$.subject.reference','Patient/42')")
    assert sent_wrongly.correct_the_number().proven
    assert (sent_wrongly.whose("DocumentReference"), sent_wrongly.whose("Observation")) == (["Patient/42"],) * 2
    assert len(sent_wrongly.ehr.resources("DocumentReference")) == 1


@pytest.mark.parametrize("link", ["replaces", "replaced-by"])
def test_what_landed_in_a_record_that_was_joined_with_this_one_is_not_held(sent_wrongly, link):
    (wrong,) = [one for one in sent_wrongly.ehr.resources("Patient") if one["id"] != "42"]
    joined = {"replaces": ("42", wrong["id"]), "replaced-by": (wrong["id"], "42")}[link]
    record = next(one for one in sent_wrongly.ehr.resources("Patient") if one["id"] == joined[0])
    sent_wrongly.ehr.seed(
        {**record, "link": [{"type": link, "other": {"reference": f"Patient/{joined[1]}"}}]}, joined[0]
    )
    assert sent_wrongly.correct_the_number().proven
    assert len(sent_wrongly.ehr.resources("DocumentReference")) == 1


def test_a_letter_that_was_taken_out_there_goes_anew_only_when_a_person_resends_it(sent_wrongly):
    with sent_wrongly.ehr._shelf.keep() as db:
        db.execute("DELETE FROM resources WHERE type='DocumentReference'")
    assert sent_wrongly.correct_the_number() == "fhir.other-patient"
    assert sent_wrongly.correct_the_number(resent=True).proven
    assert sent_wrongly.whose("DocumentReference") == sent_wrongly.whose("Observation") == ["Patient/42"]
    found = sent_wrongly.channel.look_up(sent_wrongly.package, sent_wrongly.endpoint, None, deadline=soon())
    assert found.verdict == "arrived-proven"


def test_readings_that_landed_with_another_patient_are_sent_to_the_right_one_by_a_resend(tmp_path, http, mappings):
    one = Renumbered(tmp_path, http, mappings)
    try:
        assert one.send().proven
        before = len(one.ehr.resources("Observation"))
        assert one.correct_the_number() == "fhir.other-patient"
        assert one.correct_the_number(resent=True).proven
        assert len(one.ehr.resources("Observation")) == 2 * before
    finally:
        one.ehr.stop()


def test_a_lost_answer_is_not_settled_by_what_is_found_with_another_patient(tmp_path, http, mappings):
    one = Renumbered(tmp_path, http, mappings)
    try:
        one.there.lose_the_answer_after(0)
        with pytest.raises(Exception, match="after-send"):
            one.send()
        package = replace(one.package, patient=one.right, attempt=2)
        found = one.channel.look_up(package, one.endpoint, None, deadline=soon())
        assert (found.verdict, found.code) == ("failed", "fhir.other-patient")
    finally:
        one.ehr.stop()


def test_what_is_about_no_patient_is_there_for_every_patient(tmp_path, http, mappings):
    """Entries of a chart sent one by one: the clinic and the clinicians lie in nobody's record."""
    ehr = Ehr(tmp_path)
    ehr.start()
    try:
        channel = FhirRest(http, NoSignIn(), WallClock(), book=MemoryEntries(), settle_s=0)
        created = []
        for number in ("NS-1", "NS-2"):
            event = example("session-outcome.bp-spike")
            event |= {"id": f"of-{number}", "course": {**event["course"], "id": f"course-{number}"}}
            package, endpoint = package_of(
                mappings, case_of(event, None, ehr.address, {"content_level": "singles"}), letters=(LETTER,)
            )
            (ours,) = (one for one in package.patient.identifiers if one.held_by == "pr-psych")
            told = {"identifiers": (ours.model_copy(update={"value": number}),)}
            package = replace(package, patient=package.patient.model_copy(update=told))
            ehr.admit(package.patient.model_copy(update={"id": number}), "pr-psych")
            taken = channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
            created.append(int(taken.facts["created"]))
        assert 0 < created[1] < created[0]
        assert (len(ehr.resources("Organization")), len(ehr.resources("DocumentReference"))) == (1, 2)
    finally:
        ehr.stop()
