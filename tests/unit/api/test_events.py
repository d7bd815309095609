import json

import pytest
from sqlalchemy.exc import OperationalError
from web_data import a_row
from web_fakes import FakeEvent

from coordinator.api.bodies import MAX_BATCH_BYTES, MAX_EVENT_BYTES
from coordinator.domain.errors import Refused
from coordinator.flow.read_models import Actor, Recorded

FAULTS = (
    ("/administration/dose", "A number needs its unit.", 'Write {"value": "37.5", "unit": "mg"}.'),
    ("/vitals/0", "x", "y"),
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def post(client, allowed):
    headers = {**allowed("events:write"), **JSON}

    def send(body, **more):
        return client.post("/v1/events", content=body, headers={**headers, **more})

    return send


def test_the_bytes_reach_the_desk_untouched_under_the_credentials_source(service, post):
    body = b' {"id": "sess-9",\n "dose": 1.10, "dose": 2} '
    assert post(body).status_code == 202
    assert service.desk.submitted == [("ehr", body)]


def test_an_accepted_event_says_where_to_look(post):
    answer = post(b"{}")
    assert answer.headers["location"] == "/v1/events/ev-9"
    assert answer.json() == {
        "outcome": "accepted",
        "event_ref": "ev-9",
        "event_id": "sess-9",
        "event_version": 1,
        "look_at": "/v1/events/ev-9",
    }


def test_a_held_event_is_accepted_with_its_questions(service, post):
    question = ("weight", "nurse", "Is 180 meant in pounds?")
    service.desk.answers = [Recorded("held", "ev-1", "s", 1, questions=(question,))]
    answer = post(b"{}")
    assert answer.status_code == 202
    assert answer.json()["questions"] == [{"id": "weight", "role": "nurse", "text": "Is 180 meant in pounds?"}]


@pytest.mark.parametrize(("outcome", "status"), [("replay", 200), ("superseded", 200)])
def test_a_replay_gets_the_first_answer_again(service, post, outcome, status):
    service.desk.answers = [Recorded(outcome, "ev-1", "s", 1)]
    answer = post(b"{}")
    assert (answer.status_code, answer.json()["outcome"]) == (status, outcome)


def test_the_same_version_with_other_content_is_a_conflict(service, post):
    service.desk.answers = [Recorded("conflict", "ev-1", "s", 1)]
    answer = post(b"{}")
    assert answer.status_code == 409
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "higher version" in answer.json()["detail"]


def test_a_refused_event_gets_every_fault_at_once(service, post):
    service.desk.answers = [Recorded("refused", None, None, None, faults=FAULTS)]
    answer = post(b"{}")
    assert answer.status_code == 422
    assert answer.json()["faults"] == [{"pointer": p, "message": m, "fix": f} for p, m, f in FAULTS]


@pytest.mark.parametrize("body", [b"[{}, {}]", b"\xef\xbb\xbf [\n{},\n{}\n]"])
def test_an_array_is_a_batch(service, post, body):
    answer = post(body)
    assert answer.status_code == 207
    assert [text for _, text in service.desk.submitted] == [b"{}", b"{}"]


def test_one_bad_event_of_a_batch_holds_up_no_other(service, client, allowed):
    service.desk.answers = [
        Recorded("accepted", "ev-1", "a", 1),
        Recorded("refused", None, None, None, faults=FAULTS),
        Recorded("conflict", "ev-3", "c", 2),
        Recorded("replay", "ev-4", "d", 1),
    ]
    headers = {**allowed("events:write"), "Content-Type": "application/x-ndjson"}
    answer = client.post("/v1/events", content=b'{"a":1}\n{"b":\n{"c":3}\n\n{"d":4}\n', headers=headers)
    assert answer.status_code == 207
    said = answer.json()
    assert said["summary"] == {"events": 4, "accepted": 1, "refused": 1, "conflict": 1, "replay": 1}
    assert [(one["index"], one["line"], one["status"]) for one in said["items"]] == [
        (0, 1, 202),
        (1, 2, 422),
        (2, 3, 409),
        (3, 5, 200),
    ]
    assert len(said["items"][1]["faults"]) == 2
    assert [text for _, text in service.desk.submitted] == [b'{"a":1}', b'{"b":', b'{"c":3}', b'{"d":4}']


def test_a_batch_of_one_line_is_still_a_batch(client, allowed):
    headers = {**allowed("events:write"), "Content-Type": "application/x-ndjson; charset=utf-8"}
    assert client.post("/v1/events", content=b"{}\n", headers=headers).json()["summary"] == {"events": 1, "accepted": 1}


@pytest.mark.parametrize("body", [b"[]", b"[ \n ]"])
def test_a_batch_without_events_is_refused(service, post, body):
    assert post(body).status_code == 422
    assert service.desk.submitted == []


def test_a_batch_that_is_too_long_says_where_it_stopped(service, post):
    answer = post(b"[" + b"{},\n" * 1000 + b"{}]")
    assert answer.status_code == 207
    assert len(service.desk.submitted) == 1000
    assert answer.json()["summary"]["events"] == 1000
    assert (answer.json()["stopped"]["index"], answer.json()["stopped"]["line"]) == (1000, 1001)


def test_a_batch_that_loses_the_database_midway_says_what_was_recorded(service, post, monkeypatch):
    away = OperationalError("insert", {}, Exception("x"))
    answers = iter([Recorded("accepted", "ev-1", "a", 1), Recorded("accepted", "ev-2", "b", 1), away])

    def submit(source, body):
        one = next(answers)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(service.desk, "submit", submit)
    answer = post(b"[{},\n{},\n{},\n{}]")
    assert answer.status_code == 207
    assert answer.json()["summary"] == {"events": 2, "accepted": 2}
    assert (answer.json()["stopped"]["index"], answer.json()["stopped"]["line"]) == (2, 3)


def test_a_batch_without_a_database_is_a_503(service, post):
    service.desk.fail = OperationalError("insert", {}, Exception("x"))
    assert post(b"[{},{}]").status_code == 503


def test_an_event_over_one_mebibyte_is_not_taken(service, post):
    assert post(b'{"a":"' + b"x" * (MAX_EVENT_BYTES - 8) + b'"}').status_code == 202
    assert post(b'{"a":"' + b"x" * (MAX_EVENT_BYTES - 7) + b'"}').status_code == 413
    assert len(service.desk.submitted) == 1


def test_an_endless_body_is_cut_off_while_it_comes_in(service, client, allowed):
    sent = 0

    def endless():
        nonlocal sent
        for _ in range(64):
            sent += 1
            yield b"x" * (MAX_BATCH_BYTES // 16)

    answer = client.post("/v1/events", content=endless(), headers={**allowed("events:write"), **JSON})
    assert answer.status_code == 413
    assert service.desk.submitted == []


@pytest.mark.parametrize(
    "headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/xml"}, {"Content-Encoding": "gzip"}]
)
def test_other_types_and_compressed_bodies_are_not_taken(service, post, headers):
    assert post(b"{}", **headers).status_code == 415
    assert service.desk.submitted == []


def test_a_source_sees_where_its_event_stands_without_names(service, client, allowed):
    service.desk.events["ev-1"] = FakeEvent(messages=(a_row(1),))
    answer = client.get("/v1/events/ev-1", headers=allowed("events:write"))
    assert answer.status_code == 200
    said = answer.json()
    assert said["state"] == "question"
    assert said["questions"][0]["id"] == "q1"
    assert said["messages"][0]["id"] == "m-1"
    assert said["messages"][0]["state"] == "acknowledged"
    for private in ("Marlowe", "1989", "P-1001", "Okafor,"):
        assert private not in answer.text


def test_another_sources_event_is_not_there(service, client, allowed):
    service.desk.events["ev-1"] = FakeEvent(source="other")
    assert client.get("/v1/events/ev-1", headers=allowed("events:write")).status_code == 404
    assert client.get("/v1/events/ev-2", headers=allowed("events:write")).status_code == 404


def test_a_held_event_is_answered(service, client, allowed):
    service.desk.events["ev-1"] = FakeEvent()
    body = {"confirmed": True, "reason": " read from the sheet "}
    answer = client.post("/v1/events/ev-1/answer", json=body, headers=allowed("messages:act"))
    assert answer.status_code == 200
    assert service.desk.done == [("answer", "ev-1", True, "read from the sheet", Actor("source", "ehr"))]


@pytest.mark.parametrize(
    "body", [{}, {"confirmed": True}, {"confirmed": True, "reason": ""}, {"confirmed": True, "reason": "x", "more": 1}]
)
def test_an_answer_needs_a_reason_and_nothing_unknown(service, client, allowed, body):
    service.desk.events["ev-1"] = FakeEvent()
    answer = client.post("/v1/events/ev-1/answer", json=body, headers=allowed("messages:act"))
    assert answer.status_code == 422
    assert answer.json()["faults"]
    assert service.desk.done == []


def test_an_answer_to_another_sources_event_changes_nothing(service, client, allowed):
    service.desk.events["ev-1"] = FakeEvent(source="other")
    body = json.dumps({"confirmed": True, "reason": "x"})
    headers = {**allowed("messages:act"), **JSON}
    assert client.post("/v1/events/ev-1/answer", content=body, headers=headers).status_code == 404
    assert service.desk.done == []


def test_an_answer_that_may_not_be_given_says_why(service, client, allowed):
    service.desk.events["ev-1"] = FakeEvent()
    service.desk.refuse = Refused("event.not-held", "The event waits for no answer.")
    body = {"confirmed": True, "reason": "x"}
    answer = client.post("/v1/events/ev-1/answer", json=body, headers=allowed("messages:act"))
    assert answer.status_code == 409
    assert answer.json()["detail"] == "The event waits for no answer."
