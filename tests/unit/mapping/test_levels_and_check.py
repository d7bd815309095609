"""The document alone, the notification message, the forms an endpoint takes, and check-mappings."""

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from coordinator.mapping.check import GOLDEN, approve, check_mappings, differences, unraised
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings, load
from tests.unit.mapping.conftest import ROOT, Content, Make, a_case, a_letter, a_plan, a_recipient, example

SPIKE = "session-outcome.bp-spike"


def clinic_with(**endpoint: Any) -> dict[str, Any]:
    clinic = example("clinic")
    clinic["providers"][0]["endpoints"][0].update(endpoint)
    return clinic


def forms(document: dict[str, Any]) -> list[str]:
    return [one["attachment"]["contentType"] for one in document["content"]]


def test_a_document_alone_refers_by_identifier_and_not_by_place(make: Make) -> None:
    document = make(example(SPIKE), "document").body("document")
    assert document["resourceType"] == "DocumentReference"
    assert document["subject"] == {
        "type": "Patient",
        "identifier": {"system": "urn:example:northshore:mrn", "value": "NS-55213"},
    }
    assert document["author"][0]["identifier"]["value"] == "1999999018"
    assert "urn:uuid:" not in json.dumps([document["subject"], document["author"], document["custodian"]])
    assert "id" not in document


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ({}, ["application/pdf", "text/plain"]),
        ({"accepts": ["text/plain"]}, ["text/plain"]),
        ({"partner": "epic-like"}, ["text/plain"]),
        ({"partner": "oracle-like"}, ["application/pdf"]),
        ({"partner": "oracle-like", "accepts": ["text/plain"]}, ["text/plain"]),
        ({"partner": "nobody-knows"}, ["application/pdf", "text/plain"]),
    ],
)
def test_a_document_comes_in_the_forms_its_endpoint_takes(
    make: Make, endpoint: dict[str, Any], expected: list[str]
) -> None:
    assert forms(make(example(SPIKE), "document", clinic=clinic_with(**endpoint)).body("document")) == expected


def test_where_it_is_wanted_the_fhir_document_travels_inside(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    file = tmp_path / "mappings" / "partners" / "oracle-like.yaml"
    file.write_text(file.read_text().replace("one_attachment: true", "fhir_document: true"))
    case, who = a_case(example(SPIKE), clinic=clinic_with(partner="oracle-like")), a_recipient()
    made = build_content(load(tmp_path / "mappings"), case, a_plan(who), who, (a_letter(),), frozenset({"document"}))
    document = Content(made).body("document")
    assert forms(document) == ["application/pdf", "text/plain", "application/fhir+json"]
    inside = document["content"][2]["attachment"]
    body = base64.b64decode(inside["data"])
    bundle = json.loads(body)
    assert base64.b64decode(inside["hash"]) == hashlib.sha1(body).digest()
    assert (bundle["type"], bundle["entry"][0]["resource"]["resourceType"]) == ("document", "Composition")
    assert bundle["identifier"]["value"].startswith("urn:uuid:")


@pytest.mark.parametrize(
    ("name", "changes", "code", "focus"),
    [
        (SPIKE, {}, "notification-tx-issue", "AdverseEvent"),
        (SPIKE, {"adverse_events": []}, "notification-progress-update", "DocumentReference"),
        ("dose-change.ketamine", {}, "notification-tx-change", "MedicationRequest"),
        ("dose-change.stimulant-hold", {}, "notification-tx-change", "MedicationRequest"),
    ],
)
def test_a_message_names_its_event_and_its_focus(
    make: Make, name: str, changes: dict[str, Any], code: str, focus: str
) -> None:
    body = make({**example(name), **changes}, "message").body("message")
    header = body["entry"][0]["resource"]
    assert header["eventCoding"]["code"] == code
    kinds = {one["fullUrl"]: one["resource"]["resourceType"] for one in body["entry"]}
    assert kinds[header["focus"][0]["reference"]] == focus
    assert kinds[header["sender"]["reference"]] == "Organization"
    assert body["timestamp"] == "2026-10-14T18:10:00+00:00"
    assert "total" not in body


def test_what_the_large_systems_refuse_goes_in_messages_only(make: Make) -> None:
    content = make(example(SPIKE), "chart", "message")
    assert content.all("DetectedIssue") == content.all("Consent") == []
    assert content.one("DetectedIssue", "message")["implicated"]
    assert content.one("Consent", "message")["provision"]["type"] == "permit"


def test_a_blood_pressure_hold_raises_a_flag_for_the_restart(make: Make) -> None:
    flag = make(example("dose-change.stimulant-hold"), "message").one("Flag", "message")
    assert (flag["status"], flag["category"][0]["coding"][0]["code"]) == ("active", "safety")


def test_a_plan_with_markup_is_escaped_in_the_narrative(make: Make) -> None:
    plan = make({**example(SPIKE), "plan": "if <5 & calm"}).one("CarePlan")
    assert "<p>if &lt;5 &amp; calm</p>" in plan["text"]["div"]
    assert plan["description"] == "if <5 & calm"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    approve(tmp_path / "mappings")
    return tmp_path / "mappings"


def test_what_was_approved_shows_no_change(checkout: Path) -> None:
    report = check_mappings(checkout)
    assert report.ok
    assert [one.name for one in report.cases] == [
        "dose-change.ketamine",
        "dose-change.stimulant-hold",
        "session-outcome.bp-spike",
        "session-outcome.esketamine",
    ]
    assert str(report).count("as approved") == 4


def test_a_change_of_a_file_is_shown_where_it_lands(checkout: Path) -> None:
    file = checkout / "codes" / "route.yaml"
    file.write_text(file.read_text().replace('text: "Intravenous"', 'text: "By vein"'))
    report = check_mappings(checkout)
    assert not report.ok
    lines = [
        one for one in str(report).splitlines() if one.lstrip().startswith("~ MedicationAdministration ketamine (")
    ]
    assert [one.partition(").")[2] for one in lines] == ["dosage.route.text: Intravenous -> By vein"]


def test_another_wording_of_a_code_is_one_line_and_not_another_resource(checkout: Path) -> None:
    changed(checkout / "codes" / "observation.yaml", 'text: "Body weight"', 'text: "Weight"')
    (spike,) = [one for one in check_mappings(checkout).cases if one.changes]
    assert len(spike.changes) == 1
    assert spike.changes[0].endswith(".code.text: Body weight -> Weight")


def test_files_that_do_not_load_are_reported_and_nothing_is_run(checkout: Path) -> None:
    (checkout / "codes" / "route.yaml").unlink()
    report = check_mappings(checkout)
    assert not report.ok
    assert report.cases == ()
    assert "there is no code table 'route'" in str(report)


def test_a_sample_that_is_held_says_what_to_add(checkout: Path) -> None:
    file = checkout / "codes" / "route.yaml"
    file.write_text(file.read_text().replace('"intravenous"', '"by-drip"'))
    report = check_mappings(checkout)
    assert not report.ok
    assert "mappings/codes/route.yaml" in str(report)


def test_the_approved_resources_of_this_checkout_still_stand(mappings: Mappings) -> None:
    assert list((ROOT / GOLDEN).glob("*.json")), "there is nothing approved to compare with"
    report = check_mappings(ROOT / "mappings")
    assert report.ok, str(report)


def test_a_resource_may_be_kept_from_an_audience(checkout: Path) -> None:
    file = checkout / "events" / "session-outcome.suicide-risk.yaml"
    file.write_text(file.read_text().replace("order: 30", "order: 30\naudiences: [psychiatrist]", 1))
    mappings, case = load(checkout), a_case(example(SPIKE))
    seen = {}
    for provider, audience in (("pr-psych", "psychiatrist"), ("pr-pcp", "primary-care")):
        who = a_recipient(provider, audience=audience)
        seen[audience] = Content(build_content(mappings, case, a_plan(who), who, (), frozenset({"chart"})))
    assert len(seen["psychiatrist"].observation("suicide-risk-screen")) == 1
    assert seen["primary-care"].observation("suicide-risk-screen") == []


def of(folder: Path) -> dict[str, tuple[str, ...]]:
    files = [*folder.glob("events/*.yaml"), *folder.glob("codes/*.yaml"), *folder.glob("partners/*.yaml")]
    return {f"{one.parent.name}/{one.name}": (one.read_text(),) for one in files}


def changed(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_changed_mapping_must_raise_its_version_and_a_changed_table_its_review(checkout: Path) -> None:
    before = of(checkout)
    assert unraised(checkout, before) == []
    mapping, table = checkout / "events" / "session-outcome.weight.yaml", checkout / "codes" / "route.yaml"
    partner = checkout / "partners" / "athena-like.yaml"
    changed(mapping, "order: 30", "order: 31")
    changed(table, 'text: "Oral"', 'text: "By mouth"')
    changed(partner, "transaction: false", "transaction: true")
    assert [one.partition(":")[0] for one in unraised(checkout, before)] == [
        "events/session-outcome.weight.yaml",
        "partners/athena-like.yaml",
        "codes/route.yaml",
    ]
    changed(mapping, "version: 1", "version: 2")
    changed(partner, "version: 1", "version: 2")
    changed(table, "on: 2026-11-22", "on: 2026-11-23")
    assert unraised(checkout, before) == []


def test_a_comment_or_another_reviewer_is_no_change(checkout: Path) -> None:
    before = of(checkout)
    file = checkout / "events" / "session-outcome.weight.yaml"
    changed(file, "order: 30", "order: 30    # beside the scores")
    changed(file, "clinical lead", "the other clinical lead")
    assert unraised(checkout, before) == []


def test_a_version_that_once_had_another_content_is_named_though_both_were_committed(checkout: Path) -> None:
    name = "events/session-outcome.weight.yaml"
    file = checkout / name
    first = file.read_text()
    changed(file, "order: 30", "order: 31")
    assert unraised(checkout, {name: (file.read_text(), first)}) == [f"{name}: changed, so it needs a higher `version`"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([1, 2, 3], [9, 1, 2, 3], ["+ a[0]: 9"]),
        ([1, 2, 3], [2, 3], ["- a[0]: 1"]),
        ([1, 2, 3], [1, 5, 3], ["~ a[1]: 2 -> 5"]),
        ([1, 2], [2, 1], ["~ a: the same items in another order"]),
        ([1, 1], [1], ["- a[1]: 1"]),
        ([{"b": 1, "c": 2}], [{"b": 1, "c": 3}], ["~ a[0].c: 2 -> 3"]),
        ([{"b": 1}], [{"b": [1]}], ["- a[0].b: 1", "+ a[0].b[0]: 1"]),
        ({"b": 1}, {"c": 1}, ["- a.b: 1", "+ a.c: 1"]),
    ],
)
def test_a_difference_is_one_line_wherever_the_item_stands(before: Any, after: Any, said: list[str]) -> None:
    assert list(differences(before, after, "a")) == said
