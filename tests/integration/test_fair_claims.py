"""Who is next: every address has its turn, however long the queue of another; no address has more than its share."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from bench_parts import example

from coordinator.domain.delivery import State
from coordinator.store.tables import deliveries

AT_ONCE = 4


@pytest.fixture
def queue(bench):
    """Return a call that puts deliveries to an address into the outbox, due one after the other."""
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    with bench.store.begin() as tx:
        (row,) = tx.connection.execute(sa.select(deliveries).where(deliveries.c.message_id == message.id))
        tx.connection.execute(sa.update(deliveries).values(state=State.CANCELLED, due_at=None))
    count = iter(range(100, 1000))

    def put(address, number, *, after_s=0, priority="routine"):
        due_at = bench.clock.now() + timedelta(seconds=after_s)
        rows = []
        for place in range(number):
            ordinal = next(count)
            name = f"{address}-{priority}-{place:03}"
            at = due_at + timedelta(milliseconds=place)
            changes = {"id": name, "endpoint_id": address, "ordinal": ordinal, "priority": priority, "due_at": at}
            rows.append({**row._mapping, **changes})
        with bench.store.begin() as tx:
            tx.connection.execute(sa.insert(deliveries), rows)

    return put


def claim(bench, limit, worker="w1"):
    now = bench.clock.now()
    with bench.store.begin() as tx:
        lease_until = now + bench.parts.policy.lease
        return [one.id for one in tx.claim_due(worker, now, lease_until, limit, shut=(), per_endpoint=AT_ONCE)]


def of(address, ids):
    return [one for one in ids if one.startswith(f"{address}-")]


def test_a_long_queue_of_one_address_keeps_no_other_waiting(bench, queue):
    queue("busy", 60)
    queue("quiet", 1, after_s=1)
    queue("other", 2, after_s=2)
    bench.clock.turn(seconds=60)
    first = claim(bench, 8)
    assert (len(of("busy", first)), len(of("quiet", first)), len(of("other", first))) == (4, 1, 2)
    assert first[:3] == ["busy-routine-000", "quiet-routine-000", "other-routine-000"], "one of each before a second"


def test_an_address_has_no_more_under_way_than_its_share_whoever_claims(bench, queue):
    queue("busy", 60)
    bench.clock.turn(seconds=60)
    assert len(claim(bench, 3)) == 3
    assert claim(bench, 8, "w2") == ["busy-routine-003"]
    assert claim(bench, 8, "w3") == []
    with bench.store.begin() as tx:
        done = {"state": State.ACKNOWLEDGED, "lease_owner": None}
        tx.connection.execute(sa.update(deliveries).where(deliveries.c.id == "busy-routine-001").values(done))
    assert claim(bench, 8, "w3") == ["busy-routine-004"]


def test_what_is_urgent_goes_before_what_waits_longer_at_the_same_address(bench, queue):
    queue("busy", 60)
    queue("busy", 1, after_s=3, priority="urgent")
    queue("busy", 1, after_s=5, priority="stat")
    bench.clock.turn(seconds=60)
    assert claim(bench, 3) == ["busy-stat-000", "busy-urgent-000", "busy-routine-000"]


def test_what_is_not_due_and_what_is_closed_takes_no_turn(bench, queue):
    queue("later", 2, after_s=120)
    queue("now", 1)
    bench.clock.turn(seconds=60)
    now = bench.clock.now()
    with bench.store.begin() as tx:
        assert tx.claim_due("w1", now, now + timedelta(minutes=3), 8, shut=("now",), per_endpoint=AT_ONCE) == []
    assert claim(bench, 8) == ["now-routine-000"]


def test_what_is_urgent_goes_first_of_its_turn_however_many_addresses_have_a_backlog(bench, queue):
    for number in range(40):
        queue(f"a{number:02}", 6)
    queue("z", 1, after_s=30, priority="stat")
    bench.clock.turn(seconds=60)
    assert claim(bench, 8)[0] == "z-stat-000"


def test_of_the_addresses_whose_turn_it_is_those_go_first_that_have_waited_longest(bench, queue):
    for number in range(30):
        queue(f"a{number:02}", 1, after_s=30 - number)
    bench.clock.turn(seconds=60)
    assert claim(bench, 4) == [f"a{number}-routine-000" for number in (29, 28, 27, 26)]
