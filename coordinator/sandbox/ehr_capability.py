"""What the pretend EHR says it can do, in four plays: a whole server, and three that take as little as the large ones.

The three follow what the large EHRs publish (creates, transactions, conditional create), as of November 2026.
"""

from typing import Any, Literal

Play = Literal["whole", "epic-like", "oracle-like", "athena-like"]

_CLINICAL = (
    "Patient", "Practitioner", "PractitionerRole", "Organization", "Encounter", "MedicationAdministration",
    "MedicationRequest", "MedicationStatement", "Observation", "DocumentReference", "Provenance", "Task", "Procedure",
    "Condition", "CarePlan", "CareTeam", "AdverseEvent", "Communication", "Medication", "Device", "Location",
    "QuestionnaireResponse", "ServiceRequest", "Binary", "Composition", "RelatedPerson", "Goal", "Flag", "List",
    "RiskAssessment", "DetectedIssue", "Consent",
)  # fmt: skip

CREATES: dict[Play, tuple[str, ...]] = {
    "whole": _CLINICAL,
    "epic-like": (
        "Communication", "Condition", "DocumentReference", "Observation", "Procedure", "QuestionnaireResponse",
    ),
    "oracle-like": (
        "Communication", "Condition", "DiagnosticReport", "DocumentReference", "Encounter", "MedicationRequest",
        "Observation", "Procedure", "Provenance",
    ),
    "athena-like": ("QuestionnaireResponse",),
}  # fmt: skip
SYSTEM: dict[Play, tuple[str, ...]] = {
    "whole": ("transaction", "batch"),
    "epic-like": (),
    "oracle-like": ("batch",),
    "athena-like": (),
}


def capability_statement(play: Play) -> dict[str, Any]:
    """Return the CapabilityStatement of a play."""
    whole = play == "whole"
    resources = []
    for kind in sorted({*_CLINICAL, *CREATES[play]}):
        codes = ["read", "search-type"]
        if kind in CREATES[play]:
            codes += ["create", "update"] if whole else ["create"]
        resources.append(
            {
                "type": kind,
                "interaction": [{"code": code} for code in codes],
                "conditionalCreate": whole,
                "conditionalUpdate": whole,
                "searchParam": [{"name": "identifier", "type": "token"}],
            }
        )
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "software": {"name": f"pretend EHR ({play})"},
        "rest": [
            {
                "mode": "server",
                "resource": resources,
                "interaction": [{"code": code} for code in SYSTEM[play]],
                "operation": [
                    {
                        "name": "process-message",
                        "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
                    }
                ]
                if whole
                else [],
            }
        ],
    }
