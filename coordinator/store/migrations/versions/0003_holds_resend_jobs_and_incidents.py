"""Holds, resend jobs, the closing of incidents, licences of clinicians"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("placed_at", UtcInstant(), nullable=False),
        sa.Column("placed_by", sa.String(length=64), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_holds")),
    )
    op.create_table(
        "restore_reviews",
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_restore_reviews_delivery_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_restore_reviews")),
    )
    _jobs()
    op.add_column("incidents", sa.Column("raised_by", sa.String(length=64), nullable=True))
    op.add_column("incidents", sa.Column("note_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("incidents", sa.Column("closed_by", sa.String(length=64), nullable=True))
    op.add_column("incidents", sa.Column("closing_sealed", sa.LargeBinary(), nullable=True))
    op.add_column("staff_accounts", sa.Column("licence", sa.String(length=64), nullable=True))


def _jobs() -> None:
    op.create_table(
        "resend_jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=64), nullable=False),
        sa.Column("selection", sa.String(length=1000), nullable=False),
        sa.Column("reason_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcInstant(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("started_at", UtcInstant(), nullable=True),
        sa.Column("started_by", sa.String(length=64), nullable=True),
        sa.Column("next_at", UtcInstant(), nullable=True),
        sa.Column("ended_at", UtcInstant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resend_jobs")),
    )
    op.create_index("ix_resend_jobs_state", "resend_jobs", ["state", "made_at"], unique=False)
    op.create_table(
        "resend_items",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("new_delivery_id", sa.String(length=64), nullable=True),
        sa.Column("why", sa.String(length=500), nullable=True),
        sa.Column("done_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["resend_jobs.id"], name=op.f("fk_resend_items_job_id")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_resend_items_message_id")),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_resend_items_delivery_id")),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_resend_items")),
    )
    op.create_index("ix_resend_items_message", "resend_items", ["message_id"], unique=False)
    op.create_index("ix_resend_items_state", "resend_items", ["job_id", "state", "position"], unique=False)


def downgrade() -> None:
    op.drop_column("staff_accounts", "licence")
    for name in ("closing_sealed", "closed_by", "note_sealed", "raised_by"):
        op.drop_column("incidents", name)
    op.drop_table("resend_items")
    op.drop_table("resend_jobs")
    op.drop_table("restore_reviews")
    op.drop_table("holds")
