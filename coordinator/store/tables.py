"""The tables, the same on SQLite and PostgreSQL. A column named `*_sealed` holds ciphertext; no PHI stands in clear.

Patients are found by `patient_key`, a keyed hash of the clinic's number. Provider
and staff ids are the clinic's own codes for professionals and stand in clear.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcInstant(TypeDecorator[datetime]):
    """An aware instant, stored in UTC; refuses a naive one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC; SQLite keeps no zone, so it is left off there."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs its zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    # SQLite keeps text. The same reading and writing in one step, for the rows that are read by the thousand.

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ANN401  (as its base has it)
        """Return what writes an instant."""
        return _to_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ANN401  (as its base has it)
        """Return what reads an instant."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _to_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return value.astimezone(UTC).isoformat(" ", "microseconds").removesuffix("+00:00")


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = sa.String(64)
WORD = sa.String(64)


def _part_index(name: str, *columns: str, where: str) -> sa.Index:
    """Return an index of only the rows of `where`, so that what is finished costs nothing."""
    return sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _id() -> sa.Column[str]:
    return sa.Column("id", ID, primary_key=True)


registry = sa.Table(
    "registry",
    METADATA,
    sa.Column("kind", WORD, primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body_sealed", sa.LargeBinary, nullable=False),
    sa.Column("changed_at", UtcInstant, nullable=False),
    sa.Column("changed_by", WORD, nullable=False),
)

registry_history = sa.Table(
    "registry_history",
    METADATA,
    sa.Column("kind", WORD, primary_key=True),
    sa.Column("key", sa.String(128), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("body_sealed", sa.LargeBinary, nullable=False),
    sa.Column("changed_at", UtcInstant, nullable=False),
    sa.Column("changed_by", WORD, nullable=False),
)

inbox = sa.Table(
    "inbox",
    METADATA,
    _id(),
    sa.Column("source", WORD, nullable=False),
    sa.Column("event_key", ID, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("event_type", WORD, nullable=False),
    sa.Column("patient_key", ID, nullable=False),
    sa.Column("content_key", ID, nullable=False),
    sa.Column("body_sealed", sa.LargeBinary, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("cause", WORD),
    sa.Column("questions_sealed", sa.LargeBinary),
    sa.Column("occurred_at", UtcInstant, nullable=False),
    sa.Column("received_at", UtcInstant, nullable=False),
    sa.Column("composed_at", UtcInstant),
    sa.Column("prepared_at", UtcInstant),
    sa.Column("due_at", UtcInstant),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", WORD),
    sa.Column("lease_until", UtcInstant),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("updated_at", UtcInstant, nullable=False),
    sa.UniqueConstraint("source", "event_key", "version"),
    sa.Index("ix_inbox_state_due", "state", "due_at"),
    sa.Index("ix_inbox_patient", "patient_key", "occurred_at"),
)

refusals = sa.Table(
    "refusals",
    METADATA,
    _id(),
    sa.Column("source", WORD, nullable=False),
    sa.Column("received_at", UtcInstant, nullable=False),
    sa.Column("body_key", ID, nullable=False),
    sa.Column("faults_sealed", sa.LargeBinary, nullable=False),
    sa.Index("ix_refusals_received", "received_at"),
)

messages = sa.Table(
    "messages",
    METADATA,
    _id(),
    sa.Column("event_ref", ID, sa.ForeignKey("inbox.id"), nullable=False),
    sa.Column("event_type", WORD, nullable=False),
    sa.Column("event_version", sa.Integer, nullable=False),
    sa.Column("patient_key", ID, nullable=False),
    sa.Column("provider_id", WORD, nullable=False),
    sa.Column("audience", WORD, nullable=False),
    sa.Column("letters", sa.String(64), nullable=False),
    sa.Column("priority", WORD, nullable=False),
    sa.Column("lane_subject", ID, nullable=False),
    sa.Column("occurred_at", UtcInstant, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("cause", WORD),
    sa.Column("superseded_by", ID),
    sa.Column("corrects", ID),
    sa.Column("reference", WORD, nullable=False),
    sa.Column("content_class", WORD, nullable=False),
    sa.Column("plan_sealed", sa.LargeBinary, nullable=False),
    sa.Column("acknowledge_by_at", UtcInstant),
    sa.Column("tell_by_at", UtcInstant),
    sa.Column("told_at", UtcInstant),
    sa.Column("clock_at", UtcInstant),
    sa.Column("digest_due_at", UtcInstant),
    sa.Column("marked_since", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("updated_at", UtcInstant, nullable=False),
    sa.Index("ix_messages_created", "created_at", "id"),
    sa.Index("ix_messages_lane", "patient_key", "provider_id", "lane_subject"),
    sa.Index("ix_messages_event", "event_ref"),
    _part_index("ix_messages_clock", "clock_at", where="clock_at IS NOT NULL"),
    _part_index("ix_messages_digest", "digest_due_at", where="state = 'digest'"),
)

documents = sa.Table(
    "documents",
    METADATA,
    _id(),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("role", WORD, nullable=False),
    sa.Column("title", sa.String(128), nullable=False),
    sa.Column("media_type", WORD, nullable=False),
    sa.Column("sha256", ID, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("body_sealed", sa.LargeBinary, nullable=False),
    sa.Column("made_with", sa.String(2000), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("packing", sa.String(8)),
    sa.Index("ix_documents_message", "message_id"),
)

deliveries = sa.Table(
    "deliveries",
    METADATA,
    _id(),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("provider_id", WORD, nullable=False),
    sa.Column("endpoint_id", WORD, nullable=False),
    sa.Column("channel", WORD, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("priority", WORD, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("cause", WORD),
    sa.Column("due_at", UtcInstant),
    sa.Column("receipt_due_at", UtcInstant),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts_used", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_owner", WORD),
    sa.Column("lease_until", UtcInstant),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("far_side_sealed", sa.LargeBinary),
    sa.Column("far_side_key", ID),
    sa.Column("content_sha256", ID),
    sa.Column("resend_of", ID),
    sa.Column("reason_sealed", sa.LargeBinary),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("updated_at", UtcInstant, nullable=False),
    sa.UniqueConstraint("message_id", "ordinal"),
    sa.Index("ix_deliveries_due", "state", "due_at"),
    _part_index("ix_deliveries_waiting", "endpoint_id", "priority", "due_at", "id", where="state = 'pending'"),
    _part_index("ix_deliveries_at_work", "endpoint_id", "lease_until", where="state IN ('claimed', 'on-wire')"),
    _part_index("ix_deliveries_doubt", "due_at", where="state = 'in-doubt'"),
    _part_index("ix_deliveries_receipt", "receipt_due_at", where="state = 'sent'"),
    _part_index("ix_deliveries_far_side", "far_side_key", where="far_side_key IS NOT NULL"),
)

attempts = sa.Table(
    "attempts",
    METADATA,
    _id(),
    sa.Column("delivery_id", ID, sa.ForeignKey("deliveries.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("worker", WORD, nullable=False),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column("on_wire_at", UtcInstant),
    sa.Column("ended_at", UtcInstant),
    sa.Column("outcome", WORD),
    sa.Column("cause", WORD),
    sa.Column("status", sa.Integer),
    sa.Column("consent_directive", sa.String(128)),
    sa.Column("consent_version", sa.Integer),
    sa.Column("address_key", ID),
    sa.Column("content_sha256", ID),
    sa.Column("detail_sealed", sa.LargeBinary),
    sa.Column("facts", sa.String(1000)),
    sa.UniqueConstraint("delivery_id", "number"),
)

receipts = sa.Table(
    "receipts",
    METADATA,
    _id(),
    sa.Column("once_key", ID, nullable=False, unique=True),
    sa.Column("delivery_id", ID),
    sa.Column("channel", WORD, nullable=False),
    sa.Column("verdict", WORD, nullable=False),
    sa.Column("cause", WORD),
    sa.Column("received_at", UtcInstant, nullable=False),
    sa.Column("detail_sealed", sa.LargeBinary),
    sa.Index("ix_receipts_delivery", "delivery_id"),
)

tasks = sa.Table(
    "tasks",
    METADATA,
    _id(),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("cause", WORD, nullable=False),
    sa.Column("due_at", UtcInstant, nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("done_at", UtcInstant),
    sa.Column("done_by", WORD),
    sa.Column("note_sealed", sa.LargeBinary),
    sa.UniqueConstraint("message_id", "kind", "cause"),
)

endpoint_health = sa.Table(
    "endpoint_health",
    METADATA,
    sa.Column("endpoint_id", WORD, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("open_since", UtcInstant),
    sa.Column("probe_at", UtcInstant),
    sa.Column("suspended_at", UtcInstant),
    sa.Column("suspended_address_key", ID),
    sa.Column("cause", WORD),
    sa.Column("entered_by", sa.String(200)),
    sa.Column("updated_at", UtcInstant, nullable=False),
)

endpoint_paces = sa.Table(
    "endpoint_paces",
    METADATA,
    sa.Column("endpoint_id", WORD, primary_key=True),
    sa.Column("at_once", sa.Integer),
    sa.Column("per_minute", sa.Integer),
    sa.Column("next_at", UtcInstant),
    sa.Column("turn", sa.Integer, nullable=False, server_default="0"),
)
"""Only endpoints that the registry gives a pace. `turn` rises with each claim, so that two workers cannot both take the
last room."""

search_terms = sa.Table(
    "search_terms",
    METADATA,
    sa.Column("term_key", ID, primary_key=True),
    sa.Column("message_id", ID, primary_key=True),
)

acted = sa.Table(
    "acted",
    METADATA,
    sa.Column("token_key", ID, primary_key=True),
    sa.Column("action", WORD, nullable=False),
    sa.Column("outcome", ID, nullable=False),
    sa.Column("at", UtcInstant, nullable=False),
)

audit = sa.Table(
    "audit",
    METADATA,
    sa.Column("shard", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", UtcInstant, nullable=False),
    sa.Column("actor_kind", WORD, nullable=False),
    sa.Column("actor", WORD, nullable=False),
    sa.Column("action", WORD, nullable=False),
    sa.Column("patient_key", ID),
    sa.Column("subject", ID),
    sa.Column("code", WORD),
    sa.Column("detail_sealed", sa.LargeBinary),
    sa.Column("previous", ID, nullable=False),
    sa.Column("hash", ID, nullable=False),
    sa.Index("ix_audit_subject", "subject"),
    sa.Index("ix_audit_patient", "patient_key"),
)

key_checks = sa.Table(
    "key_checks",
    METADATA,
    sa.Column("key_id", WORD, primary_key=True),
    sa.Column("value", WORD, nullable=False),
)

audit_heads = sa.Table(
    "audit_heads",
    METADATA,
    sa.Column("shard", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("hash", ID, nullable=False),
)
