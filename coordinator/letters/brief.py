"""What a presenter looks at, and the tracing of common values."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from coordinator.domain.case import Case
from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import PatientCourse, Provider
from coordinator.domain.values import NotDone, Unknown
from coordinator.letters import formats
from coordinator.letters.lexicon import Lexicon
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact


@dataclass(frozen=True)
class Brief:
    """One letter to be written: the case, the decision, the reader, and the words. `language` is "en" or "es"."""

    case: Case
    plan: Plan
    recipient: RecipientPlan
    lexicon: Lexicon
    language: str = "en"

    @property
    def session(self) -> SessionOutcome:
        """The event as a session; a letter about a session that has none is refused."""
        if isinstance(self.case.event, SessionOutcome):
            return self.case.event
        raise LetterRefused("letter.template", "a session is needed")

    @property
    def change(self) -> DoseChange:
        """The event as a change of dose; a letter about a change that has none is refused."""
        if isinstance(self.case.event, DoseChange):
            return self.case.event
        raise LetterRefused("letter.template", "a change of dose is needed")

    @property
    def provider(self) -> Provider:
        """The reader."""
        return self.case.provider(self.recipient.provider)

    @property
    def zone(self) -> str:
        """The clinic's time zone: what happened there is told in it."""
        return self.case.clinic.time_zone

    @property
    def course(self) -> PatientCourse | None:
        """The course that the event belongs to; the patient's current one where the registry does not have it.

        So a mistyped course id never takes the statements of the indication off a letter.
        """
        patient = self.case.patient
        courses = [*([patient.course] if patient.course else []), *patient.earlier_courses]
        return next((one for one in courses if one.id == self.case.event.course.id), patient.course)

    def at_patient(self, pointer: str = "") -> str:
        """Return the source of a field of the patient in the registry."""
        ids = [one.id for one in self.case.registry.patients]
        return f"registry:/patients/{ids.index(self.case.patient.id)}{pointer}"

    def at_provider(self, provider_id: str, pointer: str = "") -> str:
        """Return the source of a field of an outside provider in the registry."""
        ids = [one.id for one in self.case.registry.providers]
        return f"registry:/providers/{ids.index(provider_id)}{pointer}"

    def at_staff(self, staff_id: str, pointer: str = "") -> str:
        """Return the source of a field of a member of staff in the registry."""
        ids = [one.id for one in self.case.registry.staff]
        return f"registry:/staff/{ids.index(staff_id)}{pointer}"

    def words(self, group: str, code: str, *sources: str) -> Traced:
        """Return the words for a code."""
        return fact(self.lexicon.say(group, code), code, *sources, kind="words")

    def day(self, on: date, *sources: str) -> Traced:
        """Return a date."""
        return fact(self._date(on), on, *sources)

    def time(self, at: datetime, *sources: str) -> Traced:
        """Return a time of day in the clinic's zone, the zone named."""
        return fact(formats.clinic_time(at, self.zone), at, *sources)

    def day_of(self, at: datetime, *sources: str) -> Traced:
        """Return the clinic's calendar day of an instant."""
        return fact(self._date(formats.local_day(at, self.zone)), at, *sources)

    def amount(self, value: Quantity | NotDone | Unknown | None, source: str) -> Traced:
        """Return an amount with its unit, or the words for why there is none. Never blank, never 0."""
        if isinstance(value, Quantity):
            return fact(self._quantity(value, source), value.value, source)
        return self.missing(value, source)

    def count(self, value: int | NotDone | Unknown | None, source: str, unit: str | None = None) -> Traced:
        """Return a whole reading, with its unit where one is given, or the words for why there is none."""
        if isinstance(value, int):
            text = formats.quantity(value, unit) if unit else formats.number(Decimal(value))
            return fact(text, value, source)
        return self.missing(value, source)

    def missing(self, value: object, source: str) -> Traced:
        """Return the words for a value that is not there: unknown, not done (with the reason), not recorded."""
        if isinstance(value, NotDone):
            words = self.lexicon.say("missing", "not_done").format(reason=value.not_done)
            return fact(words, None, f"{source}/not_done", kind="words")
        code = "unknown" if isinstance(value, Unknown) else "not_recorded"
        return fact(self.lexicon.say("missing", code), None, source, kind="words")

    def person(self, staff_id: str) -> Traced | None:
        """Return a member of staff by name, or None when the registry does not know the id."""
        member = self.case.member(staff_id)
        if member is None:
            return None
        return fact(formats.person_name(member.name), member.id, self.at_staff(staff_id, "/name"), kind="name")

    def _date(self, on: date) -> str:
        if self.recipient.audience == "patient":
            return formats.patient_date(on, self.language)
        return formats.clinic_date(on, self.language)

    @staticmethod
    def _quantity(value: Quantity, source: str) -> str:
        try:
            return formats.quantity(value.value, value.unit)
        except ValueError as wrong:
            raise LetterRefused("letter.template", f"unit of {source}") from wrong
