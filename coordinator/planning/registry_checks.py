"""What a registry must hold together: ids that exist, names, zones, numbers and addresses that can be used."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from coordinator.domain.plan import Fault
from coordinator.domain.quantities import MEDICINE_UNITS, Quantity
from coordinator.domain.registry import Consent, Endpoint, Name, Patient, Registry
from coordinator.domain.telephone import read_number
from coordinator.planning.faults import pointer

_FAX_NUMBER = re.compile(r"\+[0-9]+(-[0-9]+)*")
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
_UNIT_FIX = (
    f"Use {', '.join(MEDICINE_UNITS[:-1])} or {MEDICINE_UNITS[-1]} "
    "(mcg, g, mcg/kg, mcg/h and mcg/kg/min are converted)."
)
_AMOUNT_FIX = (
    "Check the amount and its sign; leave out what was not given or not taken, or mark a dose that nobody knows as "
    '{"unknown": true}.'
)
_LOOPBACK_NAMES = frozenset({"localhost"})


def registry_faults(registry: Registry) -> tuple[Fault, ...]:
    """Return everything that does not fit together in a registry, in the order of the file."""
    return tuple(_all(registry))


def _all(registry: Registry) -> Iterator[Fault]:
    providers = {one.id for one in registry.providers}
    staff = {one.id for one in registry.staff}
    yield from _zone(registry.clinic.time_zone, ("clinic", "time_zone"))
    for field in ("phone", "after_hours_phone", "fax"):
        yield from _phone(getattr(registry.clinic, field), ("clinic", field))
    yield from _twice((one.id for one in registry.staff), ("staff",))
    for number, member in enumerate(registry.staff):
        yield from _name(member.name, ("staff", number, "name"))
        yield from _phone(member.phone, ("staff", number, "phone"))
    yield from _twice((one.id for one in registry.providers), ("providers",))
    yield from _endpoints_twice(registry)
    for number, provider in enumerate(registry.providers):
        yield from _name(provider.name, ("providers", number, "name"))
        yield from _zone(provider.time_zone, ("providers", number, "time_zone"))
        yield from _phone(provider.phone, ("providers", number, "phone"))
        for place, endpoint in enumerate(provider.endpoints):
            yield from _endpoint(endpoint, ("providers", number, "endpoints", place), staff)
    yield from _twice((one.id for one in registry.patients), ("patients",))
    for number, patient in enumerate(registry.patients):
        yield from _patient(patient, ("patients", number), providers)


def _patient(patient: Patient, at: tuple[str | int, ...], providers: set[str]) -> Iterator[Fault]:
    yield from _name(patient.name, (*at, "name"))
    yield from _phone(patient.phone, (*at, "phone"))
    for place, member in enumerate(patient.care_team):
        yield from _known(member.provider, providers, (*at, "care_team", place, "provider"))
        if member.to is not None and member.to < member.from_:
            message = "The last day on the care team is before the first."
            yield Fault(pointer((*at, "care_team", place, "to")), "order", message, "Check both days.")
    for place, consent in enumerate(patient.consents):
        yield from _known(consent.recipient, providers, (*at, "consents", place, "recipient"))
        if consent.to is not None and consent.to < consent.from_:
            message = "The consent ends before it begins."
            yield Fault(pointer((*at, "consents", place, "to")), "order", message, "Check both days.")
        yield from _part2_consent(consent, (*at, "consents", place))
    seen = Counter((one.id, one.version) for one in patient.consents)
    for place, consent in enumerate(patient.consents):
        if seen[(consent.id, consent.version)] > 1:
            where = pointer((*at, "consents", place, "id"))
            yield Fault(where, "id.twice", "Two consents have this id and version.", "Raise the version of the newer.")
    for place, identifier in enumerate(patient.identifiers):
        if identifier.held_by is not None:
            yield from _known(identifier.held_by, providers, (*at, "identifiers", place, "held_by"))
    for place, medicine in enumerate(patient.medications):
        yield from _dose(medicine.dose, (*at, "medications", place, "dose"))
    courses = [*([patient.course] if patient.course else []), *patient.earlier_courses]
    yield from _twice((one.id for one in courses), (*at, "earlier_courses"))


def _dose(dose: object, at: tuple[str | int, ...]) -> Iterator[Fault]:
    """A medicine's dose, by the rows `unit.medicine` and `not-above-zero` of the events; a test holds both together."""
    if not isinstance(dose, Quantity):
        return
    if dose.normalised().unit not in MEDICINE_UNITS:
        yield Fault(pointer((*at, "unit")), "unit.medicine", "The dose of a medicine is not in this unit.", _UNIT_FIX)
    if dose.value <= 0:
        message = "An amount of a medicine is more than nothing."
        yield Fault(pointer((*at, "value")), "not-above-zero", message, _AMOUNT_FIX)


def _part2_consent(consent: Consent, at: tuple[str | int, ...]) -> Iterator[Fault]:
    """What a Part 2 consent must hold together: it permits, and it was signed before it is relied on."""
    if consent.part2 is None:
        return
    if consent.decision == "restrict":
        fix = "Leave part2 out; a restriction on substance-use, or on all, stops Part 2 records."
        yield Fault(pointer((*at, "part2")), "part2.restrict", "A restriction is no Part 2 consent.", fix)
    signed = consent.part2.signed_on
    if consent.from_ < signed:
        message = "The consent begins before it was signed."
        yield Fault(pointer((*at, "part2", "signed_on")), "order", message, "Check both days.")
    if consent.revoked_on is not None and consent.revoked_on < signed:
        message = "The consent was revoked before it was signed."
        yield Fault(pointer((*at, "revoked_on")), "order", message, "Check both days.")


def _known(provider: str, providers: set[str], at: tuple[str | int, ...]) -> Iterator[Fault]:
    if provider not in providers:
        fix = "Add the provider under providers, or correct the id."
        yield Fault(pointer(at), "provider.unknown", "No provider of the registry has this id.", fix)


def _name(name: Name, at: tuple[str | int, ...]) -> Iterator[Fault]:
    if name.family is None and not name.given:
        message = "The name has neither a family name nor a given name."
        yield Fault(pointer(at), "name.empty", message, "Give at least one of family and given.")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(zone: str, at: tuple[str | int, ...]) -> Iterator[Fault]:
    if zone not in _zones():
        fix = 'Use a name of the time zone database, such as "America/Chicago".'
        yield Fault(pointer(at), "time-zone", "There is no time zone of this name.", fix)


def _phone(number: str | None, at: tuple[str | int, ...]) -> Iterator[Fault]:
    """Ask only whether it can be a number at all: numbers for fiction (555-01xx) must pass."""
    if number is None or read_number(number) is not None:
        return
    fix = "Write it in international form, such as +1-218-555-0110."
    yield Fault(pointer(at), "phone", "This cannot be a telephone number.", fix)


def _twice(ids: Iterable[str], at: tuple[str | int, ...]) -> Iterator[Fault]:
    every = list(ids)
    seen = Counter(every)
    for number, one in enumerate(every):
        if seen[one] > 1:
            message = "Two records have this id."
            yield Fault(pointer((*at, number, "id")), "id.twice", message, "Give each record an id of its own.")


def _endpoints_twice(registry: Registry) -> Iterator[Fault]:
    seen = Counter(endpoint.id for provider in registry.providers for endpoint in provider.endpoints)
    for number, provider in enumerate(registry.providers):
        for place, endpoint in enumerate(provider.endpoints):
            if seen[endpoint.id] > 1:
                where = pointer(("providers", number, "endpoints", place, "id"))
                fix = "Give each endpoint an id of its own, over all providers."
                yield Fault(where, "id.twice", "Two endpoints have this id.", fix)


def _endpoint(endpoint: Endpoint, at: tuple[str | int, ...], staff: set[str]) -> Iterator[Fault]:
    where = pointer((*at, "address"))
    if endpoint.kind in ("fhir-rest", "fhir-message") and not _is_fhir_address(endpoint.address):
        fix = "Give the server's base address, beginning with https:// (plain http only on this machine's loopback)."
        yield Fault(where, "endpoint.address", "This address does not fit a FHIR endpoint.", fix)
    if endpoint.kind in ("direct", "secure-link") and not _MAILBOX.fullmatch(endpoint.address):
        fix = "Give a mail address, such as name@direct.practice.example."
        yield Fault(where, "endpoint.address", "This address does not fit the kind of endpoint.", fix)
    if endpoint.kind == "fax" and not (_FAX_NUMBER.fullmatch(endpoint.address) and read_number(endpoint.address)):
        fix = "Write the fax number in international form, such as +1-218-555-0143: digits and hyphens, no extension."
        yield Fault(where, "endpoint.address", "This address does not fit a fax endpoint.", fix)
    if endpoint.test is not None:
        yield from _name(endpoint.test.name, (*at, "test", "name"))
    if endpoint.verified_by is not None and endpoint.verified_by not in staff:
        fix = "Add the person under staff, or correct the id."
        yield Fault(pointer((*at, "verified_by")), "staff.unknown", "No member of staff has this id.", fix)


def _is_fhir_address(address: str) -> bool:
    """An https address without user, query or fragment; plain http only to the machine itself."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.query or parts.fragment or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
