"""A FHIR server nobody here wrote: @medplum/fhir-router over its in-memory repository, on loopback.

The last part goes the way of the product: the real channel, with the partner file for such a server.

Every chart is accepted; sent twice it creates nothing twice; a correction replaces; a
retraction takes back. Needs Node and `tests/conformance/prepare`; else skipped, and says so.

This server takes a transaction with conditional entries only up to eight of them (a constant of
its own), and refuses a longer one whole. The same entries are therefore sent as a batch, in
which it resolves the same references and keeps the same conditions; what a batch gives up is
all-or-nothing, so every entry's own status is looked at. Whole transactions: `test_hapi_server`.
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

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.case import Case
from coordinator.domain.errors import Permanent
from coordinator.domain.events import EVENT
from coordinator.flow.ports import Package, Taken
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings, load
from coordinator.sandbox.ehr import patient_resource
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.conformance.events import cases, letter, plan, recipient
from tests.conformance.made import bundles
from tests.contract.entries import MemoryEntries
from tests.contract.people import NoSignIn, WallClock
from tests.contract.real_content import body_of, case_of, example, package_of

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
CASES = cases()

pytestmark = [
    pytest.mark.servers,
    pytest.mark.xdist_group("fhir-router"),
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules" / "@medplum" / "fhir-router").is_dir(),
        reason="NOT SENT TO ANY REAL FHIR SERVER: run tests/conformance/prepare with Node 20",
    ),
]


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


@pytest.fixture(scope="module")
def started() -> Iterator[httpx.Client]:
    with subprocess.Popen(["node", "fhir_server.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        try:
            port = int(node.stdout.readline())
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                yield client
        finally:
            node.stdin.close()
            node.stdout.close()
            node.terminate()
            node.wait(10)


@pytest.fixture
def far_side(started: httpx.Client) -> httpx.Client:
    """The server, empty."""
    started.post("/clear").raise_for_status()
    return started


def chart(mappings: Mappings, case: Case, provider: str = "pr-psych", *, with_letter: bool = True) -> dict[str, Any]:
    who = recipient(provider)
    letters = (letter(provider),) if with_letter else ()
    (content,) = build_content(mappings, case, plan(who), who, letters, frozenset({"chart"}))  # type: ignore[arg-type]
    return json.loads(content.body)


def send(far_side: httpx.Client, bundle: dict[str, Any]) -> list[str]:
    """Return the status of every entry after checking that all of it was taken."""
    answer = far_side.post("/", json={**bundle, "type": "batch"}, headers={"content-type": "application/fhir+json"})
    assert answer.status_code == 200, answer.text[:2000]
    said = answer.json()
    statuses = [one["response"]["status"] for one in said["entry"]]
    assert len(statuses) == len(bundle["entry"])
    assert [one for one in statuses if not one.startswith("2")] == [], said["entry"]
    return statuses


def kept(far_side: httpx.Client, kind: str) -> list[dict[str, Any]]:
    answer = far_side.get(f"/{kind}", params={"_count": "500"})
    answer.raise_for_status()
    return [one["resource"] for one in answer.json().get("entry", [])]


def held(far_side: httpx.Client) -> Counter[str]:
    """Return how many resources of each type the server holds."""
    return Counter(far_side.get("/counts").json())


@pytest.mark.timeout(600)
def test_every_chart_is_taken_whole_and_a_second_time_creates_nothing(started: httpx.Client) -> None:
    """Of charts that differ in ids, times, readings and words only, one speaks for all."""
    charts = bundles("transaction")
    assert len(charts) > 150
    for one in charts:
        started.post("/clear").raise_for_status()
        send(started, one["resource"])
        before = held(started)
        again = send(started, one["resource"])
        assert before == Counter(entry["resource"]["resourceType"] for entry in one["resource"]["entry"]), one["name"]
        assert held(started) == before, one["name"]
        assert set(again) == {"200"}, one["name"]


def test_every_reference_leads_to_something_the_server_holds(far_side: httpx.Client, mappings: Mappings) -> None:
    bundle = chart(mappings, CASES["spike"])
    send(far_side, bundle)
    (visit,) = kept(far_side, "Encounter")
    (patient,) = kept(far_side, "Patient")
    assert visit["subject"]["reference"] == f"Patient/{patient['id']}"
    for kind in held(far_side):
        assert "urn:uuid:" not in json.dumps([one.get("subject") for one in kept(far_side, kind)]), kind


def test_a_corrected_reading_replaces_the_wrong_one(far_side: httpx.Client, mappings: Mappings) -> None:
    old = CASES["spike"]
    data = old.event.model_dump(by_alias=True)
    data["vitals"][2]["systolic"] = 148
    newer = EVENT.validate_python({**data, "version": 2, "amendment_reason": "typing fault"})
    send(far_side, chart(mappings, old))
    before = len(kept(far_side, "Observation"))
    send(far_side, chart(mappings, replace(old, event=newer, previous=old.event)))
    at_forty = [
        one
        for one in kept(far_side, "Observation")
        if one["code"]["text"] == "Blood pressure" and "10:40" in one["effectiveDateTime"]
    ]
    assert len(kept(far_side, "Observation")) == before
    assert [one["component"][0]["valueQuantity"]["value"] for one in at_forty] == [148]
    assert len(kept(far_side, "DocumentReference")) == len(kept(far_side, "Communication")) == 2
    assert len(kept(far_side, "Encounter")) == len(kept(far_side, "Patient")) == 1


@pytest.mark.parametrize("name", ["spike", "own-increase", "asked-hold"])
def test_a_retraction_takes_back_what_was_told(far_side: httpx.Client, mappings: Mappings, name: str) -> None:
    send(far_side, chart(mappings, CASES[name]))
    send(far_side, chart(mappings, CASES[f"{name}-retracted"], with_letter=False))
    for kind in ("Observation", "Encounter", "MedicationAdministration", "Procedure", "MedicationRequest"):
        assert {one["status"] for one in kept(far_side, kind)} <= {"entered-in-error"}, kind


def test_two_recipients_at_one_server_share_the_visit(far_side: httpx.Client, mappings: Mappings) -> None:
    send(far_side, chart(mappings, CASES["spike"], "pr-psych"))
    send(far_side, chart(mappings, CASES["spike"], "pr-pcp"))
    assert len(kept(far_side, "Encounter")) == len(kept(far_side, "MedicationAdministration")) == 1
    assert len(kept(far_side, "Communication")) == 2


def test_one_search_for_the_message_tells_that_it_landed(far_side: httpx.Client, mappings: Mappings) -> None:
    bundle = chart(mappings, CASES["spike"])
    token = next(
        f"{one['resource']['identifier'][0]['system']}|{one['resource']['identifier'][0]['value']}"
        for one in bundle["entry"]
        if one["resource"]["resourceType"] == "Communication"
    )
    assert far_side.get("/Communication", params={"identifier": token}).json().get("entry", []) == []
    send(far_side, bundle)
    assert len(far_side.get("/Communication", params={"identifier": token}).json()["entry"]) == 1


def test_a_transaction_that_is_too_long_for_it_is_refused_whole(far_side: httpx.Client, mappings: Mappings) -> None:
    bundle = chart(mappings, CASES["spike"])
    answer = far_side.post("/", json=bundle)
    assert answer.status_code == 400
    assert "too many entries" in answer.json()["issue"][0]["details"]["text"]
    assert held(far_side).total() == 0


def test_an_entry_with_a_fault_gets_a_status_that_says_so(far_side: httpx.Client, mappings: Mappings) -> None:
    bundle = {**chart(mappings, CASES["spike"]), "type": "batch"}
    fault = next(one for one in bundle["entry"] if one["resource"]["resourceType"] == "Encounter")
    fault["request"]["url"] = fault["request"]["url"].replace("Encounter", "Procedure")
    said = far_side.post("/", json=bundle).json()
    refused = [one["response"]["status"][0] for one in said["entry"]].count("4")
    assert refused == 1


# The way of the product: content, planner, channel and book, as a message takes it.


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    with guarded_client(OutboundConfig(allow_loopback=True)) as client:
        yield client


def told(
    far_side: httpx.Client,
    guarded: httpx.Client,
    mappings: Mappings,
    event: dict[str, Any],
    book: MemoryEntries,
    **more: Any,
) -> tuple[Taken, Package]:
    """Send an event to the server by the real channel."""
    case = case_of(event, "medplum-like", str(far_side.base_url).rstrip("/"), **more.pop("case", {}))
    package, endpoint = package_of(mappings, case, **more)
    channel = FhirRest(guarded, NoSignIn(), WallClock(), partners=mappings.partners, book=book)
    deadline = WallClock().now() + timedelta(seconds=60)
    return channel.send(package, endpoint, deadline=deadline, about_to_send=lambda ref: None), package


def with_the_patient(far_side: httpx.Client) -> None:
    known = case_of(example("session-outcome.bp-spike"), None).patient
    far_side.post("/Patient", json=patient_resource(known, known.identifiers)).raise_for_status()


def test_a_server_with_a_limit_on_transactions_gets_every_entry_one_by_one_and_twice_adds_nothing(
    far_side: httpx.Client, guarded: httpx.Client, mappings: Mappings
) -> None:
    with_the_patient(far_side)
    event = example("session-outcome.bp-spike")
    taken, package = told(far_side, guarded, mappings, event, MemoryEntries())
    chart = body_of(package, "fhir-chart")["entry"]
    assert len(chart) > 8
    assert (taken.proven, taken.facts["level"], taken.facts.get("left to the letter")) == (True, "singles", None)
    assert held(far_side) == Counter(one["resource"]["resourceType"] for one in chart)
    before = held(far_side)
    again, _ = told(far_side, guarded, mappings, event, MemoryEntries())  # a book that has forgotten everything
    assert (again.facts["created"], held(far_side)) == ("0", before)
    (visit,), (patient,) = kept(far_side, "Encounter"), kept(far_side, "Patient")
    assert visit["subject"]["reference"] == f"Patient/{patient['id']}"
    assert "urn:uuid:" not in json.dumps([one.get("encounter") for one in kept(far_side, "Observation")])


def test_a_correction_sent_one_by_one_replaces(
    far_side: httpx.Client, guarded: httpx.Client, mappings: Mappings
) -> None:
    with_the_patient(far_side)
    event, book = example("session-outcome.bp-spike"), MemoryEntries()
    told(far_side, guarded, mappings, event, book)
    before = len(kept(far_side, "Observation"))
    newer = {
        **event,
        "version": 2,
        "amendment_reason": "typing fault",
        "vitals": [dict(one) for one in event["vitals"]],
    }
    newer["vitals"][2]["systolic"] = 148
    told(far_side, guarded, mappings, newer, book, case={"previous": case_of(event, None).event})
    parts = [part for one in kept(far_side, "Observation") for part in one.get("component", [])]
    values = [part["valueQuantity"]["value"] for part in parts if "valueQuantity" in part]
    assert len(kept(far_side, "Observation")) == before
    assert 148 in values
    assert len(kept(far_side, "DocumentReference")) == 2


def test_a_partner_file_that_forgets_the_limit_gets_a_refusal_and_nothing_landed(
    far_side: httpx.Client, guarded: httpx.Client, mappings: Mappings
) -> None:
    with_the_patient(far_side)
    roomy = replace(mappings.partners["medplum-like"], transaction_entries=100)
    wider = replace(mappings, partners={"medplum-like": roomy})
    with pytest.raises(Permanent):  # the limit is the server's own: a partner file that forgets it is refused
        told(far_side, guarded, wider, example("dose-change.ketamine"), MemoryEntries())
    assert held(far_side) == Counter({"Patient": 1})
