"""What a process has claimed: dealt out once each, claimed anew when there may be more, given back at the end."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from coordinator.domain.errors import StoreAway
from coordinator.flow import hand as module
from coordinator.flow.bell import Bell
from coordinator.flow.hand import Hand
from coordinator.flow.parts import Policy

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    id: str
    endpoint_id: str


@dataclass(frozen=True)
class Held:
    delivery: Row
    claimed_at: datetime
    at_once: int


class Clock:
    def __init__(self):
        self.at = NOON

    def now(self):
        return self.at


class Outbox:
    """Due deliveries by name ("office/number"), handed out with a limit for each endpoint, as the store does."""

    def __init__(self, monkeypatch, *due, per_endpoint=4, batch=4):
        self.due, self.asked, self.back, self.busy = list(due), 0, [], []
        self.clock, self.bell, self.per_endpoint = Clock(), Bell(), per_endpoint
        parts = SimpleNamespace(clock=self.clock, bell=self.bell, policy=Policy(per_endpoint=per_endpoint))
        monkeypatch.setattr(module, "claim", self.claim)
        monkeypatch.setattr(module, "let_go", lambda _parts, one: self.let_go(one.delivery.id))
        self.hand = Hand(parts, "w", batch)

    def claim(self, _parts, _worker, limit):
        self.asked += 1
        given = []
        for name in list(self.due):
            office = name.split("/")[0]
            if len(given) < limit and sum(one.startswith(office) for one in self.busy) < self.per_endpoint:
                self.due.remove(name)
                self.busy.append(name)
                given.append(Held(Row(name, office), self.clock.at, self.per_endpoint))
        return given

    def let_go(self, name):
        self.back.append(name)
        self.busy.remove(name)

    def sent(self, one):
        self.busy.remove(one.delivery.id)
        self.hand.finished(one)

    def rung_by(self, act):
        before = self.bell.heard("delivery")
        got = act()
        return self.bell.heard("delivery") != before, got


def names(*taken):
    return [one.delivery.id for one in taken]


def test_each_is_dealt_out_once_and_an_empty_hand_says_so(monkeypatch):
    box = Outbox(monkeypatch, "a/1", "b/1")
    box.hand.fill()
    assert names(box.hand.take(), box.hand.take()) == ["a/1", "b/1"]
    assert box.hand.take() is None
    assert box.hand.unfinished() == 2


def test_nothing_is_claimed_while_something_is_in_the_hand_and_it_rings_when_that_is_used_up(monkeypatch):
    box = Outbox(monkeypatch, "a/1")
    box.hand.fill()
    box.due.append("b/1")
    box.hand.fill()
    assert box.asked == 1
    rung, _ = box.rung_by(box.hand.take)
    assert rung
    box.hand.fill()
    assert names(box.hand.take()) == ["b/1"]


def test_the_last_of_a_full_batch_rings_and_the_last_of_another_does_not(monkeypatch):
    box = Outbox(monkeypatch, *(f"{office}/1" for office in "abcdef"))
    box.hand.fill()
    assert [box.rung_by(box.hand.take)[0] for _ in range(4)] == [False, False, False, True]
    box.hand.fill()
    assert [box.rung_by(box.hand.take)[0] for _ in range(2)] == [False, False]


def test_a_place_that_comes_free_at_an_endpoint_that_had_none_rings(monkeypatch):
    box = Outbox(monkeypatch, *(f"a/{number}" for number in range(3)), per_endpoint=2)
    box.hand.fill()
    first, second = box.hand.take(), box.hand.take()
    rung, _ = box.rung_by(lambda: box.sent(first))
    assert rung
    box.hand.fill()
    third = box.hand.take()
    assert names(third) == ["a/2"]
    box.sent(second)
    rung, _ = box.rung_by(lambda: box.sent(third))
    assert not rung


def test_what_waited_too_long_in_the_hand_goes_back(monkeypatch):
    box = Outbox(monkeypatch, "a/1", "a/2")
    box.hand.fill()
    first = box.hand.take()
    box.clock.at += timedelta(seconds=61)
    assert names(first) == ["a/1"]
    assert box.hand.take() is None
    assert box.back == ["a/2"]
    assert box.hand.unfinished() == 1


def test_one_who_waits_is_woken_by_what_is_claimed_and_by_the_end(monkeypatch):
    box = Outbox(monkeypatch)
    got = []
    senders = [threading.Thread(target=lambda: got.append(box.hand.take(10))) for _ in range(2)]
    for one in senders:
        one.start()
    box.due.append("a/1")
    box.hand.fill()
    while not got:
        threading.Event().wait(0.01)
    box.hand.end()
    for one in senders:
        one.join(5)
    assert names(*(one for one in got if one is not None)) == ["a/1"]
    assert got.count(None) == 1


def test_after_the_end_what_was_not_begun_is_given_back(monkeypatch):
    box = Outbox(monkeypatch, "a/1", "b/1")
    box.hand.fill()
    box.hand.take()
    box.hand.end()
    assert box.hand.take() is None
    box.hand.give_back()
    assert box.back == ["b/1"]
    assert box.hand.unfinished() == 1


def test_a_database_that_is_away_while_something_goes_back_costs_neither_its_place_nor_the_others(monkeypatch):
    box = Outbox(monkeypatch, "a/1", "b/1", "c/1")
    box.hand.fill()
    real, away = box.let_go, ["a/1"]

    def let_go(name):
        if name in away:
            away.remove(name)
            raise StoreAway
        real(name)

    monkeypatch.setattr(module, "let_go", lambda _parts, one: let_go(one.delivery.id))
    box.clock.at += timedelta(seconds=61)
    with pytest.raises(StoreAway):
        box.hand.take()
    assert box.hand.unfinished() == 2
    away.append("b/1")
    box.hand.end()
    box.hand.give_back()
    assert box.back == ["c/1"]
    assert box.hand.unfinished() == 0


@pytest.mark.parametrize(("rung", "woken"), [("event", False), ("delivery", True), (None, True)])
def test_only_news_of_its_kind_and_news_for_everybody_end_a_wait(rung, woken):
    bell = Bell()
    heard = bell.heard("delivery")
    bell.wake(rung)
    bell.wait(heard, 0.0, "delivery")
    assert (bell.heard("delivery") != heard) is woken
