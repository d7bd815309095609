"""The names of what we send: logical ids and identifiers, the same on every run and every version.

Systems: `urn:coordinator:<clinic NPI>:<thing>` for what the clinic names,
`urn:ietf:rfc:3986` with a `urn:uuid:` value for documents and messages. Nothing is
derived from patient data but the Patient's own id, whose identifier is the MRN.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from coordinator.domain.case import Case
from coordinator.domain.ids import stable_uuid
from coordinator.mapping.json_values import Json

URI_SYSTEM = "urn:ietf:rfc:3986"
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"
KINDS = frozenset(
    {
        "event",
        "request",
        "session",
        "course",
        "mrn",
        "npi",
        "staff",
        "message",
        "document",
        "version",
        "clinic",
        "provider",
        "told",
    }
)

_PROVIDERS = {"informant": "recipient", "prescriber": "recipient"}
"""Outside practitioners in whatever part they come: one practitioner has one name."""
_PLAIN = re.compile(r"[A-Za-z0-9:/._\-]+")
"""What a URL may hold as it is; anything else is escaped."""


@dataclass(frozen=True)
class Name:
    """A resource's logical id and the identifier that a conditional create or update searches for."""

    id: str
    system: str
    value: str

    @property
    def full_url(self) -> str:
        """The address of the resource inside a bundle."""
        return f"urn:uuid:{self.id}"

    @property
    def token(self) -> str:
        """The value of a token search parameter, escaped for a URL."""
        if _PLAIN.fullmatch(self.system) and _PLAIN.fullmatch(self.value):
            return f"{self.system}|{self.value}"
        return f"{quote(self.system, safe=':/')}|{quote(self.value, safe=':/')}"


def clinic_system(case: Case, thing: str) -> str:
    """Return the clinic's own identifier system for a kind of thing."""
    return f"urn:coordinator:{case.clinic.npi}:{thing}"


def own_number(npi: str, mrn: str) -> tuple[str, str]:
    """Return (system, value) of the clinic's own number for a patient: what names them where no other one is known."""
    return f"urn:coordinator:{npi}:mrn", mrn


def document_identifier(case: Case, provider: str, kind: str, version: int | None = None) -> tuple[str, str]:
    """Return (system, value) of one letter's DocumentReference.masterIdentifier."""
    return URI_SYSTEM, f"urn:uuid:{case.document_id(provider, kind, version)}"


def message_identifier(case: Case, provider: str) -> tuple[str, str]:
    """Return (system, value) that every bundle for this recipient carries.

    It stands on the Communication of every chart and message bundle and on every
    DocumentReference, so that one search tells whether the send landed.
    """
    return URI_SYSTEM, f"urn:uuid:{case.message_id(provider)}"


def name_of(kind: str, what: str, case: Case, scope: Json, key: str | None) -> Name:
    """Return the name of one resource. `what` is the mapping's short name, `key` tells items of a list apart."""
    found = _known_elsewhere(kind, what, case, scope)
    if found is not None:
        return found
    npi = case.clinic.npi
    extra = (key,) if key is not None else ()
    if kind == "session":
        parts: tuple[str, ...] = (case.source, scope["facts"]["session"], what, *extra)
    elif kind == "clinic":
        parts = (npi, what)
    elif kind == "provider":
        parts = (npi, what, scope["recipient"]["id"])
    elif kind == "course":
        parts = (case.source, scope["event"]["course"]["id"], what, *extra)
    elif kind == "version":
        parts = (case.source, case.event.id, str(case.event.version), scope["recipient"]["id"], what, *extra)
    elif kind == "request":
        # The request of an event, which may be an earlier one: the name that its Task was given then.
        parts = (case.source, scope["item"].get("event", case.event.id), what, scope["item"].get("name", key))
    else:
        parts = (case.source, case.event.id, what, *extra)
    if "recipient" in scope and kind in ("event", "course", "request"):
        parts = (*parts, scope["recipient"]["id"])
    made = stable_uuid(*parts)
    return Name(made, clinic_system(case, what), made)


def _known_elsewhere(kind: str, what: str, case: Case, scope: Json) -> Name | None:
    """Return the name of what has one apart from this mapping and event; None for what is named by them."""
    if kind == "told":
        return _told(case, scope)
    if kind == "mrn":
        mrn = scope["patient"]["id"]
        return Name(stable_uuid("patient", case.clinic.npi, mrn), *own_number(case.clinic.npi, mrn))
    if kind == "npi":
        return _person_or_place(what, case, scope)
    if kind == "message":
        system, value = message_identifier(case, scope["recipient"]["id"])
        return Name(_own_place(value), system, value)
    if kind == "document":
        value = f"urn:uuid:{scope['item']['document']}"
        return Name(_own_place(value), URI_SYSTEM, value)
    return None


def _told(case: Case, scope: Json) -> Name:
    """Return the name of a statement: that of the event that told it first, or of the registry's own statement."""
    item: Json = scope["item"]
    thing: str = item["thing"]
    if "event" in item:
        place = (str(item["place"]),) if "place" in item else ()
        made = stable_uuid(case.source, item["event"], thing, *place)
    else:
        made = stable_uuid(case.source, scope["event"]["course"]["id"], thing, item["key"])
    return Name(made, clinic_system(case, thing), made)


def _own_place(identifier: str) -> str:
    """Return the logical id of what has an identifier of the form urn:uuid: its address must be another string.

    There are servers that put the new place of an entry wherever its fullUrl stands, in identifiers too.
    """
    return stable_uuid("place", identifier)


def _person_or_place(what: str, case: Case, scope: Json) -> Name:
    holder = scope[what]
    if holder.get("npi"):
        return Name(stable_uuid("npi", holder["npi"]), NPI_SYSTEM, holder["npi"])
    thing = _PROVIDERS.get(what, what)
    return Name(stable_uuid(thing, case.clinic.npi, holder["id"]), clinic_system(case, thing), holder["id"])
