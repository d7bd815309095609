"""What the product itself makes of a public example for one endpoint, as the package a channel is given."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from coordinator.domain.case import Case
from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import EVENT
from coordinator.domain.letter import Letter
from coordinator.domain.plan import ChannelChoice, Plan, RecipientPlan, Request
from coordinator.domain.registry import Registry
from coordinator.flow.ports import Package, StoredDocument
from coordinator.mapping.content import build_content

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
COMPOSED_AT = datetime(2026, 10, 14, 18, 10, tzinfo=UTC)
LEVELS = frozenset({"chart", "singles", "document"})
LETTER = Letter(
    "L4", "pr-psych", "About the session", "A letter", "AAAA-BBBB-CCCC", 1, "en-US", "<p>w</p>",
    "the words of the letter", b"%PDF-1.7 the letter", "1", "consult-note",
)  # fmt: skip
HOLD = Request("Please hold the stimulant on the morning of each session.", "R3", COMPOSED_AT, "suspend")


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text(), parse_float=Decimal)


def registry(partner, address="https://ehr.example/fhir", **endpoint):
    """Return the example registry with the psychiatrist at one FHIR endpoint, which keeps a number for the patient."""
    told = example("clinic")
    for one in told["providers"]:
        if one["id"] == "pr-psych":
            place = {"id": "ep-psych-fhir", "kind": "fhir-rest", "address": address, "partner": partner, **endpoint}
            one["endpoints"] = [{key: value for key, value in place.items() if value is not None}]
    for one in told["patients"]:
        one["identifiers"] = [{"system": "urn:example:psych", "value": f"NS-{one['id']}", "held_by": "pr-psych"}]
    return Registry.model_validate(told)


def case_of(event, partner, address="https://ehr.example/fhir", endpoint=None, **more):
    return Case(
        "charting",
        EVENT.validate_python(event),
        registry(partner, address, **(endpoint or {})),
        (),
        COMPOSED_AT,
        **more,
    )


def package_of(mappings, case, *, requests=(), letters=(LETTER,), attempt=1, resent=False, levels=LEVELS):
    """Return (package, endpoint) for the psychiatrist."""
    who = RecipientPlan(
        "pr-psych", "psychiatrist", ConsentDecision("permit", "consent", None, None), "routine", ("L4",), requests,
        (ChannelChoice("ep-psych-fhir", "fhir-rest"),),
    )  # fmt: skip
    plan = Plan(case.event.id, case.event.version, (), (), (who,), "session:1")
    contents = build_content(mappings, case, plan, who, letters, levels)
    documents = tuple(
        StoredDocument(
            f"d{number}",
            f"fhir-{one.level}",
            "application/fhir+json",
            one.body,
            hashlib.sha256(one.body).hexdigest(),
            "x",
        )
        for number, one in enumerate(contents)
    )
    provider = case.provider("pr-psych")
    message = case.message_id("pr-psych")
    package = Package(
        delivery=f"delivery-{message}", message=message, attempt=attempt, tag=f"delivery-{message}",
        identifier_system="urn:ietf:rfc:3986", identifier=f"urn:uuid:{message}", subject="A letter", reference="AAAA",
        documents=documents, patient=case.patient, provider=provider, clinic=case.clinic, resent=resent,
    )  # fmt: skip
    return package, provider.endpoints[0]


def body_of(package, role):
    return json.loads(package.document(role).body, parse_float=Decimal)
