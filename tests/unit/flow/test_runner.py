"""The loops: alone in the world, or beside other processes on the same database."""

import threading
import time
from types import SimpleNamespace

import pytest

from coordinator.flow import runner as module
from coordinator.flow.bell import Bell
from coordinator.flow.parts import Policy
from coordinator.flow.runner import PREPARE_AT_ONCE, Runner


class Inbox:
    """Events by number, leased in order; the parts of a runner over nothing else."""

    def __init__(self, monkeypatch, events=0, due=0):
        self.events, self.due = [str(one) for one in range(events)], due
        self.done, self.cost_s = [], 0.0
        self.clock = SimpleNamespace(now=_Moment)
        self.parts = SimpleNamespace(ledger=self, clock=self.clock, bell=Bell(), policy=Policy())
        self.called = []
        monkeypatch.setattr(module, "prepare_all", self.prepare_all)
        monkeypatch.setattr(module, "take_back_leases", lambda *_args, **_named: self.called.append("taken back"))
        monkeypatch.setattr(module, "sweep", lambda *_args: self.called.append("swept"))
        monkeypatch.setattr(module, "fetch_receipts", lambda *_args: self.called.append("fetched"))
        monkeypatch.setattr(module, "Hand", self.hand)

    def hand(self, _parts, _worker, batch):
        self.batch = batch
        return SimpleNamespace(fill=self.fill, take=self.take, end=lambda: None, give_back=lambda: None)

    def fill(self):
        given, self.due = min(self.due, self.batch), max(0, self.due - self.batch)
        return [f"d-{one}" for one in range(given)]

    def take(self, wait_s):
        time.sleep(min(wait_s, 0.01))

    def begin(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_fault):
        return None

    def claim_inbox(self, _worker, _now, _until, limit):
        given, self.events = self.events[:limit], self.events[limit:]
        return given

    def prepare_all(self, _parts, ids):
        self.done.append(len(ids))
        ends_s = time.thread_time() + self.cost_s * len(ids)
        while time.thread_time() < ends_s:
            pass


class _Moment:
    def __add__(self, _other):
        return self


def run(inbox, *, until, **more):
    runner = Runner(inbox.parts, senders=4, idle_s=0.01, sweep_every_s=0.01, receipts_every_s=0.01, **more)
    runner.start()
    end = time.monotonic() + 10
    while not until() and time.monotonic() < end:
        time.sleep(0.005)
    runner.stop(5)
    assert until()


def test_alone_it_takes_back_what_a_dead_process_held_and_sweeps(monkeypatch):
    inbox = Inbox(monkeypatch)
    run(inbox, until=lambda: {"swept", "fetched"} <= set(inbox.called))
    assert inbox.called[0] == "taken back"


def test_beside_others_it_takes_nothing_back_and_leaves_sweeping_to_the_clock(monkeypatch):
    inbox = Inbox(monkeypatch, events=3)
    run(inbox, until=lambda: sum(inbox.done) == 3, alone=False)
    assert inbox.called == []


def test_every_thread_that_sends_says_so_before_it_takes_anything_and_no_other_thread_does(monkeypatch):
    inbox, begun = Inbox(monkeypatch), []
    run(inbox, until=lambda: len(begun) == 4, a_sender_starts=lambda: begun.append(threading.current_thread().name))
    assert sorted(begun) == [f"embedded-send-{number}" for number in range(4)]


def test_a_thread_that_cannot_begin_as_it_was_told_to_sends_all_the_same(monkeypatch):
    inbox, took = Inbox(monkeypatch), []
    inbox.take = lambda _wait_s: took.append(time.sleep(0.01))

    def refuse():
        raise OSError("not on this machine")

    run(inbox, until=lambda: len(took) > 4, a_sender_starts=refuse)


def test_cheap_events_are_prepared_ever_more_at_once(monkeypatch):
    inbox = Inbox(monkeypatch, events=60)
    run(inbox, until=lambda: sum(inbox.done) == 60)
    assert inbox.done[:5] == [1, 2, 4, 8, 16]
    assert max(inbox.done) == PREPARE_AT_ONCE


def test_events_whose_letters_take_long_are_prepared_one_by_one(monkeypatch):
    inbox = Inbox(monkeypatch, events=4)
    inbox.cost_s = 0.12
    run(inbox, until=lambda: sum(inbox.done) == 4)
    assert inbox.done == [1, 1, 1, 1]


@pytest.mark.parametrize(("due", "told"), [(3, []), (4, ["delivery"])], ids=["less than a batch", "a full batch"])
def test_the_others_are_told_only_of_more_than_it_takes_at_once(monkeypatch, due, told):
    inbox, heard = Inbox(monkeypatch, due=due), []
    run(inbox, until=lambda: inbox.due == 0, alone=False, others=(lambda what, _names: heard.append(what),))
    assert inbox.batch == 4
    assert heard == told


def test_the_time_to_stop_is_that_of_all_threads_together(monkeypatch):
    inbox, far_side, stuck = Inbox(monkeypatch), threading.Event(), threading.Semaphore(0)

    def take(_wait_s):
        stuck.release()
        far_side.wait(20)

    inbox.take = take
    runner = Runner(inbox.parts, senders=4, idle_s=0.01)
    runner.start()
    assert all(stuck.acquire(timeout=10) for _ in range(4))
    began_s = time.monotonic()
    runner.stop(1.0)
    took_s = time.monotonic() - began_s
    far_side.set()
    assert 1.0 <= took_s < 3.5
