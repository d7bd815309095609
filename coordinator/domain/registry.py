"""The registry: the clinic, its staff, outside providers with their endpoints, and patients."""

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from coordinator.domain.events import DrugRole, Source, Whole, whole
from coordinator.domain.quantities import Quantity
from coordinator.domain.values import Code, Line, Record, Unknown

Npi = Annotated[str, StringConstraints(pattern=r"^[0-9]{10}$")]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9\-]{6,20}$")]
"""E.164 digits, with hyphens allowed for reading: +1-218-555-0110."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$")]
"""A language as in BCP 47, with a country where it matters: en, es, es-MX."""
TimeZone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+\-]+)*$")]

Audience = Literal["psychiatrist", "primary-care", "patient"]
CareRole = Literal["psychiatrist", "primary-care", "therapist", "other"]
EndpointKind = Literal["fhir-rest", "fhir-message", "direct", "fax", "secure-link", "by-hand"]
ContentClass = Literal["all", "medication", "session", "mental-health", "substance-use"]


class Name(Record):
    """A person's name. One part may be missing (single-name people), never both."""

    family: Line | None = None
    given: tuple[Line, ...] = ()
    preferred: Line | None = None
    suffix: Line | None = None

    def full(self) -> str:
        """Return "Zoë Núñez-Đặng, MD": given names, family name, suffix."""
        name = " ".join([*self.given, *([self.family] if self.family else [])])
        return f"{name}, {self.suffix}" if self.suffix else name


class Address(Record):
    """A postal address."""

    lines: tuple[Line, ...]
    city: Line
    state: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    postal_code: Annotated[str, StringConstraints(pattern=r"^[0-9]{5}(-[0-9]{4})?$")]


class Clinic(Record):
    """The treating clinic: the author of every letter. `digest` is when uneventful sessions are told of."""

    name: Line
    npi: Npi
    time_zone: TimeZone
    address: Address
    phone: Phone
    after_hours_phone: Phone
    fax: Phone | None = None
    digest: Literal["weekly", "per-phase", "every-session"] = "weekly"
    fallback: Literal["offer", "take"] = "offer"
    closing_line: Line | None = None
    part2: bool = False
    """The whole clinic is a programme under 42 CFR Part 2: every record of it is Part 2 material."""


class Staff(Record):
    """A member of the clinic."""

    id: Code
    name: Name
    npi: Npi | None = None
    role: Literal["physician", "nurse-practitioner", "physician-assistant", "nurse", "front-desk", "other"]
    phone: Phone | None = None


class Identifier(Record):
    """A number somebody else keeps for the patient; `held_by` names whose it is."""

    system: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\s]+$")]
    value: Line
    held_by: Code | None = None


class EndpointAuth(Record):
    """How we identify ourselves to a FHIR endpoint. Secrets are named here, never held."""

    method: Literal["none", "smart-backend-services", "bearer", "basic", "mtls"]
    client_id: Line | None = None
    scope: Line | None = None
    secret: Code | None = None
    certificate: Code | None = None
    """Name of our client certificate for this endpoint in the secrets folder (NAME.crt, NAME.key), with any method."""


def _ccda_form(said: object) -> object:
    """Return what `true` and `false` meant before there was a choice."""
    return {True: "unstructured", False: None}[said] if isinstance(said, bool) else said


CcdaForm = Literal["unstructured", "progress-note"]
"""What goes beside the PDF over Direct: the PDF again inside a C-CDA document, or the letter as a Progress Note."""


class AgreedTest(Record):
    """The partner's own test patient, and who there agreed that a marked test message may be sent about them."""

    agreed_with: Line
    agreed_on: date
    name: Name
    birth_date: date
    sex: Literal["female", "male", "other", "unknown"]
    identifiers: tuple[Identifier, ...] = ()


class EndpointPace(Record):
    """How fast the partner wants to be sent to. Without it: as many at once as any endpoint, and no limit a minute."""

    at_once: Annotated[int, Field(ge=1, le=100), BeforeValidator(whole)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=6000), BeforeValidator(whole)] | None = None


class Endpoint(Record):
    """One address of a provider. It carries PHI only after somebody verified it (`verified_on`)."""

    id: Code
    kind: EndpointKind
    address: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\s\x00-\x1f\x7f]+$")]
    auth: EndpointAuth | None = None
    verified_on: date | None = None
    verified_by: Code | None = None
    verified_how: Line | None = None
    content_level: Literal["chart", "singles", "document", "message"] | None = None
    accepts: tuple[Literal["application/pdf", "text/plain"], ...] = ()
    ccda: Annotated[CcdaForm | None, BeforeValidator(_ccda_form)] = None
    partner: Code | None = None
    patient_match: Literal["identifier", "demographics"] | None = None
    test: AgreedTest | None = None
    pace: EndpointPace | None = None


def plain_address(address: str) -> str:
    """Return an address as two spellings of it compare: digits of a number, a mail address in one case, a URL bare."""
    if re.fullmatch(r"\+?[0-9\-]+", address):
        return re.sub(r"[^0-9]", "", address)
    return address.rstrip("/") if "://" in address else address.casefold()


class Contact(Record):
    """Whom to call when the provider cannot be reached: a second contact, then the clinician who covers for them."""

    role: Literal["second", "covering"]
    name: Line
    phone: Phone


class Provider(Record):
    """An outside clinician. Endpoints stand in the provider's own order of preference."""

    id: Code
    name: Name
    npi: Npi | None = None
    specialty: Literal["psychiatry", "family-medicine", "internal-medicine", "pediatrics", "therapy", "other"]
    organization: Line | None = None
    time_zone: TimeZone
    phone: Phone | None = None
    contacts: tuple[Contact, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint of that id, or None."""
        return next((one for one in self.endpoints if one.id == endpoint_id), None)


class PatientCourse(Record):
    """A course of treatment. `indications` decide the status statements of every letter."""

    id: Code
    indications: tuple[Literal["adhd", "trd", "mdd-si", "gad", "ptsd", "other"], ...]
    started_on: date | None = None
    ended_on: date | None = None
    part2: bool = False
    """The course belongs to a Part 2 programme, though the rest of the clinic may not."""


class CareTeamMember(Record):
    """Who takes part in the patient's care, from when to when (`to` is the last day)."""

    provider: Code
    role: CareRole
    prescribes: tuple[Literal["stimulant", "maoi", "other"], ...] = ()
    from_: Annotated[date, Field(alias="from")]
    to: date | None = None
    digests: bool = True


class Part2Consent(Record):
    """What a written consent under 42 CFR 2.31 says beyond the consent record that it stands in.

    `recipients`: whom the paper names, in its own words ("my treating providers"). `paper`: by what
    number the clinic finds it. All of it is printed on the letters that go by this consent.
    """

    signed_on: date
    recipients: Line
    paper: Code
    purpose: Literal["treatment", "treatment-payment-operations"]


class Consent(Record):
    """A consent or restriction. `restrict` wins over `permit`; a missing `to` means until further notice.

    Only a consent with `part2` lets Part 2 material go.
    """

    id: Code
    version: Whole
    decision: Literal["permit", "restrict"]
    recipient: Code
    content: tuple[ContentClass, ...]
    from_: Annotated[date, Field(alias="from")]
    to: date | None = None
    evidence: Line
    revoked_on: date | None = None
    part2: Part2Consent | None = None

    def in_force(self, on: date) -> bool:
        """Whether it holds on that day; `to` is its last day, the day of a revocation is not one any more."""
        begun = self.from_ <= on and (self.to is None or on <= self.to)
        return begun and (self.revoked_on is None or on < self.revoked_on)


class KnownMedication(Record):
    """One statement about a regimen: who says so, as of when. `id` keeps it one and the same in every message."""

    id: Code | None = None
    role: DrugRole
    product: Line
    form: Literal["immediate-release", "extended-release", "patch", "prodrug"] | None = None
    dose: Quantity | Unknown
    frequency: Line | None = None
    as_of: date
    source: Source


class Patient(Record):
    """A patient of the clinic."""

    id: Code
    name: Name
    birth_date: date
    sex: Literal["female", "male", "other", "unknown"]
    language: Language | None = None
    address: Address | None = None
    phone: Phone | None = None
    identifiers: tuple[Identifier, ...] = ()
    course: PatientCourse | None = None
    earlier_courses: tuple[PatientCourse, ...] = ()
    care_team: tuple[CareTeamMember, ...] = ()
    consents: tuple[Consent, ...] = ()
    medications: tuple[KnownMedication, ...] = ()
    attending_override: Line | None = None
    guardian_consent: Line | None = None

    @property
    def courses(self) -> tuple[PatientCourse, ...]:
        """Every course on record, the current one first."""
        return (*((self.course,) if self.course else ()), *self.earlier_courses)

    def consent(self, directive: str | None, version: int | None) -> Consent | None:
        """Return the consent of that id and version, or None."""
        return next((one for one in self.consents if (one.id, one.version) == (directive, version)), None)


class Registry(Record):
    """A registry file, whole: what `coordinator registry import` and `render --registry` read."""

    schema_version: Literal[1]
    clinic: Clinic
    staff: tuple[Staff, ...] = ()
    providers: tuple[Provider, ...] = ()
    patients: tuple[Patient, ...] = ()

    def provider(self, provider_id: str) -> Provider | None:
        """Return the provider of that id, or None."""
        return next((one for one in self.providers if one.id == provider_id), None)

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint of that id, whoever's it is, or None."""
        return next((found for one in self.providers if (found := one.endpoint(endpoint_id))), None)

    def member(self, staff_id: str | None) -> Staff | None:
        """Return the member of staff of that id, or None."""
        return next((one for one in self.staff if one.id == staff_id), None)

    def patient(self, patient_id: str) -> Patient | None:
        """Return the patient of that id, or None."""
        return next((one for one in self.patients if one.id == patient_id), None)
