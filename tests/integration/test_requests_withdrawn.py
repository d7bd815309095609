"""What was asked before is known when the next version is composed: its tasks travel with what replaces it."""

import json

import pytest
from bench_parts import example

RETRACTED = {"version": 2, "status": "entered-in-error", "amendment_reason": "another patient"}


def tasks(bench, message):
    """Return the tasks that are to change at the far side, or None when there are none."""
    with bench.store.begin(write=False) as tx:
        found = [tx.document(one[0])[0].body for one in tx.documents(message.id) if one[1] == "fhir-tasks"]
    return [one["resource"] for one in json.loads(found[0])["entry"]] if found else None


def sent_tasks(bench, message):
    with bench.store.begin(write=False) as tx:
        (chart,) = [tx.document(one[0])[0].body for one in tx.documents(message.id) if one[1] == "fhir-chart"]
    return [one["resource"] for one in json.loads(chart)["entry"] if one["resource"]["resourceType"] == "Task"]


@pytest.fixture
def told(bench):
    return bench.told(example("session-outcome.bp-spike"))["pr-psych"]


def test_a_first_message_changes_no_task(bench, told):
    assert sent_tasks(bench, told)
    assert tasks(bench, told) is None


def test_a_retraction_of_what_was_sent_withdraws_every_task_under_its_own_name(bench, told):
    bench.send_due()
    again = bench.told(example("session-outcome.bp-spike") | RETRACTED)["pr-psych"]
    withdrawn = tasks(bench, again)
    assert [one["status"] for one in withdrawn] == ["cancelled"] * len(sent_tasks(bench, told))
    names = {one["identifier"][0]["value"] for one in sent_tasks(bench, told)}
    assert {one["identifier"][0]["value"] for one in withdrawn} == names


def test_a_retraction_of_what_never_left_changes_no_task(bench, told):
    again = bench.told(example("session-outcome.bp-spike") | RETRACTED)
    assert all(tasks(bench, one) is None for one in again.values())


def test_a_correction_names_the_tasks_that_stand_and_those_that_do_not(bench, told):
    bench.send_due()
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"}
    event["vitals"][2]["systolic"] = 148
    corrected = bench.told(event)["pr-psych"]
    before = {one["identifier"][0]["value"] for one in sent_tasks(bench, told)}
    changes = {one["identifier"][0]["value"]: one["status"] for one in tasks(bench, corrected)}
    assert changes.keys() == before
    asked_now = {one["identifier"][0]["value"] for one in sent_tasks(bench, corrected)}
    assert {name for name, status in changes.items() if status == "requested"} == before & asked_now
