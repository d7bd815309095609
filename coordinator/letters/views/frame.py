"""The frame of every letter: letterhead, reader, patient, what is asked, forced statements, signature."""

from collections.abc import Iterator
from dataclasses import dataclass

from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.plan import RecipientPlan, Request
from coordinator.domain.registry import Clinic
from coordinator.domain.values import folded
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.lexicon import Statement
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.medicines import earlier_session
from coordinator.letters.views.part2 import Part2Lines, part2_lines
from coordinator.letters.views.share import Share


@dataclass(frozen=True)
class Logo:
    """A clinic's picture, carried by the letter itself: its data address, words for it, and its size in CSS pixels."""

    source: str
    alt: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Letterhead:
    """Who writes: the clinic with the lines to call. `lines` and `logo` are the clinic's own, where it has any."""

    name: Traced
    address: tuple[Traced, ...]
    phone: Traced
    after_hours: Traced
    fax: Traced | None
    closing: Traced | None
    lines: tuple[Traced, ...] = ()
    logo: Logo | None = None


@dataclass(frozen=True)
class Reader:
    """A provider as named on a letter."""

    name: Traced
    role: Traced
    organization: Traced | None


@dataclass(frozen=True)
class PatientLines:
    """Two identifiers for every page, and the clinic's own number."""

    name: Traced
    preferred: Traced | None
    born: Traced
    number: Traced


@dataclass(frozen=True)
class Asked:
    """One request of Box A: the ready-worded sentence, and by when in the reader's own zone.

    `number` counts through all letters of the message: a correction names a request by it.
    """

    number: int
    text: Traced
    due: Traced | None


@dataclass(frozen=True)
class Signature:
    """Who answers for the letter: reviewed by, recorded by, when."""

    author: Traced | None
    recorder: Traced | None
    at: Traced


@dataclass(frozen=True)
class Frame:
    """What a letter has whatever it says."""

    letterhead: Letterhead
    reader: Reader
    copies: tuple[Reader, ...]
    patient: PatientLines
    written: Traced
    reference: Traced
    version: Traced
    urgent: bool
    telephoned: bool
    asks: tuple[Asked, ...]
    statements: tuple[Traced, ...]
    further_statements: tuple[Traced, ...]
    signature: Signature
    part2: Part2Lines | None = None


def letterhead(clinic: Clinic) -> Letterhead:
    """Return the letterhead of the clinic."""
    at = "registry:/clinic"
    street = ", ".join(clinic.address.lines)
    town = f"{clinic.address.city}, {clinic.address.state} {clinic.address.postal_code}"
    return Letterhead(
        name=fact(clinic.name, clinic.name, f"{at}/name", kind="name"),
        address=(
            fact(street, None, f"{at}/address/lines", kind="name"),
            fact(town, None, f"{at}/address/city", f"{at}/address/state", f"{at}/address/postal_code", kind="name"),
        ),
        phone=fact(formats.phone(clinic.phone), clinic.phone, f"{at}/phone"),
        after_hours=fact(formats.phone(clinic.after_hours_phone), clinic.after_hours_phone, f"{at}/after_hours_phone"),
        fax=fact(formats.phone(clinic.fax), clinic.fax, f"{at}/fax") if clinic.fax else None,
        closing=fact(clinic.closing_line, None, f"{at}/closing_line") if clinic.closing_line else None,
    )


def reader(brief: Brief, plan: RecipientPlan) -> Reader:
    """Return a provider as the letter names it, with the role it has in the patient's care."""
    provider = brief.case.provider(plan.provider)
    at = brief.at_provider(provider.id)
    members = [one for one in brief.case.patient.care_team if one.provider == provider.id]
    role = (
        brief.words("care_role", members[-1].role, brief.at_patient("/care_team"))
        if members
        else brief.words("specialty", provider.specialty, f"{at}/specialty")
    )
    place = provider.organization
    return Reader(
        name=fact(formats.person_name(provider.name), provider.id, f"{at}/name", kind="name"),
        role=role,
        organization=fact(place, place, f"{at}/organization", kind="name") if place else None,
    )


def patient_lines(brief: Brief) -> PatientLines:
    """Return the patient's name, preferred name where it differs, birth date and the clinic's number."""
    patient = brief.case.patient
    preferred = patient.name.preferred
    shown = preferred is not None and preferred not in patient.name.given
    return PatientLines(
        name=fact(formats.person_name(patient.name), patient.id, brief.at_patient("/name"), kind="name"),
        preferred=fact(preferred, preferred, brief.at_patient("/name/preferred"), kind="name")
        if shown and preferred
        else None,
        born=brief.day(patient.birth_date, brief.at_patient("/birth_date")),
        number=fact(patient.id, patient.id, brief.at_patient("/id")),
    )


def asked(brief: Brief, plan: RecipientPlan, request: Request, index: int) -> Asked:
    """Return one request; its time is told in the zone of the one who is asked, the zone named."""
    place = [one.provider for one in brief.plan.recipients].index(plan.provider)
    at = f"plan:/recipients/{place}/requests/{index}"
    if not request.text.strip():
        raise LetterRefused("letter.empty-box", f"{at}/text")
    zone = brief.case.provider(plan.provider).time_zone
    due = request.due_at
    return Asked(
        number=index + 1,
        text=fact(request.text, None, f"{at}/text", kind="words"),
        due=fact(formats.clinic_instant(due, zone, brief.language), due, f"{at}/due_at") if due else None,
    )


def copies(brief: Brief) -> tuple[Reader, ...]:
    """Return who else gets a letter. Somebody who may not, or will not, get one is never named."""
    return tuple(
        reader(brief, one)
        for one in brief.plan.recipients
        if one.provider != brief.recipient.provider
        and one.letters
        and one.when == brief.recipient.when
        and one.consent.permits
        and one.not_sent_because is None
        and one.audience != "patient"
    )


def statements(brief: Brief, *, page_one: bool, course_start: bool = False) -> tuple[Traced, ...]:
    """Return the statements that the indications force on, in order, none twice: those of page one, or the others."""
    course = brief.course
    indications = course.indications if course else ()
    table = brief.lexicon.statements
    rows: list[Statement] = []
    for key in (*indications, "any"):
        rows.extend(
            one
            for one in table.get(key, ())
            if one.page_one == page_one and _applies(brief, one.when, course_start=course_start)
        )
    texts = {one.text: one for one in rows}
    return tuple(fact(text, one.id, f"letters:/statements/{one.id}", kind="words") for text, one in texts.items())


def _applies(brief: Brief, when: str, *, course_start: bool) -> bool:
    event = brief.case.event
    session = event if isinstance(event, SessionOutcome) else None
    match when:
        case "always":
            return True
        case "course-start":
            return course_start
        case "driving-advice-recorded":
            return bool(session and session.discharge and session.discharge.advised_not_to_drive)
        case "compounded":
            return _compounded(brief)
        case "not-adhd":
            return not (brief.course and "adhd" in brief.course.indications)
        case "racemic-not-adhd":
            return "ketamine" in _products(brief) and not (brief.course and "adhd" in brief.course.indications)
    raise LetterRefused("letter.template", f"statements.yaml when {when}")


def _compounded(brief: Brief) -> bool:
    """Return whether the clinic's own drug is compounded: as given now, else as given last in the course.

    A change to another product ends that; a letter about a stimulant still says what the course is given with.
    """
    event = brief.case.event
    if isinstance(event, SessionOutcome) and event.administration:
        return bool(event.administration.compounded)
    before = earlier_session(brief)
    dose = before[0].administration if before else None
    if dose is None:
        return False
    now = getattr(event.to, "product", dose.product) if isinstance(event, DoseChange) else dose.product
    ours = isinstance(event, DoseChange) and event.subject == "clinic-drug"
    return bool(dose.compounded) and (not ours or folded(now) == dose.product)


def _products(brief: Brief) -> Iterator[str]:
    for event in (*brief.case.history, brief.case.event):
        if isinstance(event, SessionOutcome) and event.administration:
            yield event.administration.product
        elif isinstance(event, DoseChange) and event.subject == "clinic-drug" and hasattr(event.to, "product"):
            yield folded(getattr(event.to, "product", ""))


def signature(brief: Brief) -> Signature:
    """Return who reviewed and who recorded; a session is reviewed by the one who attested it."""
    event = brief.case.event
    if isinstance(event, SessionOutcome):
        author = brief.person(event.attested_by) if event.attested_by else None
    else:
        author = brief.person(event.decided_by or event.recorded_by)
    return Signature(
        author=author,
        recorder=brief.person(event.recorded_by),
        at=fact(
            formats.clinic_instant(event.recorded_at, brief.zone, brief.language),
            event.recorded_at,
            "event:/recorded_at",
        ),
    )


def frame(brief: Brief, share: Share, *, course_start: bool = False) -> Frame:
    """Return the frame of one letter, with its share of what is planned for the reader."""
    case, recipient = brief.case, brief.recipient
    reference = case.reference(recipient.provider)
    return Frame(
        letterhead=letterhead(case.clinic),
        reader=reader(brief, recipient),
        copies=copies(brief),
        patient=patient_lines(brief),
        written=fact(
            formats.clinic_instant(case.composed_at, brief.zone, brief.language), case.composed_at, "case:/composed_at"
        ),
        reference=fact(reference, reference, "case:/reference"),
        version=fact(str(case.event.version), case.event.version, "event:/version"),
        urgent=share.urgent,
        telephoned=recipient.phone_call and share.leads,
        asks=tuple(asked(brief, recipient, recipient.requests[index], index) for index in share.requests),
        statements=statements(brief, page_one=True, course_start=course_start),
        further_statements=statements(brief, page_one=False, course_start=course_start),
        signature=signature(brief),
        part2=part2_lines(brief),
    )
