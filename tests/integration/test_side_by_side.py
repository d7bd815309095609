"""Two processes at the same moment on PostgreSQL, which lets each see only what the other has committed."""

import threading
import time
from datetime import timedelta

import pytest
from bench_parts import example, of_patients
from test_addresses import FAX
from test_closed_addresses import COLLEAGUES, colleague, report, sent, usable_under

from coordinator.domain.delivery import State
from coordinator.domain.errors import Transient
from coordinator.flow import deliver, lanes, misdirected, registry_desk
from coordinator.flow import prepare as module
from coordinator.flow.prepare import prepare_all
from coordinator.store.delivery_part import DeliveryRows

pytestmark = pytest.mark.servers
WAIT_S = 1.5


@pytest.fixture(autouse=True)
def several_writers(bench):
    if bench.store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")


def test_two_dose_changes_prepared_at_the_same_moment_leave_the_newer_one_alone(bench, monkeypatch):
    """Neither saw the other, both were pending, and the older one could follow the newer."""
    change = example("dose-change.ketamine")
    newer = change | {"id": "dc-3001", "recorded_at": "2026-10-16T09:40:00-05:00"}
    answers = [bench.submit(one) for one in (change, newer)]
    stored, through, real = threading.Event(), threading.Event(), module.first_delivery
    first = threading.Lock()

    def slowly(*args):
        made = real(*args)
        if first.acquire(blocking=False):
            stored.set()
            through.wait(WAIT_S)  # the other one may store and commit meanwhile
        return made

    monkeypatch.setattr(module, "first_delivery", slowly)
    one = threading.Thread(target=prepare_all, args=(bench.parts, [answers[0].event_ref]))

    def the_newer():
        prepare_all(bench.parts, [answers[1].event_ref])
        through.set()

    other = threading.Thread(target=the_newer)
    one.start()
    assert stored.wait(30)
    other.start()
    for thread in (one, other):
        thread.join(30)
    with bench.store.begin(write=False) as tx:
        older, later = (tx.messages_of_event(answer.event_ref) for answer in answers)
    assert {bench.state(message.id) for message in older} == {State.CANCELLED}
    assert {bench.state(message.id) for message in later} == {State.PENDING}


def test_an_amendment_that_arrives_while_the_version_before_is_stored_leaves_that_one_prepared(bench):
    """Else its letters, which have left, would be forgotten, and the amendment would not go as a correction."""
    first = bench.submit(example("session-outcome.bp-spike"))
    second = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"}
    second["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    answers = []
    arrives = threading.Thread(target=lambda: answers.append(bench.submit(second)))
    real = module.withdraw_earlier

    def meanwhile(*args):
        arrives.start()
        arrives.join(WAIT_S)
        return real(*args)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "withdraw_earlier", meanwhile)
        bench.prepare(first)
    arrives.join(30)
    bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(first.event_ref).state == "prepared"
    assert {one.letters[0] for one in bench.prepare(answers[0])} == {"L9"}


def test_two_workers_at_the_same_moment_probe_an_address_with_one_message(bench, monkeypatch):
    for event in of_patients(bench, 9):
        bench.told(event)
    fax = bench.channels["fax"]
    fax.script = [Transient("fax.unavailable")] * 8
    for _ in range(2):
        bench.send_due()
    bench.clock.turn(minutes=6)
    with bench.store.begin(write=False) as tx:
        assert tx.health(FAX).open_since is not None
    chosen, through, real = threading.Event(), threading.Event(), deliver._release
    claimed, first = [], threading.Lock()

    def slowly(*args):
        if first.acquire(blocking=False):
            chosen.set()
            through.wait(WAIT_S)  # the other one may choose and commit meanwhile
        return real(*args)

    def claim():
        claimed.extend(deliver.claim(bench.parts, "w", 4))

    def the_other():
        claim()
        through.set()

    monkeypatch.setattr(deliver, "_release", slowly)
    threads = [threading.Thread(target=claim), threading.Thread(target=the_other)]
    threads[0].start()
    assert chosen.wait(30)
    threads[1].start()
    for thread in threads:
        thread.join(30)
    assert [one.delivery.channel for one in claimed].count("fax") == 1


def test_a_retry_that_another_worker_has_put_off_meanwhile_is_not_made_before_its_time(bench, monkeypatch):
    """It was due when it was chosen, tried by another worker and put off, and still waited when it was locked."""
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    (row,) = bench.deliveries(message.id)
    real = DeliveryRows._in_turn

    def meanwhile(*args):
        chosen = real(*args)
        with bench.store.begin() as tx:
            tx.postpone(row.id, bench.clock.now() + timedelta(minutes=5))
        return chosen

    monkeypatch.setattr(DeliveryRows, "_in_turn", meanwhile)
    assert row.id not in [one.delivery.id for one in deliver.claim(bench.parts, "w", 4)]


def test_a_letter_that_leaves_while_a_newer_one_is_stored_stops_that_one_for_no_moment(bench, monkeypatch):
    """What had been read as waiting had left by then: the newer event was put down as a fault, for three minutes."""
    change = example("dose-change.ketamine")
    older = bench.told(change)["pr-psych"]
    answer = bench.submit(change | {"id": "dc-3001", "recorded_at": "2026-10-16T09:40:00-05:00"})
    sender = threading.Thread(target=bench.send_due)
    real, begun = lanes.may_have_arrived, []

    def meanwhile(row):
        if not begun:
            begun.append(row)
            sender.start()
            sender.join(WAIT_S)
        return real(row)

    monkeypatch.setattr(lanes, "may_have_arrived", meanwhile)
    prepare_all(bench.parts, [answer.event_ref])
    sender.join(30)
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(answer.event_ref).state == "prepared"
        (newer,) = [one for one in tx.messages_of_event(answer.event_ref) if one.provider_id == "pr-psych"]
    bench.send_due()
    assert bench.state(newer.id) == State.ACKNOWLEDGED
    assert bench.state(older.id) in {State.CANCELLED, State.ACKNOWLEDGED}
    assert bench.broken() == []


def test_an_event_whose_storing_the_database_undid_is_stored_at_once_again(bench, monkeypatch):
    answer = bench.submit(example("session-outcome.bp-spike"))
    real, undone = module.withdraw_earlier, [1, 1]

    def deadlocked(parts, tx, row):
        if undone:
            undone.pop()
            tx.connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'as a deadlock' USING ERRCODE = '40P01'; END $$")
        return real(parts, tx, row)

    monkeypatch.setattr(module, "withdraw_earlier", deadlocked)
    prepare_all(bench.parts, [answer.event_ref])
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(answer.event_ref).state == "prepared"


@pytest.mark.parametrize("slow", [(misdirected, "_freeze"), (registry_desk, "_note_paces")])
def test_no_recipient_comes_to_a_number_unseen_in_the_moment_in_which_it_is_closed(bench, monkeypatch, slow):
    """Who closed it did not see the recipient, who did not see that it was closed, and letters went to the bakery."""
    message = sent(bench)
    entered, real = threading.Event(), getattr(*slow)

    def slowly(*args):
        real(*args)
        entered.set()
        time.sleep(WAIT_S)  # the other one may look and commit meanwhile

    monkeypatch.setattr(*slow, slowly)
    works = [(report, message), (colleague,)]
    first, second = (threading.Thread(target=work, args=(bench, *more)) for work, *more in (
        works if slow[0] is misdirected else reversed(works)
    ))  # fmt: skip
    first.start()
    assert entered.wait(30)
    second.start()
    for thread in (first, second):
        thread.join(30)
    assert not usable_under(bench, FAX)
    assert not usable_under(bench, COLLEAGUES)
