"""The service says by itself when a kind of its own work is done by nobody, to staff and to whoever watches it."""

import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from coordinator.flow.heartbeat import CAUSES, Heartbeat, silent
from coordinator.flow.runner import Runner

ALL = set(CAUSES)
EVERY_CAUSE = {"work.prepare", "work.send", "work.sweep", "work.receipts"}


def seen(bench):
    with bench.store.begin(write=False) as tx:
        return dict(tx.heartbeats())


def standing(bench):
    return set(silent(seen(bench), bench.clock.now()))


@contextmanager
def running(bench, **more):
    runner = Runner(
        bench.parts, senders=2, idle_s=0.01, sweep_every_s=0.01, receipts_every_s=0.01,
        beat=Heartbeat(bench.store, bench.clock, every_s=0).beat, **more,
    )  # fmt: skip
    runner.start()
    try:
        yield runner
    finally:
        runner.stop(20)


def wait_for(condition):
    ends_s = time.monotonic() + 20
    while not condition() and time.monotonic() < ends_s:
        time.sleep(0.02)
    assert condition()


def test_an_embedded_service_is_seen_at_every_kind_of_its_work(bench):
    with running(bench):
        wait_for(lambda: set(seen(bench)) == ALL)
    assert standing(bench) == set()
    bench.clock.turn(minutes=3, seconds=1)
    assert standing(bench) == EVERY_CAUSE


def test_a_worker_beside_others_is_seen_at_writing_and_sending_and_leaves_the_rest_to_the_brokers_clock(bench):
    with running(bench, alone=False):
        wait_for(lambda: set(seen(bench)) == {"prepare", "claim", "send"})
        time.sleep(0.3)
        assert set(seen(bench)) == {"prepare", "claim", "send"}


@pytest.mark.parametrize(
    ("step", "cause"),
    [("store.inbox_part.InboxRows.claim_inbox", "work.prepare"), ("flow.hand.Hand.fill", "work.send"),
     ("flow.hand.Hand.take", "work.send"), ("flow.runner.sweep", "work.sweep"),
     ("flow.runner.fetch_receipts", "work.receipts")],
)  # fmt: skip
def test_what_fails_each_time_is_not_taken_for_work(bench, monkeypatch, step, cause):
    def fails(*_args, **_named):
        raise RuntimeError("a fault of ours")

    with running(bench):
        wait_for(lambda: set(seen(bench)) == ALL)
    bench.clock.turn(minutes=10)
    monkeypatch.setattr(f"coordinator.{step}", fails)
    with running(bench):
        wait_for(lambda: not standing(bench) & (EVERY_CAUSE - {cause}))
        assert standing(bench) == {cause}


def test_staff_see_it_on_the_first_page_with_who_has_to_do_what_and_it_counts(bench):
    assert bench.desk.overview().standstills == (), "what was never expected is not missed"
    heart = Heartbeat(bench.store, bench.clock, every_s=0)
    began_at = bench.clock.now()
    heart.expect_all()
    bench.clock.turn(minutes=2)
    heart.beat("prepare")
    heart.beat("claim")
    assert bench.desk.overview().standstills == ()
    bench.clock.turn(minutes=2)
    overview = bench.desk.overview()
    assert overview.needs_attention == 3
    assert {one.since for one in overview.standstills} == {began_at}
    assert {one.role for one in overview.standstills} == {"clinic-engineer"}
    sending = overview.standstills[0]
    assert "Nothing is sent" in sending.why
    assert "coordinator worker" in sending.next_step
    for work in ("send", "sweep", "receipts"):
        heart.beat(work)
    assert bench.desk.overview().standstills == ()


def test_expecting_work_again_does_not_make_it_look_done(bench):
    heart = Heartbeat(bench.store, bench.clock, every_s=0)
    heart.expect_all()
    bench.clock.turn(minutes=5)
    heart.expect_all()
    assert standing(bench) == EVERY_CAUSE


def test_a_process_tells_no_oftener_than_it_has_to(bench):
    heart = Heartbeat(bench.store, bench.clock, every_s=3600)
    heart.beat("send")
    first = seen(bench)
    bench.clock.turn(minutes=1)
    heart.beat("send")
    heart.beat("claim")
    assert seen(bench)["send"] == first["send"]
    assert seen(bench)["claim"] == first["send"] + timedelta(minutes=1)


def test_work_seen_by_a_clock_that_was_ahead_is_not_taken_for_work_of_today(bench):
    bench.clock.turn(hours=5)
    Heartbeat(bench.store, bench.clock).beat("send")
    bench.clock.turn(hours=-5)
    assert standing(bench) == {"work.send"}
