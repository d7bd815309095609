"""What a person at the clinic may do with messages, said once for the console, the API and the command line."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from coordinator.flow.read_models import (
    Actor,
    CallToMake,
    EventView,
    HeldEvent,
    MessageDetail,
    MessageFilter,
    MessageRow,
    Overview,
    Recorded,
    Refusal,
)


class Desk(Protocol):
    """The staff's side of the service. Every call that shows PHI is audited under the actor."""

    def overview(self) -> Overview:
        """Return the numbers and problems for the first page (no PHI)."""
        ...

    def messages(self, wanted: MessageFilter, actor: Actor) -> Sequence[MessageRow]:
        """Return a page of messages, newest first."""
        ...

    def message(self, message_id: str, actor: Actor) -> MessageDetail:
        """Return one message whole; raise NotFound."""
        ...

    def document(self, document_id: str, actor: Actor) -> tuple[str, bytes, str]:
        """Return (media type, stored bytes, title) of one document; raise NotFound."""
        ...

    def held_events(self, actor: Actor) -> Sequence[HeldEvent]:
        """Return the events that wait for an answer, oldest first."""
        ...

    def calls(self, actor: Actor) -> Sequence[CallToMake]:
        """Return the telephone calls that are owed, most pressing first."""
        ...

    def call_done(self, task_id: str, *, note: str, actor: Actor) -> None:
        """Record a call and what was agreed; raise Refused when it was recorded already."""
        ...

    def refusals(self, limit: int = 50) -> Sequence[Refusal]:
        """Return the newest refusals (no PHI)."""
        ...

    def event(self, event_ref: str, actor: Actor) -> EventView:
        """Return where one event stands; raise NotFound."""
        ...

    def answer(self, event_ref: str, *, confirmed: bool, reason: str, actor: Actor) -> None:
        """Answer all questions of a held event: it is right as it stands (goes on), or not (stays until amended)."""
        ...

    def resend(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
        """Send the stored bytes again; return the new delivery's id. Raise Refused with the reason for the screen."""
        ...

    def send_by_next(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
        """Send by the next address of the route; return the new delivery's id. Raise Refused with the reason."""
        ...

    def release(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> None:
        """Let a held delivery go on, or settle one in doubt as not arrived; raise Refused."""
        ...

    def cancel(self, message_id: str, *, reason: str, actor: Actor) -> None:
        """Withdraw a message of which nothing has left; raise Refused."""
        ...

    def record_handover(self, delivery_id: str, *, to: str, actor: Actor, at: datetime | None = None) -> None:
        """Record that a printed letter was handed over, and when (None: now), which proves it; raise Refused."""
        ...

    def submit(self, source: str, body: bytes) -> Recorded:
        """Take in one event (T1)."""
        ...
