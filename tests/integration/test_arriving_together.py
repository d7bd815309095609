"""Events that arrive at the same moment: the same as one after the other, each answered for itself, in one commit."""

import contextlib
import json
import threading
import time

import sqlalchemy as sa
from bench_parts import Bench, example, of_patients, shared_workshop

from coordinator.flow import record as module
from coordinator.flow.record import record
from coordinator.store.ledger import StoreTransaction
from coordinator.store.tables import audit, inbox, refusals

WITHIN_S = 20.0


def arrive(bench, events):
    """Let these arrive while another write is under way, so that one commit takes them all; return the answers."""
    arriving, going_on, answers = bench.parts.arriving, threading.Event(), [None] * len(events)

    def one(number, event):
        answers[number] = record(bench.parts, "ehr", json.dumps(event).encode())

    begun = threading.Event()

    def under_way(_tx):
        begun.set()
        assert going_on.wait(WITHIN_S)

    threads = [threading.Thread(target=arriving.write, args=(bench.store, lambda *_: None, None, under_way))]
    threads[0].start()
    assert begun.wait(WITHIN_S)
    for number, event in enumerate(events):
        threads.append(threading.Thread(target=one, args=(number, event)))
        threads[-1].start()
        wait_for(lambda number=number: len(arriving._waiting) > number)
    going_on.set()
    for thread in threads:
        thread.join(WITHIN_S)
    return answers


def wait_for(what):
    ends = time.monotonic() + WITHIN_S
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.002)


@contextlib.contextmanager
def begins(bench):
    """Yield the list of writing transactions that are begun meanwhile."""
    begun, real = [], bench.store.begin

    def counted(*, write=True):
        if write:
            begun.append(1)
        return real(write=write)

    bench.store.begin = counted
    try:
        yield begun
    finally:
        del bench.store.begin


def on_record(bench):
    """Return all that was recorded, without what is sealed or random, by table."""
    columns = {
        inbox: ("source", "event_key", "version", "event_type", "patient_key", "content_key", "state", "cause"),
        audit: ("action", "actor", "patient_key", "code"),
        refusals: ("source", "body_key"),
    }
    with bench.store.begin(write=False) as tx:
        return {
            table.name: sorted(map(repr, tx.connection.execute(sa.select(*[table.c[one] for one in names]))))
            for table, names in columns.items()
        }


def the_days_events(bench):
    """Return events of several patients, with one twice, one amended, one with faults, and two of one patient."""
    sessions = of_patients(bench, 3)
    change = example("dose-change.ketamine")
    return [
        *sessions,
        sessions[1],
        sessions[2] | {"version": 2},
        change,
        change | {"reason": {"code": "partial-response", "text": "Other content under the same name and version."}},
        change | {"id": "chg-later", "recorded_at": change["recorded_at"].replace("T1", "T2")},
        sessions[0] | {"id": "nobody", "patient": "MRN-unknown"},
    ]


def test_what_is_recorded_and_answered_is_the_same_as_one_after_the_other(tmp_path):
    made = []
    for how in ("one by one", "together"):
        bench = Bench(f"sqlite:///{tmp_path / how}.sqlite", shared_workshop())
        events = the_days_events(bench)
        answers = arrive(bench, events) if how == "together" else [bench.submit(one) for one in events]
        made.append((on_record(bench), [(one.outcome, one.event_id, one.faults) for one in answers]))
        assert bench.broken() == []
        bench.close()
    assert made[0] == made[1]
    answered = [one[0] for one in made[0][1]]
    assert answered == [*["accepted"] * 3, "replay", "accepted", "accepted", "conflict", "accepted", "refused"]


def test_they_take_one_transaction(bench):
    events = of_patients(bench, 6)
    with begins(bench) as begun:
        answers = arrive(bench, events)
    assert {one.outcome for one in answers} == {"accepted"}
    assert len({one.event_ref for one in answers}) == 6
    assert len(begun) == 2, "one for the write they waited for, one for all of them"


def test_a_name_that_another_process_takes_meanwhile_is_a_replay_and_costs_no_other(bench, monkeypatch):
    events = of_patients(bench, 3)
    assert bench.submit(events[1]).outcome == "accepted"

    def too_early(tx, names):
        """Read what was there before the other process came."""
        tx._ahead.versions.update({name: [] for name in names})

    monkeypatch.setattr(StoreTransaction, "_read_versions", too_early)
    with begins(bench) as begun:
        answers = arrive(bench, events)
    assert [one.outcome for one in answers] == ["accepted", "replay", "accepted"]
    assert len(begun) == 5, "the write they waited for, all together, and then each alone"
    assert len(on_record(bench)["inbox"]) == 3
    assert bench.broken() == []


def test_a_fault_of_ours_about_one_costs_no_other(bench, monkeypatch):
    events = of_patients(bench, 3)
    real = module.check

    def failing(book, event, *rest):
        if event.id == events[1]["id"]:
            raise KeyError("a fault of ours")
        return real(book, event, *rest)

    monkeypatch.setattr(module, "check", failing)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    answers = arrive(bench, events)
    assert [None if one is None else one.outcome for one in answers] == ["accepted", None, "accepted"]
    assert len(on_record(bench)["inbox"]) == 2
