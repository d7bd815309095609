"""Hints to the workers: few, never the last one missing, and nobody waits for a broker."""

import time
from types import SimpleNamespace

import pytest

from coordinator import hints as module
from coordinator.hints import BUSY_GAP_S, GAP_S, Hints


class Broker:
    """Keeps what is sent; is away for the first `away` sends."""

    def __init__(self, away=0):
        self.sent, self.away = [], away

    def send_task(self, task, args, **_options):
        if self.away:
            self.away -= 1
            raise OSError("away")
        self.sent.append((task, args, time.monotonic()))

    def until(self, enough):
        end = time.monotonic() + 5
        while not enough(self.sent) and time.monotonic() < end:
            time.sleep(0.002)
        return self.sent


@pytest.fixture
def hinting(monkeypatch):
    def over(broker):
        monkeypatch.setattr(module.Hints, "_app", lambda _self: broker)
        return Hints("memory://"), broker

    return over


def test_many_rings_are_few_hints_and_the_last_ring_is_followed_by_one(hinting):
    hints, broker = hinting(Broker())
    began = time.monotonic()
    for number in range(500):
        hints.tell("event", [f"e-{number}"])
        time.sleep(0.0002)
    sent = broker.until(lambda found: found and found[-1][1] == ("e-499",))
    assert sent[-1][1] == ("e-499",)
    # The first stands for one row; from then on several become due in each gap.
    assert 1 <= len(sent) <= (time.monotonic() - began) / BUSY_GAP_S + 3


@pytest.mark.parametrize(("rows", "rests_s"), [(["e-1"], GAP_S), (["e-1", "e-2"], BUSY_GAP_S)])
def test_the_gap_after_a_hint_is_longer_when_it_stands_for_several_rows(hinting, monkeypatch, rows, rests_s):
    rested = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=rested.append))
    hints, broker = hinting(Broker())
    hints.tell("event", rows)
    broker.until(lambda _found: rested)
    assert rested == [rests_s]


def test_a_hint_names_its_task_and_one_id_and_each_kind_gets_its_own(hinting):
    hints, broker = hinting(Broker())
    hints.tell("event", ["e-1", "e-2"])
    hints.tell("delivery", ["d-1"])
    hints.tell("delivery", [])
    sent = broker.until(lambda found: len(found) == 2)
    assert {one[:2] for one in sent} == {("coordinator.prepare", ("e-1",)), ("coordinator.deliver", ("d-1",))}


def test_a_broker_that_is_away_costs_its_hint_and_no_other(hinting):
    hints, broker = hinting(Broker(away=1))
    hints.tell("event", ["lost"])
    time.sleep(GAP_S * 2)
    hints.tell("event", ["e-2"])
    assert [one[1] for one in broker.until(len)] == [("e-2",)]


def test_workers_and_beat_wait_for_their_broker_however_long_it_is_away():
    from celery.beat import Scheduler
    from celery.worker.consumer.consumer import Consumer

    from coordinator.worker.app import app

    asked = []

    class Connection:
        def ensure_connection(self, errback, max_retries, callback=None, **_):
            asked.append(max_retries)
            errback(OSError("away"), 30.0)  # Celery puts the number into what it says
            return self

        default_channel = transport = None

        def as_uri(self):
            return "amqp://away"

    consumer = object.__new__(Consumer)
    consumer.app, consumer.first_connection_attempt = app, False
    consumer.broker_connection_retry_attempt = 0
    consumer.ensure_connected(Connection())
    beat = object.__new__(Scheduler)
    beat.app, beat.__dict__["connection"] = app, Connection()
    beat._ensure_connected()
    assert asked == [None, None], "a number would mean that the worker ends"
