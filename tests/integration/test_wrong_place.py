"""A letter that left for more than one address and reached a wrong one: that one is closed, and no other."""

import copy
import json
import re

import pytest
from bench_parts import STAFF, example
from test_addresses import FAX
from test_next_channel import clinic
from test_paper_pages import words
from test_sending_pages import Desk

from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, Refused
from coordinator.flow import deliver
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.incidents import open_incident
from coordinator.flow.paper_desk import PaperDesk
from coordinator.flow.said import Said
from coordinator.letters.formats import clinic_instant

DIRECT, SECOND_FAX = "ep-pcp-direct", "ep-pcp-fax-2"


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def with_addresses(bench, *more):
    """Give the primary-care provider these addresses behind the fax number, each verified and approved."""
    clinic(bench, "take")
    provider = copy.deepcopy(next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp"))
    verified = {name: value for name, value in provider["endpoints"][0].items() if name.startswith("verified")}
    for name, kind, address in more:
        made = {"id": name, "kind": kind, "address": address} | verified | {"verified_on": "2026-10-16"}
        provider["endpoints"].append(made)
    written = bench.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    for name, _, address in more:
        bench.approve(name, address)


def closed(bench):
    with bench.store.begin(write=False) as tx:
        return {one for one in (FAX, DIRECT, SECOND_FAX) if tx.health(one).suspended_at is not None}


@pytest.fixture
def both(bench):
    """An urgent letter: no word of the fax, so that a copy went by Direct and arrived."""
    with_addresses(bench, (DIRECT, "direct", "pcp@direct.example.org"))
    bench.channels["fax"].script, bench.channels["fax"].knows = ["queue"], False
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    for _ in range(6):
        bench.send_due()
        bench.clock.turn(minutes=30)
        bench.sweep()
    ways = [(one.channel, one.state, one.cause) for one in bench.deliveries(message.id)]
    assert ways == [("fax", State.HELD, "receipt.overdue"), ("direct", State.ACKNOWLEDGED, None)]
    return message


def reported(bench, message, kind="misdirected-fax", delivery=None):
    return open_incident(
        bench.parts, message.id, kind=kind, note="a bakery rang: it has the fax", actor=STAFF,
        delivery_id=None if delivery is None else delivery.id,
    )  # fmt: skip


def test_of_a_letter_that_went_by_fax_and_then_by_direct_a_misdirected_fax_closes_the_number(bench, both):
    reported(bench, both)
    assert closed(bench) == {FAX}


def test_the_letter_to_the_wrong_reader_says_when_the_fax_left_and_not_the_copy(bench, both):
    fax, _ = bench.deliveries(both.id)
    with bench.store.begin(write=False) as tx:
        left_at = tx.attempts(fax.id)[-1].on_wire_at
    reported(bench, both)
    text = words(PaperDesk(bench.parts).to_wrong_reader(both.id, actor=STAFF))
    assert f"We sent it to you on {' '.join(clinic_instant(left_at, 'America/Chicago').split())}." in text


def test_a_later_delivery_that_was_claimed_and_put_back_has_reached_nobody(bench):
    with_addresses(bench, (DIRECT, "direct", "pcp@direct.example.org"))
    bench.channels["fax"].script, bench.channels["fax"].knows = ["queue"], False
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    for _ in range(4):
        bench.clock.turn(minutes=30)
        bench.sweep()
    deliver.claim(bench.parts, "one that died", 50)
    bench.clock.turn(hours=1)
    bench.sweep()
    _, copy_of_it = bench.deliveries(message.id)
    assert (copy_of_it.channel, copy_of_it.state, copy_of_it.tries > 0) == ("direct", State.PENDING, True)
    reported(bench, message, kind="wrong-recipient")
    assert closed(bench) == {FAX}


def test_a_letter_of_which_nothing_left_reached_no_wrong_place_however_often_it_was_tried(bench):
    bench.channels["fax"].script = [NeedsHuman("fax.document")]
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    assert bench.deliveries(message.id)[0].tries > 0
    with pytest.raises(Refused, match=r"incident\.not-sent"):
        reported(bench, message)
    assert closed(bench) == set()


def test_where_two_addresses_remain_a_person_has_to_say_which(bench, both):
    fax, direct = bench.deliveries(both.id)
    with pytest.raises(Refused, match=r"incident\.which"):
        reported(bench, both, kind="wrong-recipient")
    with pytest.raises(Refused, match=r"incident\.address"):
        reported(bench, both, delivery=direct)  # no fax goes to a mailbox
    assert closed(bench) == set()
    reported(bench, both, kind="wrong-recipient", delivery=direct)
    assert closed(bench) == {DIRECT}
    reported(bench, both, delivery=fax)
    assert closed(bench) == {DIRECT, FAX}


def test_the_form_asks_for_the_address_where_the_letter_left_for_two(bench, both):
    desk, place = Desk(bench, "sender"), f"/messages/{both.id}"
    fax, direct = bench.deliveries(both.id)
    page = desk.get(f"{place}/answer").text
    assert "freezes the address that you choose for every patient" in page
    for one in (fax, direct):
        assert re.search(rf'<option value="{one.id}">[^<]*{"by fax" if one is fax else "by Direct"}', page)
    again = desk.post(f"{place}/incident", kind="not-my-patient", note="they telephoned")
    assert again.status_code == 409
    assert "more than one address" in again.text
    assert 'value="they telephoned"' in again.text
    assert closed(bench) == set()
    done = desk.post(f"{place}/incident", kind="not-my-patient", note="they telephoned", delivery=fax.id)
    assert done.status_code == 303
    assert closed(bench) == {FAX}


def test_two_fax_numbers_are_told_apart_on_the_form(bench):
    with_addresses(bench, (SECOND_FAX, "fax", "+1-218-555-0188"))
    bench.channels["fax"].script, bench.channels["fax"].knows = ["queue"], False
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    for _ in range(6):
        bench.send_due()
        bench.clock.turn(minutes=30)
        bench.sweep()
    assert [one.endpoint_id for one in bench.deliveries(message.id)] == [FAX, SECOND_FAX]
    with pytest.raises(Refused, match=r"incident\.which"):
        reported(bench, message)
    page = Desk(bench, "sender").get(f"/messages/{message.id}/answer").text
    assert re.search(r'<option value="[^"]+">[^<]*\+1-218-555-0188', page)


def test_a_letter_whose_copy_waits_to_leave_can_be_reported_from_its_page(bench):
    with_addresses(bench, (DIRECT, "direct", "pcp@direct.example.org"))
    bench.channels["fax"].script, bench.channels["fax"].knows = ["queue"], False
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert bench.desk.message(message.id, STAFF).row.state == State.PENDING
    assert f"/messages/{message.id}/answer" in Desk(bench, "sender").get(f"/messages/{message.id}").text


def test_an_answer_that_it_was_not_meant_for_them_names_the_address_too(bench, both):
    answers, said = StaffAnswers(bench.parts), Said(kind="not-my-patient", name="A. Baker", role="front desk")
    fax, _ = bench.deliveries(both.id)
    with pytest.raises(Refused, match=r"incident\.which"):
        answers.record(both.id, said, via="phone", evidence=None, token="t-1", actor=STAFF)
    assert closed(bench) == set()
    page = Desk(bench, "sender").get(f"/messages/{both.id}/answer").text
    assert re.search(rf'name="reached".*?<option value="{fax.id}">', page, re.S)
    answers.record(both.id, said, via="phone", evidence=None, token="t-1", actor=STAFF, delivery_id=fax.id)
    assert closed(bench) == {FAX}
