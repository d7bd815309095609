"""Twenty faults that delivery systems have shipped, each as a test: here, and in `test_twenty_bugs_of_scale.py`."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, Refused, StateConflict
from coordinator.flow import deliver
from coordinator.flow.outcome import Outcome, write_outcome
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.prepare import prepare
from coordinator.flow.record import record
from coordinator.flow.sweep import BATCH, due_now, sweep, take_back_leases
from coordinator.flow.track import take_in
from tests.faults.simulation.chance import Crash
from tests.faults.simulation.judge import broken
from tests.faults.simulation.workshop import cheap_composing
from tests.faults.simulation.world import STAFF, World, example


@pytest.fixture
def world():
    made = World(0)
    for channel in made.channels.values():
        channel.calm = True
    with cheap_composing():
        yield made
    made.close()


def dose_change(world, name="a", **changes):
    event = example("dose-change.ketamine") | {"id": name, "patient": "MRN-1001"} | changes
    event["course"] = {"id": world.patients[event["patient"]]["course"]["id"]}
    event.pop("session")
    event["recorded_at"] = (world.clock.now() - timedelta(minutes=1)).isoformat()
    return event


def submit(world, event):
    return record(world.parts, "ehr", json.dumps(event).encode())


def tell(world, event):
    answer = submit(world, event)
    prepare(world.parts, answer.event_ref)
    with world.store.begin(write=False) as tx:
        return {one.provider_id: one for one in tx.messages_of_event(answer.event_ref)}


def send_due(world):
    claimed = deliver.claim(world.parts, "w", 50)
    for one in claimed:
        deliver.attempt(world.parts, one)
    return len(claimed)


def rows(world, message):
    with world.store.begin(write=False) as tx:
        return list(tx.deliveries(message.id))


def held(world, message):
    return sum(one.identifier == f"urn:uuid:{message.id}" for one in world.books.held)


def test_01_a_late_acknowledgement_is_not_taken_for_the_next_message(world):
    first = tell(world, dose_change(world, "a"))["pr-pcp"]
    send_due(world)
    world.channels["fax"].mail.clear()
    second = tell(world, dose_change(world, "b", patient="MRN-1002"))
    assert set(second) == {"pr-psych", "pr-pcp"}
    ref = rows(world, first)[0].far_side_ref
    take_in(world.parts, ReceiptNews("late", "fax", ref, None, "acknowledged"))
    assert rows(world, first)[0].state == State.ACKNOWLEDGED
    assert all(rows(world, one)[0].state == State.PENDING for one in second.values())


def test_02_a_lost_answer_and_a_retry_make_no_second_copy(world):
    message = tell(world, dose_change(world))["pr-psych"]
    rest = world.channels["fhir-rest"]

    def lost(package, name):
        rest._taken = taken
        raise InDoubt("net.timeout-after-send")

    taken, rest._taken = rest._taken, lost
    for _ in range(4):
        send_due(world)
        world.clock.turn(timedelta(hours=1))
        sweep(world.parts)
    assert (held(world, message), rows(world, message)[0].state) == (1, State.ACKNOWLEDGED)


def test_03_one_keypress_twice_is_one_resend(world):
    message = tell(world, dose_change(world))["pr-psych"]
    send_due(world)
    name = rows(world, message)[0].id
    made = {world.desk.resend(name, reason="asked for it", token="t" * 40, actor=STAFF) for _ in range(3)}
    send_due(world)
    assert (len(made), held(world, message)) == (1, 2)


def test_04_each_recipient_of_one_event_is_retried_on_its_own(world):
    told = tell(world, dose_change(world))
    for channel in world.channels.values():
        channel.calm, channel.moods = False, {"away": 1}
    send_due(world)
    assert len({rows(world, one)[0].id for one in told.values()}) == len(told) == 2
    assert all(rows(world, one)[0].state == State.PENDING for one in told.values())
    for channel in world.channels.values():
        channel.calm = True
    world.clock.turn(timedelta(hours=1))
    send_due(world)
    assert all(held(world, one) == 1 for one in told.values())


def test_05_a_second_resend_by_hand_is_a_second_resend(world):
    message = tell(world, dose_change(world))["pr-psych"]
    send_due(world)
    for number in range(2):
        world.desk.resend(rows(world, message)[-1].id, reason="asked again", token=f"{number}" * 40, actor=STAFF)
        send_due(world)
    assert held(world, message) == 3


def test_06_a_retry_that_fires_before_its_row_is_there_finds_nothing_and_loses_nothing(world):
    assert list(deliver.claim(world.parts, "t", 1)) == []
    message = tell(world, dose_change(world))["pr-psych"]
    send_due(world)
    assert held(world, message) == 1


def test_09_switching_an_address_on_again_does_not_resend_what_had_failed(world):
    message = tell(world, dose_change(world))["pr-psych"]
    rest = world.channels["fhir-rest"]
    rest.calm, rest.moods = False, {"refuse": 1}
    send_due(world)
    assert rows(world, message)[0].state == State.DEAD
    rest.calm = True
    for _ in range(5):
        world.clock.turn(timedelta(days=1))
        sweep(world.parts)
        assert not any(one.delivery.channel == "fhir-rest" for one in deliver.claim(world.parts, "w", 50))
    assert held(world, message) == 0


@pytest.mark.parametrize("place", ["resend:before-commit", "resend:after-commit"])
def test_10_a_crash_while_a_resend_is_handed_over_leaves_one_resend_or_none(world, place):
    message = tell(world, dose_change(world))["pr-psych"]
    send_due(world)

    def die(here):
        if here == place:
            raise Crash(here, whole=True)

    object.__setattr__(world.parts.ledger, "_at_point", die)
    with pytest.raises(Crash):
        world.desk.resend(rows(world, message)[0].id, reason="asked for it", token="t" * 40, actor=STAFF)
    object.__setattr__(world.parts.ledger, "_at_point", lambda _: None)
    world.desk.resend(rows(world, message)[0].id, reason="asked for it", token="t" * 40, actor=STAFF)
    send_due(world)
    assert (len(rows(world, message)), held(world, message)) == (2, 2)


def test_11_an_amendment_without_a_new_version_is_a_conflict_and_says_so(world):
    submit(world, dose_change(world))
    changed = dose_change(world) | {"reason": {"code": "partial-response", "text": "Something else altogether."}}
    answer = submit(world, changed)
    assert (answer.outcome, bool(answer.faults)) == ("conflict", True)


def test_12_the_same_event_at_the_same_moment_is_one_event(world):
    event = dose_change(world)
    first = submit(world, event)
    with world.store.begin() as tx:
        row = tx.inbox_row(first.event_ref)
        assert not tx.add_inbox(replace(row, id="another"), body=b"{}")
    assert submit(world, event).event_ref == first.event_ref


def test_13_recorded_and_never_hinted_is_found_by_the_sweep(world):
    answer = submit(world, dose_change(world))
    assert due_now(world.parts)[0] == [answer.event_ref]
    prepare(world.parts, answer.event_ref)
    assert len(due_now(world.parts)[1]) == 2


def test_14_sent_and_the_claim_lost_still_leaves_the_attempt_on_record(world):
    message = tell(world, dose_change(world))["pr-psych"]
    claimed = next(one for one in deliver.claim(world.parts, "late", 5) if one.message.id == message.id)
    deliver.mark(world.parts, claimed, None)
    world.clock.turn(timedelta(minutes=10))
    take_back_leases(world.parts)
    write_outcome(world.parts, claimed.delivery, claimed.message, None, Outcome("proven", far_side_ref="there"))
    assert rows(world, message)[0].state == State.ACKNOWLEDGED
    with world.store.begin(write=False) as tx:
        assert [one.outcome for one in tx.attempts(claimed.delivery.id)] == ["in-doubt"]


def test_16_an_endpoint_that_was_deleted_with_work_queued_waits_for_a_person(world):
    message = tell(world, dose_change(world))["pr-pcp"]
    provider = next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp") | {"endpoints": []}
    world.registry.write("providers", "pr-pcp", json.dumps(provider).encode(), STAFF)
    for _ in range(3):
        send_due(world)
    row = rows(world, message)[0]
    assert (row.state, row.tries) == (State.HELD, 1)
    assert row.cause is not None


def test_17_more_than_one_batch_of_stale_rows_is_taken_back_to_the_last_one(world):
    message = tell(world, dose_change(world))["pr-psych"]
    first = rows(world, message)[0]
    with world.store.begin() as tx:
        columns = (
            "message_id,provider_id,endpoint_id,channel,position,priority,tries,attempts_used,created_at,updated_at"
        )
        for number in range(BATCH + 5):
            tx.connection.exec_driver_sql(
                f"INSERT INTO deliveries (id, ordinal, state, fence, lease_until, {columns}) "
                f"SELECT ?, ?, 'claimed', 1, '2026-01-01 00:00:00', {columns} FROM deliveries WHERE id = ?",
                (f"stale-{number}", 10 + number, first.id),
            )
    assert take_back_leases(world.parts) + take_back_leases(world.parts) == BATCH + 5


def test_20_a_crash_in_the_middle_of_recovery_strands_nothing(world):
    message = tell(world, dose_change(world))["pr-psych"]
    for one in deliver.claim(world.parts, "dead", 5):
        deliver.mark(world.parts, one, None)
    world.clock.turn(timedelta(minutes=10))

    def die(here):
        raise Crash(here, whole=True)

    for _ in range(3):
        object.__setattr__(world.parts.ledger, "_at_point", die)
        with pytest.raises(Crash):
            sweep(world.parts)
        object.__setattr__(world.parts.ledger, "_at_point", lambda _: None)
    for _ in range(3):
        world.clock.turn(timedelta(minutes=5))
        sweep(world.parts)
        send_due(world)
    assert held(world, message) == 1
    assert [one for one in broken(world) if "twice" in one] == []


def test_a_resend_is_refused_while_an_automatic_try_is_under_way(world):
    message = tell(world, dose_change(world))["pr-psych"]
    with pytest.raises(Refused):
        world.desk.resend(rows(world, message)[0].id, reason="in a hurry", token="t" * 40, actor=STAFF)


def test_a_stolen_lease_cannot_be_marked(world):
    tell(world, dose_change(world))
    late = deliver.claim(world.parts, "late", 1)[0]
    world.clock.turn(timedelta(minutes=10))
    take_back_leases(world.parts)
    with pytest.raises(StateConflict):
        deliver.mark(world.parts, late, None)


def test_every_one_of_the_twenty_is_a_test():
    here = Path(__file__).parent
    names = [
        name
        for file in here.glob("test_twenty_bugs*.py")
        for name in re.findall(r"^def test_(\d\d)_", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert {int(name) for name in names} == set(range(1, 21))
