"""From the accepted event to the first byte, at a steady rate; and healthy endpoints beside a dead and a slow one.

Open loop: events come at their appointed instants, whether or not the ones before them are
done, and the time counts from the appointed instant, so that a stall is not left out.
"""

import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from coordinator.cores import one_core
from coordinator.flow.runner import Runner
from coordinator.heap import keep_what_is_loaded
from coordinator.store.tables import deliveries, inbox, messages
from tests.bench.bodies import bodies_only
from tests.bench.clinic import EACH_ONCE, SENDERS, Clinic, clinic, servers
from tests.bench.delivering import Poster
from tests.bench.rows import Row
from tests.bench.sink import sink
from tests.bench.storing import fill
from tests.bench.workers import KINDS, WORKERS, first_bytes, workers

SECONDS, GOAL_S = 12, 0.15
STORED = 20_000
"""Finished messages that are there already. On a new, empty database PostgreSQL plans to read whole tables, and goes on
doing so for a minute while they grow."""
MESSAGES_EACH = 2
"""Every event goes to two recipients."""


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    with sink() as far:
        port = far.plain
        yield _row("SQLite, embedded runner", 50, *_embedded(port, 50))
        if not servers():
            return
        for rate in (50, 200):
            where = f"PostgreSQL, RabbitMQ, {WORKERS} worker processes and beat"
            yield _row(where, rate, *_at_scale(port, rate), information=rate != 200)


def _row(where: str, rate: int, took: list[float], missing: int, *, information: bool = False) -> Row:
    """What had not left when we stopped waiting counts as having taken for ever."""
    p95 = statistics.quantiles([*took, *[float("inf")] * missing], n=20)[-1] if len(took) > 1 else float("inf")
    if missing and math.isnan(p95):
        p95 = float("inf")
    what = f"Accept to first byte, p95 of {len(took) + missing}, at {rate} messages/s, {where}, no letters"
    what += f" ({missing} had not left a minute later)" if missing else ""
    what += " (floor: the target; for information)" if information else " (floor: the target)"
    return Row(what, [p95], [GOAL_S], "s", None if information else 1.0, False)


def _embedded(port: int, rate: int) -> tuple[list[float], int]:
    posters = {kind: Poster(kind, port) for kind in KINDS}
    with clinic(dict(posters), patients=EACH_ONCE) as made, bodies_only():
        runner = Runner(made.parts, senders=SENDERS, idle_s=0.2, a_sender_starts=one_core())
        runner.start()
        appointed = _at_rate(made, rate)
        _until_quiet(made)
        runner.stop()
        firsts = {name: at for one in posters.values() for name, at in one.first_bytes.items()}
        return _took(made, appointed, firsts)


def _at_scale(port: int, rate: int) -> tuple[list[float], int]:
    with ExitStack() as stack:
        made = stack.enter_context(clinic({}, postgres=True, patients=EACH_ONCE))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        notes = stack.enter_context(workers(made, port, folder))
        _until_quiet(made)
        fill(made, 0, STORED)
        keep_what_is_loaded()  # as `serve` does
        appointed = _at_rate(made, rate)
        _until_quiet(made)
        return _took(made, appointed, first_bytes(notes))


def _at_rate(made: Clinic, rate: int) -> dict[str, float]:
    """Accept events at a steady rate; return the appointed instant of each."""
    appointed: dict[str, float] = {}
    step_s = MESSAGES_EACH / rate

    def accept(at: float) -> None:
        appointed[made.accept()] = at

    began = time.perf_counter() + 0.1
    with ThreadPoolExecutor(8) as pool:
        for number in range(int(SECONDS / step_s)):
            at = began + number * step_s
            time.sleep(max(0.0, at - time.perf_counter()))
            pool.submit(accept, at)
    return appointed


def _until_quiet(made: Clinic) -> None:
    """Wait until nothing moves any more, a minute at the longest."""
    end = time.monotonic() + 60
    moving = sa.select(sa.func.count()).where(deliveries.c.state.in_(["pending", "claimed", "on-wire"]))
    waiting = sa.select(sa.func.count()).where(inbox.c.state == "received")
    while time.monotonic() < end:
        time.sleep(1)
        with made.engine.connect() as connection:
            if not connection.execute(moving).scalar_one() and not connection.execute(waiting).scalar_one():
                return


def _took(made: Clinic, appointed: dict[str, float], firsts: dict[str, float]) -> tuple[list[float], int]:
    """Return the seconds of each message that left, and how many did not."""
    with made.engine.connect() as connection:
        of = {row.id: row.event_ref for row in connection.execute(sa.select(messages.c.id, messages.c.event_ref))}
    took = [at - appointed[of[name]] for name, at in firsts.items() if of.get(name) in appointed]
    return took, max(0, len(appointed) * MESSAGES_EACH - len(took))
