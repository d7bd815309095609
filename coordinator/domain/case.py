"""Everything that composing one message may look at. A frozen value: no clock, no store behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.domain.ids import letter_reference, stable_uuid
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Clinic, Patient, Provider, Registry, Staff
from coordinator.domain.values import folded

ClinicEvent = SessionOutcome | DoseChange
ENDS_A_HOLD = ("resume", "stop", "start", "switch")
"""Changes of a stimulant after which nobody waits for the end of its hold any more."""


def occurred_at(event: ClinicEvent) -> datetime:
    """Return when the event happened: the start of the administration, else when it was recorded."""
    if isinstance(event, SessionOutcome) and event.administration is not None:
        return event.administration.started_at
    return event.recorded_at


@dataclass(frozen=True)
class SentLetter:
    """A letter of an earlier version that a recipient holds: what a correction replaces."""

    provider: str
    kind: LetterKind
    version: int
    sent_at: datetime
    requests: tuple[str, ...]


def corrected_by(event: ClinicEvent, sent: SentLetter) -> bool:
    """Return whether a newer version of an event makes a letter of an older one wrong.

    The letter about a course's start (L6) told what was planned. That the planned session
    then took place, or did not, is told by a letter of its own and corrects nothing.
    """
    return sent.kind != "L6" or event.status in ("scheduled", "arrived", "entered-in-error")


@dataclass(frozen=True)
class SentRequest:
    """Something a recipient was asked before, by an earlier version or by an event that this one replaces."""

    provider: str
    event: str
    name: str
    """"suspend", "suspend#2": the action, numbered where one message asks the same twice."""

    @property
    def action(self) -> str:
        """The action alone."""
        return self.name.partition("#")[0]


def request_names(actions: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a message's requests, in their order."""
    counts = [actions[: place + 1].count(one) for place, one in enumerate(actions)]
    return tuple(one if number == 1 else f"{one}#{number}" for one, number in zip(actions, counts, strict=True))


@dataclass(frozen=True)
class Case:
    """One event version with all that is known around it.

    `history` holds the earlier events of the same patient, oldest first, in their
    newest versions, without this event. `previous` is the version of this event
    that was planned before, if any. `composed_at` is fixed when the event was
    accepted, so that composing again gives the same bytes.
    """

    source: str
    event: ClinicEvent
    registry: Registry
    history: tuple[ClinicEvent, ...]
    composed_at: datetime
    previous: ClinicEvent | None = None
    already_sent: tuple[SentLetter, ...] = ()
    asked_before: tuple[SentRequest, ...] = ()
    digest_of: tuple[SessionOutcome, ...] = ()
    """For a digest: the sessions it tells of, oldest first, the event itself last."""
    revision: int = 0
    """How often a person had the message composed anew before any of it left. The documents keep their names."""
    others: tuple[ClinicEvent, ...] = ()
    """The other events of this source about the patient, earlier and later ones, in the order in which they came."""
    others_before: int | None = None
    """How many of them came before the first version of this event; None: all."""
    is_test: bool = False
    """About a partner's agreed test patient: every resource says that it is test data."""

    @property
    def clinic(self) -> Clinic:
        """The treating clinic."""
        return self.registry.clinic

    @property
    def patient(self) -> Patient:
        """The patient of the event; a case is only built for a patient the registry has."""
        found = self.registry.patient(self.event.patient)
        if found is None:
            raise LookupError("the event's patient is not in the registry")
        return found

    def provider(self, provider_id: str) -> Provider:
        """Return an outside provider; planning has already made sure it exists."""
        found = self.registry.provider(provider_id)
        if found is None:
            raise LookupError("the provider is not in the registry")
        return found

    @property
    def course_over(self) -> bool:
        """Whether the registry says that the event's course has ended, on the day of composing or before."""
        courses = [*([self.patient.course] if self.patient.course else []), *self.patient.earlier_courses]
        ended = next((one.ended_on for one in courses if one.id == self.event.course.id), None)
        return ended is not None and ended <= self.composed_at.astimezone(ZoneInfo(self.clinic.time_zone)).date()

    @property
    def open_holds(self) -> tuple[tuple[int, DoseChange], ...]:
        """The stimulant holds asked for whose end is not known to us, each with its place in the history."""
        found: dict[str, tuple[int, DoseChange]] = {}
        for place, one in enumerate(self.history):
            if not isinstance(one, DoseChange) or one.subject != "stimulant" or one.status != "active":
                continue
            product = next((folded(part.product) for part in (one.from_, one.to) if isinstance(part, Regimen)), "")
            if one.action == "hold":
                found[product] = (place, one)
            elif one.action in ENDS_A_HOLD:
                found.pop(product, None)
        return tuple(found.values())

    def member(self, staff_id: str | None) -> Staff | None:
        """Return a member of staff, or None."""
        return self.registry.member(staff_id)

    def reference(self, provider_id: str) -> str:
        """Return the code printed on this recipient's letter, the same for every version of it."""
        return letter_reference(self.source, self.event.id, provider_id)

    def message_id(self, provider_id: str) -> str:
        """Return the identifier of this recipient's message for this event version (or of its digest)."""
        name = stable_uuid("message", self.source, self.event.id, str(self.event.version), provider_id)
        if self.revision:
            name = stable_uuid("revision", name, str(self.revision))
        return stable_uuid("digest-item", name) if self.digest_of else name

    def document_id(self, provider_id: str, kind: str, version: int | None = None) -> str:
        """Return the identifier of one letter of one version (this event's own version by default)."""
        number = self.event.version if version is None else version
        what = "digest" if self.digest_of else "document"
        return stable_uuid(what, self.source, self.event.id, str(number), provider_id, kind)
