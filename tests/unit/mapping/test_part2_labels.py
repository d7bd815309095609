"""42 CFR Part 2 in FHIR: every resource and bundle is labelled, nothing contained is, and nothing ordinary is."""

import json
from decimal import Decimal

import pytest

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.plan import ChannelChoice
from coordinator.mapping.content import build_content
from tests.unit.mapping.conftest import A_REQUEST, a_case, a_letter, a_plan, a_recipient, example

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
SAYS = {"signed_on": "2026-10-01", "recipients": "my treating providers", "paper": "P2-7", "purpose": "treatment"}
LEVELS = frozenset({"chart", "singles", "tasks", "document", "message"})
SESSIONS = ("session-outcome.bp-spike", "session-outcome.esketamine")
EVENTS = (*SESSIONS, "dose-change.ketamine", "dose-change.stimulant-hold")


def bodies(mappings, name, *, part2, **more):
    clinic = example("clinic")
    clinic["patients"][0]["consents"].append(
        {**clinic["patients"][0]["consents"][0], "id": "p2", "content": ["substance-use"], "part2": SAYS}
    )
    who = a_recipient(
        consent=ConsentDecision("permit", "consent", "p2", 1),
        requests=(A_REQUEST,) if "hold" in name else (),
        channels=(ChannelChoice("ep-psych-fhir", "fhir-rest"), ChannelChoice("ep-psych-message", "fhir-message")),
    )
    event = {**example(name), **({"part2": True} if part2 else {})}
    case = a_case(event, clinic=clinic, **more)
    made = build_content(mappings, case, a_plan(who), who, (a_letter(),), LEVELS)
    return {one.level: json.loads(one.body, parse_float=Decimal) for one in made}


def resources(body):
    """Yield every resource outside any other, and the bundle itself."""
    yield body
    for entry in body.get("entry", ()):
        yield entry["resource"]


def contained(value):
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "contained":
                yield from child
            else:
                yield from contained(child)
    elif isinstance(value, list):
        for child in value:
            yield from contained(child)


def labels(resource):
    return [(one["system"], one["code"]) for one in resource.get("meta", {}).get("security", ())]


@pytest.mark.parametrize("name", EVENTS)
def test_every_resource_and_bundle_of_part2_material_is_labelled_once(mappings, name):
    made = bodies(mappings, name, part2=True)
    assert {"chart", "message", "document"} <= made.keys()
    for body in made.values():
        for one in resources(body):
            found = labels(one)
            assert {(ACT, "42CFRPart2"), (ACT, "SUD")} <= set(found), one["resourceType"]
            assert len(found) == len(set(found))
        assert all("security" not in one.get("meta", {}) for one in contained(body))


@pytest.mark.parametrize("name", EVENTS)
def test_nothing_ordinary_carries_a_part2_label_though_such_a_consent_is_on_file(mappings, name):
    for body in bodies(mappings, name, part2=False).values():
        for one in resources(body):
            assert len(labels(one)) == 2, one["resourceType"]
            assert not {"42CFRPart2", "SUD"} & {code for _, code in labels(one)}


def test_the_document_and_the_consent_say_it_where_a_filing_system_looks(mappings):
    found = bodies(mappings, "session-outcome.bp-spike", part2=True)
    document = next(one for one in resources(found["chart"]) if one["resourceType"] == "DocumentReference")
    assert [one["coding"][0]["code"] for one in document["securityLabel"]] == ["R", "42CFRPart2"]
    consent = next(one for one in resources(found["message"]) if one["resourceType"] == "Consent")
    assert [one["code"] for one in consent["provision"]["securityLabel"]] == ["42CFRPart2"]
    assert any("42 CFR Part 2" in one.get("text", "") for one in consent["category"])


def test_a_correction_of_part2_material_is_labelled_though_the_new_version_does_not_say_it(mappings):
    previous = a_case({**example("session-outcome.bp-spike"), "part2": True}).event
    made = bodies(mappings, "session-outcome.bp-spike", part2=False, previous=previous)
    assert all((ACT, "42CFRPart2") in labels(one) for body in made.values() for one in resources(body))
