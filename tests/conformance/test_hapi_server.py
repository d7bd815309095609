"""A HAPI FHIR server (JPA, in-memory H2) on loopback: whole transactions, as a hospital's server takes them.

Every chart is accepted; sent twice it creates nothing twice; a correction replaces; a retraction
takes back. Needs Java 17 and Maven (`tests/conformance/prepare`); else skipped, and says so.
"""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.channels.fhir.capability import CapabilityBook
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.tasks import change_tasks
from coordinator.channels.wire import Limits, Wire
from coordinator.domain.case import Case, SentRequest
from coordinator.domain.events import EVENT
from coordinator.domain.registry import Endpoint
from coordinator.mapping.addressing import Places
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings, load
from tests.conformance.events import cases, letter, plan, recipient
from tests.conformance.made import apart, make_ups
from tests.contract.people import NoSignIn, WallClock

HERE = Path(__file__).parent / "java" / "server"
ROOT = Path(__file__).parents[2]
CASES = cases()

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("hapi"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        shutil.which("java") is None or not (HERE / "build" / ".prepared").is_file(),
        reason="NOT SENT TO A HAPI SERVER: run tests/conformance/prepare with Maven and a JDK of 17 or newer",
    ),
]


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


@pytest.fixture(scope="module")
def far_side() -> Iterator[httpx.Client]:
    """The server, started once; every event has its own patient data, so the tests keep apart by identifier."""
    command = ["java", "-XX:TieredStopAtLevel=1", "-Dlogback.configurationFile=logback.xml"]
    command += ["-cp", "build/classes:build/lib/*", "HapiServer"]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as java:
        assert java.stdin is not None
        assert java.stdout is not None
        try:
            port = next(line.split()[1] for line in java.stdout if line.startswith("PORT "))
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                yield client
        finally:
            java.stdin.close()
            java.terminate()
            java.wait(15)


def chart(mappings: Mappings, case: Case, *, with_letter: bool = True) -> dict[str, Any]:
    who = recipient("pr-psych")
    letters = (letter("pr-psych"),) if with_letter else ()
    (content,) = build_content(mappings, case, plan(who), who, letters, frozenset({"chart"}))  # type: ignore[arg-type]
    return json.loads(content.body)


def of_its_own(case: Case, name: str) -> Case:
    """Return the same event under an id of its own, so that one server can hold every case."""
    event = case.event.model_copy(update={"id": f"{case.event.id}-{name}"})
    before = case.previous.model_copy(update={"id": event.id}) if case.previous is not None else None
    return replace(case, event=event, previous=before)


def send(far_side: httpx.Client, bundle: dict[str, Any]) -> Counter[str]:
    """Return how many entries were created and how many were there, after checking that all was taken."""
    answer = far_side.post("/", json=bundle, headers={"content-type": "application/fhir+json"})
    assert answer.status_code == 200, answer.text[:2000]
    said = answer.json()
    assert said["type"] == "transaction-response"
    assert len(said["entry"]) == len(bundle["entry"])
    return Counter(one["response"]["status"][:3] for one in said["entry"])


def held(far_side: httpx.Client, kinds: set[str]) -> Counter[str]:
    def total(kind: str) -> int:
        answer = far_side.get(f"/{kind}", params={"_summary": "count"}, headers={"cache-control": "no-cache"})
        return int(answer.json()["total"])

    return Counter({kind: total(kind) for kind in kinds})


def kept(far_side: httpx.Client, bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return what the server holds now of one type of what a bundle sent."""
    found = []
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == kind:
            one = entry["resource"]["identifier"][-1]
            answer = far_side.get(
                f"/{kind}",
                params={"identifier": f"{one['system']}|{one['value']}"},
                headers={"cache-control": "no-cache"},
            )
            found += [hit["resource"] for hit in answer.json().get("entry", [])]
    return found


def test_a_chart_of_every_make_up_is_taken_whole_and_a_second_time_creates_nothing(far_side: httpx.Client) -> None:
    charts = make_ups("transaction")
    assert len(charts) > 20
    for one in charts:
        bundle = apart(one["resource"], one["name"])
        kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
        first = send(far_side, bundle)
        before = held(far_side, kinds)
        again = send(far_side, bundle)
        assert first["201"] > 0, one["name"]
        assert set(first) <= {"200", "201"}, one["name"]
        assert set(again) == {"200"}, one["name"]
        assert held(far_side, kinds) == before, one["name"]


def test_a_corrected_reading_replaces_the_wrong_one(far_side: httpx.Client, mappings: Mappings) -> None:
    old = of_its_own(CASES["spike"], "before-correction")
    data = old.event.model_dump(by_alias=True)
    data["vitals"][2]["systolic"] = 148
    newer = EVENT.validate_python({**data, "version": 2, "amendment_reason": "typing fault"})
    first = chart(mappings, old)
    send(far_side, first)
    second = chart(mappings, replace(old, event=newer, previous=old.event))
    send(far_side, second)
    readings = [one for one in kept(far_side, first, "Observation") if one["code"]["text"] == "Blood pressure"]
    at_forty = [one for one in readings if "10:40" in one["effectiveDateTime"]]
    assert [one["component"][0]["valueQuantity"]["value"] for one in at_forty] == [148]
    assert len(kept(far_side, first, "DocumentReference")) == len(kept(far_side, second, "DocumentReference")) == 1


@pytest.mark.parametrize("name", ["spike", "own-increase", "asked-hold"])
def test_a_retraction_takes_back_what_was_told(far_side: httpx.Client, mappings: Mappings, name: str) -> None:
    first = chart(mappings, of_its_own(CASES[name], f"{name}-taken-back"))
    send(far_side, first)
    send(far_side, chart(mappings, of_its_own(CASES[f"{name}-retracted"], f"{name}-taken-back"), with_letter=False))
    for kind in ("Observation", "Encounter", "MedicationAdministration", "Procedure", "MedicationRequest"):
        assert {one["status"] for one in kept(far_side, first, kind)} <= {"entered-in-error"}, kind


def test_a_chart_with_a_fault_in_one_entry_leaves_nothing_behind(far_side: httpx.Client, mappings: Mappings) -> None:
    bundle = chart(mappings, of_its_own(CASES["spike"], "with-a-fault"))
    kinds = {one["resource"]["resourceType"] for one in bundle["entry"]}
    before = held(far_side, kinds)
    visit = next(one for one in bundle["entry"] if one["resource"]["resourceType"] == "Encounter")
    visit["resource"]["subject"] = {"reference": "Patient/nobody-here"}
    answer = far_side.post("/", json=bundle, headers={"content-type": "application/fhir+json"})
    assert answer.status_code >= 400
    assert held(far_side, kinds) == before


def session_of(day: int, dose: str, *others: Case) -> Case:
    """Return a session of a day of November at which the patient says this dose, with others known around it."""
    data = CASES["spike"].event.model_dump(by_alias=True, mode="json")
    moved = json.loads(json.dumps(data).replace("2026-10-14", f"2026-11-{day}"))
    (taken,) = moved["other_medications_taken"]
    taken["dose"] = {"value": dose, "unit": "mg"}
    event = EVENT.validate_python({**moved, "id": f"standing-{day}", "next_session_on": None})
    return replace(CASES["spike"], event=event, others=tuple(one.event for one in others))


def test_sessions_that_say_the_same_leave_one_standing_plan_and_another_dose_ends_it(
    far_side: httpx.Client, mappings: Mappings
) -> None:
    first = session_of(11, "30")
    second = session_of(12, "30", first)
    third = session_of(13, "20", first, second)
    charts = [chart(mappings, one) for one in (first, second, third)]
    send(far_side, charts[0])
    send(far_side, charts[1])
    (before,) = kept(far_side, charts[1], "MedicationRequest")
    assert before["status"] == "active"
    send(far_side, charts[2])
    told = {one["id"]: one["status"] for one in kept(far_side, charts[2], "MedicationRequest")}
    assert told.pop(before["id"]) == "completed"
    assert list(told.values()) == ["active"]
    send(far_side, charts[0])  # comes again, late
    assert [one["status"] for one in kept(far_side, charts[0], "MedicationRequest")] == ["completed"]


@pytest.mark.parametrize("answered", ["never", "before it is read", "after it was read"])
def test_a_request_withdrawn_is_cancelled_there_unless_it_was_answered(
    far_side: httpx.Client, mappings: Mappings, answered: str
) -> None:
    asked = of_its_own(CASES["spike"], f"withdrawn-{answered.replace(' ', '-')}")
    first = chart(mappings, asked)
    send(far_side, first)

    def answer() -> None:
        (task,) = kept(far_side, first, "Task")
        done = far_side.put(f"/Task/{task['id']}", json={**task, "status": "accepted"})
        assert done.status_code == 200, done.text

    who = replace(recipient("pr-psych"), requests=())
    newer = asked.event.model_copy(update={"version": 2, "amendment_reason": "nothing to ask after all"})
    before = (SentRequest("pr-psych", asked.event.id, "review"),)
    later = replace(asked, event=newer, previous=asked.event, asked_before=before)
    (content,) = build_content(mappings, later, plan(who), who, (letter("pr-psych"),), frozenset({"tasks"}))
    endpoint = Endpoint.model_validate(
        {"id": "ep-hapi", "kind": "fhir-rest", "address": str(far_side.base_url), "verified_on": "2026-09-01"}
    )
    clock = WallClock()
    patience = Limits(read_gap_s=60, total_s=120)  # the first look at its metadata is slow
    server = FhirServer(Wire(far_side, clock, patience), NoSignIn(), endpoint, clock.now() + timedelta(seconds=120))
    (patient,) = kept(far_side, first, "Patient")
    places = Places(by_type={"Patient": f"Patient/{patient['id']}"})
    if answered == "before it is read":
        answer()
    said = change_tasks(
        server,
        CapabilityBook().of(endpoint, server),
        json.loads(content.body)["entry"],
        places,
        answer if answered == "after it was read" else lambda: None,
    )
    (task,) = kept(far_side, first, "Task")
    assert task["status"] == ("cancelled" if answered == "never" else "accepted")
    assert said == {"tasks withdrawn" if answered == "never" else "tasks answered": "1"}
