"""Several events prepared in one go: the same as one by one, with a fault of one costing no other."""

import threading

import pytest
import sqlalchemy as sa
from bench_parts import Bench, example, of_patients, shared_workshop

from coordinator.domain.delivery import State
from coordinator.flow import prepare as module
from coordinator.flow.prepare import prepare, prepare_all
from coordinator.store.tables import deliveries, documents, inbox, messages, search_terms


def recorded(bench, events):
    answers = [bench.submit(one) for one in events]
    assert all(one.outcome == "accepted" for one in answers), [one.faults for one in answers]
    return [one.event_ref for one in answers]


def states(bench):
    with bench.store.begin(write=False) as tx:
        rows = tx.connection.execute(sa.select(inbox.c.state, sa.func.count()).group_by(inbox.c.state))
        return dict(list(rows))


def outbox(bench):
    """Return all that was stored, without what is sealed or random."""
    tables = {
        messages: ("id", "provider_id", "priority", "lane_subject", "state", "superseded_by", "corrects", "clock_at"),
        documents: ("id", "message_id", "role", "sha256"),
        deliveries: ("id", "message_id", "ordinal", "endpoint_id", "state", "cause", "due_at"),
        search_terms: ("term_key", "message_id"),
        inbox: ("event_key", "version", "state", "prepared_at"),
    }
    with bench.store.begin(write=False) as tx:
        return {
            table.name: sorted(map(repr, tx.connection.execute(sa.select(*[table.c[name] for name in names]))))
            for table, names in tables.items()
        }


def the_days_events():
    """Return a session, two changes of one drug's dose (one lane), and a correction of the session."""
    session = example("session-outcome.bp-spike")
    change = example("dose-change.ketamine")
    later = change | {"id": "chg-later", "recorded_at": change["recorded_at"].replace("T1", "T2")}
    return [session, change, later, session | {"version": 2}]


def test_in_one_go_the_very_same_is_stored_as_one_by_one(tmp_path):
    made = []
    for how in ("one by one", "in one go"):
        bench = Bench(f"sqlite:///{tmp_path / how}.sqlite", shared_workshop())
        refs = recorded(bench, the_days_events())
        if how == "in one go":
            prepare_all(bench.parts, refs)
        else:
            for ref in refs:
                prepare(bench.parts, ref)
        made.append(outbox(bench))
        assert bench.broken() == []
        bench.close()
    assert made[0] == made[1]
    assert len(made[0]["messages"]) >= 4


def test_a_later_one_of_the_same_lane_withdraws_the_earlier_one_of_the_same_go(bench):
    change = example("dose-change.ketamine")
    later = change | {"id": "chg-later", "recorded_at": change["recorded_at"].replace("T1", "T2")}
    prepare_all(bench.parts, recorded(bench, [change, later]))
    with bench.store.begin(write=False) as tx:
        rows = list(tx.connection.execute(sa.select(messages.c.lane_subject, messages.c.state, messages.c.provider_id)))
        waiting = list(tx.connection.execute(sa.select(deliveries.c.state)))
    assert len({one.lane_subject for one in rows}) == 1
    assert sorted(one.state for one in rows if one.provider_id == "pr-psych") == ["open", "superseded"]
    assert {State(one.state) for one in waiting} == {State.PENDING, State.CANCELLED}
    bench.send_due()
    assert bench.broken() == []


def test_an_event_that_cannot_be_read_costs_no_other_of_its_go(bench):
    refs = recorded(bench, of_patients(bench, 2))
    with bench.store.begin() as tx:
        tx.connection.execute(sa.update(inbox).where(inbox.c.id == refs[0]).values(body_sealed=b"unreadable"))
    prepare_all(bench.parts, refs)
    assert states(bench) == {"prepared": 1, "received": 1}


def test_what_cannot_be_stored_is_stored_alone_or_not_at_all(bench, monkeypatch):
    refs = recorded(bench, of_patients(bench, 3))
    real = module.add_message

    def failing(parts, tx, row, *rest):
        made = real(parts, tx, row, *rest)
        if row.id == refs[1]:
            raise KeyError("a fault of ours")
        return made

    monkeypatch.setattr(module, "add_message", failing)
    prepare_all(bench.parts, refs)
    assert states(bench) == {"prepared": 2, "received": 1}
    monkeypatch.undo()
    prepare_all(bench.parts, refs)
    assert states(bench) == {"prepared": 3}
    assert bench.broken() == []


def test_an_event_withdrawn_between_reading_and_storing_is_left_out_of_its_go(bench, monkeypatch):
    refs = recorded(bench, of_patients(bench, 3))
    real = module.compose

    def meanwhile(workshop, case):
        made = real(workshop, case)
        if case.event.id == "sess-2":
            newer = bench.submit(example("session-outcome.bp-spike") | {"id": "sess-0", "version": 2})
            assert newer.outcome == "accepted", newer
        return made

    monkeypatch.setattr(module, "compose", meanwhile)
    prepare_all(bench.parts, refs)
    assert states(bench) == {"prepared": 2, "received": 1, "superseded": 1}


@pytest.mark.servers
def test_an_event_that_another_transaction_holds_is_waited_for_and_prepared_with_the_others(bench):
    if bench.store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    refs = recorded(bench, of_patients(bench, 3))
    with bench.store.begin() as tx:
        assert tx.inbox_row(refs[1], lock=True) is not None
        other = threading.Thread(target=prepare_all, args=(bench.parts, refs))
        other.start()
        other.join(1.5)
        assert other.is_alive()
    other.join(30)
    assert states(bench) == {"prepared": 3}
