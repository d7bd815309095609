"""Messages and documents in the database, and the search over them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.delivery import NEEDS_PERSON, State
from coordinator.domain.errors import SPOILT
from coordinator.flow.document_order import in_order
from coordinator.flow.read_models import MessageFilter
from coordinator.flow.rows import TOLD_IN_DIGEST, MessageRecord, MessageState, NewDocument, NewMessage
from coordinator.store.delivery_queries import LATER
from coordinator.store.one_of import one_of
from coordinator.store.packing import pack, unpack
from coordinator.store.sealed import Part
from coordinator.store.tables import deliveries, documents, messages, search_terms, tasks

MESSAGE_COLUMNS = (
    "id", "event_ref", "event_type", "event_version", "patient_key", "provider_id", "audience", "priority",
    "lane_subject", "occurred_at", "state", "cause", "reference", "content_class", "acknowledge_by_at",
    "tell_by_at", "digest_due_at", "corrects",
)  # fmt: skip

_CLOCK = sa.case(
    (messages.c.tell_by_at <= messages.c.acknowledge_by_at, messages.c.tell_by_at),
    else_=sa.func.coalesce(messages.c.acknowledge_by_at, messages.c.tell_by_at),
)
"""Where a message's clocks begin again; one that has run out already is looked at in the next sweep."""
MOST_PLANS = 1_000
_PLANS: dict[str, tuple[bytes, dict[str, Any]]] = {}
"""Plans read lately, by message, with the sealed text they were read from. Nobody changes one in place."""

_WIDTH = len(messages.c)
_BY_IDS = sa.select(messages).where(one_of(messages.c.id, "ids"))
_LANE = (
    sa.select(messages)
    .where(
        messages.c.patient_key == sa.bindparam("of_patient"),
        messages.c.provider_id == sa.bindparam("of_provider"),
        messages.c.lane_subject == sa.bindparam("of_subject"),
    )
    .order_by(messages.c.occurred_at, messages.c.event_version, messages.c.created_at)
)
_CONTENTS = sa.select(documents).where(one_of(documents.c.message_id, "ids"))
"""In no order: to sort them the database would carry the bodies about."""


def _first_clock(*clocks: datetime | None) -> datetime | None:
    return min((one for one in clocks if one is not None), default=None)


def _told_by(digest: MessageRecord) -> sa.ColumnElement[bool]:
    return sa.and_(
        messages.c.patient_key == digest.patient_key,  # by the index of lanes
        messages.c.provider_id == digest.provider_id,
        messages.c.superseded_by == digest.id,
        messages.c.cause == TOLD_IN_DIGEST,
    )


class MessageRows(Part):
    """Implements flow.ledger.MessagePart."""

    def add_message(self, message: NewMessage, *, at: datetime, terms: Sequence[str]) -> None:
        """Insert a message with its search terms."""
        values: dict[str, Any] = {name: getattr(message, name) for name in MESSAGE_COLUMNS}
        values["letters"] = ",".join(message.letters)
        values["plan_sealed"] = self._seal_json("messages", message.id, "plan", message.plan)
        values["created_at"] = values["updated_at"] = at
        values["clock_at"] = _first_clock(message.tell_by_at, message.acknowledge_by_at)
        self._backlog.insert(messages, values)
        for key in sorted({self.key("term", term) for term in terms}):
            self._backlog.insert(search_terms, {"term_key": key, "message_id": message.id})
        self._ahead.ordinals[message.id] = 0
        lane = self._ahead.lane_rows.get((message.patient_key, message.provider_id, message.lane_subject))
        if lane is not None:
            given = {one.name: getattr(message, one.name) for one in fields(NewMessage)}
            lane.append(MessageRecord(**given, created_at=at, updated_at=at))
            lane.sort(key=lambda one: (one.occurred_at, one.event_version, one.created_at))

    def message(self, message_id: str, *, lock: bool = False) -> MessageRecord | None:
        """Return one message."""
        known = self._ahead.messages.get(message_id)
        if known is not None and not (lock and self._postgres):
            return known
        row = self._one(self._locked(sa.select(messages).where(messages.c.id == message_id), lock=lock))
        return None if row is None else self._message(row)

    def _read_messages(self, message_ids: Sequence[str]) -> None:
        for row in self._all(_BY_IDS, ids=list(message_ids)):
            with suppress(*SPOILT):  # whoever asks for that one meets it, and the others are read all the same
                self._ahead.messages[row.id] = self._message(row)

    def _changed(self, message_id: str) -> None:
        """Forget what was read ahead of a message that is about to change."""
        self._ahead.messages.pop(message_id, None)
        self._ahead.lane_rows.clear()

    def mark_since(self, patient_key: str, *, composed_from: datetime, but_of_event: str, at: datetime) -> None:
        """Note that a record of the patient was marked as Part 2 after these messages may have drawn on it."""
        self._ahead.messages.clear()
        self._ahead.lane_rows.clear()
        mine = sa.and_(
            messages.c.patient_key == patient_key,
            messages.c.created_at >= composed_from,
            messages.c.event_ref != but_of_event,
        )
        self._run(sa.update(messages).where(mine).values(marked_since=True, updated_at=at))

    def messages_of_event(self, event_ref: str) -> Sequence[MessageRecord]:
        """Return the messages of an event version."""
        query = sa.select(messages).where(messages.c.event_ref == event_ref).order_by(messages.c.id)
        return [self._message(row) for row in self._all(query)]

    def lane(self, patient_key: str, provider_id: str, lane_subject: str) -> Sequence[MessageRecord]:
        """Return the lane's messages, oldest occurrence first."""
        known = self._ahead.lane_rows.get((patient_key, provider_id, lane_subject))
        if known is not None:
            return list(known)
        rows = self._all(_LANE, of_patient=patient_key, of_provider=provider_id, of_subject=lane_subject)
        return [self._message(row) for row in rows]

    def move_message(
        self,
        message_id: str,
        state: MessageState,
        *,
        at: datetime,
        cause: str | None = None,
        superseded_by: str | None = None,
    ) -> None:
        """Change a message's state."""
        self._changed(message_id)
        change: dict[str, object] = {"state": state, "updated_at": at, "cause": cause}
        if superseded_by is not None:
            change["superseded_by"] = superseded_by
        if state == "open":
            change["clock_at"] = _CLOCK
        self._run(sa.update(messages).where(messages.c.id == message_id).values(change))

    def open_waiting(
        self,
        message_id: str,
        *,
        letters: Sequence[str],
        priority: str,
        plan: dict[str, Any],
        acknowledge_by_at: datetime | None,
        tell_by_at: datetime | None,
        at: datetime,
    ) -> None:
        """Open a message that was withheld, or waited for its digest, with what it says now and the clocks of that."""
        self._changed(message_id)
        change = {
            "state": "open",
            "cause": None,
            "letters": ",".join(letters),
            "priority": priority,
            "plan_sealed": self._seal_json("messages", message_id, "plan", plan),
            "acknowledge_by_at": acknowledge_by_at,
            "tell_by_at": tell_by_at,
            "clock_at": _first_clock(tell_by_at, acknowledge_by_at),
            "updated_at": at,
        }
        self._run(sa.update(messages).where(messages.c.id == message_id).values(change))

    def mark_superseded(self, message_id: str, by: str | None, at: datetime) -> None:
        """Remember which message replaces one that has left already; None: it is no longer replaced."""
        self._changed(message_id)
        change = {"superseded_by": by, "updated_at": at}
        self._run(sa.update(messages).where(messages.c.id == message_id).values(change))

    def mark_told(self, message_id: str, at: datetime) -> None:
        """Remember that the message has appeared under needs-attention by its clock."""
        self._changed(message_id)
        self._run(sa.update(messages).where(messages.c.id == message_id).values(told_at=at))

    def replaced_by(self, message: MessageRecord) -> Sequence[MessageRecord]:
        """Return the messages of its lane that this one took the place of, the newest first."""
        query = sa.select(messages).where(
            messages.c.patient_key == message.patient_key,
            messages.c.provider_id == message.provider_id,
            messages.c.lane_subject == message.lane_subject,
            messages.c.superseded_by == message.id,
        )
        newest_first = (messages.c.occurred_at.desc(), messages.c.event_version.desc(), messages.c.id)
        return [self._message(row) for row in self._all(query.order_by(*newest_first))]

    def stand_again(self, message_id: str, state: MessageState, at: datetime) -> None:
        """Take back that a message was replaced: it is open, or withheld, as it was."""
        self._changed(message_id)
        change = {"state": state, "cause": None, "superseded_by": None, "updated_at": at, "clock_at": _CLOCK}
        self._run(sa.update(messages).where(messages.c.id == message_id).values(change))

    def told_with(self, digest: MessageRecord) -> Sequence[MessageRecord]:
        """Return the messages of the sessions that a digest tells of, its own apart."""
        query = sa.select(messages).where(_told_by(digest)).order_by(messages.c.occurred_at, messages.c.id)
        return [self._message(row) for row in self._all(query)]

    def wait_again(self, digest: MessageRecord, at: datetime) -> Sequence[str]:
        """Let the sessions that a digest told of, its own apart, wait for a digest again; return their messages."""
        self._ahead.messages.clear()
        self._ahead.lane_rows.clear()
        change = {"state": "digest", "cause": None, "superseded_by": None, "updated_at": at}
        again = self._run(sa.update(messages).where(_told_by(digest)).values(change).returning(messages.c.id))
        return [row.id for row in again.all()]

    def digests_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the messages in state `digest` whose time has come. Opens nothing that may be unreadable."""
        query = (
            sa.select(messages.c.id)
            .where(messages.c.state == sa.literal_column("'digest'"), messages.c.digest_due_at <= now)
            .order_by(messages.c.digest_due_at, messages.c.occurred_at)
            .limit(limit)
        )
        return [row.id for row in self._all(query)]

    def clock_ids(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the messages one of whose clocks has run out, longest first. Opens nothing that may be unreadable."""
        query = sa.select(messages.c.id).where(messages.c.clock_at < now)
        return [row.id for row in self._all(query.order_by(messages.c.clock_at).limit(limit))]

    def clocks_due(self, now: datetime, ids: Sequence[str]) -> Sequence[tuple[MessageRecord, bool, bool]]:
        """Return (message, arrived or withdrawn, call raised) of those of these whose clock has run out, locked."""
        mine = deliveries.c.message_id == messages.c.id
        there = sa.exists().where(mine, deliveries.c.state == State.ACKNOWLEDGED)
        # One that was withdrawn for another in its place (told afterwards, sent again) ends no clock of the message.
        arrived = sa.or_(there, ~sa.exists().where(mine, deliveries.c.state != State.CANCELLED))
        raised = sa.exists().where(tasks.c.message_id == messages.c.id, tasks.c.cause == "answer.overdue")
        query = (
            sa.select(messages, arrived.label("arrived"), raised.label("raised"))
            .where(one_of(messages.c.id, "ids"), messages.c.clock_at < now)
            .order_by(messages.c.clock_at)
        )
        if self._postgres:
            query = query.with_for_update(skip_locked=True, of=messages)
        return [(self._message(row), row.arrived, row.raised) for row in self._all(query, ids=list(ids))]

    def wind_clock(self, message_id: str, at: datetime | None) -> None:
        """Set when the message's clocks are looked at next; never, once both have run out."""
        self._backlog.change(messages, {"id": message_id}, {"clock_at": at})

    def find_messages(self, wanted: MessageFilter) -> Sequence[MessageRecord]:
        """Return a page, newest first."""
        query = sa.select(messages).order_by(messages.c.created_at.desc(), messages.c.id.desc()).limit(wanted.limit)
        if wanted.provider_id:
            query = query.where(messages.c.provider_id == wanted.provider_id)
        if wanted.begins:
            query = query.where(messages.c.id.startswith(wanted.begins, autoescape=True))
        if wanted.patient:
            query = query.where(messages.c.patient_key == self.key("patient", wanted.patient))
        for word in (wanted.text or "").split():
            term = sa.exists().where(
                search_terms.c.message_id == messages.c.id, search_terms.c.term_key == self.key("term", word)
            )
            query = query.where(term)
        of_message = deliveries.c.message_id == messages.c.id
        if wanted.channel:
            query = query.where(sa.exists().where(of_message, deliveries.c.channel == wanted.channel))
        if wanted.state is not None:
            query = query.where(sa.exists().where(of_message, deliveries.c.state == wanted.state))
        if wanted.needs_attention:
            people = sa.exists().where(of_message, deliveries.c.state.in_(sorted(NEEDS_PERSON)), ~LATER)
            arrived = sa.exists().where(of_message, deliveries.c.state == State.ACKNOWLEDGED)
            late = sa.and_(messages.c.state == "open", messages.c.told_at.is_not(None), ~arrived)
            waiting = messages.c.state.in_(["open", "withheld"])
            query = query.where(waiting, sa.or_(people, messages.c.state == "withheld", late))
        if wanted.before_id:
            last = sa.select(messages.c.created_at).where(messages.c.id == wanted.before_id).scalar_subquery()
            query = query.where(
                sa.or_(
                    messages.c.created_at < last,
                    sa.and_(messages.c.created_at == last, messages.c.id < wanted.before_id),
                )
            )
        return [self._message(row) for row in self._all(query)]

    def add_document(self, document: NewDocument, *, at: datetime) -> None:
        """Store a document, made smaller where that pays, and sealed."""
        packed, packing = pack(document.body)
        values = {
            "id": document.id,
            "message_id": document.message_id,
            "role": document.role,
            "title": document.title,
            "media_type": document.media_type,
            "sha256": document.sha256,
            "size_bytes": len(document.body),
            "body_sealed": self._seal("documents", document.id, "body", packed),
            "made_with": document.made_with,
            "created_at": at,
            "packing": packing,
        }
        self._backlog.insert(documents, values)

    def documents(self, message_id: str) -> Sequence[tuple[str, str, str, str, str, int]]:
        """Return (id, role, title, media type, sha256, size) of a message's documents, each role in its order."""
        table = documents.c
        query = (
            sa.select(table.id, table.role, table.title, table.media_type, table.sha256, table.size_bytes)
            .where(table.message_id == message_id)
            .order_by(table.role, table.id)
        )
        rows = in_order(message_id, self._all(query))
        return [(row.id, row.role, row.title, row.media_type, row.sha256, row.size_bytes) for row in rows]

    def contents(self, message_id: str) -> Sequence[NewDocument]:
        """Return a message's documents with their bytes; one that does not open any more is empty, unlike its hash."""
        if message_id not in self._ahead.contents:
            self._read_contents([message_id])
        return self._ahead.contents[message_id]

    def _read_contents(self, message_ids: Sequence[str]) -> None:
        self._ahead.contents.update({one: [] for one in message_ids})
        for row in sorted(self._all(_CONTENTS, ids=list(message_ids)), key=lambda one: (one.role, one.id)):
            self._ahead.contents[row.message_id].append(self._document(row, or_empty=True))
        for one in message_ids:
            self._ahead.contents[one] = in_order(one, self._ahead.contents[one])

    def document(self, document_id: str) -> tuple[NewDocument, str] | None:
        """Return one document with its bytes, and its message's patient key."""
        query = (
            sa.select(documents, messages.c.patient_key)
            .join(messages, messages.c.id == documents.c.message_id)
            .where(documents.c.id == document_id)
        )
        row = self._one(query)
        if row is None:
            return None
        return self._document(row), row.patient_key

    def _document(self, row: Row[Any], *, or_empty: bool = False) -> NewDocument:
        try:
            body = unpack(self._open("documents", row.id, "body", row.body_sealed), row.packing, row.size_bytes)
        except Exception:  # whatever this cipher raises, the bytes are not those that were stored
            if not or_empty:
                raise
            body = b""
        return NewDocument(row.id, row.message_id, row.role, row.title, row.media_type, body, row.sha256, row.made_with)

    def _plan(self, row: Row[Any]) -> dict[str, Any]:
        """Return the plan of a row. The steps of a delivery ask for it within moments of one another."""
        known = _PLANS.get(row.id)
        if known is not None and known[0] == row.plan_sealed:
            return known[1]
        plan: dict[str, Any] = orjson.loads(self._open("messages", row.id, "plan", row.plan_sealed))
        if len(_PLANS) >= MOST_PLANS:
            _PLANS.clear()
        _PLANS[row.id] = (row.plan_sealed, plan)
        return plan

    def _message(self, row: Row[Any]) -> MessageRecord:
        # By place: names are looked up one by one, and this is read for every step of every message.
        (name, event_ref, event_type, event_version, patient_key, provider_id, audience, letters, priority,
         lane_subject, occurred_at, state, cause, superseded_by, corrects, reference, content_class, _,
         acknowledge_by_at, tell_by_at, told_at, _, digest_due_at, marked_since, created_at, updated_at,
         ) = row[:_WIDTH]  # fmt: skip
        return MessageRecord(
            name, event_ref, event_type, event_version, patient_key, provider_id, audience,
            tuple(one for one in letters.split(",") if one), priority, lane_subject, occurred_at, state, cause,
            reference, content_class, self._plan(row), acknowledge_by_at, tell_by_at, digest_due_at, corrects,
            superseded_by, told_at, marked_since, created_at=created_at, updated_at=updated_at,
        )  # fmt: skip
