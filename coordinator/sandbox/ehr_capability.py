"""What the pretend EHR says it can do, in five plays: a whole server, one that takes documents and nothing else, and
three that take as little as the large ones.

The three follow what the large EHRs publish (creates, transactions, conditional create), as of November 2026.
"""

from typing import Any, Literal

Play = Literal["whole", "documents-only", "epic-like", "oracle-like", "athena-like"]

_CLINICAL = (
    "Patient", "Practitioner", "PractitionerRole", "Organization", "Encounter", "MedicationAdministration",
    "MedicationRequest", "MedicationStatement", "Observation", "DocumentReference", "Provenance", "Task", "Procedure",
    "Condition", "CarePlan", "CareTeam", "AdverseEvent", "Communication", "Medication", "Device", "Location",
    "QuestionnaireResponse", "ServiceRequest", "Binary", "Composition", "RelatedPerson", "Goal", "Flag", "List",
    "RiskAssessment", "DetectedIssue", "Consent",
)  # fmt: skip

CREATES: dict[Play, tuple[str, ...]] = {
    "whole": _CLINICAL,
    "documents-only": ("DocumentReference",),
    "epic-like": (
        "AllergyIntolerance", "BodyStructure", "Communication", "ConceptMap", "Condition", "DocumentReference",
        "Observation", "Patient", "Procedure", "QuestionnaireResponse", "ServiceRequest",
    ),
    "oracle-like": (
        "AllergyIntolerance", "Appointment", "ChargeItem", "Communication", "Condition", "Coverage", "DiagnosticReport",
        "DocumentReference", "Encounter", "FamilyMemberHistory", "FinancialTransaction", "Immunization",
        "MedicationRequest", "Observation", "Organization", "Patient", "Practitioner", "Procedure", "Provenance",
        "RelatedPerson",
    ),
    "athena-like": ("QuestionnaireResponse",),
}  # fmt: skip
UPDATES: dict[Play, tuple[str, ...]] = {
    "whole": _CLINICAL,
    "documents-only": (),
    "epic-like": (
        "BodyStructure", "DiagnosticReport", "DocumentReference", "Observation", "Procedure", "ServiceRequest", "Task",
    ),
    "oracle-like": (),
    "athena-like": (),
}  # fmt: skip
SYSTEM: dict[Play, tuple[str, ...]] = {
    "whole": ("transaction", "batch"),
    "documents-only": (),
    "epic-like": (),
    "oracle-like": (),
    "athena-like": (),
}


def capability_statement(play: Play) -> dict[str, Any]:
    """Return the CapabilityStatement of a play."""
    whole = play == "whole"
    resources = []
    for kind in sorted({*_CLINICAL, *CREATES[play], *UPDATES[play]}):
        codes = ["read", "search-type"]
        if kind in CREATES[play]:
            codes.append("create")
        if kind in UPDATES[play]:
            codes.append("update")
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
