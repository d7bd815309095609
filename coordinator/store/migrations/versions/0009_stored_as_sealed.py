"""Sealed values are stored as they are: what is encrypted cannot be compressed, and PostgreSQL need not try"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LARGE = (
    ("documents", "body_sealed"),
    ("inbox", "body_sealed"),
    ("messages", "plan_sealed"),
    ("registry", "body_sealed"),
    ("registry_history", "body_sealed"),
    ("answers", "evidence_sealed"),
)
"""The columns whose values may be large enough for PostgreSQL to put them beside the row."""


def _store(how: str) -> None:
    # Changes the catalogue alone: what is there already stays as it is, and can be read either way.
    if op.get_bind().dialect.name == "postgresql":
        for table, column in LARGE:
            op.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET STORAGE {how}')


def upgrade() -> None:
    _store("EXTERNAL")


def downgrade() -> None:
    _store("EXTENDED")
