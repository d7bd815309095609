"""The three large record systems, played with their refusals, in front of the real channel and the real content."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.ehr_capability import CREATES, SYSTEM, UPDATES, capability_statement
from coordinator.sandbox.ehr_rules import RULES
from coordinator.sandbox.web import Fault, Reply
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.real_content import body_of, case_of, example, package_of

pytestmark = pytest.mark.loopback

FACTS = json.loads(Path(__file__).with_name("ehr_facts.json").read_text())
NPI = "http://hl7.org/fhir/sid/us-npi"
PLAYS = ("epic-like", "oracle-like", "athena-like")


class Far:
    """A pretend EHR that holds the patient, an open visit, and the practitioners it knows."""

    def __init__(self, folder, play):
        self.ehr = Ehr(folder, play=play)
        self.ehr.start()
        case = case_of(example("session-outcome.bp-spike"), None)
        self.ehr.admit(case.patient, "pr-psych")
        (patient,) = self.ehr.resources("Patient")
        self.patient = f"Patient/{patient['id']}"
        self.ehr.seed(
            {"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": self.patient}}, "visit-1"
        )
        for number, who in enumerate(("1999999018", "1999999026")):
            self.ehr.seed(
                {"resourceType": "Practitioner", "identifier": [{"system": NPI, "value": who}]}, f"pr-{number}"
            )

    def lose_the_answer_after(self, writes):
        """Store the next write but `writes`, and drop the line instead of answering."""
        left = [writes]
        create = self.ehr._create

        def counting(resource, request):
            reply = create(resource, request)
            left[0] -= 1
            if left[0] == 0:
                self.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
            return reply

        if writes == 0:
            self.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
        self.ehr._create = counting

    def posts(self, kind):
        return [one for one in self.ehr.requests() if one[0] == "POST" and one[1].endswith(f"/{kind}")]


@pytest.fixture
def far(tmp_path):
    made = []

    def start(play):
        made.append(Far(tmp_path, play))
        return made[0]

    yield start
    for one in made:
        one.ehr.stop()


def soon():
    return WallClock().now() + timedelta(seconds=20)


def a_channel(http, mappings, book=None):
    entries = MemoryEntries() if book is None else book
    return FhirRest(http, NoSignIn(), WallClock(), partners=mappings.partners, book=entries, settle_s=0)


def send(channel, package, endpoint):
    marks = []
    taken = channel.send(package, endpoint, deadline=soon(), about_to_send=marks.append)
    assert marks == [None]
    return taken


def made(mappings, far, name, event="session-outcome.bp-spike", **more):
    event = example(event) if isinstance(event, str) else event
    return package_of(mappings, case_of(event, name, far.ehr.address, **more.pop("case", {})), **more)


@pytest.mark.parametrize("play", PLAYS)
def test_the_plays_and_the_partner_files_say_what_the_published_facts_say(play, mappings):
    facts = FACTS[play]
    assert (sorted(CREATES[play]), sorted(UPDATES[play])) == (facts["creates"], facts["updates"])
    assert list(SYSTEM[play]) == facts["system"] == []
    statement = capability_statement(play)
    assert {one["conditionalCreate"] for one in statement["rest"][0]["resource"]} == {facts["conditional_create"]}
    partner = mappings.partners[play]
    assert sorted(partner.creates) == facts["creates"]
    assert set(partner.updates) <= set(facts["updates"])
    assert (partner.conditional_create, partner.transaction) == (False, False)


def test_an_epic_like_server_gets_the_note_first_then_vital_signs_and_provisional_conditions(far, http, mappings):
    there = far("epic-like")
    taken = send(a_channel(http, mappings), *made(mappings, there, "epic-like"))
    posted = [one for one in there.ehr.requests() if one[0] == "POST" and not one[1].endswith("/_search")]
    assert (taken.proven, taken.facts["level"]) == (True, "singles")
    assert {one[3] for one in posted} == {201}
    assert posted[0][1] == "/fhir/DocumentReference"
    assert {one[1].rpartition("/")[2] for one in posted} == {"DocumentReference", "Observation", "Condition"}
    (note,) = there.ehr.resources("DocumentReference")
    assert note["subject"] == {"reference": there.patient}
    assert note["context"]["encounter"] == [{"reference": "Encounter/visit-1"}]
    (attachment,) = [one["attachment"] for one in note["content"]]
    assert (attachment["contentType"], note["docStatus"]) == ("text/plain", "final")
    assert base64.b64decode(attachment["data"]) == b"the words of the letter"
    readings = there.ehr.resources("Observation")
    assert {one["category"][0]["coding"][0]["code"] for one in readings} == {"vital-signs"}
    assert {len(one["code"]["coding"]) for one in readings} == {1}
    assert {one["encounter"]["reference"] for one in readings} == {"Encounter/visit-1"}
    assert all("provisional" in str(one["verificationStatus"]) for one in there.ehr.resources("Condition"))


def test_every_entry_goes_out_as_it_was_stored_but_for_its_references(far, http, mappings):
    there = far("epic-like")
    package, endpoint = made(mappings, there, "epic-like")
    send(a_channel(http, mappings), package, endpoint)

    def names_somebody(value):
        return isinstance(value, dict) and bool(value.keys() & {"reference", "identifier"})

    def bare(value):
        if isinstance(value, list):
            return [bare(one) for one in value if not names_somebody(one)]
        if not isinstance(value, dict):
            return value
        left = ("encounter", "id", "versionId", "meta")
        return {name: bare(one) for name, one in value.items() if name not in left and not names_somebody(one)}

    stored = [bare(one["resource"]) for one in json.loads(package.document("fhir-singles").body)["entry"]]
    held = [
        bare(one) for kind in ("DocumentReference", "Observation", "Condition") for one in there.ehr.resources(kind)
    ]
    assert sorted(map(json.dumps, stored)) == sorted(map(json.dumps, held))


def test_an_epic_like_server_without_exactly_one_open_visit_gets_nothing_and_a_person_is_told(far, http, mappings):
    there = far("epic-like")
    there.ehr.seed(
        {"resourceType": "Encounter", "status": "in-progress", "subject": {"reference": there.patient}}, "visit-2"
    )
    package, endpoint = made(mappings, there, "epic-like")
    for _ in range(2):
        with pytest.raises(NeedsHuman) as caught:
            a_channel(http, mappings).send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
        assert caught.value.code == "fhir.encounter"
        there.ehr.seed(
            {"resourceType": "Encounter", "status": "finished", "subject": {"reference": there.patient}}, "visit-2"
        )
        there.ehr.seed(
            {"resourceType": "Encounter", "status": "finished", "subject": {"reference": there.patient}}, "visit-1"
        )
    assert there.ehr.resources("DocumentReference") == []


def test_a_type_that_is_not_on_the_app_is_left_to_the_letter_with_a_note_and_not_asked_again(far, http, mappings):
    there = far("epic-like")
    partners = {"epic-like": replace(mappings.partners["epic-like"], singles=("DocumentReference", "Procedure"))}
    wider = replace(mappings, partners=partners)
    channel = FhirRest(http, NoSignIn(), WallClock(), partners=partners, book=MemoryEntries())
    taken = send(channel, *made(wider, there, "epic-like"))
    assert (taken.proven, taken.facts["left to the letter"]) == (True, "Procedure 1")
    assert [one[3] for one in there.posts("Procedure")] == [403]
    event = {**example("session-outcome.bp-spike"), "id": "another"}
    send(channel, *made(wider, there, "epic-like", event))
    assert len(there.posts("Procedure")) == 1


class Later(WallClock):
    """The real clock, some time on."""

    def __init__(self):
        self.later = timedelta(0)

    def now(self):
        return super().now() + self.later


def test_a_refused_type_is_asked_again_a_day_later_and_is_taken_once_it_is_granted(far, http, mappings, monkeypatch):
    there, clock = far("epic-like"), Later()
    partners = {"epic-like": replace(mappings.partners["epic-like"], singles=("DocumentReference", "Procedure"))}
    wider = replace(mappings, partners=partners)
    channel = FhirRest(http, NoSignIn(), clock, partners=partners, book=MemoryEntries())

    def tell(name):
        package, endpoint = made(wider, there, "epic-like", {**example("session-outcome.bp-spike"), "id": name})
        deadline = clock.now() + timedelta(seconds=20)
        return channel.send(package, endpoint, deadline=deadline, about_to_send=lambda ref: None).facts

    assert tell("one")["left to the letter"] == "Procedure 1"
    monkeypatch.setitem(RULES, "epic-like", lambda resource, look: None)  # the scope has been granted
    assert tell("two")["left to the letter"] == "Procedure 1"
    clock.later = timedelta(hours=24)
    assert "left to the letter" not in tell("three")
    assert [one[3] for one in there.posts("Procedure")] == [403, 201]


def test_a_process_that_was_started_anew_learns_a_refusal_again_and_loses_nothing(far, http, mappings):
    there, book = far("epic-like"), MemoryEntries()
    partners = {"epic-like": replace(mappings.partners["epic-like"], singles=("DocumentReference", "Procedure"))}
    wider = replace(mappings, partners=partners)
    for number in (1, 2):
        channel = FhirRest(http, NoSignIn(), WallClock(), partners=partners, book=book)
        event = {**example("session-outcome.bp-spike"), "id": f"session-{number}"}
        taken = send(channel, *made(wider, there, "epic-like", event))
        assert (taken.proven, taken.facts["left to the letter"]) == (True, "Procedure 1")
        assert len(there.ehr.resources("DocumentReference")) == number
    assert [one[3] for one in there.posts("Procedure")] == [403, 403]


def test_a_reading_that_is_gone_there_does_not_bar_the_other_readings(far, http, mappings):
    there, book = far("epic-like"), MemoryEntries()
    channel, event = a_channel(http, mappings, book), example("session-outcome.bp-spike")
    send(channel, *made(mappings, there, "epic-like", event))
    with there.ehr._shelf.keep() as db:
        db.execute("DELETE FROM resources WHERE type='Observation'")
    there.ehr._update = lambda path, request, body: Reply(404)
    newer = {**event, "version": 2, "amendment_reason": "typing fault"}
    newer["vitals"] = [{**one, "systolic": one["systolic"] - 1} for one in event["vitals"]]
    old = case_of(event, "epic-like").event
    taken = send(channel, *made(mappings, there, "epic-like", newer, case={"previous": old}))
    assert "Observation" in taken.facts["left to the letter"]
    send(channel, *made(mappings, there, "epic-like", {**event, "id": "another"}))
    assert there.ehr.resources("Observation")


def test_the_same_reading_told_twice_counts_as_there(far, http, mappings):
    there = far("epic-like")
    package, endpoint = made(mappings, there, "epic-like")
    send(a_channel(http, mappings), package, endpoint)
    before = len(there.ehr.resources("Observation"))
    taken = send(a_channel(http, mappings), package, endpoint)  # a book that has forgotten everything
    assert len(there.ehr.resources("Observation")) == before
    assert int(taken.facts["already there"]) == before


def test_readings_alone_that_are_all_there_already_have_arrived(far, http, mappings):
    there = far("epic-like")
    package, endpoint = made(mappings, there, "epic-like", letters=())
    send(a_channel(http, mappings), package, endpoint)
    again = send(a_channel(http, mappings), package, endpoint)
    assert (again.proven, again.facts["already there"] != "0") == (True, True)


def test_readings_alone_of_which_none_is_taken_are_a_persons_matter(far, http, mappings):
    there = far("athena-like")
    wider = replace(
        mappings.partners["athena-like"],
        creates=("DocumentReference", "Condition"),
        singles=("DocumentReference", "Condition"),
    )
    partners = {"athena-like": wider}
    package, endpoint = made(replace(mappings, partners=partners), there, "athena-like", letters=())
    channel = FhirRest(http, NoSignIn(), WallClock(), partners=partners, book=MemoryEntries())
    with pytest.raises(NeedsHuman) as caught:
        channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
    assert caught.value.code == "fhir.level"


def test_our_own_book_keeps_a_second_send_from_doubling_anything(far, http, mappings):
    there, book = far("epic-like"), MemoryEntries()
    package, endpoint = made(mappings, there, "epic-like")
    send(a_channel(http, mappings, book), package, endpoint)
    before = len(there.ehr.requests())
    taken = send(a_channel(http, mappings, book), package, endpoint)
    writes = [one for one in there.ehr.requests()[before:] if one[0] != "GET" and not one[1].endswith("/_search")]
    assert (writes, taken.proven, taken.facts["created"]) == ([], True, "0")


@pytest.mark.parametrize("nth", [0, 3])
def test_a_lost_answer_is_in_doubt_and_never_repeated_where_nobody_can_ask(far, http, mappings, nth):
    there, book = far("epic-like"), MemoryEntries()
    package, endpoint = made(mappings, there, "epic-like")
    channel = a_channel(http, mappings, book)
    there.lose_the_answer_after(nth)
    with pytest.raises(InDoubt):
        channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
    held = sum(len(there.ehr.resources(kind)) for kind in ("DocumentReference", "Observation"))
    with pytest.raises(InDoubt) as caught:
        channel.send(replace(package, attempt=2), endpoint, deadline=soon(), about_to_send=lambda ref: None)
    assert caught.value.code == "fhir.entry-in-doubt"
    assert sum(len(there.ehr.resources(kind)) for kind in ("DocumentReference", "Observation")) == held == nth + 1


def test_a_lost_answer_is_settled_by_a_search_where_it_finds_the_entry_and_the_rest_follows(far, http, mappings):
    there, book = far("epic-like"), MemoryEntries()
    package, endpoint = made(mappings, there, "epic-like")
    channel = a_channel(http, mappings, book)
    there.ehr.misbehave(Fault("store-then-drop", 1, writes=True))
    with pytest.raises(InDoubt):
        channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
    assert channel.look_up(package, endpoint, None, deadline=soon()).verdict == "absent"
    taken = send(channel, replace(package, attempt=2), endpoint)
    assert taken.proven
    assert len(there.ehr.resources("DocumentReference")) == 1
    assert channel.look_up(package, endpoint, None, deadline=soon()).verdict == "arrived-proven"


def test_a_lost_request_that_never_landed_stays_unknown_where_the_search_cannot_be_relied_on(far, http, mappings):
    there = far("epic-like")
    package, endpoint = made(mappings, there, "epic-like")
    channel = a_channel(http, mappings)
    there.ehr.misbehave(Fault("drop", 1, writes=True))
    with pytest.raises(InDoubt):
        channel.send(package, endpoint, deadline=soon(), about_to_send=lambda ref: None)
    assert channel.look_up(package, endpoint, None, deadline=soon()).verdict == "unknown"


def test_a_corrected_reading_updates_the_one_that_was_created(far, http, mappings):
    there, book = far("epic-like"), MemoryEntries()
    event = example("session-outcome.bp-spike")
    send(a_channel(http, mappings, book), *made(mappings, there, "epic-like", event))
    before = len(there.ehr.resources("Observation"))
    newer = {
        **event,
        "version": 2,
        "amendment_reason": "typing fault",
        "vitals": [dict(one) for one in event["vitals"]],
    }
    newer["vitals"][2]["systolic"] = 148
    old = case_of(event, "epic-like").event
    send(a_channel(http, mappings, book), *made(mappings, there, "epic-like", newer, case={"previous": old}))
    readings = there.ehr.resources("Observation")
    values = [one["component"][0]["valueQuantity"]["value"] for one in readings if "component" in one]
    assert len(readings) == before
    assert 148 in values
    assert len(there.ehr.resources("DocumentReference")) == 2


def test_an_oracle_like_server_gets_one_content_with_its_author_and_no_scores(far, http, mappings):
    there = far("oracle-like")
    taken = send(a_channel(http, mappings), *made(mappings, there, "oracle-like"))
    posted = [one for one in there.ehr.requests() if one[0] == "POST" and not one[1].endswith("/_search")]
    assert {one[3] for one in posted} == {201}
    assert "left to the letter" not in taken.facts
    (note,) = there.ehr.resources("DocumentReference")
    assert [one["attachment"]["contentType"] for one in note["content"]] == ["application/pdf"]
    assert note["author"] == [{"reference": "Practitioner/pr-0"}]
    assert {one["performer"][0]["reference"] for one in there.ehr.resources("Observation")} == {"Practitioner/pr-0"}
    (talk,) = there.ehr.resources("Communication")
    assert (talk["sender"], talk["recipient"]) == (
        {"reference": "Practitioner/pr-0"},
        [{"reference": "Practitioner/pr-1"}],
    )
    assert {one["reportedBoolean"] for one in there.ehr.resources("MedicationRequest")} == {True}


@pytest.mark.parametrize("event", ["dose-change.stimulant-hold", "dose-change.ketamine"])
def test_an_oracle_like_server_gets_no_order_and_no_proposal(far, http, mappings, event):
    there = far("oracle-like")
    taken = send(a_channel(http, mappings), *made(mappings, there, "oracle-like", event))
    assert taken.proven
    assert {one["intent"] for one in there.ehr.resources("MedicationRequest")} <= {"plan"}


def test_an_oracle_like_server_is_told_a_prescribers_report_as_reported_and_the_letter_says_by_whom(
    far, http, mappings
):
    """The other forms of "reported", and a medicine that is over, are refused there: nothing of the kind is tried."""
    there = far("oracle-like")
    hold = example("dose-change.stimulant-hold")
    event = {
        **hold, "kind": "reported-by-prescriber", "action": "decrease", "requested_of": None, "resume_when": None,
        "from": {**hold["from"], "source": "prescriber"}, "reported_by": "pr-psych",
        "to": {**hold["from"], "dose": {"value": "20", "unit": "mg"}},
    }  # fmt: skip
    taken = send(a_channel(http, mappings), *made(mappings, there, "oracle-like", event))
    assert "left to the letter" not in taken.facts
    (told,) = there.ehr.resources("MedicationRequest")
    assert (told["reportedBoolean"], told["status"], told["intent"]) == (True, "active", "plan")
    assert "reportedReference" not in told


def test_an_oracle_like_server_that_does_not_know_the_author_refuses_the_document_for_good(far, http, mappings):
    there = far("oracle-like")
    with there.ehr._shelf.keep() as db:
        db.execute("DELETE FROM resources WHERE type='Practitioner'")
    with pytest.raises(Permanent) as caught:
        a_channel(http, mappings).send(
            *made(mappings, there, "oracle-like"), deadline=soon(), about_to_send=lambda ref: None
        )
    assert caught.value.code == "fhir.422"


def test_an_athena_like_server_gets_nothing_and_the_next_channel_is_due(far, http, mappings):
    there = far("athena-like")
    with pytest.raises(NeedsHuman) as caught:
        a_channel(http, mappings).send(
            *made(mappings, there, "athena-like"), deadline=soon(), about_to_send=lambda ref: None
        )
    assert caught.value.code == "fhir.level"
    assert [one for one in there.ehr.requests() if one[0] == "POST" and not one[1].endswith("/_search")] == []


def attached(one):
    return one["content"][0]["attachment"]


def a_survey(one):
    one["category"][0]["coding"][0]["code"] = "survey"


REFUSED = {
    "epic-like": [
        ("a PDF", "DocumentReference", lambda one: attached(one).update(contentType="application/pdf"), 400),
        ("a note without docStatus", "DocumentReference", lambda one: one.pop("docStatus"), 400),
        ("a note under no visit", "DocumentReference", lambda one: one["context"].pop("encounter"), 400),
        ("a score", "Observation", a_survey, 400),
        ("two codings", "Observation", lambda one: one["code"]["coding"].append({"code": "x"}), 400),
        ("a confirmed condition", "Condition", lambda one: one.pop("verificationStatus"), 422),
    ],
    "oracle-like": [
        ("two contents", "DocumentReference", lambda one: one["content"].append(one["content"][0]), 422),
        ("an end without a time", "DocumentReference", lambda one: one["context"]["period"].update(end="2026"), 422),
        ("no author", "DocumentReference", lambda one: one.pop("author"), 422),
        ("a score", "Observation", a_survey, 422),
        ("a reading nobody took", "Observation", lambda one: one.pop("performer"), 422),
        ("an order", "MedicationRequest", lambda one: one.pop("reportedBoolean"), 422),
        (
            "one who told",
            "MedicationRequest",
            lambda one: one.update(reportedReference={"reference": "Practitioner/pr-0"}),
            422,
        ),
        ("one that is over", "MedicationRequest", lambda one: one.update(status="completed"), 422),
        ("a stat message", "Communication", lambda one: one.update(priority="stat"), 422),
    ],
}


@pytest.mark.parametrize(
    ("play", "kind", "change", "status"),
    [(play, *row[1:]) for play, rows in REFUSED.items() for row in rows],
    ids=[f"{play}: {row[0]}" for play, rows in REFUSED.items() for row in rows],
)
def test_each_play_refuses_what_the_real_one_is_known_to_refuse(far, http, mappings, play, kind, change, status):
    there = far(play)
    send(a_channel(http, mappings), *made(mappings, there, play))
    taken = next(one for one in there.ehr.resources(kind))
    again = {name: value for name, value in taken.items() if name not in ("id", "meta")}
    change(again)
    answer = http.post(f"{there.ehr.address}/{kind}", json=again)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("play", "kind", "status"),
    [
        ("epic-like", "Procedure", 403),
        ("epic-like", "", 404),
        ("oracle-like", "", 422),
        ("oracle-like", "MedicationAdministration", 404),
        ("athena-like", "Observation", 403),
    ],
)
def test_what_is_not_offered_at_all_is_answered_as_theirs_answer(far, http, play, kind, status):
    there = far(play)
    body = {"resourceType": kind or "Bundle", "type": "batch", "subject": {"reference": there.patient}}
    answer = http.post(f"{there.ehr.address}/{kind}".rstrip("/"), json=body)
    assert answer.status_code == status
    assert (answer.content == b"") is (status == 403)


@pytest.mark.parametrize("play", ["epic-like", "oracle-like"])
def test_a_conditional_create_is_not_known_there_so_the_same_note_is_kept_twice(far, http, mappings, play):
    there = far(play)
    send(a_channel(http, mappings), *made(mappings, there, play))
    (note,) = there.ehr.resources("DocumentReference")
    again = {name: value for name, value in note.items() if name not in ("id", "meta")}
    name = f"identifier={note['identifier'][0]['system']}|{note['identifier'][0]['value']}"
    http.post(f"{there.ehr.address}/DocumentReference", json=again, headers={"If-None-Exist": name})
    assert len(there.ehr.resources("DocumentReference")) == 2


@pytest.mark.parametrize("play", ["epic-like", "oracle-like"])
def test_the_partner_file_stands_in_what_is_kept_of_how_the_content_was_made(far, mappings, play):
    package, _ = made(mappings, far(play), play)
    chart = body_of(package, "fhir-chart")
    (made_by,) = [one["resource"] for one in chart["entry"] if one["resource"]["resourceType"] == "Provenance"]
    named = [one["what"]["identifier"]["value"] for one in made_by["entity"]]
    assert f"partners/{play} version {mappings.partners[play].version}" in named
