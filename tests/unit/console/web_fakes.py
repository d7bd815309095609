"""A service with rich, invented data for the web applications: a desk that remembers what it was told to do."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace

from account_fakes import CountingDice, HandClock, MemoryAccountStore, some_accounts
from web_data import LETTER, NOW, a_delivery, a_detail, rich_rows

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.read_models import (
    CallToMake,
    HeldEvent,
    MessageRow,
    Overview,
    Recorded,
    Refusal,
    Standstill,
    Unprepared,
)

PASSWORD = "walnut ferry copper lantern"


@dataclass(frozen=True)
class FakeEvent:
    event_ref: str = "ev-1"
    source: str = "ehr"
    event_id: str = "sess-1"
    event_version: int = 1
    event_type: str = "session-outcome"
    state: str = "question"
    cause: str | None = "event.question"
    next_step: str = "Answer the question."
    received_at: datetime = NOW
    questions: tuple[tuple[str, str, str], ...] = (("q1", "nurse", "Is 180 lb meant?"),)
    messages: tuple[MessageRow, ...] = ()


@dataclass
class FakeDesk:
    rows: list[MessageRow] = field(default_factory=rich_rows)
    held: list[HeldEvent] = field(default_factory=list)
    unprepared: tuple[Unprepared, ...] = ()
    standstills: tuple[Standstill, ...] = ()
    refused: list[Refusal] = field(default_factory=list)
    owed: list[CallToMake] = field(default_factory=list)
    done: list[tuple] = field(default_factory=list)
    seen: list[tuple] = field(default_factory=list)
    refuse: Refused | None = None
    fail: Exception | None = None
    answers: list[Recorded] = field(default_factory=list)
    submitted: list[tuple[str, bytes]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    events: dict[str, FakeEvent] = field(default_factory=dict)

    def _gate(self):
        if self.fail:
            raise self.fail

    def overview(self):
        self._gate()
        counts = Counter(row.state for row in self.rows)
        return Overview(
            by_state=tuple((state.value, counts[state]) for state in State),
            needs_attention=sum(row.needs_person for row in self.rows)
            + len(self.held)
            + sum(one.count for one in self.unprepared)
            + len(self.standstills),
            held_events=len(self.held),
            oldest_unfinished_at=NOW - timedelta(hours=5),
            problems=(),
            unprepared=self.unprepared,
            standstills=self.standstills,
        )

    def messages(self, wanted, actor):
        self._gate()
        self.seen.append(("messages", wanted, actor))
        found = [
            row
            for row in self.rows
            if (wanted.state is None or row.state == wanted.state)
            and (not wanted.needs_attention or row.needs_person)
            and (wanted.channel is None or row.channel == wanted.channel)
            and (wanted.patient is None or row.patient_id == wanted.patient)
            and (wanted.text is None or wanted.text.lower() in f"{row.patient_name} {row.recipient}".lower())
        ]
        if wanted.before_id:
            ids = [row.id for row in found]
            found = found[ids.index(wanted.before_id) + 1 :] if wanted.before_id in ids else []
        return found[: wanted.limit]

    def message(self, message_id, actor):
        self._gate()
        self.seen.append(("message", message_id, actor))
        for row in self.rows:
            if row.id == message_id:
                detail = a_detail(row)
                again = [one for one in self.tokens.values() if one.startswith(f"{row.delivery_id}-")]
                made = [a_delivery(row, id=one, state=State.PENDING, attempts=(), receipts=()) for one in again]
                return replace(detail, deliveries=(*detail.deliveries, *made))
        raise NotFound("message")

    def document(self, document_id, actor):
        self.seen.append(("document", document_id, actor))
        if document_id.endswith("-html"):
            return "text/html", LETTER, "Session summary"
        if document_id.endswith("-pdf"):
            return "application/pdf", b"%PDF-1.7", "Session summary"
        return "application/fhir+json", b"{}", "Bundle"

    def held_events(self, actor):
        self.seen.append(("held_events", actor))
        return self.held

    def calls(self, actor):
        return self.owed

    def call_done(self, task_id, *, note, actor):
        self._do("call_done", task_id, note, actor)

    def refusals(self, limit=50):
        return self.refused[:limit]

    def _do(self, *what):
        self._gate()
        if self.refuse:
            raise self.refuse
        self.done.append(what)

    def answer(self, event_ref, *, confirmed, reason, actor):
        self._do("answer", event_ref, confirmed, reason, actor)

    def resend(self, delivery_id, *, reason, token, actor):
        if token in self.tokens:
            return self.tokens[token]
        self._do("resend", delivery_id, reason, actor)
        self.tokens[token] = f"{delivery_id}-again"
        return self.tokens[token]

    def send_by_next(self, delivery_id, *, reason, token, actor):
        return self.resend(delivery_id, reason=reason, token=token, actor=actor)

    def release(self, delivery_id, *, reason, token, actor):
        self._do("release", delivery_id, reason, token, actor)

    def cancel(self, message_id, *, reason, actor):
        self._do("cancel", message_id, reason, actor)

    def record_handover(self, delivery_id, *, to, actor, at=None):
        self._do("handover", delivery_id, to, at, actor)

    def event(self, event_ref, actor):
        self._gate()
        if event_ref not in self.events:
            raise NotFound("event")
        return self.events[event_ref]

    def submit(self, source, body):
        self._gate()
        self.submitted.append((source, body))
        return self.answers.pop(0) if self.answers else Recorded("accepted", "ev-9", "sess-9", 1)


@dataclass
class FakeRegistry:
    entities: dict = field(default_factory=dict)
    written: list[tuple] = field(default_factory=list)
    answer: object = None

    def read(self, kind, key, actor):
        if (kind, key) not in self.entities:
            raise NotFound(kind)
        return self.entities[(kind, key)]

    def write(self, kind, key, body, actor):
        self.written.append((kind, key, body, actor))
        return self.answer or SimpleNamespace(outcome="created", faults=())

    def write_whole(self, body, actor):
        self.written.append(("whole", None, body, actor))
        return self.answer or SimpleNamespace(outcome="updated", faults=())


@dataclass
class FakeReceipts:
    secret: str = "good-secret"
    taken: list[tuple] = field(default_factory=list)

    def fax(self, body, headers, url):
        if not url.partition("?")[0].endswith(f"/{self.secret}"):
            return False
        self.taken.append((body, headers, url))
        return True


class FakeService:
    def __init__(self, *, console_url="http://127.0.0.1:8081", environment="development"):
        self.clock = HandClock(NOW)
        self.store = MemoryAccountStore()
        self.accounts = some_accounts(self.store, self.clock, CountingDice())
        self.desk = FakeDesk()
        clinic = {"name": "Northlake Ketamine Clinic", "time_zone": "America/Chicago"}
        self.registry = FakeRegistry({("clinic", None): json.dumps(clinic).encode()})
        self.receipts = FakeReceipts()
        self.settings = SimpleNamespace(
            console_url=console_url, public_url="https://intake.clinic.example", environment=environment
        )
        self.ready = True
        self.standing = []

    def jwks(self):
        return {"keys": [{"kid": "coordinator-1", "kty": "EC"}]}

    def health(self):
        return {"ready": self.ready, "checks": {"database": self.ready}}

    def standstills(self):
        return self.standing
