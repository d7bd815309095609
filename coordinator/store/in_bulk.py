"""Many rows in one statement, made ready once: SQLAlchemy itself prepares each value of each row anew.

A driver that is given many rows for one statement executes it row by row, which costs each
row a statement on PostgreSQL, and on SQLite a change of thread.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

Row = Mapping[str, Any]
Change = Callable[[Any], Any]
SIZES = (32, 16, 8, 4, 2, 1)
"""Rows of one statement: few texts, so that a database that keeps prepared statements knows each of them."""


class InBulk:
    """An insert, or an update by `keys`, of rows with these columns. Errors and events are SQLAlchemy's as ever.

    A row of an update carries the value to find it by under `at_` and the column's name.
    """

    def __init__(self, table: sa.Table, columns: Sequence[str], dialect: Dialect, keys: Sequence[str] = ()) -> None:
        """Make it ready for one database."""
        self._postgres = dialect.name == "postgresql"
        named = [(one, table.c[one]) for one in columns] + [(f"at_{one}", table.c[one]) for one in keys]
        self._fields = [(name, _to_driver(column, dialect)) for name, column in named]
        self._types = [_type(column, dialect) for _, column in named]
        quote = dialect.identifier_preparer.quote
        self._texts: dict[int, str] = {}
        self._head, self._tail = _insert(table, [quote(one) for one in columns])
        if keys:
            names = [quote(one) for one in columns]
            self._head, self._tail = _update(table, names, keys, postgres=self._postgres)
            self._texts[1] = _update_one(table, names, keys, self._places(0))

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write the rows, as they come."""
        for part in _parts(rows):
            values = tuple([_for(row[name], change) for row in part for name, change in self._fields])
            with as_the_server_has_it(connection) if self._postgres else nullcontext():
                connection.exec_driver_sql(self._text(len(part)), values)

    def _text(self, count: int) -> str:
        """Return the statement for so many rows."""
        if count not in self._texts:
            rows = ", ".join(f"({', '.join(self._places(row))})" for row in range(count))
            self._texts[count] = self._head + rows + self._tail
        return self._texts[count]

    def _places(self, row: int) -> list[str]:
        """Return what stands for the values of a row, the first being row 0."""
        if not self._postgres:
            return ["?"] * len(self._types)
        return [f"${row * len(self._types) + place}::{kind}" for place, kind in enumerate(self._types, 1)]


@contextmanager
def as_the_server_has_it(connection: Connection) -> Iterator[None]:
    """Have psycopg take statements with PostgreSQL's own `$1`: it would read through a long one with `%s` each time."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101  (it is checked out)
    before, driver.cursor_factory = driver.cursor_factory, psycopg.RawCursor
    try:
        yield
    finally:
        driver.cursor_factory = before


def _insert(table: sa.Table, columns: Sequence[str]) -> tuple[str, str]:
    """Return what stands before the rows of values, and what behind them."""
    return " ".join(("INSERT INTO", table.name, f"({', '.join(columns)})", "VALUES ")), ""


def _update(table: sa.Table, columns: Sequence[str], keys: Sequence[str], *, postgres: bool) -> tuple[str, str]:
    names = [*columns, *(f"at_{one}" for one in keys)]
    sets = ", ".join(f"{one} = given.{one}" for one in columns)
    where = " AND ".join(f"{table.name}.{one} = given.at_{one}" for one in keys)
    change = ("UPDATE", table.name, "SET", sets, "FROM")
    if postgres:
        return " ".join((*change, "(VALUES ")), f") AS given ({', '.join(names)}) WHERE {where}"
    # SQLite names the columns of VALUES itself.
    given = ", ".join(f"column{place} AS {name}" for place, name in enumerate(names, 1))
    return " ".join((*change, "(SELECT", given, "FROM (VALUES ")), f")) AS given WHERE {where}"


def _update_one(table: sa.Table, columns: Sequence[str], keys: Sequence[str], places: Sequence[str]) -> str:
    sets = ", ".join(f"{one} = {place}" for one, place in zip(columns, places, strict=False))
    where = " AND ".join(f"{one} = {place}" for one, place in zip(keys, places[len(columns) :], strict=True))
    return " ".join(("UPDATE", table.name, "SET", sets, "WHERE", where))


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    first = 0
    for size in SIZES:
        while len(rows) - first >= size:
            yield rows[first : first + size]
            first += size


def _for(value: Any, change: Change | None) -> Any:  # noqa: ANN401  (of any column)
    return value if change is None or value is None else change(value)


def _type(column: sa.Column[Any], dialect: Dialect) -> str:
    """Return PostgreSQL's type without a length: a cast to a length would cut a text off in place of refusing it."""
    return re.sub(r"\(\d+\)", "", column.type.compile(dialect=dialect))


def _to_driver(column: sa.Column[Any], dialect: Dialect) -> Change | None:
    """Return what makes a column's value one for the driver.

    PostgreSQL is given words where it can be: by their types, 1 and 40,000 would make two statements of one.
    """
    of_type = column.type.dialect_impl(dialect).bind_processor(dialect)
    if dialect.name != "postgresql" or isinstance(column.type, sa.LargeBinary):
        return of_type
    return lambda value: _word(value if of_type is None else of_type(value))


def _word(value: Any) -> str:  # noqa: ANN401  (of any column)
    return value.isoformat() if isinstance(value, datetime) else str(value)
