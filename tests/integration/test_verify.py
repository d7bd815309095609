"""The six promises: each broken by hand, and the row that breaks it named."""

import pytest
import sqlalchemy as sa
from bench_parts import example

from coordinator.store.tables import METADATA


@pytest.fixture
def sent(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    assert bench.broken() == []
    return told


def change(bench, table, where=None, **values):
    rows = METADATA.tables[table]
    query = sa.update(rows).values(**values)
    if where:
        query = query.where(*(rows.c[name] == value for name, value in where.items()))
    with bench.store.begin() as tx:
        tx.connection.execute(query)


def promises(bench):
    return {one.promise for one in bench.broken()}


def test_an_event_without_messages_is_found(bench, sent):
    answer = bench.submit(example("dose-change.ketamine"))
    change(bench, "inbox", {"id": answer.event_ref}, state="prepared")
    assert promises(bench) == {"never lost"}


def test_an_event_nobody_prepares_is_found(bench, sent):
    bench.submit(example("dose-change.ketamine"))
    bench.clock.turn(hours=1)
    assert promises(bench) == {"never silent"}


def test_a_delivery_nobody_sends_is_found(bench, sent):
    bench.told(example("dose-change.ketamine"))
    bench.clock.turn(hours=1)
    assert promises(bench) == {"never silent"}


def test_a_hold_without_a_cause_is_found(bench, sent):
    change(bench, "deliveries", {"message_id": sent["pr-psych"].id}, state="held", cause=None)
    assert "never silent" in promises(bench)


def test_a_second_delivery_that_nobody_asked_for_is_found(bench, sent):
    rows = METADATA.tables["deliveries"]
    with bench.store.begin() as tx:
        row = tx.connection.execute(sa.select(rows).where(rows.c.message_id == sent["pr-psych"].id)).first()
        tx.connection.execute(sa.insert(rows).values({**row._mapping, "id": "again", "ordinal": 9}))
    assert promises(bench) == {"never twice"}


def test_a_send_without_consent_on_record_is_found(bench, sent):
    change(bench, "attempts", consent_directive=None)
    assert promises(bench) == {"never without consent"}


def test_a_stored_letter_that_is_not_the_composed_one_is_found(bench, sent):
    change(bench, "documents", {"message_id": sent["pr-psych"].id, "role": "letter-pdf"}, sha256="0" * 64)
    assert "never wrong" in promises(bench)


@pytest.mark.parametrize(
    "changed", [{"packing": "unknown"}, {"packing": None}, {"size_bytes": 7}, {"body_sealed": b"spoilt"}]
)
def test_a_stored_document_that_cannot_be_read_any_more_is_found_and_ends_nothing(bench, sent, changed):
    change(bench, "documents", {"message_id": sent["pr-psych"].id, "role": "letter-html"}, **changed)
    assert promises(bench) == {"never wrong"}


def test_what_was_stored_before_documents_were_packed_is_read_as_it_was(bench, sent):
    rows, of = METADATA.tables["documents"], sent["pr-psych"].id
    with bench.store.begin() as tx:
        before = {one.id: one.body for one in tx.contents(of)}
        packed = tx.connection.execute(sa.select(rows.c.id, rows.c.packing).where(rows.c.message_id == of)).all()
        for one in packed:
            sealed = tx._seal("documents", one.id, "body", before[one.id])
            changed = sa.update(rows).where(rows.c.id == one.id).values(body_sealed=sealed, packing=None)
            tx.connection.execute(changed)
    with bench.store.begin(write=False) as tx:
        assert {one.id: one.body for one in tx.contents(of)} == before
    assert {"zstd", None} == {one.packing for one in packed}
    assert bench.broken() == []


def test_an_older_message_that_left_last_is_found(bench, sent):
    first = bench.told(example("dose-change.ketamine"))
    bench.send_due()
    event = example("dose-change.ketamine") | {"id": "dc-9", "recorded_at": "2026-10-16T09:50:00-05:00"}
    bench.told(event)
    bench.send_due()
    delivery = bench.deliveries(first["pr-psych"].id)[0]
    bench.clock.turn(minutes=5)
    change(bench, "attempts", {"delivery_id": delivery.id}, on_wire_at=bench.clock.now())
    assert promises(bench) == {"never out of order"}


@pytest.mark.parametrize("change_to", [{"action": "nothing happened"}, {"actor": "somebody else"}])
def test_a_changed_line_of_evidence_is_found(bench, sent, change_to):
    change(bench, "audit", {"seq": 3, "shard": 0}, **change_to)
    if bench.store.engine.dialect.name == "sqlite":
        assert [one.row for one in bench.broken()] == ["0/3"]


def test_a_removed_line_of_evidence_is_found(bench, sent):
    rows = METADATA.tables["audit"]
    with bench.store.begin() as tx:
        shard = tx.connection.execute(sa.select(rows.c.shard)).scalars().first()
        last = tx.connection.execute(sa.select(sa.func.max(rows.c.seq)).where(rows.c.shard == shard)).scalar_one()
        tx.connection.execute(sa.delete(rows).where(rows.c.shard == shard, rows.c.seq == last))
    assert promises(bench) == {"evidence"}
