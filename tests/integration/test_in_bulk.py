"""Rows written many at once are as SQLAlchemy writes them one by one; many names are asked for as one value."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from coordinator.store import migrate
from coordinator.store.ahead import Backlog, in_bulk
from coordinator.store.engine import connect, transaction
from coordinator.store.one_of import one_of
from coordinator.store.tables import audit, endpoint_health, receipts

EAST = datetime(2026, 3, 1, 9, 30, 0, 5, tzinfo=timezone(timedelta(hours=3)))


@pytest.fixture
def engine(database_url):
    made = connect(database_url)
    migrate.upgrade(made)
    yield made
    made.dispose()


def a_receipt(name: str, **others) -> dict:
    given = {"delivery_id": None, "channel": "fax", "verdict": "acknowledged", "cause": "50% 'sent'; --",
             "received_at": EAST, "detail_sealed": b"\x00\xff%s"}  # fmt: skip
    return {"id": name, "once_key": f"k{name}", **given, **others}


def test_rows_written_in_bulk_are_as_those_written_one_by_one(engine):
    with transaction(engine) as connection:
        connection.execute(sa.insert(receipts), a_receipt("alone"))
        backlog = Backlog(connection)
        for name in ("one", "two"):
            backlog.insert(receipts, a_receipt(name))
        backlog.change(receipts, {"id": "two"}, {"cause": None, "received_at": EAST + timedelta(days=1)})
        backlog.write()
        rows = {row.id: row for row in connection.execute(sa.select(receipts))}
    assert rows["one"][2:] == rows["alone"][2:]
    assert rows["one"].received_at == EAST
    assert rows["one"].received_at.tzinfo is UTC
    assert (rows["two"].cause, rows["two"].received_at) == (None, EAST + timedelta(days=1))
    assert rows["two"].detail_sealed == rows["alone"].detail_sealed


def test_an_instant_without_its_zone_is_refused_in_bulk_too(engine):
    with transaction(engine) as connection:
        backlog = Backlog(connection)
        backlog.insert(receipts, a_receipt("one", received_at=EAST.replace(tzinfo=None)))
        with pytest.raises(ValueError, match="zone"):
            backlog.write()


def test_a_fault_in_bulk_shows_no_values(engine):
    with transaction(engine) as connection:
        backlog = Backlog(connection)
        backlog.insert(receipts, a_receipt("one"))
        backlog.insert(receipts, a_receipt("one", cause="of-a-patient"))
        with pytest.raises(sa.exc.IntegrityError) as fault:
            backlog.write()
        connection.rollback()
    assert "of-a-patient" not in str(fault.value).split("DETAIL")[0]


@pytest.mark.parametrize("names", [[], ["one"], ["two", "one", "one"], ['a"b', "it's", "one"]])
def test_one_of_finds_what_is_named_and_nothing_else(engine, names):
    query = sa.select(receipts.c.id).where(one_of(receipts.c.id, "names")).order_by(receipts.c.id)
    with transaction(engine) as connection:
        connection.execute(sa.insert(receipts), [a_receipt(one) for one in ("one", "three", "two")])
        found = list(connection.execute(query, {"names": names}).scalars())
    assert found == sorted({"one", "two"} & set(names))


@pytest.mark.parametrize("count", [1, 2, 3, 31, 33, 77])
def test_however_many_rows_there_are_each_is_written_and_changed_once_and_no_other(engine, count):
    names = [f"r{number}" for number in range(count)]
    with transaction(engine) as connection:
        backlog = Backlog(connection)
        for name in ("before", *names):
            backlog.insert(receipts, a_receipt(name))
        backlog.write()
        for number, name in enumerate(names):
            backlog.change(receipts, {"id": name, "channel": "fax"}, {"cause": None if number % 2 else f"c{number}"})
        backlog.change(receipts, {"id": "before", "channel": "direct"}, {"cause": "of another"})
        backlog.write()
        rows = {row.id: row for row in connection.execute(sa.select(receipts))}
    assert len(rows) == count + 1
    assert [rows[name].cause for name in names] == [None if at % 2 else f"c{at}" for at in range(count)]
    assert {rows[name].received_at for name in names} == {EAST}
    assert rows["before"].cause == "50% 'sent'; --"


def test_of_every_kind_of_column_what_is_written_in_bulk_is_what_is_read(engine):
    line = {
        "shard": 1, "seq": 40_000, "at": EAST, "actor_kind": "job", "actor": "x", "action": "told, \\N 'it'; {a,b}",
        "patient_key": None, "subject": "NULL", "code": "", "detail_sealed": None, "previous": "0", "hash": "h",
    }  # fmt: skip
    other = line | {"seq": 1, "detail_sealed": b"'\\x41"}
    health = {"endpoint_id": "e", "failures": 3, "open_since": EAST, "probe_at": None, "updated_at": EAST}
    with transaction(engine) as connection:
        in_bulk(connection, audit, [line, other])
        in_bulk(connection, endpoint_health, [health])
        lines = connection.execute(sa.select(audit).order_by(audit.c.seq)).mappings().all()
        state = connection.execute(sa.select(endpoint_health)).mappings().one()
    assert [{**one} for one in lines] == [other, line]
    assert {name: state[name] for name in health} == health


def test_a_text_that_is_too_long_for_its_column_is_refused_and_not_cut_off(engine):
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite takes any length")
    with transaction(engine) as connection:
        with pytest.raises(sa.exc.DataError):
            in_bulk(connection, receipts, [a_receipt("one"), a_receipt("two", verdict="v" * 65)])
        connection.rollback()
