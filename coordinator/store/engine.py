"""The database engine: SQLite in WAL with full synchronisation, or PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from weakref import WeakKeyDictionary

import psycopg
import sqlalchemy as sa
from psycopg import pq
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from coordinator.domain.errors import ConfigurationError, StoreAway

ASK_AFTER_IDLE_S = 1.0
"""A connection used within this time is lent out unasked."""
UNDONE = frozenset({"40001", "40P01"})
"""SQLSTATE of a serialisation failure and of a deadlock: PostgreSQL has undone the whole transaction."""
ONLY_READS = "25006"
"""SQLSTATE of a write at a server that only reads: a stand-by, as the primary one is after a failover."""
KINDS = "it has to begin with postgresql+psycopg:// or sqlite:///"
_TURNS: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
SQLITE_CACHE_KB = 16_000
"""Pages that a connection keeps: what was stored a moment ago is claimed without reading the file again."""
SQLITE_BUSY_MS = 30_000
"""How long a writer waits for the one before it; a backup may hold the file for seconds."""


def connect(url: str | URL, *, pool_size: int = 10) -> Engine:
    """Return an engine whose statements never show their parameters in errors or logs.

    SQLite: WAL with synchronous=FULL, so an accepted event survives a power cut
    (NORMAL may lose the last commits). PostgreSQL: a connection that was idle is asked first whether it
    still holds; asking each time costs each transaction a round trip more.
    Raises ConfigurationError for a URL of another kind, without showing it.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            parsed,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_use_lifo=True,
            connect_args={"timeout": 30},
        )
        event.listen(engine, "connect", _sqlite_settings)
        event.listen(engine, "begin", _sqlite_begin)
        _TURNS[engine] = threading.Lock()
        return engine
    engine = sa.create_engine(parsed, hide_parameters=True, pool_size=pool_size, max_overflow=pool_size)
    event.listen(engine, "checkin", _used)
    event.listen(engine, "checkout", _still_there)
    event.listen(engine, "before_cursor_execute", _read_as_stored)
    event.listen(engine, "handle_error", _leave_a_standby)
    return engine


def _parsed(url: str | URL) -> URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # both show the URL, which has a password in it
        raise ConfigurationError(f"COORDINATOR_DATABASE_URL is no database URL; {KINDS}") from None
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigurationError(f"COORDINATOR_DATABASE_URL names another kind of database; {KINDS}")
    return parsed


def _used(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_s"] = time.monotonic()


def _still_there(connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection that was idle whether it still holds. Raises InvalidatePoolError: a new one is made."""
    if time.monotonic() - record.info.get("used_s", 0.0) < ASK_AFTER_IDLE_S:
        return
    try:
        # Outside a transaction, as the connection is lent out.
        connection.rollback()  # type: ignore[attr-defined]
        connection.execute("SELECT 1")  # type: ignore[attr-defined]
        connection.rollback()  # type: ignore[attr-defined]
    except Exception as gone:
        raise sa.exc.InvalidatePoolError from gone


def _leave_a_standby(context: ExceptionContext) -> None:
    """Throw a connection away whose server only reads: another one writes by now, and a new connection finds it."""
    if getattr(context.original_exception, "sqlstate", None) == ONLY_READS:
        context.is_disconnect = True


def _read_as_stored(connection: Connection, cursor: psycopg.Cursor[object], *_: object) -> None:
    """Have rows sent in PostgreSQL's binary form: as text, each byte of a sealed letter is two signs, made and undone.

    Only for the store's own rows: what SQLAlchemy asks of the catalogue it expects as text.
    """
    if connection.get_execution_options().get("coordinator_as_stored"):
        cursor.format = pq.Format.BINARY


def _sqlite_settings(connection: object, _record: ConnectionPoolEntry) -> None:
    # The driver's own transaction handling would begin late; ours begins at once (see _sqlite_begin).
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute(f"PRAGMA cache_size=-{SQLITE_CACHE_KB}")
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    # A writer takes the lock at the start, so it can never be refused half-way through.
    write = connection.get_execution_options().get("coordinator_write", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


class DatabaseAway(OperationalError, StoreAway):
    """SQLAlchemy's own error, told to the flow in its words."""

    @classmethod
    def of(cls, fault: DBAPIError) -> "DatabaseAway":
        """Return the same fault with what its SQLSTATE says about the transaction."""
        made = cls(fault.statement, None, fault.orig or fault, hide_parameters=True)
        made.undone = getattr(fault.orig, "sqlstate", None) in {*UNDONE, ONLY_READS}
        return made


@contextmanager
def transaction(engine: Engine, *, write: bool = True, as_stored: bool = False) -> Iterator[Connection]:
    """Yield a connection in one transaction: committed on leaving, rolled back on an exception.

    `as_stored` has PostgreSQL send rows in their binary form.
    """
    # SQLite has one writer. Threads of one process take turns here, woken at once; SQLite itself would let them sleep
    # and look again, ever longer. The turn comes before the connection: so writers all get the one used last, whose
    # pages are still true. A connection throws them away when another one has written.
    turn = _TURNS.get(engine) if write else None
    with turn or nullcontext(), engine.connect() as plain:
        connection = plain.execution_options(coordinator_write=write, coordinator_as_stored=as_stored)
        with connection.begin():
            yield connection
