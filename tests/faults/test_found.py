"""Faults that the simulation and the kill matrix found, each as a small test of its own."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from coordinator.flow import deliver, digest
from coordinator.flow.calls import calls
from coordinator.flow.outcome import taken, write_outcome
from coordinator.flow.ports import Taken
from coordinator.flow.prepare import prepare
from coordinator.flow.record import record
from coordinator.flow.sweep import clocks, escalations, sweep, take_back_leases
from coordinator.flow.track import take_in
from coordinator.planning.escalation import load_escalation
from coordinator.settings import shipped
from coordinator.store.tables import deliveries, messages, registry
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


def dose_change(world, name, *, minutes_ago=1.0, version=1):
    event = example("dose-change.ketamine") | {"id": name, "version": version, "patient": "MRN-1001"}
    event["course"] = {"id": "course-0"}
    event.pop("session")
    event["recorded_at"] = (world.clock.now() - timedelta(minutes=minutes_ago)).isoformat()
    return event


def tell(world, event):
    """Record and prepare an event; return its messages by provider."""
    answer = record(world.parts, "ehr", json.dumps(event).encode())
    assert answer.outcome == "accepted", answer.faults
    prepare(world.parts, answer.event_ref)
    with world.store.begin(write=False) as tx:
        return {one.provider_id: one for one in tx.messages_of_event(answer.event_ref)}


def send_due(world):
    claimed = deliver.claim(world.parts, "w", 20)
    for one in claimed:
        deliver.attempt(world.parts, one)
    return len(claimed)


def test_two_records_of_the_same_instant_are_in_no_order_and_so_never_out_of_it(world):
    at = dose_change(world, "a")["recorded_at"]
    for name in ("b", "a", "c"):
        tell(world, dose_change(world, name) | {"recorded_at": at})
        send_due(world)
        world.clock.turn(timedelta(minutes=5))
    assert [one for one in broken(world) if "order" in one] == []


def test_a_newer_message_waits_while_an_older_one_of_its_lane_is_on_the_wire(world):
    tell(world, dose_change(world, "old", minutes_ago=60))
    slow = world.channels["fhir-rest"]
    calls = []

    def while_on_the_wire(place):
        if place == "send:before-taken" and not calls:
            calls.append(place)
            tell(world, dose_change(world, "new"))
            send_due(world)

    slow._at_point = while_on_the_wire
    send_due(world)
    assert calls
    world.clock.turn(timedelta(minutes=5))
    send_due(world)
    assert [one for one in broken(world) if "order" in one] == []
    assert sum(one.provider == "pr-psych" for one in world.books.held) == 2


def test_word_that_an_earlier_job_failed_does_not_repeat_the_later_one(world):
    """The gateway's late notice about the first job must not be taken for the second, which arrived."""
    message = tell(world, dose_change(world, "a"))["pr-pcp"]
    fax = world.channels["fax"]
    fax.calm = False
    fax._chance = Scripted(["job-fails", "take"])
    send_due(world)
    notice = fax.mail[0]
    fax.mail.clear()
    take_in(world.parts, notice)
    world.clock.turn(timedelta(hours=1))
    send_due(world)
    assert len(world.books.held) == 2
    fax.mail.clear()
    take_in(world.parts, replace(notice, key="the same news under another key"))
    with world.store.begin(write=False) as tx:
        assert tx.deliveries(message.id)[0].state == "sent"


class Scripted:
    """Dice that say what is wanted."""

    def __init__(self, moods):
        self.moods = list(moods)

    def choices(self, *_args, **_named):
        return [self.moods.pop(0)]

    def choice(self, values):
        return values[0]

    def random(self):
        return 0.5


def test_one_row_that_cannot_be_read_holds_its_own_message_and_no_other(world):
    """A flipped bit in one patient's row stopped every claim, for everybody."""
    spoilt = tell(world, dose_change(world, "a"))
    others = tell(world, dose_change(world, "b") | {"patient": "MRN-1002", "course": {"id": "course-1"}})
    with world.store.begin() as tx:
        where = (registry.c.kind == "patient") & (registry.c.key == tx.key("patient", "MRN-1001"))
        assert tx.connection.execute(registry.update().where(where).values(body_sealed=b"x")).rowcount == 1
    send_due(world)
    with world.store.begin(write=False) as tx:
        held = {(one.state, one.cause) for message in spoilt.values() for one in tx.deliveries(message.id)}
    assert held == {("held", "bug")}
    assert {one.identifier for one in world.books.held} == {f"urn:uuid:{one.id}" for one in others.values()}


@pytest.mark.parametrize(
    "cell",
    [(messages, "plan_sealed"), (deliveries, "far_side_sealed"), (deliveries, "reason_sealed")],
    ids=lambda cell: cell[1],
)
def test_a_cell_that_cannot_be_read_holds_its_own_message_at_the_claim_and_no_other(world, cell):
    """One flipped bit in a message, or in a delivery tried before, stopped every claim, for everybody and for ever."""
    spoilt, other = two_told(world)
    spoil(world, spoilt, *cell)
    send_due(world)
    with world.store.begin(write=False) as tx:
        assert [(one.state, one.cause) for one in tx.deliveries(spoilt.id)] == [("held", "bug")]
    assert f"urn:uuid:{other.id}" in {one.identifier for one in world.books.held}


def on_the_wire(world, step):
    """Return two deliveries: `step` says how they stand; of the first the far side's name for it is spoilt."""
    spoilt, other = two_told(world)
    for one in deliver.claim(world.parts, "dead", 10):
        deliver.mark(world.parts, one, f"ref-{one.delivery.id}")
        if step == "sent":
            answer = Taken(f"ref-{one.delivery.id}", proven=False, status=200, expect_receipt_within_s=60)
            write_outcome(world.parts, one.delivery, one.message, None, taken(answer, world.clock.now()))
    if step == "in-doubt":
        world.clock.turn(timedelta(hours=1))
        take_back_leases(world.parts)
    spoil(world, spoilt, deliveries, "far_side_sealed")
    return spoilt, other


@pytest.mark.parametrize("step", ["on-wire", "in-doubt", "sent"])
def test_a_cell_that_cannot_be_read_leaves_its_own_delivery_to_a_person_and_the_sweep_goes_on(world, step):
    spoilt, other = on_the_wire(world, step)
    for _ in range(4):
        world.clock.turn(timedelta(hours=1))
        sweep(world.parts)
        send_due(world)
    with world.store.begin(write=False) as tx:
        assert [one.state in {"in-doubt", "held"} for one in tx.deliveries(spoilt.id)] == [True]
        assert [one.state for one in tx.deliveries(other.id)] == ["held" if step == "sent" else "acknowledged"]
    assert [one.identifier for one in world.books.held].count(f"urn:uuid:{spoilt.id}") == 0


def two_told(world):
    """Return two patients' messages to their psychiatrist; the first one's row is about to be spoilt."""
    first = tell(world, dose_change(world, "a"))["pr-psych"]
    other = tell(world, dose_change(world, "b") | {"patient": "MRN-1002", "course": {"id": "course-1"}})["pr-psych"]
    return first, other


def spoil(world, message, table=messages, column="plan_sealed"):
    name = messages.c.id if table is messages else deliveries.c.message_id
    with world.store.begin() as tx:
        assert tx.connection.execute(table.update().where(name == message.id).values({column: b"x"})).rowcount == 1


def test_a_dead_worker_that_held_a_message_that_cannot_be_read_keeps_no_other_for_ever(world):
    spoilt, other = two_told(world)
    for one in deliver.claim(world.parts, "dead", 10):
        deliver.mark(world.parts, one, None)
    spoil(world, spoilt)
    world.clock.turn(timedelta(hours=1))
    take_back_leases(world.parts)
    with world.store.begin(write=False) as tx:
        assert [one.state for one in tx.deliveries(other.id)] == ["in-doubt"]
        assert [one.state for one in tx.deliveries(spoilt.id)] == ["in-doubt"]
    assert take_back_leases(world.parts) == 0


def test_a_message_that_cannot_be_read_stops_no_other_ones_clock(world):
    spoilt, other = two_told(world)
    spoil(world, spoilt)
    world.clock.turn(timedelta(days=30))
    clocks(world.parts)
    with world.store.begin(write=False) as tx:
        assert tx.message(other.id).told_at is not None
        assert spoilt.id not in tx.clock_ids(world.clock.now(), 10), (
            "and is looked at again in an hour, not all the time"
        )


def test_a_call_about_a_message_that_cannot_be_read_hides_and_delays_no_other_call(world):
    spoilt, other = two_told(world)
    now = world.clock.now()
    with world.store.begin() as tx:
        for one in (spoilt, other):
            tx.add_task(f"call-{one.id}", one.id, "call", "answer.overdue", now, now)
    spoil(world, spoilt)
    assert [one.message_id for one in calls(world.parts, STAFF)] == [other.id]
    world.clock.turn(timedelta(days=3))
    steps = load_escalation(shipped("mappings") / "rules" / "escalation.yaml")
    assert escalations(replace(world.parts, escalation=steps)) == 1


def test_a_session_that_cannot_be_read_holds_back_no_other_patients_digest(world, monkeypatch):
    spoilt, other = two_told(world)
    spoil(world, spoilt)
    with world.store.begin() as tx:
        tx.connection.execute(messages.update().values(state="digest", digest_due_at=world.clock.now()))
    told = []
    monkeypatch.setattr(digest, "_one_digest", lambda _, items: told.extend(one.id for one in items))
    digest.prepare_digests(world.parts)
    assert other.id in told
    assert spoilt.id not in told


def test_one_delivery_that_cannot_be_read_does_not_stop_the_sweep_for_the_others(world):
    """The same flipped bit, met by the sweep: what comes after it in a round is done all the same."""
    rest = world.channels["fhir-rest"]
    rest.calm, rest.moods = False, {"lose-then-timeout": 1}
    spoilt = tell(world, dose_change(world, "a"))["pr-psych"]
    others = tell(world, dose_change(world, "b") | {"patient": "MRN-1002", "course": {"id": "course-1"}})["pr-psych"]
    send_due(world)
    rest.calm = True
    with world.store.begin() as tx:
        where = (registry.c.kind == "patient") & (registry.c.key == tx.key("patient", "MRN-1001"))
        tx.connection.execute(registry.update().where(where).values(body_sealed=b"x"))
    world.clock.turn(timedelta(hours=1))
    sweep(world.parts)
    send_due(world)
    with world.store.begin(write=False) as tx:
        assert tx.deliveries(spoilt.id)[0].state == "in-doubt"
        assert tx.deliveries(others.id)[0].state == "acknowledged"


def test_a_resend_that_fails_is_not_carried_on_by_the_next_channel_while_the_first_copy_may_have_arrived():
    """A fax was out, its report still due; staff sent it again, that was refused, and the clinic takes the next
    channel by itself: the recipient got a second copy that nobody had asked for.
    """
    with cheap_composing():
        world = World(1)  # this clinic takes the next channel by itself
        try:
            for channel in world.channels.values():
                channel.calm = True
            message = tell(world, dose_change(world, "a"))["pr-psych"]
            send_due(world)
            first = next(one for one in deliveries_of(world, message))
            assert first.state == "acknowledged"
            rest = world.channels["fhir-rest"]
            rest.calm, rest.moods = False, {"refuse": 1}
            world.desk.resend(first.id, reason="asked for it", token="t" * 40, actor=STAFF)
            send_due(world)
            assert [str(one.state) for one in deliveries_of(world, message)] == ["acknowledged", "dead"]
        finally:
            world.close()


def deliveries_of(world, message):
    with world.store.begin(write=False) as tx:
        return list(tx.deliveries(message.id))
