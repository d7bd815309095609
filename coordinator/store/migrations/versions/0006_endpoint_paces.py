"""How fast an endpoint may be sent to"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "endpoint_paces",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("at_once", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("next_at", UtcInstant(), nullable=True),
        sa.Column("turn", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoint_paces")),
    )


def downgrade() -> None:
    op.drop_table("endpoint_paces")
