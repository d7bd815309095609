"""What was asked before and is asked no longer: withdrawn at the far side, unless somebody there has answered."""

from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.case import SentRequest, request_names
from coordinator.domain.errors import Transient
from coordinator.domain.plan import Request
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.web import Fault, Reply
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.real_content import HOLD, LEVELS, body_of, case_of, example, package_of

pytestmark = pytest.mark.loopback

ALL = LEVELS | {"tasks"}
EVENT = example("session-outcome.bp-spike")
ASKED = SentRequest("pr-psych", EVENT["id"], "suspend")


@pytest.fixture
def ehr(tmp_path):
    one = Ehr(tmp_path)
    one.start()
    one.admit(case_of(EVENT, None).patient, "pr-psych")
    yield one
    one.stop()


class Desk:
    """Sends by the real channel to the pretend EHR."""

    def __init__(self, http, mappings, ehr):
        self.ehr, self.mappings = ehr, mappings
        self.channel = FhirRest(http, NoSignIn(), WallClock(), partners=mappings.partners, book=MemoryEntries())

    def send(self, event=EVENT, *, requests=(), previous=None, before=()):
        case = replace(case_of(event, None, self.ehr.address, previous=previous), asked_before=tuple(before))
        package, endpoint = package_of(self.mappings, case, requests=tuple(requests), levels=ALL)
        deadline = WallClock().now() + timedelta(seconds=20)
        return self.channel.send(package, endpoint, deadline=deadline, about_to_send=lambda ref: None)

    def retract(self, before=(ASKED,)):
        taken_back = {**EVENT, "version": 2, "status": "entered-in-error", "amendment_reason": "another patient"}
        return self.send(taken_back, previous=case_of(EVENT, None).event, before=before)

    def tasks(self):
        return self.ehr.resources("Task")

    def answer(self, **changes):
        (task,) = self.tasks()
        self.ehr.seed({**task, **changes}, task["id"])


@pytest.fixture
def desk(mappings, ehr):
    with guarded_client(OutboundConfig(allow_loopback=True)) as http:
        yield Desk(http, mappings, ehr)


def test_a_retraction_withdraws_the_task_that_nobody_has_answered(desk):
    desk.send(requests=[HOLD])
    assert [one["status"] for one in desk.tasks()] == ["requested"]
    taken = desk.retract()
    (task,) = desk.tasks()
    assert (task["status"], taken.facts["tasks withdrawn"]) == ("cancelled", "1")
    assert "withdrawn" in task["statusReason"]["text"]
    assert task["owner"]["reference"].startswith("Practitioner/")
    assert task["description"] == HOLD.text


@pytest.mark.parametrize(
    "change",
    [
        {"status": "accepted"},
        {"status": "completed"},
        {"status": "rejected", "statusReason": {"text": "not my patient"}},
        {"output": [{"type": {"text": "answer"}, "valueString": "held"}]},
        {"note": [{"text": "we have called the patient"}]},
    ],
    ids=lambda one: next(iter(one)),
)
def test_an_answer_is_never_wiped_out(desk, change):
    desk.send(requests=[HOLD])
    desk.answer(**change)
    before = desk.tasks()
    taken = desk.retract()
    assert desk.tasks() == before
    assert taken.facts["tasks answered"] == "1"
    assert taken.proven


def test_an_answer_between_the_look_and_the_write_wins(desk, monkeypatch):
    desk.send(requests=[HOLD])
    update = desk.ehr._update

    def slower(path, request, body):
        if path.startswith("Task/") and not [one for one in desk.tasks() if one["status"] == "accepted"]:
            desk.answer(status="accepted")
        return update(path, request, body)

    monkeypatch.setattr(desk.ehr, "_update", slower)
    taken = desk.retract()
    assert [one["status"] for one in desk.tasks()] == ["accepted"]
    assert taken.facts["tasks answered"] == "1"


def test_withdrawing_twice_changes_nothing_more(desk):
    desk.send(requests=[HOLD])
    desk.retract()
    (before,) = desk.tasks()
    taken = desk.retract()
    assert desk.tasks() == [before]
    assert taken.facts["tasks as it is"] == "1"


def test_a_correction_that_asks_something_else_withdraws_the_old_and_asks_the_new(desk):
    desk.send(requests=[HOLD])
    newer = {**EVENT, "version": 2, "amendment_reason": "typing fault"}
    resume = Request("Please resume the stimulant.", "R5", None, "resume")
    desk.send(newer, requests=[resume], previous=case_of(EVENT, None).event, before=[ASKED])
    assert sorted((one["code"]["coding"][0]["code"], one["status"]) for one in desk.tasks()) == [
        ("resume", "requested"),
        ("suspend", "cancelled"),
    ]


def test_a_correction_that_asks_the_same_in_other_words_changes_the_unanswered_task(desk):
    desk.send(requests=[HOLD])
    newer = {**EVENT, "version": 2, "amendment_reason": "typing fault"}
    again = replace(HOLD, text="Please hold the stimulant until we have talked.")
    taken = desk.send(newer, requests=[again], previous=case_of(EVENT, None).event, before=[ASKED])
    (task,) = desk.tasks()
    assert (task["status"], task["description"], taken.facts["tasks changed"]) == ("requested", again.text, "1")


def test_an_answered_task_keeps_its_words_when_the_correction_asks_the_same(desk):
    desk.send(requests=[HOLD])
    desk.answer(status="in-progress")
    newer = {**EVENT, "version": 2, "amendment_reason": "typing fault"}
    again = replace(HOLD, text="Please hold the stimulant until we have talked.")
    desk.send(newer, requests=[again], previous=case_of(EVENT, None).event, before=[ASKED])
    assert [(one["status"], one["description"]) for one in desk.tasks()] == [("in-progress", HOLD.text)]


def test_a_newer_event_that_asks_in_its_place_withdraws_the_older_request(desk):
    hold = example("dose-change.stimulant-hold")
    desk.send(hold, requests=[HOLD])
    resume = {**hold, "id": "dc-later", "action": "resume", "to": hold["from"]}
    before = [SentRequest("pr-psych", hold["id"], "suspend")]
    desk.send(resume, requests=[Request("Please resume.", "R5", None, "resume")], before=before)
    assert sorted(one["status"] for one in desk.tasks()) == ["cancelled", "requested"]


def test_a_newer_event_that_asks_nothing_leaves_the_older_request(desk):
    hold = example("dose-change.stimulant-hold")
    desk.send(hold, requests=[HOLD])
    told = {**hold, "id": "dc-later"}
    desk.send(told, before=[SentRequest("pr-psych", hold["id"], "suspend")])
    assert [one["status"] for one in desk.tasks()] == ["requested"]


def test_a_request_of_another_recipient_is_not_touched(desk):
    desk.send(requests=[HOLD])
    taken = desk.retract(before=[replace(ASKED, provider="pr-pcp")])
    assert [one["status"] for one in desk.tasks()] == ["requested"]
    assert [name for name in taken.facts if name.startswith("tasks")] == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_withdrawal_that_may_not_have_landed_is_done_again_before_anything_else_goes(desk, status):
    desk.send(requests=[HOLD])
    sent = len(desk.ehr.requests())
    desk.ehr.misbehave(Fault("answer", 1, Reply(status), writes=True))
    with pytest.raises(Transient):
        desk.retract()
    assert [one for one in desk.ehr.requests()[sent:] if one[:2] == ("POST", "/fhir")] == []
    desk.retract()
    assert [one["status"] for one in desk.tasks()] == ["cancelled"]


def test_a_server_without_versions_is_not_written_to(desk, monkeypatch):
    desk.send(requests=[HOLD])
    resources = desk.ehr.resources

    def unversioned(kind):
        bare = [dict(one) for one in resources(kind)]
        for one in bare:
            one["meta"] = {} if kind == "Task" else one["meta"]
        return bare

    monkeypatch.setattr(desk.ehr, "resources", unversioned)
    taken = desk.retract()
    assert taken.facts["tasks unguarded"] == "1"
    assert [one["status"] for one in desk.tasks()] == ["requested"]


def test_the_same_action_asked_twice_has_two_names_and_both_are_withdrawn(desk):
    other = replace(HOLD, text="Please hold the other stimulant too.")
    desk.send(requests=[HOLD, other])
    assert request_names(["suspend", "resume", "suspend"]) == ("suspend", "resume", "suspend#2")
    desk.retract(before=[ASKED, replace(ASKED, name="suspend#2")])
    assert [one["status"] for one in desk.tasks()] == ["cancelled", "cancelled"]


def test_nothing_was_asked_before_so_there_is_nothing_to_change(mappings):
    package, _ = package_of(mappings, case_of(EVENT, None), requests=(HOLD,), levels=ALL)
    assert package.document("fhir-tasks") is None
    assert [one for one in body_of(package, "fhir-chart")["entry"] if one["resource"]["resourceType"] == "Task"]
