"""No statement of the way of a message reads a whole table of what is stored: the databases' own plans say so.

Every statement of a story is kept as it went to the database, and is then explained. PostgreSQL is asked with
sequential scans discouraged, so that one in a plan means that no index fits, however little the test has stored.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import sqlalchemy as sa
from bench_parts import STAFF, example

from coordinator.domain.errors import InDoubt, Transient
from coordinator.flow import deliver
from coordinator.flow.incidents import close_incident, open_incident
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.sweep import due_now
from coordinator.flow.track import take_in
from coordinator.store.in_bulk import as_the_server_has_it
from coordinator.store.tables import METADATA

GROWING = frozenset(
    {"messages", "deliveries", "attempts", "documents", "audit", "inbox", "search_terms", "receipts", "letter_links"}
)
"""Tables that hold a row or more for each message, for good."""
PARTIAL = frozenset(
    index.name
    for table in METADATA.tables.values()
    for index in table.indexes
    if index.dialect_options["postgresql"]["where"] is not None
)
"""Indexes that hold only what still moves: reading one of these whole is cheap, however much is finished."""


@contextmanager
def kept(engine: sa.Engine) -> Iterator[dict]:
    """Keep each statement that goes out, with one set of its values."""
    seen: dict = {}

    def keep(_connection, _cursor, statement, values, _context, many):
        if statement.split()[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
            seen.setdefault(statement, values[0] if many else values)

    sa.event.listen(engine, "before_cursor_execute", keep)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", keep)


def whole_reads(engine: sa.Engine, statement: str, values) -> list[str]:
    """Return the growing tables that a statement reads whole, each with what the plan says."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            return [row[3] for row in plan if _reads_whole(row[3], statement)]
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        as_postgres_has_it = isinstance(values, tuple)
        with as_the_server_has_it(connection) if as_postgres_has_it else nullcontext():
            text = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
        plan = text if isinstance(text, list) else json.loads(text)
        return [
            f"{one['Node Type']} {one.get('Relation Name') or one['Index Name']}"
            for one in _nodes(plan[0]["Plan"])
            if _is_whole(one)
        ]


def _reads_whole(said: str, statement: str) -> bool:
    words = said.split()
    if words[0] != "SCAN":
        return False
    # SQLite names a table by its alias where it has one.
    table = next((one for one in GROWING if words[1] == one or f"{one} AS {words[1]}" in statement), None)
    return table is not None and not (len(words) > 3 and words[-1] in PARTIAL)


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)


def _is_whole(node: dict) -> bool:
    if node["Node Type"] == "Bitmap Index Scan":
        growing = any(table in node["Index Name"] for table in GROWING)  # indexes carry their table's name
        return growing and "Index Cond" not in node and node["Index Name"] not in PARTIAL
    if node.get("Relation Name") not in GROWING or node["Node Type"] == "ModifyTable":
        return False
    if node["Node Type"] == "Seq Scan":
        return True
    by_index = node["Node Type"] in {"Index Scan", "Index Only Scan"}
    return by_index and "Index Cond" not in node and node["Index Name"] not in PARTIAL


def story(bench) -> None:
    """Let messages go every way there is: arrive, wait, fail, be in doubt, be proven, late, superseded, held."""
    ways = (
        ("session-outcome.bp-spike", 1, []),
        ("session-outcome.bp-spike", 2, [Transient("net.connect")]),
        ("dose-change.ketamine", 1, [InDoubt("net.timeout-after-send")]),
    )
    for name, version, script in ways:
        event = example(name) | {"version": version}
        bench.channels["fhir-rest"].script = list(script)
        bench.channels["fax"].script = ["queue"]
        told = bench.told(event)
        due_now(bench.parts)
        bench.send_due()
        for message in told.values():
            for one in bench.deliveries(message.id):
                with bench.store.begin(write=False) as tx:
                    assert not tx.receipts(one.id)
                if one.far_side_ref is not None:
                    take_in(bench.parts, ReceiptNews(f"r{one.id}", one.channel, one.far_side_ref, None, "acknowledged"))
        bench.clock.turn(minutes=5)
        bench.sweep()
        bench.send_due()
    bench.told(example("dose-change.ketamine") | {"version": 2})
    with bench.store.begin(write=False) as tx:
        assert tx.due_ids(bench.clock.now(), 10, shut=(), shut_channels=())
    for claimed in deliver.claim(bench.parts, "w", 10):
        deliver.attempt(bench.parts, claimed)
    bench.told(example("dose-change.ketamine") | {"version": 3})
    bench.clock.turn(days=2)
    for _ in range(3):
        bench.sweep()
        bench.send_due()


def test_no_statement_of_a_messages_way_reads_a_growing_table_whole(bench):
    with kept(bench.store.engine) as statements:
        story(bench)
    assert sum(one.calls for one in bench.channels.values()) >= 4
    assert sum(one.startswith("UPDATE deliveries") for one in statements) >= 3
    assert any("FROM receipts" in one for one in statements)
    found = {
        statement: bad for statement, values in statements.items()
        if (bad := whole_reads(bench.store.engine, statement, values))
    }  # fmt: skip
    assert not found, "\n".join(f"{bad}: {' '.join(one.split())[:600]}" for one, bad in found.items())


def test_closing_an_address_and_opening_it_again_reads_no_growing_table_whole(bench):
    with kept(bench.store.engine) as statements:
        message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
        bench.send_due()
        incident = open_incident(bench.parts, message.id, kind="misdirected-fax", note="a bakery rang", actor=STAFF)
        close_incident(bench.parts, incident, resolution="it was theirs", address_is_right=True, actor=STAFF)
    assert any("FROM closed_addresses" in one for one in statements)
    assert not [one for one, values in statements.items() if whole_reads(bench.store.engine, one, values)]


@pytest.mark.parametrize(
    "query",
    ["SELECT id FROM deliveries WHERE cause = 'bug'", "SELECT count(*) FROM messages", "SELECT code FROM audit"],
)
def test_a_statement_that_reads_everything_is_noticed(bench, query):
    assert whole_reads(bench.store.engine, query, ())
