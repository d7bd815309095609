"""When each kind of the service's own work was last seen"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("work", sa.String(length=64), nullable=False),
        sa.Column("seen_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("work", name=op.f("pk_heartbeats")),
    )


def downgrade() -> None:
    op.drop_table("heartbeats")
