"""Addresses that are known as wrong whoever has them, and at which one an incident's letter was"""

import sqlalchemy as sa
from alembic import op

from coordinator.store.tables import UtcInstant

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "closed_addresses",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("address_key", sa.String(length=64), nullable=False),
        sa.Column("closed_at", UtcInstant(), nullable=False),
        sa.Column("cause", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("kind", "address_key", name=op.f("pk_closed_addresses")),
    )
    op.add_column("incidents", sa.Column("address_key", sa.String(length=64), nullable=True))
    # What was closed until now stands beside endpoints. Their kind is that of the letter that was reported; a number
    # that is closed for what a gateway said of it is a fax number.
    op.execute(
        """INSERT INTO closed_addresses (kind, address_key, closed_at, cause)
        SELECT d.channel, h.suspended_address_key, MAX(h.suspended_at), 'link.not-mine'
        FROM endpoint_health h
        JOIN incidents i ON i.endpoint_id = h.endpoint_id
        JOIN deliveries d ON d.message_id = i.message_id AND d.endpoint_id = i.endpoint_id
        WHERE h.suspended_at IS NOT NULL AND h.cause = 'link.not-mine' AND d.channel IN ('fax', 'direct', 'secure-link')
        GROUP BY d.channel, h.suspended_address_key"""
    )
    op.execute(
        """INSERT INTO closed_addresses (kind, address_key, closed_at, cause)
        SELECT 'fax', h.suspended_address_key, MAX(h.suspended_at), MAX(h.cause)
        FROM endpoint_health h
        WHERE h.suspended_at IS NOT NULL AND h.cause IN ('fax.bad-number', 'fax.wrong-number', 'fax.no-fax-tone')
        AND NOT EXISTS (
            SELECT 1 FROM closed_addresses c WHERE c.kind = 'fax' AND c.address_key = h.suspended_address_key
        )
        GROUP BY h.suspended_address_key"""
    )
    op.execute(
        """UPDATE incidents SET address_key = (
            SELECT h.suspended_address_key FROM endpoint_health h WHERE h.endpoint_id = incidents.endpoint_id
        )
        WHERE closed_at IS NULL AND EXISTS (
            SELECT 1 FROM endpoint_health h
            JOIN deliveries d ON d.endpoint_id = h.endpoint_id
            WHERE h.endpoint_id = incidents.endpoint_id AND d.message_id = incidents.message_id
            AND h.suspended_at IS NOT NULL AND h.cause = 'link.not-mine'
            AND d.channel IN ('fax', 'direct', 'secure-link')
        )"""
    )


def downgrade() -> None:
    op.drop_column("incidents", "address_key")
    op.drop_table("closed_addresses")
