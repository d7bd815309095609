"""The console's forms: what was typed is still there when nothing was done, and each says what its button will do."""

import re
from dataclasses import replace

import pytest
from bench_parts import STAFF, example
from test_sending_pages import Desk

from coordinator.domain.delivery import State
from coordinator.domain.errors import Permanent
from coordinator.flow.addresses import address_key
from coordinator.flow.resend import MIN_REASON

LONG_TEXT = "their server <moved>, and & so on"


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


@pytest.fixture
def desk(bench):
    return Desk(bench, "sender", "clinician")


def typed(page, name):
    """What stands in the fields of that name, as a browser shows it."""
    fields = re.findall(rf'<input [^>]*name="{name}"[^>]*>', page)
    return [(re.search(r'value="([^"]*)"', one) or ["", ""])[1] for one in fields]


def chosen(page):
    return re.findall(r'<option value="([^"]*)" selected', page)


def test_a_refused_hold_keeps_what_was_chosen_and_typed(bench, desk):
    bench.told(example("session-outcome.bp-spike"))
    desk.post("/sending/hold", scope="channel:fax", reason="the gateway is mended")
    again = desk.post("/sending/hold", scope="channel:fax", reason=LONG_TEXT)
    assert again.status_code == 409
    assert chosen(again.text) == ["channel:fax"]
    assert "their server &lt;moved&gt;, and &amp; so on" in typed(again.text, "reason")


def test_a_refused_release_keeps_its_reason_at_the_hold_it_was_for_and_nowhere_else(bench, desk):
    for scope in ("channel:fax", "channel:direct"):
        desk.post("/sending/hold", scope=scope, reason="the line is mended")
    page = desk.post("/sending/release", scope="channel:fax", reason="ok").text
    assert sorted(typed(page, "reason")) == ["", "", "", "ok"]
    place = page.index('value="ok"')
    assert page.rindex('name="scope" value="', 0, place) == page.rindex('name="scope" value="channel:fax"', 0, place)


def test_a_refused_restore_stands_open_with_its_reason(bench, desk):
    page = desk.post("/sending/restore", verb="begin", reason="last").text
    assert "last" in typed(page, "reason")
    assert re.search(r"<details class=\"card\" open>\s*<summary>The database was restored", page)


def test_a_page_that_was_not_refused_holds_nothing_of_anybody(bench, desk):
    desk.post("/sending/hold", scope="channel:fax", reason="the line is mended")
    assert set(typed(desk.get("/sending").text, "reason")) == {""}


def test_a_refused_answer_call_incident_and_new_version_keep_what_was_typed(bench, desk):
    event = example("session-outcome.bp-spike")
    event["vitals"][0]["heart_rate"] = 190
    held = bench.submit(event)
    page = desk.post(f"/events/{held.event_ref}/answer", confirmed="yes", reason="ok").text
    assert "ok" in typed(page, "reason")
    bench.desk.answer(held.event_ref, confirmed=True, reason="measured twice", actor=STAFF)
    message = {one.provider_id: one for one in bench.prepare(held)}["pr-pcp"]
    bench.send_due()
    page = desk.post(f"/messages/{message.id}/incident", kind="not-my-patient", note="hm").text
    assert "hm" in typed(page, "note")
    assert "not-my-patient" in chosen(page)
    desk.post(f"/messages/{message.id}/incident", kind="not-my-patient", note="they called us")
    with bench.store.begin() as tx:
        (incident,) = tx.incidents()
    page = desk.post(f"/incidents/{incident.id}/close", resolution="x", address="right").text
    assert typed(page, "resolution") == ["x"]
    with bench.store.begin() as tx:
        tx.add_task("task-1", message.id, "call", "answer.overdue", bench.clock.now(), bench.clock.now())
    assert "no" in typed(desk.post("/calls/task-1/done", note="no").text, "note")


def test_a_new_version_that_was_refused_shows_the_difference_again(bench, desk):
    bench.channels["fax"].script = [Permanent("fax.document")]
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    place = f"/messages/{message.id}/recompose"
    seen = re.search(r'name="seen" value="([^"]+)"', desk.get(place).text)[1]
    page = desk.post(place, seen=seen, reason="no")
    assert page.status_code == 409
    assert typed(page.text, "reason") == ["no"]
    assert typed(page.text, "seen") == [seen]


@pytest.mark.parametrize("place", ["/", "/sending", "message", "incident"])
def test_every_reason_is_asked_for_in_full_before_anything_is_posted(bench, desk, place):
    bench.channels["fax"].script = [("then", Permanent("fax.document"))]
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    desk.post("/sending/hold", scope="channel:direct", reason="the line is mended")
    places = {"message": f"/messages/{message.id}", "incident": f"/messages/{message.id}/answer"}
    page = desk.get(places.get(place, place)).text
    if place == "/":
        with bench.store.begin() as tx:
            tx.add_task("task-1", message.id, "call", "answer.overdue", bench.clock.now(), bench.clock.now())
        page = desk.get("/").text
    fields = re.findall(r'<input [^>]*(?:name="reason"|id="incident-note"|id="note-1")[^>]*>', page)
    assert fields
    for one in fields:
        assert f'minlength="{MIN_REASON}"' in one, one
        assert " required" in one


@pytest.mark.parametrize(
    ("provider", "says", "never"),
    [("pr-pcp", "A fax went to a wrong number", "record system"), ("pr-psych", "wrong record system", "A fax went")],
)
def test_the_incident_form_speaks_of_the_way_the_letter_went_and_of_the_address_it_freezes(
    bench, desk, provider, says, never
):
    message = bench.told(example("session-outcome.bp-spike"))[provider]
    place = f"/messages/{message.id}/answer"
    assert "It reached the wrong place" not in desk.get(place).text, "nothing has left yet"
    bench.send_due()
    page = desk.get(place).text
    assert says in page
    assert never not in page
    endpoint = bench.deliveries(message.id)[-1].endpoint_id
    whose = next(one.recipient for one in desk.service.endpoints() if one.id == endpoint)
    assert re.search(rf"freezes the address for every patient \({re.escape(whose)}", page)


def test_send_again_says_which_way_it_will_go(bench, desk):
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    row = bench.deliveries(message.id)[-1]
    assert "to the same address" in desk.get(f"/messages/{message.id}").text
    bench.desk.resend(row.id, reason="they lost it", token="t", actor=STAFF)
    with bench.store.begin() as tx:
        (again,) = [one for one in tx.deliveries(message.id) if one.state == State.PENDING]
        tx.move_delivery(again.id, State.HELD, at=bench.clock.now(), cause="fax.bad-number")
        health = tx.health(row.endpoint_id)
        key = address_key(tx, address_of(tx, message, row))
        tx.put_health(replace(health, suspended_at=bench.clock.now(), suspended_address_key=key), bench.clock.now())
    detail = bench.desk.message(message.id, STAFF)
    (way,) = {one.resend_to for one in detail.deliveries if one.may_resend}
    assert way.endpoint_id != row.endpoint_id
    page = desk.get(f"/messages/{message.id}").text
    assert "because this address carries nothing any more" in page


def address_of(tx, message, row):
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    return next(one.address for one in registry.provider(message.provider_id).endpoints if one.id == row.endpoint_id)
