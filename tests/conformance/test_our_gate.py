"""Everything made of the varied events, for both recipients and every content level, passes our own gate."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from coordinator.domain.letter import FhirContent
from coordinator.mapping.content import build_content, prepare_event
from coordinator.mapping.gate import inspect
from coordinator.mapping.gate_bundle import ask_model, check_bundle
from coordinator.mapping.load import Mappings, load
from tests.conformance.events import cases, letter, plan, recipient

ROOT = Path(__file__).parents[2]
CASES = cases()
LEVELS = frozenset({"chart", "document", "message"})


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


def test_there_are_at_least_forty_varied_events() -> None:
    assert len(CASES) >= 40


def contents(mappings: Mappings, name: str, provider: str) -> tuple[FhirContent, ...]:
    who = recipient(provider)
    case, whole = CASES[name], plan(who)
    shared = prepare_event(mappings, case, whole)
    return build_content(mappings, case, whole, who, (letter(provider),), LEVELS, shared)  # type: ignore[arg-type]


@pytest.mark.parametrize("provider", ["pr-psych", "pr-pcp"])
@pytest.mark.parametrize("name", CASES)
def test_what_is_made_of_an_event_passes(name: str, provider: str, mappings: Mappings) -> None:
    made = contents(mappings, name, provider)
    assert {one.level for one in made} == LEVELS
    for one in made:
        body = json.loads(one.body, parse_float=Decimal)
        if one.resource_type == "Bundle":
            assert check_bundle(body, mappings.known_codes) == []
            assert ask_model(body) == []
        else:
            assert inspect(body, "DocumentReference", mappings.known_codes).findings == []


@pytest.mark.parametrize("name", CASES)
def test_a_message_holds_one_patient_and_starts_with_its_header(name: str, mappings: Mappings) -> None:
    body = next(json.loads(one.body) for one in contents(mappings, name, "pr-psych") if one.level == "message")
    kinds = [entry["resource"]["resourceType"] for entry in body["entry"]]
    assert kinds[0] == "MessageHeader"
    assert kinds.count("Patient") == 1
    header = body["entry"][0]["resource"]
    assert header["eventCoding"]["system"].endswith("/notification-event")
    assert {one["fullUrl"] for one in body["entry"]} >= {one["reference"] for one in header["focus"]}
    assert "response" not in header
    assert not any("request" in entry for entry in body["entry"])


def test_no_stimulant_is_ever_ordered(mappings: Mappings) -> None:
    for name in CASES:
        if name.startswith(("asked", "told", "spike", "status", "route")):
            for one in contents(mappings, name, "pr-psych"):
                assert b'"intent":"order"' not in one.body
