"""What the machine at a fax number calls itself, and at which number a try was made"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "endpoint_stations",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("address_key", sa.String(length=64), nullable=False),
        sa.Column("good_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("heard_at", UtcInstant(), nullable=False),
        sa.Column("other_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("other_since", UtcInstant(), nullable=True),
        sa.Column("other_message", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoint_stations")),
    )
    op.add_column("attempts", sa.Column("address_key", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "address_key")
    op.drop_table("endpoint_stations")
