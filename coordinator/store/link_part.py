"""Secure links, access codes, readers' sessions, answers and incidents in the database.

Tokens, paths and session cookies stand here only as hashes, access codes only as
argon2id; what a reader typed is sealed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.errors import StateConflict
from coordinator.flow.link_rows import AccessCode, AnswerRow, AnswerState, IncidentRow, LinkKeys, LinkRow
from coordinator.store.sealed import Part
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant

letter_links = sa.Table(
    "letter_links",
    METADATA,
    sa.Column("delivery_id", ID, sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("endpoint_id", WORD, nullable=False),
    sa.Column("token_key", ID, nullable=False, unique=True),
    sa.Column("path_key", ID, nullable=False, unique=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("expires_at", UtcInstant, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_at", UtcInstant),
    sa.Column("opened_at", UtcInstant),
    sa.Column("opens", sa.Integer, nullable=False, server_default="0"),
    sa.Index("ix_letter_links_message", "message_id"),
)

access_codes = sa.Table(
    "access_codes",
    METADATA,
    sa.Column("endpoint_id", WORD, primary_key=True),
    sa.Column("code_hash", sa.String(200), nullable=False),
    sa.Column("set_at", UtcInstant, nullable=False),
    sa.Column("set_by", WORD, nullable=False),
)

link_sessions = sa.Table(
    "link_sessions",
    METADATA,
    sa.Column("token_key", ID, primary_key=True),
    sa.Column("delivery_id", ID, sa.ForeignKey("letter_links.delivery_id"), nullable=False),
    sa.Column("opened_at", UtcInstant, nullable=False),
    sa.Column("expires_at", UtcInstant, nullable=False),
    sa.Index("ix_link_sessions_delivery", "delivery_id"),
)

link_tries = sa.Table(
    "link_tries",
    METADATA,
    sa.Column("place_key", ID, primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("began_at", UtcInstant, nullable=False),
)

answers = sa.Table(
    "answers",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("once_key", ID, nullable=False, unique=True),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("patient_key", ID, nullable=False),
    sa.Column("provider_id", WORD, nullable=False),
    sa.Column("delivery_id", ID),
    sa.Column("via", WORD, nullable=False),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("said_sealed", sa.LargeBinary, nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("answered_at", UtcInstant, nullable=False),
    sa.Column("recorded_by", WORD, nullable=False),
    sa.Column("evidence_sha256", ID),
    sa.Column("evidence_type", WORD),
    sa.Column("evidence_sealed", sa.LargeBinary),
    sa.Column("reviewed_at", UtcInstant),
    sa.Column("reviewed_by", WORD),
    sa.Column("review_sealed", sa.LargeBinary),
    sa.Index("ix_answers_message", "message_id"),
    sa.Index("ix_answers_state", "state", "answered_at"),
)

incidents = sa.Table(
    "incidents",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("patient_key", ID, nullable=False),
    sa.Column("endpoint_id", WORD),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("answer_id", ID),
    sa.Column("raised_at", UtcInstant, nullable=False),
    sa.Column("closed_at", UtcInstant),
    sa.Column("raised_by", WORD),
    sa.Column("note_sealed", sa.LargeBinary),
    sa.Column("closed_by", WORD),
    sa.Column("closing_sealed", sa.LargeBinary),
    sa.Column("address_key", ID),
    sa.UniqueConstraint("message_id", "kind"),
    sa.Index("ix_incidents_open", "closed_at", "raised_at"),
)

LINK_COLUMNS = (
    "delivery_id", "message_id", "endpoint_id", "generation", "created_at", "expires_at", "failures", "locked_at",
    "opened_at", "opens",
)  # fmt: skip
ANSWER_COLUMNS = (
    "id", "message_id", "patient_key", "provider_id", "delivery_id", "via", "kind", "state", "answered_at",
    "recorded_by", "evidence_sha256", "evidence_type", "reviewed_at", "reviewed_by",
)  # fmt: skip
INCIDENT_COLUMNS = (
    "id", "message_id", "patient_key", "endpoint_id", "kind", "answer_id", "raised_at", "closed_at", "raised_by",
    "closed_by", "address_key",
)  # fmt: skip


class LinkRows(Part):
    """Implements flow.link_rows.LinkPart."""

    def link(self, delivery_id: str, *, lock: bool = False) -> LinkRow | None:
        """Return the link of a delivery."""
        return self._link(sa.select(letter_links).where(letter_links.c.delivery_id == delivery_id), lock=lock)

    def link_by(self, *, token_key: str | None, path_key: str | None, lock: bool = False) -> LinkRow | None:
        """Return the link with that token or that path, or None."""
        where = letter_links.c.token_key == token_key if path_key is None else letter_links.c.path_key == path_key
        return self._link(sa.select(letter_links).where(where), lock=lock)

    def _link(self, query: sa.Select[Any], *, lock: bool) -> LinkRow | None:
        row = self._one(self._locked(query, lock=lock))
        return None if row is None else LinkRow(**{name: getattr(row, name) for name in LINK_COLUMNS})

    def add_link(self, row: LinkRow, keys: LinkKeys) -> None:
        """Insert a link."""
        self._run(sa.insert(letter_links).values(**vars(row), **vars(keys)))

    def put_link(self, row: LinkRow, keys: LinkKeys | None = None) -> None:
        """Store what has changed of a link; new `keys` end the old ones and every open session."""
        values = {**vars(row), **({} if keys is None else vars(keys))}
        where = letter_links.c.delivery_id == row.delivery_id
        self._run(sa.update(letter_links).where(where).values(values))
        if keys is not None:
            self._run(sa.delete(link_sessions).where(link_sessions.c.delivery_id == row.delivery_id))

    def access_code(self, endpoint_id: str) -> AccessCode | None:
        """Return the access code of an endpoint, or None while there is none."""
        row = self._one(sa.select(access_codes).where(access_codes.c.endpoint_id == endpoint_id))
        return None if row is None else AccessCode(row.endpoint_id, row.code_hash, row.set_at, row.set_by)

    def put_access_code(self, code: AccessCode) -> None:
        """Store an endpoint's access code in place of the one before."""
        if not self._insert_once(access_codes, vars(code)):
            where = access_codes.c.endpoint_id == code.endpoint_id
            self._run(sa.update(access_codes).where(where).values(**vars(code)))

    def add_link_session(self, token_key: str, delivery_id: str, at: datetime, expires_at: datetime) -> None:
        """Store a reader's session."""
        self._run(
            sa.insert(link_sessions).values(
                token_key=token_key, delivery_id=delivery_id, opened_at=at, expires_at=expires_at
            )
        )

    def link_session(self, token_key: str, now: datetime) -> str | None:
        """Return the delivery whose link the session may read, or None once it is over."""
        table = link_sessions.c
        row = self._one(sa.select(table.delivery_id).where(table.token_key == token_key, table.expires_at > now))
        return None if row is None else str(row.delivery_id)

    def end_link_session(self, token_key: str) -> None:
        """Forget a session."""
        self._run(sa.delete(link_sessions).where(link_sessions.c.token_key == token_key))

    def count_try(self, place_key: str, now: datetime, *, since: datetime) -> int:
        """Count one try from a place and return how many there were since then, this one included."""
        if self._insert_once(link_tries, {"place_key": place_key, "tries": 1, "began_at": now}):
            return 1
        table = link_tries.c
        over = table.began_at < since
        # One statement, so that two tries at once are both counted.
        more = (
            sa.update(link_tries)
            .where(table.place_key == place_key)
            .values(
                tries=sa.case((over, 1), else_=table.tries + 1),
                began_at=sa.case((over, sa.literal(now, UtcInstant)), else_=table.began_at),
            )
        )
        self._run(more)
        row = self._one(sa.select(table.tries).where(table.place_key == place_key))
        return 1 if row is None else int(row.tries)

    def forgive_try(self, place_key: str) -> None:
        """Take one try back: it was right."""
        table = link_tries.c
        less = sa.update(link_tries).where(table.place_key == place_key, table.tries > 0)
        self._run(less.values(tries=table.tries - 1))

    def tidy_links(self, *, sessions_over: datetime, tries_before: datetime) -> None:
        """Delete sessions that are over and tries that no longer count."""
        self._run(sa.delete(link_sessions).where(link_sessions.c.expires_at < sessions_over))
        self._run(sa.delete(link_tries).where(link_tries.c.began_at < tries_before))


class AnswerRows(Part):
    """Implements flow.link_rows.AnswerPart."""

    def add_answer(self, row: AnswerRow, *, once: str, evidence: bytes | None) -> bool:
        """Insert an answer; return False when one with the same `once` is there already."""
        values: dict[str, Any] = {name: getattr(row, name) for name in ANSWER_COLUMNS}
        values["once_key"] = self.key("answer", once)
        values["said_sealed"] = self._seal_json("answers", row.id, "said", row.said)
        values["evidence_sealed"] = None if evidence is None else self._seal("answers", row.id, "evidence", evidence)
        return self._insert_once(answers, values)

    def answer(self, answer_id: str, *, lock: bool = False) -> AnswerRow | None:
        """Return one answer."""
        row = self._one(self._locked(sa.select(answers).where(answers.c.id == answer_id), lock=lock))
        return None if row is None else self._answer(row)

    def answer_evidence(self, answer_id: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes) of the page an answer was typed from, or None."""
        row = self._one(sa.select(answers).where(answers.c.id == answer_id))
        if row is None or row.evidence_sealed is None:
            return None
        return row.evidence_type, self._open("answers", row.id, "evidence", row.evidence_sealed)

    def answers_of(self, message_id: str) -> Sequence[AnswerRow]:
        """Return a message's answers, oldest first."""
        query = sa.select(answers).where(answers.c.message_id == message_id)
        return [self._answer(row) for row in self._all(query.order_by(answers.c.answered_at, answers.c.id))]

    def answers_in(self, state: AnswerState, limit: int) -> Sequence[AnswerRow]:
        """Return answers in a state, oldest first."""
        query = sa.select(answers).where(answers.c.state == state).order_by(answers.c.answered_at, answers.c.id)
        return [self._answer(row) for row in self._all(query.limit(limit))]

    def to_review(self) -> tuple[int, int]:
        """Return how many (answers, incidents) wait for a person."""
        waiting = sa.select(sa.func.count()).select_from(answers).where(answers.c.state == "waiting").scalar_subquery()
        unsettled = (
            sa.select(sa.func.count()).select_from(incidents).where(incidents.c.closed_at.is_(None)).scalar_subquery()
        )
        answered, open_ones = cast("Sequence[int]", self._all(sa.select(waiting, unsettled))[0])
        return int(answered), int(open_ones)

    def settle_answer(self, answer_id: str, state: AnswerState, *, by: str, reason: str, at: datetime) -> None:
        """Store a review; raise StateConflict when the answer is not waiting."""
        waiting = sa.and_(answers.c.id == answer_id, answers.c.state == "waiting")
        sealed = self._seal("answers", answer_id, "review", reason.encode())
        change = sa.update(answers).where(waiting)
        done = self._run(change.values(state=state, reviewed_at=at, reviewed_by=by, review_sealed=sealed)).rowcount
        if done != 1:
            raise StateConflict("answer")

    def add_incident(self, row: IncidentRow) -> bool:
        """Open an incident, once per message and kind; return whether it is new."""
        values = {name: getattr(row, name) for name in INCIDENT_COLUMNS}
        note = None if row.note is None else self._seal("incidents", row.id, "note", row.note.encode())
        return self._insert_once(incidents, {**values, "note_sealed": note})

    def incident(self, incident_id: str, *, lock: bool = False) -> IncidentRow | None:
        """Return one incident."""
        row = self._one(self._locked(sa.select(incidents).where(incidents.c.id == incident_id), lock=lock))
        return None if row is None else self._incident(row)

    def close_incident(self, incident_id: str, *, by: str, closing: str, at: datetime) -> bool:
        """Close an open incident; return False when it was closed already."""
        sealed = self._seal("incidents", incident_id, "closing", closing.encode())
        change = sa.update(incidents).where(incidents.c.id == incident_id, incidents.c.closed_at.is_(None))
        return self._run(change.values(closed_at=at, closed_by=by, closing_sealed=sealed)).rowcount == 1

    def incidents(self, *, open_only: bool = True) -> Sequence[IncidentRow]:
        """Return incidents, newest first."""
        query = sa.select(incidents).order_by(incidents.c.raised_at.desc(), incidents.c.id)
        if open_only:
            query = query.where(incidents.c.closed_at.is_(None))
        return [self._incident(row) for row in self._all(query)]

    def _incident(self, row: Row[Any]) -> IncidentRow:
        def opened(field: str, sealed: bytes | None) -> str | None:
            return None if sealed is None else self._open("incidents", row.id, field, sealed).decode()

        return IncidentRow(
            **{name: getattr(row, name) for name in INCIDENT_COLUMNS},
            note=opened("note", row.note_sealed),
            closing=opened("closing", row.closing_sealed),
        )

    def _answer(self, row: Row[Any]) -> AnswerRow:
        reason = row.review_sealed
        return AnswerRow(
            **{name: getattr(row, name) for name in ANSWER_COLUMNS},
            said=self._open_json("answers", row.id, "said", row.said_sealed),
            review_reason=None if reason is None else self._open("answers", row.id, "review", reason).decode(),
        )
