"""Synthetic people whose every private field carries a marker, and the package that is sent about them."""

import hashlib
import itertools
import json
from datetime import UTC, datetime, timedelta

from coordinator.domain.registry import Clinic, Endpoint, Patient, Provider
from coordinator.flow.ports import Package, StoredDocument

CANARY = "Zebrafinch"
"""Stands in names, numbers and letters. It may reach the far side, and nowhere else."""

SYSTEM = "urn:ietf:rfc:3986"

CLINIC = Clinic.model_validate(
    {
        "name": "Lakeside Interventional Psychiatry",
        "npi": "1999999000",
        "time_zone": "America/Chicago",
        "address": {"lines": ["200 Harbor Street"], "city": "Duluth", "state": "MN", "postal_code": "55802"},
        "phone": "+1-218-555-0110",
        "after_hours_phone": "+1-218-555-0111",
    }
)
PATIENT = Patient.model_validate(
    {
        "id": "MRN-Zebrafinch-1",
        "name": {"family": f"Núñez-{CANARY}", "given": ["Zoë"]},
        "birth_date": "1988-03-07",
        "sex": "female",
        "address": {"lines": [f"14 {CANARY} Lane"], "city": "Duluth", "state": "MN", "postal_code": "55804"},
        "phone": "+1-218-555-0177",
        "identifiers": [{"system": "urn:example:mrn", "value": f"NS-{CANARY}", "held_by": "pr-psych"}],
    }
)


def a_provider(*endpoints: Endpoint) -> Provider:
    return Provider.model_validate(
        {
            "id": "pr-psych",
            "name": {"family": "Ångström", "given": ["Łukasz"]},
            "specialty": "psychiatry",
            "time_zone": "America/Chicago",
            "endpoints": [one.model_dump() for one in endpoints],
        }
    )


def a_document(role, body, media_type="application/pdf"):
    return StoredDocument(f"doc-{role}", role, media_type, body, hashlib.sha256(body).hexdigest(), "Letter")


def document_reference(message="m-1", **more):
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "masterIdentifier": {"system": SYSTEM, "value": f"urn:uuid:doc-{message}"},
        "identifier": [{"system": SYSTEM, "value": f"urn:uuid:{message}"}],
        "description": f"About {CANARY}",
        **more,
    }


def a_chart(message="m-1", number=f"NS-{CANARY}"):
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:p",
                "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:example:mrn", "value": number}]},
                "request": {
                    "method": "POST",
                    "url": "Patient",
                    "ifNoneExist": f"identifier=urn:example:mrn|{number}",
                },
            },
            {
                "fullUrl": "urn:uuid:d",
                "resource": document_reference(message, subject={"reference": "urn:uuid:p"}),
                "request": {
                    "method": "POST",
                    "url": "DocumentReference",
                    "ifNoneExist": f"identifier={SYSTEM}|urn:uuid:doc-{message}",
                },
            },
        ],
    }


_count = itertools.count(1)


def a_package(*, roles=("fhir-document",), attempt=1, resent=False, patient=PATIENT, message=None, **more) -> Package:
    message = message or f"m-{next(_count)}"
    documents = {
        "fhir-document": lambda: a_document(
            "fhir-document", json.dumps(document_reference(message)).encode(), "application/fhir+json"
        ),
        "fhir-chart": lambda: a_document("fhir-chart", json.dumps(a_chart(message)).encode(), "application/fhir+json"),
        "fhir-message": lambda: a_document(
            "fhir-message",
            json.dumps({"resourceType": "Bundle", "type": "message", "entry": []}).encode(),
            "application/fhir+json",
        ),
        "letter-pdf": lambda: a_document("letter-pdf", b"%PDF-1.7 letter about " + CANARY.encode()),
        "letter-text": lambda: a_document(
            "letter-text", f"Dear colleague,\n.{CANARY} 0.5 mg/kg\n".encode(), "text/plain"
        ),
    }
    every = {*roles, "letter-pdf", "letter-text"}
    return Package(
        delivery=f"delivery-{message}",
        message=message,
        attempt=attempt,
        tag=f"delivery-{message}",
        identifier_system=SYSTEM,
        identifier=f"urn:uuid:{message}",
        subject="Letter from Lakeside Interventional Psychiatry",
        reference="K7QF-2M9X-4T0B",
        documents=tuple(documents[role]() for role in sorted(every)),
        patient=patient,
        provider=a_provider(),
        clinic=CLINIC,
        resent=resent,
        **more,
    )


class WallClock:
    """The real clock: these tests wait on real sockets."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class StillClock:
    """A clock that stands until it is moved."""

    def __init__(self, at: datetime = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **parts: float) -> None:
        self.at += timedelta(**parts)


class CountingDice:
    """Draws that are fresh each time and the same in every run."""

    def __init__(self) -> None:
        self._number = 0

    def jitter(self) -> float:
        return 1.0

    def token(self) -> str:
        self._number += 1
        return f"token-{self._number}"

    def uuid(self) -> str:
        self._number += 1
        return f"00000000-0000-4000-8000-{self._number:012d}"


class NoSignIn:
    """Credentials for servers that want none."""

    def certificate(self, endpoint):
        return None

    def authorization(self, endpoint, *, renew, deadline, refused=None):
        return None
