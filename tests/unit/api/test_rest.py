import json
import logging
import re
from datetime import datetime
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError
from web_client import TestClient
from web_fakes import FakeService

from coordinator.api.app import build
from coordinator.domain.delivery import State
from coordinator.domain.errors import Refused, StateConflict
from coordinator.flow.read_models import Actor

EHR = Actor("source", "ehr")


@pytest.fixture
def registry(client, allowed):
    headers = {**allowed("registry:write"), "Content-Type": "application/json"}

    def call(method, path, body=None):
        return client.request(method, f"/v1/registry{path}", content=body, headers=headers)

    return call


@pytest.mark.parametrize(
    ("path", "kind", "key"),
    [("/clinic", "clinic", None), ("/staff/s-1", "staff", "s-1"), ("/providers/p", "providers", "p"),
     ("/patients/P-1001", "patients", "P-1001")],
)  # fmt: skip
def test_an_entity_is_stored_and_read_back_as_bytes(service, registry, path, kind, key):
    assert registry("PUT", path, b'{"id": 1.10}').status_code == 201
    assert service.registry.written == [(kind, key, b'{"id": 1.10}', EHR)]
    service.registry.entities[(kind, key)] = b'{"id": 1.10}'
    answer = registry("GET", path)
    assert (answer.status_code, answer.content) == (200, b'{"id": 1.10}')
    assert answer.headers["content-type"] == "application/json"


def test_an_entity_that_is_not_there_is_a_404(registry):
    assert registry("GET", "/patients/P-9").status_code == 404


def test_a_whole_registry_file_is_stored(service, registry):
    answer = registry("PUT", "", b"{}")
    assert (answer.status_code, answer.json()) == (200, {"outcome": "updated"})
    assert service.registry.written == [("whole", None, b"{}", EHR)]


@pytest.mark.parametrize("path", ["", "/clinic", "/providers/p"])
def test_a_refused_entry_names_every_fault(service, registry, path):
    faults = (("/name", "a", "b"), ("/npi", "c", "d"))
    service.registry.answer = SimpleNamespace(outcome="refused", faults=faults)
    answer = registry("PUT", path, b"{}")
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["faults"]] == ["/name", "/npi"]


@pytest.mark.parametrize("path", ["/clinic", "/staff/s-1", "/providers/p", "/patients/P-1001"])
@pytest.mark.parametrize(
    ("body", "where"),
    [
        (rb'{"id": "a", "name": {"family": "\ud83d"}}', "/name/family"),
        (b'{"id": "a", "id": "b"}', "/id"),
        (b'{"id": "a", "npi": NaN}', "/npi"),
        (b"[" * 5000, ""),
        (b'{"id": "\xff"}', ""),
    ],
)
def test_an_entity_that_is_not_strict_json_is_refused_with_its_place(service, registry, path, body, where):
    answer = registry("PUT", path, body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["faults"]] == [where]
    assert service.registry.written == []


def test_a_list_of_messages_names_nobody(client, allowed):
    answer = client.get("/v1/messages", headers=allowed("messages:read"))
    assert len(answer.json()["messages"]) == 11
    assert answer.json()["next"] is None
    for private in ("Marlowe", "1989-05-04", "P-1001", "Skálá"):
        assert private not in answer.text


def test_a_list_is_filtered_and_paged(service, client, allowed):
    headers = allowed("messages:read")
    page = client.get("/v1/messages?limit=2", headers=headers).json()
    assert ([one["id"] for one in page["messages"]], page["next"]) == (["m-1", "m-2"], "m-2")
    page = client.get("/v1/messages?limit=2&before=m-2", headers=headers).json()
    assert [one["id"] for one in page["messages"]] == ["m-3", "m-4"]
    url = "/v1/messages?state=held&channel=direct&needs_attention=true"
    assert [one["id"] for one in client.get(url, headers=headers).json()["messages"]] == ["m-6"]
    asked = service.desk.seen[-1]
    assert (asked[1].state, asked[1].needs_attention, asked[2]) == (State.HELD, True, EHR)


@pytest.mark.parametrize(
    "query",
    ["state=lost", "limit=0", "limit=201", "limit=x", "channel=pigeon", "before=%20", "needs_attention=maybe"],
)
def test_a_parameter_that_means_nothing_is_refused_without_being_repeated(client, allowed, query):
    answer = client.get(f"/v1/messages?{query}", headers=allowed("messages:read"))
    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "pigeon" not in answer.json()["title"]


@pytest.mark.parametrize(
    ("path", "name", "fix"),
    [
        ("/v1/messages?nosuch=1", "nosuch", "needs_attention"),
        ("/v1/messages?patient=MRN-1001", "patient", "POST /v1/messages/search"),
        ("/v1/messages/m-1?state=held", "state", "takes no parameters"),
        ("/v1/registry/clinic?version=2", "version", "takes no parameters"),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused_by_name(service, client, allowed, path, name, fix):
    answer = client.get(path, headers=allowed("messages:read", "registry:write"))
    assert answer.status_code == 422
    fault = answer.json()["faults"][0]
    assert fault["pointer"] == f"/query/{name}"
    assert fix in fault["fix"]
    assert "MRN-1001" not in answer.text
    assert service.desk.seen == []


def test_what_stands_in_place_of_a_parameters_name_is_not_repeated(client, allowed):
    answer = client.get("/v1/messages?Jane%20Doe", headers=allowed("messages:read"))
    assert answer.status_code == 422
    assert "Jane" not in answer.text


def test_who_may_not_come_in_learns_nothing_of_the_parameters(client):
    assert client.get("/v1/messages?nosuch=1").status_code == 401


def test_a_person_is_looked_for_in_a_body(service, client, allowed):
    body = {"text": "skálá", "limit": 10}
    answer = client.post("/v1/messages/search", json=body, headers=allowed("messages:read"))
    assert [one["id"] for one in answer.json()["messages"]] == ["m-4", "m-7", "m-10"]
    body = {"patient": "P-1002"}
    answer = client.post("/v1/messages/search", json=body, headers=allowed("messages:read"))
    assert [one["id"] for one in answer.json()["messages"]] == ["m-3", "m-6"]


def test_a_search_with_an_unknown_field_is_refused_by_name(client, allowed):
    answer = client.post("/v1/messages/search", json={"pateint": "P-1"}, headers=allowed("messages:read"))
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["pointer"] == "/pateint"


def test_one_message_shows_its_attempts_and_no_names(client, allowed):
    answer = client.get("/v1/messages/m-1", headers=allowed("messages:read"))
    assert answer.json()["deliveries"][0]["attempts"][0]["outcome"] == "proven"
    assert answer.json()["documents"][0]["sha256"] == "ab" * 32
    for private in ("Marlowe", "1989-05-04", "P-1001", "184/112", "northlake"):
        assert private not in answer.text
    assert client.get("/v1/messages/m-99", headers=allowed("messages:read")).status_code == 404


def test_a_message_is_sent_again_with_its_reason(service, client, allowed):
    headers = allowed("messages:act")
    answer = client.post("/v1/messages/m-3/resend", json={"reason": "number corrected"}, headers=headers)
    assert answer.status_code == 202
    assert answer.json() == {
        "id": "m-3", "resend_of": "d-3", "delivery": "d-3-again", "state": "pending", "waits_behind": [],
        "what_comes": "It goes out when it is due.",
    }  # fmt: skip
    assert service.desk.done == [("resend", "d-3", "number corrected", EHR)]


def test_the_same_idempotency_key_sends_once(service, client, allowed):
    headers = {**allowed("messages:act"), "Idempotency-Key": "k-1"}
    answers = [client.post("/v1/messages/m-3/resend", json={"reason": "x"}, headers=headers).json() for _ in range(3)]
    assert len(service.desk.done) == 1
    assert answers[0] == answers[1] == answers[2]
    client.post("/v1/messages/m-4/resend", json={"reason": "x"}, headers=headers)
    assert len(service.desk.done) == 2


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_an_idempotency_key_that_is_none_is_refused(service, client, allowed, key):
    headers = {**allowed("messages:act"), "Idempotency-Key": key}
    assert client.post("/v1/messages/m-3/resend", json={"reason": "x"}, headers=headers).status_code == 400
    assert service.desk.done == []


def test_a_held_message_is_released_and_a_printed_one_handed_over(service, client, allowed):
    headers = {**allowed("messages:act"), "Idempotency-Key": "k-1"}
    assert client.post("/v1/messages/m-6/release", json={"reason": "consent came"}, headers=headers).status_code == 200
    assert client.post("/v1/messages/m-8/handover", json={"to": "reception"}, headers=headers).status_code == 200
    assert service.desk.done == [
        ("release", "d-6", "consent came", "ehr|m-6|k-1", EHR),
        ("handover", "d-8", "reception", None, EHR),
    ]


def test_a_hand_over_may_say_when_as_an_instant_with_its_offset(service, client, allowed):
    headers, at = allowed("messages:act"), "2026-10-13T15:20:00-05:00"
    said = {"to": "reception", "at": at}
    assert client.post("/v1/messages/m-8/handover", json=said, headers=headers).status_code == 200
    assert service.desk.done == [("handover", "d-8", "reception", datetime.fromisoformat(at), EHR)]
    for wrong in ("2026-10-13T15:20:00", "2026-10-13", "yesterday", 1760000000):
        refused = client.post("/v1/messages/m-8/handover", json={**said, "at": wrong}, headers=headers)
        assert refused.status_code == 422
    assert len(service.desk.done) == 1


@pytest.mark.parametrize("verb", ["resend", "release", "cancel", "handover"])
def test_who_was_too_late_is_told_so(service, client, allowed, verb, monkeypatch):
    def faster(*_, **__):
        raise StateConflict

    monkeypatch.setattr(service.desk, "_do", faster)
    body = {"to": "x"} if verb == "handover" else {"reason": "x"}
    answer = client.post(f"/v1/messages/m-3/{verb}", json=body, headers=allowed("messages:act"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:coordinator:problem:moved-meanwhile")


@pytest.mark.parametrize("verb", ["resend", "release", "cancel", "handover"])
def test_nothing_is_done_without_a_reason(service, client, allowed, verb):
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 501}, [], "text"):
        answer = client.post(f"/v1/messages/m-3/{verb}", json=body, headers=allowed("messages:act"))
        assert answer.status_code == 422
    assert service.desk.done == []


def test_a_delivery_of_another_message_is_not_there(service, client, allowed):
    body = {"reason": "x", "delivery": "d-4"}
    assert client.post("/v1/messages/m-3/resend", json=body, headers=allowed("messages:act")).status_code == 404
    assert service.desk.done == []


def test_a_message_is_withdrawn(service, client, allowed):
    answer = client.post("/v1/messages/m-5/cancel", json={"reason": "sent by mistake"}, headers=allowed("messages:act"))
    assert answer.status_code == 200
    assert service.desk.done == [("cancel", "m-5", "sent by mistake", EHR)]


@pytest.mark.parametrize("verb", ["resend", "cancel"])
def test_what_may_not_be_done_says_why(service, client, allowed, verb):
    service.desk.refuse = Refused("consent.missing", "There is no consent in force.")
    answer = client.post(f"/v1/messages/m-3/{verb}", json={"reason": "x"}, headers=allowed("messages:act"))
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:coordinator:problem:consent.missing"
    assert answer.json()["detail"] == "There is no consent in force."


def test_a_gateways_callback_is_handed_on_whole(service, client):
    answer = client.post("/v1/receipts/fax/good-secret?try=1", content=b"\xffraw", headers={"X-Phaxio-Signature": "s"})
    assert answer.status_code == 204
    ((body, headers, url),) = service.receipts.taken
    assert body == b"\xffraw"
    assert headers["x-phaxio-signature"] == "s"
    assert url == "https://intake.clinic.example/v1/receipts/fax/good-secret?try=1"


@pytest.mark.parametrize("secret", ["bad-secret", "good%2Dsecret", "%E2%82%AC"])
def test_a_callback_to_another_address_is_not_there(service, client, secret):
    assert client.post(f"/v1/receipts/fax/{secret}", content=b"x").status_code == 404
    assert service.receipts.taken == []


def test_health_says_whether_work_can_be_done(service, client):
    assert client.get("/health/live").json() == {"live": True}
    assert client.get("/health/ready").status_code == 200
    service.ready = False
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert client.get("/health/live").status_code == 200


def test_health_says_which_work_stands_still_while_events_are_taken_in_all_the_same(service, client):
    answer = client.get("/health/work")
    assert (answer.status_code, answer.json()) == (200, {"working": True, "standing_still": []})
    service.standing = ["work.send"]
    answer = client.get("/health/work")
    assert (answer.status_code, answer.json()) == (503, {"working": False, "standing_still": ["work.send"]})
    assert client.get("/health/ready").status_code == 200


def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(service, client, allowed):
    service.desk.fail = OperationalError("select", {}, Exception("secret host"))
    headers = {**allowed("events:write"), "Content-Type": "application/json"}
    answer = client.post("/v1/events", content=b"{}", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "secret" not in answer.text


def test_a_fault_of_ours_shows_an_incident_and_nothing_else(service, client, allowed, caplog):
    service.desk.fail = RuntimeError("Ada Marlowe, born 1989")
    headers = {**allowed("events:write"), "Content-Type": "application/json"}
    with caplog.at_level(logging.ERROR, logger="coordinator"):
        answer = client.post("/v1/events", content=b"{}", headers=headers)
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["content-security-policy"]
    assert "Marlowe" not in answer.text
    assert "Marlowe" not in caplog.text
    record = caplog.records[-1]
    assert record.fields == {"code": answer.json()["incident"], "error_type": "RuntimeError"}


@pytest.mark.parametrize("path", ["/", "/v2/events", "/docs", "/redoc", "/v1/receipts/fax"])
def test_what_is_not_there_is_a_problem_too(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_wrong_method_is_a_problem_with_the_right_ones(client):
    answer = client.delete("/v1/events")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_every_answer_carries_the_security_headers(client, allowed):
    for answer in (client.get("/health/live"), client.get("/nowhere"), client.post("/v1/events")):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")


def test_the_api_describes_itself_in_development_only(client):
    assert client.get("/openapi.json").status_code == 200
    with TestClient(build(FakeService(environment="production"))) as production:
        assert production.get("/openapi.json").status_code == 404


def test_the_description_of_the_api_has_every_body_parameter_and_part_of_an_address(client):
    described = client.get("/openapi.json").json()
    for path, verbs in described["paths"].items():
        for verb, one in verbs.items():
            named = {found["name"] for found in one.get("parameters", []) if found["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path)), path
            without = path.startswith(("/l", "/v1/receipts")) or path.endswith("/{verb}")
            assert "requestBody" in one or verb in ("get", "head") or without, path
    assert "$ref" not in json.dumps([one.get("requestBody") for verbs in described["paths"].values()
                                     for one in verbs.values()])  # fmt: skip
    handover = described["paths"]["/v1/messages/{message_id}/handover"]["post"]["requestBody"]
    assert "reason" not in handover["content"]["application/json"]["schema"]["properties"]
    assert "to" in handover["content"]["application/json"]["schema"]["required"]


def test_the_published_schemas_are_there_for_everybody(client):
    listed = client.get("/v1/schemas").json()["schemas"]
    assert listed == ["/v1/schemas/dose-change", "/v1/schemas/registry", "/v1/schemas/session-outcome"]
    for address in listed:
        answer = client.get(address)
        assert answer.headers["content-type"].startswith("application/schema+json")
        assert answer.json()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert client.get("/v1/schemas/nothing").status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1/messages/%00", "/v1/events/%00", "/v1/registry/staff/a%20b", "/v1/messages/" + "x" * 65]
)
def test_an_id_that_cannot_be_one_is_not_there(service, client, allowed, path):
    answer = client.get(path, headers=allowed("messages:read", "events:write", "registry:write"))
    assert answer.status_code == 404
    assert service.desk.seen == []
