"""Documents may be compressed before they are sealed; what is stored already stays as it is"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("packing", sa.String(8), nullable=True))


def downgrade() -> None:
    packed = op.get_bind().execute(sa.text("SELECT count(*) FROM documents WHERE packing IS NOT NULL")).scalar_one()
    if packed:
        raise RuntimeError(f"{packed} documents are packed; the version before this one could not read them")
    op.drop_column("documents", "packing")
