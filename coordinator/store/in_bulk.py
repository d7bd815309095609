"""One statement for many rows, made ready once: SQLAlchemy itself prepares each value of each row anew."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase

Row = Mapping[str, Any]


class InBulk:
    """An insert or update as one driver takes it. Errors and events are SQLAlchemy's as ever."""

    def __init__(self, statement: UpdateBase, columns: Sequence[str], dialect: Dialect) -> None:
        """Make a statement ready for rows of these columns."""
        compiled = statement.compile(dialect=dialect, column_keys=list(columns))
        binds = {name: compiled.binds[name] for name in compiled.bind_names.values()}
        to_driver = {name: one.type.dialect_impl(dialect).bind_processor(dialect) for name, one in binds.items()}
        self._text = str(compiled)
        self._by_place = [(name, to_driver[name]) for name in getattr(compiled, "positiontup", None) or ()]
        self._by_name = [(name, change) for name, change in to_driver.items() if change is not None]

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Execute it for each of the rows."""
        if self._by_place:
            values = [tuple([_for(row[name], change) for name, change in self._by_place]) for row in rows]
            connection.exec_driver_sql(self._text, values)
            return
        named = [{**row, **{name: change(row[name]) for name, change in self._by_name}} for row in rows]
        connection.exec_driver_sql(self._text, named)


def _for(value: Any, change: Callable[[Any], Any] | None) -> Any:  # noqa: ANN401  (of any column)
    return value if change is None else change(value)
