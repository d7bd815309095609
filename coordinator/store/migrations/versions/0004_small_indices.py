"""Indices that hold only the rows something is still to happen to, and the next clock of a message"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PARTIAL = (
    ("ix_deliveries_waiting", "deliveries", ["endpoint_id", "priority", "due_at", "id"], "state = 'pending'"),
    ("ix_deliveries_at_work", "deliveries", ["endpoint_id", "lease_until"], "state IN ('claimed', 'on-wire')"),
    ("ix_deliveries_doubt", "deliveries", ["due_at"], "state = 'in-doubt'"),
    ("ix_deliveries_receipt", "deliveries", ["receipt_due_at"], "state = 'sent'"),
    ("ix_deliveries_far_side", "deliveries", ["far_side_key"], "far_side_key IS NOT NULL"),
    ("ix_messages_clock", "messages", ["clock_at"], "clock_at IS NOT NULL"),
    ("ix_messages_digest", "messages", ["digest_due_at"], "state = 'digest'"),
)
GONE = (
    ("ix_deliveries_lease", "deliveries", ["state", "lease_until"]),
    ("ix_deliveries_message", "deliveries", ["message_id"]),
    ("ix_deliveries_far_side", "deliveries", ["far_side_key"]),
    ("ix_messages_digest", "messages", ["state", "digest_due_at"]),
    ("ix_inbox_patient", "inbox", ["patient_key"]),
)


def upgrade() -> None:
    op.add_column("messages", sa.Column("clock_at", UtcInstant(), nullable=True))
    # Every clock of every message is looked at once more; what was raised before is not raised again.
    op.execute(
        "UPDATE messages SET clock_at = CASE WHEN tell_by_at <= acknowledge_by_at THEN tell_by_at"
        " ELSE coalesce(acknowledge_by_at, tell_by_at) END"
    )
    for name, table, _ in GONE:
        op.drop_index(name, table_name=table)
    for name, table, columns, where in PARTIAL:
        op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    op.create_index("ix_inbox_patient", "inbox", ["patient_key", "occurred_at"])


def downgrade() -> None:
    op.drop_index("ix_inbox_patient", table_name="inbox")
    for name, table, *_ in reversed(PARTIAL):
        op.drop_index(name, table_name=table)
    for name, table, columns in GONE:
        op.create_index(name, table, columns)
    op.drop_column("messages", "clock_at")
