"""The rows of secure links and of readers' answers, opened and frozen. PHI inside, so never log them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

AnswerState = Literal["waiting", "accepted", "rejected", "noted"]
"""noted: an acknowledgement, which leaves nothing to review."""
AnswerVia = Literal["link", "form", "phone"]


@dataclass(frozen=True)
class LinkRow:
    """One link to one letter. Its id is the delivery's; the token and the short path stand here only as hashes."""

    delivery_id: str
    message_id: str
    endpoint_id: str
    generation: int
    """Raised when a locked link is sent anew; the token of the generation before is dead."""
    created_at: datetime
    expires_at: datetime
    failures: int = 0
    locked_at: datetime | None = None
    opened_at: datetime | None = None
    opens: int = 0


@dataclass(frozen=True)
class LinkKeys:
    """What a link is found by: hashes in hex, never the token or the path itself."""

    token_key: str
    path_key: str


@dataclass(frozen=True)
class AccessCode:
    """The access code of an endpoint: its argon2id hash, when it was set and by whom."""

    endpoint_id: str
    code_hash: str
    set_at: datetime
    set_by: str


@dataclass(frozen=True)
class AnswerRow:
    """What a reader answered, as reported. `said` and `evidence` are kept sealed."""

    id: str
    message_id: str
    patient_key: str
    provider_id: str
    delivery_id: str | None
    via: AnswerVia
    kind: str
    said: dict[str, Any]
    state: AnswerState
    answered_at: datetime
    recorded_by: str
    evidence_sha256: str | None = None
    evidence_type: str | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    review_reason: str | None = None


@dataclass(frozen=True)
class IncidentRow:
    """A letter that may have reached the wrong person."""

    id: str
    message_id: str
    patient_key: str
    endpoint_id: str | None
    kind: str
    answer_id: str | None
    raised_at: datetime
    closed_at: datetime | None = None
    raised_by: str | None = None
    note: str | None = None
    closed_by: str | None = None
    closing: str | None = None
    address_key: str | None = None
    """The keyed hash of the address that was closed for it; None where an endpoint alone was closed (a FHIR server)."""


class LinkPart(Protocol):
    """Links, their sessions, access codes and the brake on guessing."""

    def link(self, delivery_id: str, *, lock: bool = False) -> LinkRow | None:
        """Return the link of a delivery."""
        ...

    def link_by(self, *, token_key: str | None, path_key: str | None, lock: bool = False) -> LinkRow | None:
        """Return the link with that token or that path, or None."""
        ...

    def add_link(self, row: LinkRow, keys: LinkKeys) -> None:
        """Insert a link."""
        ...

    def put_link(self, row: LinkRow, keys: LinkKeys | None = None) -> None:
        """Store what has changed of a link; new `keys` end the old ones and every open session."""
        ...

    def access_code(self, endpoint_id: str) -> AccessCode | None:
        """Return the access code of an endpoint, or None while there is none."""
        ...

    def put_access_code(self, code: AccessCode) -> None:
        """Store an endpoint's access code in place of the one before."""
        ...

    def add_link_session(self, token_key: str, delivery_id: str, at: datetime, expires_at: datetime) -> None:
        """Store a reader's session."""
        ...

    def link_session(self, token_key: str, now: datetime) -> str | None:
        """Return the delivery whose link the session may read, or None once it is over."""
        ...

    def end_link_session(self, token_key: str) -> None:
        """Forget a session."""
        ...

    def count_try(self, place_key: str, now: datetime, *, since: datetime) -> int:
        """Count one try from a place and return how many there were since then, this one included."""
        ...

    def forgive_try(self, place_key: str) -> None:
        """Take one try back: it was right."""
        ...

    def tidy_links(self, *, sessions_over: datetime, tries_before: datetime) -> None:
        """Delete sessions that are over and tries that no longer count."""
        ...


class AnswerPart(Protocol):
    """Readers' answers and incidents."""

    def add_answer(self, row: AnswerRow, *, once: str, evidence: bytes | None) -> bool:
        """Insert an answer; return False when one with the same `once` is there already."""
        ...

    def answer(self, answer_id: str, *, lock: bool = False) -> AnswerRow | None:
        """Return one answer."""
        ...

    def answer_evidence(self, answer_id: str) -> tuple[str, bytes] | None:
        """Return (media type, bytes) of the page an answer was typed from, or None."""
        ...

    def answers_of(self, message_id: str) -> Sequence[AnswerRow]:
        """Return a message's answers, oldest first."""
        ...

    def answers_in(self, state: AnswerState, limit: int) -> Sequence[AnswerRow]:
        """Return answers in a state, oldest first."""
        ...

    def to_review(self) -> tuple[int, int]:
        """Return how many (answers, incidents) wait for a person."""
        ...

    def settle_answer(self, answer_id: str, state: AnswerState, *, by: str, reason: str, at: datetime) -> None:
        """Store a review; raise StateConflict when the answer is not waiting."""
        ...

    def add_incident(self, row: IncidentRow) -> bool:
        """Open an incident, once per message and kind; return whether it is new."""
        ...

    def incident(self, incident_id: str, *, lock: bool = False) -> IncidentRow | None:
        """Return one incident."""
        ...

    def close_incident(self, incident_id: str, *, by: str, closing: str, at: datetime) -> bool:
        """Close an open incident; return False when it was closed already."""
        ...

    def incidents(self, *, open_only: bool = True) -> Sequence[IncidentRow]:
        """Return incidents, newest first."""
        ...
