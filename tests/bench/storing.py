"""What a message costs when a thousand lie in the database, and when a million do: it should be the same."""

import os
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.flow.sweep import sweep
from coordinator.store.tables import attempts, audit, deliveries, documents, messages
from tests.bench.clinic import EACH_ONCE, Clinic, clinic, servers
from tests.bench.delivering import send_all
from tests.bench.rows import Row, cpu_and_seconds

FEW = 1_000
MANY = int(os.environ.get("COORDINATOR_BENCH_STORED", "1000000"))
MESSAGES, ROUNDS = 60, 5


class Nothing:
    """A channel that takes everything at once: what is measured is the database."""

    kind, safe_to_repeat = "fhir-rest", False

    def send(self, package: Any, _endpoint: Any, *, deadline: Any, about_to_send: Any) -> Any:
        from coordinator.flow.ports import Taken

        about_to_send(None)
        return Taken(package.tag, proven=True, status=201)

    def look_up(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    for postgres in (False, *([True] if servers() else [])):
        with clinic({"fhir-rest": Nothing()}, postgres=postgres, patients=EACH_ONCE) as made:
            _work(made)
            fill(made, 1, FEW)
            few = [_work(made) for _ in range(ROUNDS)]
            fill(made, FEW + 1, MANY)
            many = [_work(made) for _ in range(ROUNDS)]
        what = f"Record, prepare, claim, mark, outcome and sweep of {MESSAGES}: {MANY:,} stored against {FEW:,}, "
        what += "PostgreSQL" if postgres else "SQLite"
        cpu = [[one[0] / MESSAGES * 1000 for one in both] for both in (many, few)]
        yield Row(what, [one[1] for one in many], [one[1] for one in few], "s", 1.2, False, cpu=(cpu[0], cpu[1]))


def _work(made: Clinic) -> tuple[float, float]:
    def whole() -> None:
        made.prepared(MESSAGES)
        send_all(made, lambda: None, senders=4)
        sweep(made.parts)

    return cpu_and_seconds(whole)


def fill(made: Clinic, first: int, last: int) -> None:
    """Copy one finished message with its delivery, attempt, document and audit line, under ids in no order."""
    with made.engine.begin() as connection:
        postgres = connection.dialect.name == "postgresql"
        done = sa.select(deliveries).where(deliveries.c.state == State.ACKNOWLEDGED).limit(1)
        delivery = connection.execute(done).one()
        scattered = "(i * 2654435761) % 4294967296"
        name = f"lpad(to_hex({scattered}), 8, '0') || i" if postgres else f"printf('%08x', {scattered}) || i"
        count = f"SELECT i::bigint FROM generate_series({first}, {last}) i" if postgres else (
            f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) SELECT i FROM n"
        )  # fmt: skip
        small = "'\\x00'::bytea" if postgres else "x'00'"
        of_delivery = f"delivery_id = '{delivery.id}'"
        of_message = f"message_id = '{delivery.message_id}'"
        copies: tuple[tuple[sa.Table, str, dict[str, str]], ...] = (
            (messages, f"id = '{delivery.message_id}'",
             {"id": "'m' || " + name, "patient_key": "'p' || (i % 20000)", "plan_sealed": small, "clock_at": "NULL"}),
            (deliveries, f"id = '{delivery.id}'",
             {"id": "'d' || " + name, "message_id": "'m' || " + name, "far_side_key": "'f' || " + name}),
            (attempts, of_delivery, {"id": "'a' || " + name, "delivery_id": "'d' || " + name}),
            (documents, of_message, {"id": "'o' || " + name, "message_id": "'m' || " + name, "body_sealed": small}),
            (audit, f"subject = '{delivery.message_id}'",
             {"shard": "99", "seq": "i", "subject": "'m' || " + name, "patient_key": "'p' || (i % 20000)"}),
        )  # fmt: skip
        for table, which, other in copies:
            columns = [one.name for one in table.c]
            values = ", ".join(other.get(one, f"one.{one}") for one in columns)
            statement = (
                f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {values} "
                f"FROM ({count}) AS numbers CROSS JOIN (SELECT * FROM {table.name} WHERE {which} LIMIT 1) AS one"
            )
            connection.execute(sa.text(statement))
    if postgres:
        with made.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))  # as autovacuum does by itself, after a while
