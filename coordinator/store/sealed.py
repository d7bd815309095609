"""What every part of a transaction shares: the connection, the cipher, and sealing by place."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from coordinator.flow.ports import Cipher
from coordinator.flow.rows import InboxRow, MessageRecord
from coordinator.store.ahead import AuditLine, Backlog, ReadAhead


class Part:
    """The base of a transaction's parts."""

    def __init__(self, connection: Connection, cipher: Cipher) -> None:
        """Work on this connection; seal with this cipher."""
        self.connection = connection
        self._cipher = cipher
        self._postgres = connection.dialect.name == "postgresql"
        self._ahead = ReadAhead()
        self._backlog = Backlog(connection)

    def write_kept_back(self) -> None:
        """Send the writes that were kept back to be sent with others; evidence still waits for the commit."""
        self._backlog.write()

    def finish(self) -> None:
        """Send everything that was kept back, the evidence last. Called right before the commit."""
        self._backlog.write()
        lines, self._backlog.lines = self._backlog.lines, []
        if lines:
            self._append(lines)

    # What the parts do for one another; each is implemented by the part it belongs to.

    def _append(self, lines: list[AuditLine]) -> None:
        raise NotImplementedError

    def _read_messages(self, message_ids: Sequence[str]) -> None:
        raise NotImplementedError

    def _read_registry(self, patients: Sequence[str], providers: Sequence[str]) -> None:
        raise NotImplementedError

    def _inbox(self, row: Row[Any]) -> InboxRow:
        raise NotImplementedError

    def _message(self, row: Row[Any]) -> MessageRecord:
        raise NotImplementedError

    def _read_health(self, endpoint_ids: Sequence[str]) -> None:
        raise NotImplementedError

    def _read_contents(self, message_ids: Sequence[str]) -> None:
        raise NotImplementedError

    def key(self, kind: str, value: str) -> str:
        """Return the keyed hash of a value; equal values of a kind give equal keys."""
        return self._cipher.blind(kind, value)

    def _seal(self, table: str, row: str, field: str, plain: bytes) -> bytes:
        return self._cipher.seal(plain, place=f"{table}|{row}|{field}")

    def _open(self, table: str, row: str, field: str, sealed: bytes) -> bytes:
        return self._cipher.open(sealed, place=f"{table}|{row}|{field}")

    def _seal_json(self, table: str, row: str, field: str, value: Any) -> bytes:  # noqa: ANN401  (JSON)
        return self._seal(table, row, field, orjson.dumps(value))

    def _open_json(self, table: str, row: str, field: str, sealed: bytes | None) -> Any:  # noqa: ANN401  (JSON)
        return None if sealed is None else orjson.loads(self._open(table, row, field, sealed))

    def _run(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:  # noqa: ANN401  (columns of any type)
        """Execute a statement; what was kept back before it goes out before it."""
        self._backlog.write()
        return self.connection.execute(statement, values)

    def _one(self, query: sa.Select[Any], **values: Any) -> Row[Any] | None:  # noqa: ANN401  (columns of any type)
        return self._run(query, values).first()

    def _all(self, query: sa.Select[Any] | sa.CompoundSelect[Any], **values: Any) -> list[Row[Any]]:  # noqa: ANN401  (columns of any type)
        return list(self._run(query, values).all())

    def _locked(self, query: sa.Select[Any], *, lock: bool) -> sa.Select[Any]:
        # SQLite has one writer and the transaction began as one; only PostgreSQL needs the row lock.
        return query.with_for_update() if lock and self._postgres else query

    def _insert_once(self, table: sa.Table, values: dict[str, Any]) -> bool:
        """Insert unless a unique key is there already; return whether it was inserted."""
        return self._run(_once(table, postgres=self._postgres), values).first() is not None


@cache
def _once(table: sa.Table, *, postgres: bool) -> sa.Executable:
    # RETURNING tells on both databases whether it was inserted; a driver's row count does not.
    insert = postgresql.insert(table) if postgres else sqlite.insert(table)
    return insert.on_conflict_do_nothing().returning(sa.literal_column("1"))
