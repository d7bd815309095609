"""Group commit: several threads' writes in one transaction, and nobody told before it is committed."""

import threading
import time
from contextlib import contextmanager

import pytest

from coordinator.domain.errors import StateConflict, StoreAway
from coordinator.flow.together import Together


class FakeLedger:
    """Keeps what each committed transaction wrote. `hold` keeps the first commit waiting."""

    def __init__(self):
        self.commits: list[list[str]] = []
        self.first_began, self.hold = threading.Event(), threading.Event()
        self.fails_at_commit = False

    @contextmanager
    def begin(self):
        tx = FakeTransaction()
        yield tx
        if not self.first_began.is_set():
            self.first_began.set()
            self.hold.wait(5)
        if self.fails_at_commit:
            raise OSError("the disk is full")
        self.commits.append(tx.written)


class FakeTransaction:
    def __init__(self):
        self.written: list[str] = []

    def write_kept_back(self):
        """Keep nothing back."""


class Undone(StoreAway):
    undone = True


def marks(tx, known):
    """Know everything already."""


def outcomes(tx, known):
    """Know everything already."""


def writing(name, fault=None):
    def act(tx):
        if isinstance(fault, StateConflict):
            raise fault
        tx.written.append(name)
        if fault is not None:
            raise fault
        return name

    return act


def run_behind_a_first(ledger, acts, together=None):
    """Let one write stand in its commit while the others come; return what each got."""
    together, got = together or Together(), {}

    def one(name, act):
        try:
            got[name] = together.write(ledger, marks, (None, None), act)
        except Exception as fault:
            got[name] = fault

    first = threading.Thread(target=one, args=("first", writing("first")))
    first.start()
    assert ledger.first_began.wait(5)
    rest = [threading.Thread(target=one, args=(name, act)) for name, act in acts.items()]
    for thread in rest:
        thread.start()
    while len(together._waiting) < len(acts):
        pass
    assert got == {}, "somebody was told before the commit"
    ledger.hold.set()
    for thread in (first, *rest):
        thread.join(5)
    return got


def test_what_comes_while_one_commits_goes_into_the_next_commit_together():
    ledger = FakeLedger()
    got = run_behind_a_first(ledger, {name: writing(name) for name in "abcd"})
    assert got == {name: name for name in ("first", *"abcd")}
    assert [sorted(one) for one in ledger.commits] == [["first"], ["a", "b", "c", "d"]]


def times_of_three(acts_s, rests_s):
    """Write three times, one after the other, each taking so long; return when each began, after the first."""
    together, ledger, began = Together(rests_s=rests_s), FakeLedger(), []
    ledger.hold.set()
    for _ in range(3):
        together.write(ledger, marks, (None, None), lambda _tx: began.append(time.monotonic()) or time.sleep(acts_s))
    return [one - began[0] for one in began]


def test_who_comes_alone_waits_for_nobody():
    assert times_of_three(0.02, rests_s=5)[2] < 1


def test_after_several_at_once_it_rests_as_long_as_that_took_and_takes_who_comes_meanwhile():
    ledger = FakeLedger()
    together = Together(rests_s=5)

    def slow(tx):
        time.sleep(0.1)
        return writing("slow")(tx)

    got = run_behind_a_first(ledger, {"a": slow, "b": slow}, together)
    assert got == {"first": "first", "a": "slow", "b": "slow"}
    began = time.monotonic()
    late = [threading.Thread(target=together.write, args=(ledger, marks, (None, None), writing(name))) for name in "cd"]
    for thread in late:
        thread.start()
        time.sleep(0.02)
    for thread in late:
        thread.join(5)
    assert sorted(ledger.commits[-1]) == ["c", "d"], "who came during the rest went with the one before"
    assert 0.1 < time.monotonic() - began < 2


def test_one_that_may_no_longer_go_is_told_so_and_does_not_stop_the_others():
    ledger = FakeLedger()
    got = run_behind_a_first(ledger, {"a": writing("a"), "b": writing("b", StateConflict("lease"))})
    assert isinstance(got["b"], StateConflict)
    assert ledger.commits == [["first"], ["a"]]


def test_a_fault_of_one_undoes_the_group_and_then_each_is_tried_alone():
    ledger = FakeLedger()
    got = run_behind_a_first(ledger, {"a": writing("a"), "b": writing("b", ValueError("bug")), "c": writing("c")})
    assert isinstance(got["b"], ValueError)
    assert (got["a"], got["c"]) == ("a", "c")
    assert sorted(map(tuple, ledger.commits)) == [("a",), ("c",), ("first",)]


def test_a_commit_that_fails_fails_for_everybody_in_it():
    ledger = FakeLedger()
    ledger.fails_at_commit = True
    got = run_behind_a_first(ledger, {"a": writing("a"), "b": writing("b")})
    assert {type(one) for one in got.values()} == {OSError}
    assert ledger.commits == []


@pytest.mark.parametrize(("fault", "asked"), [(StoreAway(), 2), (Undone(), 4)])
def test_a_database_that_is_away_is_asked_once_for_them_all_and_one_that_undid_it_for_each(fault, asked):
    ledger, begun, real = FakeLedger(), [], FakeLedger.begin

    @contextmanager
    def begin():
        begun.append(1)
        with real(ledger) as tx:
            if len(begun) == 2:
                raise fault
            yield tx

    ledger.begin = begin
    got = run_behind_a_first(ledger, {"a": writing("a"), "b": writing("b")})
    assert len(begun) == asked
    assert [got["a"], got["b"]] == ([fault, fault] if asked == 2 else ["a", "b"])


def test_others_hear_of_a_leader_that_was_ended_and_can_go_on_writing():
    ledger, together = FakeLedger(), Together()

    def ended(_tx):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together.write(ledger, marks, (None, None), ended)
    ledger.hold.set()
    assert together.write(ledger, marks, (None, None), writing("next")) == "next"


@pytest.mark.parametrize("times", [1, 4])
def test_what_the_database_undid_is_asked_again(times):
    ledger, left = FakeLedger(), [Undone()] * times

    def act(tx):
        if left:
            raise left.pop()
        tx.written.append("a")
        return "done"

    ledger.hold.set()
    assert Together().write(ledger, marks, (None, None), act) == "done"
    assert ledger.commits == [["a"]]


@pytest.mark.parametrize(("fault", "tries"), [(Undone(), 5), (StoreAway(), 1), (ValueError("a bug"), 1)])
def test_it_is_asked_five_times_at_most_and_only_where_nothing_can_have_been_written(fault, tries):
    asked = []

    def act(_tx):
        asked.append(1)
        raise fault

    ledger = FakeLedger()
    ledger.hold.set()
    with pytest.raises(type(fault)):
        Together().write(ledger, outcomes, (None, None), act)
    assert (len(asked), ledger.commits) == (tries, [])
