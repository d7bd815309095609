"""Two letters of one message for a record system that takes documents one by one: both arrive, and each once."""

import json
from dataclasses import replace

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.mapping.partners import ReadBack
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.web import Fault, Reply
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.real_content import LETTER, case_of, example, package_of
from tests.contract.test_ehr_plays import soon

pytestmark = pytest.mark.loopback

ALERT = replace(LETTER, kind="L7", title="An alert", pdf=b"%PDF-1.7 the alert", text="the words of the alert")
LETTERS = (LETTER, ALERT)


class Far:
    def __init__(self, folder, http, mappings, *, conditional=False, read_back=None):
        self.ehr = Ehr(folder)
        self.ehr.start()
        case = case_of(example("session-outcome.bp-spike"), None, self.ehr.address, {"content_level": "document"})
        self.ehr.admit(case.patient, "pr-psych")
        self.package, endpoint = package_of(mappings, case, letters=LETTERS)
        self.endpoint = endpoint.model_copy(update={"partner": "this"})
        partner = replace(
            mappings.partners["oracle-like"], conditional_create=conditional, read_back=read_back, creates=None,
            singles=(), own_references=False, transaction=None, searches_identifier=True,
        )  # fmt: skip
        self.channel = FhirRest(
            http, NoSignIn(), WallClock(), partners={"this": partner}, book=MemoryEntries(), settle_s=0
        )
        self.marks = []

    def send(self, **change):
        self.package = replace(self.package, **change)
        return self.channel.send(self.package, self.endpoint, deadline=soon(), about_to_send=self.marks.append)

    def look_up(self, place=None):
        return self.channel.look_up(self.package, self.endpoint, place, deadline=soon())

    def letters(self):
        return sorted(one["masterIdentifier"]["value"] for one in self.ehr.resources("DocumentReference"))

    def answer_the(self, number, make):
        """Have the server treat its n-th document as `make` says."""
        create, seen = self.ehr._create, []

        def creating(resource, request):
            if resource["resourceType"] != "DocumentReference":
                return create(resource, request)
            seen.append(1)
            return make(resource, request, create) if len(seen) == number else create(resource, request)

        self.ehr._create = creating


@pytest.fixture
def far(tmp_path, http, mappings):
    made = []

    def start(**how):
        made.append(Far(tmp_path, http, mappings, **how))
        return made[0]

    yield start
    for one in made:
        one.ehr.stop()


@pytest.mark.parametrize("conditional", [False, True])
def test_both_letters_are_filed_each_under_its_own_name(far, conditional):
    there = far(conditional=conditional)
    taken = there.send()
    assert (taken.proven, taken.facts["letters"], len(there.marks)) == (True, "2", 1)
    assert len(set(there.letters())) == len(there.letters()) == 2


@pytest.mark.parametrize("number", [1, 2])
def test_what_was_lost_on_the_way_is_looked_for_and_only_what_is_not_there_is_sent_again(far, number):
    there = far()

    def lost(resource, request, create):
        reply = create(resource, request)
        there.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
        return reply

    if number == 1:
        there.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
    else:
        there.answer_the(1, lost)
    with pytest.raises(InDoubt):
        there.send()
    assert len(there.letters()) == number
    answer = there.look_up()
    assert answer.verdict == ("absent" if number == 1 else "arrived-proven"), "one of two is not the whole message"
    if number == 1:
        assert there.send(attempt=2).proven
    assert len(set(there.letters())) == len(there.letters()) == 2


def test_a_refusal_of_the_second_is_the_messages_and_the_first_is_not_doubled_by_the_next_try(far):
    there = far()
    there.answer_the(2, lambda resource, request, create: Reply(503, b"", {}))
    with pytest.raises(Transient):
        there.send()
    assert len(there.letters()) == 1
    assert there.send(attempt=2).proven
    assert len(set(there.letters())) == len(there.letters()) == 2


def test_a_second_letter_that_is_refused_for_good_is_never_called_delivered(far):
    there = far()
    there.answer_the(2, lambda resource, request, create: Reply(422, b"", {}))
    with pytest.raises(Permanent):
        there.send()


def test_a_resend_by_a_person_sends_both_again(far):
    there = far()
    there.send()
    there.send(resent=True)
    assert sorted(there.letters().count(one) for one in set(there.letters())) == [2, 2]


def altered(resource, request, create):
    content = [{"attachment": {"contentType": "application/pdf", "data": "QUJD"}}]
    reply = create({**resource, "content": content}, request)
    return Reply(reply.status, b"", reply.headers)


def moved(resource, request, create):
    reply = create({**resource, "subject": {"reference": "Patient/somebody-else"}}, request)
    return Reply(reply.status, b"", reply.headers)


@pytest.mark.parametrize(("made_of_it", "code"), [(altered, "fhir.altered"), (moved, "fhir.other-patient")])
@pytest.mark.parametrize("number", [1, 2])
def test_every_letter_is_read_back_and_not_only_the_first(far, made_of_it, code, number):
    there = far(read_back=ReadBack())
    there.answer_the(number, made_of_it)
    with pytest.raises(NeedsHuman) as caught:
        there.send()
    assert caught.value.code == code


def test_a_later_look_finds_that_one_of_the_two_is_gone(far):
    there = far(read_back=ReadBack(after_s=3600))
    taken = there.send()
    assert not taken.proven
    assert there.look_up(taken.far_side_ref).verdict == "arrived-proven"
    first = json.loads(there.package.all("fhir-document")[0].body)["masterIdentifier"]["value"]
    with there.ehr._shelf.keep() as db:
        db.execute(
            "DELETE FROM resources WHERE type='DocumentReference' AND json_extract(body,'$.masterIdentifier.value')<>?",
            (first,),
        )
    answer = there.look_up(taken.far_side_ref)
    assert (answer.verdict, answer.code) == ("failed", "fhir.not-kept")


@pytest.mark.parametrize("number", [1, 2])
def test_while_one_of_the_two_is_under_review_there_the_message_has_not_arrived(far, number):
    there = far()
    there.answer_the(number, lambda resource, request, create: Reply(202, b"", {}))
    taken = there.send()
    assert (taken.proven, taken.facts["answer"]) == (False, "accepted for review")
    assert taken.expect_receipt_within_s is not None
    assert there.look_up().verdict != "arrived-proven"


def test_a_letter_that_was_taken_with_an_error_is_asked_after_and_not_simply_posted_once_more(far):
    there = far()
    issue = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
    there.answer_the(1, lambda resource, request, create: Reply(
        201, json.dumps(issue).encode(), {"Content-Type": "application/fhir+json", "Location": "DocumentReference/1"}
    ))  # fmt: skip
    with pytest.raises(NeedsHuman):
        there.send()
    with pytest.raises(InDoubt):
        there.send(attempt=2)


def test_a_letter_under_review_is_not_posted_once_more_when_the_other_is_tried_again(far):
    there = far()
    replies = iter([Reply(202, b"", {}), Reply(503, b"", {})])
    there.ehr._create = lambda resource, request: next(replies)
    with pytest.raises(Transient):
        there.send()
    with pytest.raises(InDoubt):
        there.send(attempt=2)
