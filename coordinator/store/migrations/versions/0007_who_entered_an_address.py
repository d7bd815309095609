"""Who entered a changed address"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("endpoint_health", sa.Column("entered_by", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("endpoint_health", "entered_by")
