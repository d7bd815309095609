"""Secure links and answers"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "letter_links",
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("token_key", sa.String(length=64), nullable=False),
        sa.Column("path_key", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("locked_at", UtcInstant(), nullable=True),
        sa.Column("opened_at", UtcInstant(), nullable=True),
        sa.Column("opens", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_letter_links_delivery_id")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_letter_links_message_id")),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_letter_links")),
        sa.UniqueConstraint("token_key", name=op.f("uq_letter_links_token_key")),
        sa.UniqueConstraint("path_key", name=op.f("uq_letter_links_path_key")),
    )
    op.create_index("ix_letter_links_message", "letter_links", ["message_id"], unique=False)
    op.create_table(
        "access_codes",
        sa.Column("endpoint_id", sa.String(length=64), nullable=False),
        sa.Column("code_hash", sa.String(length=200), nullable=False),
        sa.Column("set_at", UtcInstant(), nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_access_codes")),
    )
    op.create_table(
        "link_sessions",
        sa.Column("token_key", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", sa.String(length=64), nullable=False),
        sa.Column("opened_at", UtcInstant(), nullable=False),
        sa.Column("expires_at", UtcInstant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["letter_links.delivery_id"], name=op.f("fk_link_sessions_delivery_id")
        ),
        sa.PrimaryKeyConstraint("token_key", name=op.f("pk_link_sessions")),
    )
    op.create_index("ix_link_sessions_delivery", "link_sessions", ["delivery_id"], unique=False)
    op.create_table(
        "link_tries",
        sa.Column("place_key", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("began_at", UtcInstant(), nullable=False),
        sa.PrimaryKeyConstraint("place_key", name=op.f("pk_link_tries")),
    )
    _answers()


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("once_key", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("patient_key", sa.String(length=64), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("delivery_id", sa.String(length=64), nullable=True),
        sa.Column("via", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("said_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("answered_at", UtcInstant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=64), nullable=False),
        sa.Column("evidence_sha256", sa.String(length=64), nullable=True),
        sa.Column("evidence_type", sa.String(length=64), nullable=True),
        sa.Column("evidence_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("reviewed_at", UtcInstant(), nullable=True),
        sa.Column("reviewed_by", sa.String(length=64), nullable=True),
        sa.Column("review_sealed", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_answers_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("once_key", name=op.f("uq_answers_once_key")),
    )
    op.create_index("ix_answers_message", "answers", ["message_id"], unique=False)
    op.create_index("ix_answers_state", "answers", ["state", "answered_at"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("patient_key", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("answer_id", sa.String(length=64), nullable=True),
        sa.Column("raised_at", UtcInstant(), nullable=False),
        sa.Column("closed_at", UtcInstant(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("fk_incidents_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("message_id", "kind", name=op.f("uq_incidents_message_id_kind")),
    )
    op.create_index("ix_incidents_open", "incidents", ["closed_at", "raised_at"], unique=False)


def downgrade() -> None:
    op.drop_table("incidents")
    op.drop_table("answers")
    op.drop_table("link_tries")
    op.drop_table("link_sessions")
    op.drop_table("access_codes")
    op.drop_table("letter_links")
