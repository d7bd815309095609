"""`column IN (many)` with the many as one bound value: a statement has the same text however many are asked for.

SQLAlchemy's own list is written out anew each time it is executed, one placeholder a value; and each
length is another statement to the database.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine


class _Texts(TypeDecorator[Sequence[str]]):
    """Several texts as one value: an array on PostgreSQL, JSON on SQLite."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in which they travel."""
        return dialect.type_descriptor(ARRAY(sa.Text()) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:  # noqa: ANN401  (as its base has it)
        """Return what travels."""
        texts = list(value or ())
        return texts if dialect.name == "postgresql" else json.dumps(texts)


class _OneOf(FunctionElement[bool]):
    name = "one_of"
    type = sa.Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> "_OneOf":
        """Return it as it is: it is a comparison already, and `(comparison) = 1` would find no index."""
        return self


def one_of(column: sa.ColumnElement[str], bound: str) -> sa.ColumnElement[bool]:
    """Return whether the column is one of the texts that are given, as a sequence, under the name `bound`."""
    return _OneOf(column, sa.bindparam(bound, type_=_Texts))


@compiles(_OneOf, "sqlite")
def _on_sqlite(element: _OneOf, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401  (as SQLAlchemy has it)
    column, texts = element.clauses
    listed = sa.func.json_each(texts).table_valued("value")
    return compiler.process(column.in_(sa.select(listed.c.value)), **given)


@compiles(_OneOf, "postgresql")
def _on_postgresql(element: _OneOf, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401  (as SQLAlchemy has it)
    column, texts = element.clauses
    return compiler.process(column == sa.any_(texts), **given)
