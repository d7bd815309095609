"""The invariants of R4 and US Core for the types in use, as functions on plain dicts.

Each is named as in the specification. Structure, cardinality and bindings are the
tables' business (`gate`); here stands what tables cannot say.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.systems import UCUM


def codes_of(concept: Value, system: str | None = None) -> set[str]:
    """Return the codes of a concept, of one system where it is named."""
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return {
        one.get("code", "") for one in codings if isinstance(one, dict) and (not system or one.get("system") == system)
    }


def has(resource: Json, stem: str) -> bool:
    """Return whether any form of a choice is given."""
    size = len(stem)
    return any(key.startswith(stem) and (len(key) == size or key[size].isupper()) for key in resource)


def later(start: Value, end: Value) -> bool:
    """Return whether `start` is after `end`, both as precise as given; unreadable values are another rule's."""
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except ValueError:
            return False
    shared = min(len(start.split("T")[0]), len(end.split("T")[0]))
    return start[:shared] > end[:shared]


TypeRule = Callable[[Json], bool]
_MEALS = frozenset({"C", "CM", "CD", "CV"})
"""Times at a meal itself, before and after which nothing can be counted (R4 event-timing)."""


def _offset_from_nothing(v: Json) -> bool:
    return "offset" in v and (not v.get("when") or bool(_MEALS & set(v["when"])))


def _measured(rule: str) -> tuple[tuple[str, str, TypeRule], ...]:
    """Return the rules of the quantities that R4 specialises: a value needs a coded unit, and the code is UCUM's."""

    def broken(v: Json) -> bool:
        odd = rule == "cnt-3" and not isinstance(v.get("value", 0), int)
        return odd or ("value" in v and "code" not in v) or v.get("system", UCUM) != UCUM

    coded = ("qty-3", "a coded unit needs its system", lambda v: "code" in v and "system" not in v)
    return (rule, "the value needs a coded unit of UCUM", broken), coded


TYPE_RULES: dict[str, tuple[tuple[str, str, TypeRule], ...]] = {
    "Period": (("per-1", "the end is before the start", lambda v: later(v.get("start"), v.get("end"))),),
    "Quantity": (
        ("qty-3", "a coded unit needs its system", lambda v: "code" in v and "system" not in v),
        ("qty-value", "a quantity needs a value", lambda v: "value" not in v),
    ),
    "Ratio": (
        ("rat-1", "numerator and denominator belong together", lambda v: ("numerator" in v) != ("denominator" in v)),
    ),
    "Range": (("rng-2", "low is above high", lambda v: _above(v.get("low"), v.get("high"))),),
    "ContactPoint": (("cpt-2", "a contact value needs its system", lambda v: "value" in v and "system" not in v),),
    "Reference": (
        (
            "reference-empty",
            "a reference needs an address, an identifier or a display",
            lambda v: not v.keys() & {"reference", "identifier", "display", "extension"},
        ),
    ),
    "Attachment": (
        ("att-1", "data need a content type", lambda v: "data" in v and "contentType" not in v),
        ("us-core-6", "an attachment needs data or an address", lambda v: not v.keys() & {"data", "url"}),
    ),
    "Extension": (
        ("ext-1", "an extension has a value or extensions, not both", lambda v: ("extension" in v) is has(v, "value")),
    ),
    "Timing.repeat": (
        ("tim-1", "a duration needs its unit", lambda v: "duration" in v and "durationUnit" not in v),
        ("tim-2", "a period needs its unit", lambda v: "period" in v and "periodUnit" not in v),
        ("tim-4", "the duration is negative", lambda v: _negative(v.get("duration"))),
        ("tim-5", "the period is negative", lambda v: _negative(v.get("period"))),
        ("tim-6", "periodMax needs period", lambda v: "periodMax" in v and "period" not in v),
        ("tim-7", "durationMax needs duration", lambda v: "durationMax" in v and "duration" not in v),
        ("tim-8", "countMax needs count", lambda v: "countMax" in v and "count" not in v),
        ("tim-9", "an offset needs an event that it is counted from", _offset_from_nothing),
        ("tim-10", "a time of day excludes `when`", lambda v: "timeOfDay" in v and "when" in v),
    ),
    "MedicationAdministration.dosage": (
        ("mad-1", "a dosage needs a dose or a rate", lambda v: not ("dose" in v or has(v, "rate"))),
    ),
    "Patient.contact": (
        ("pat-1", "a contact needs details", lambda v: not v.keys() & {"name", "telecom", "address", "organization"}),
    ),
    "Observation.component": (
        (
            "obs-value",
            "a component needs a value or the reason for its absence",
            lambda v: not (has(v, "value") or "dataAbsentReason" in v),
        ),
    ),
    "Narrative": (
        (
            "txt-1",
            "the narrative is not one XHTML div",
            lambda v: not str(v.get("div", "")).lstrip().startswith("<div"),
        ),
    ),
    "Composition.section": (
        ("cmp-1", "a section needs text, entries or sections", lambda v: not v.keys() & {"text", "entry", "section"}),
        (
            "cmp-2",
            "a section that is not empty gives a reason for being so",
            lambda v: "emptyReason" in v and bool(v.keys() & {"entry", "section"}),
        ),
    ),
    "QuestionnaireResponse.item": (
        ("qrs-1", "an item has answers or items of its own, not both", lambda v: v.keys() >= {"answer", "item"}),
    ),
    "Condition.stage": (
        ("con-1", "a stage needs its summary or assessment", lambda v: not v.keys() & {"summary", "assessment"}),
    ),
    "Condition.evidence": (("con-2", "evidence needs a code or details", lambda v: not v.keys() & {"code", "detail"}),),
    "CarePlan.activity": (
        ("cpl-3", "an activity has a reference or a detail, not both", lambda v: v.keys() >= {"reference", "detail"}),
    ),
    "Observation.referenceRange": (
        ("obs-3", "a range needs low, high or text", lambda v: not v.keys() & {"low", "high", "text"}),
    ),
    "Age": _measured("age-1"),
    "Count": _measured("cnt-3"),
    "Distance": _measured("dis-1"),
    "Duration": _measured("drt-1"),
    "Expression": (
        ("exp-1", "an expression needs its text or an address", lambda v: not v.keys() & {"expression", "reference"}),
    ),
    "CodeableConcept": (
        (
            "concept-empty",
            "a concept needs a coding or a text",
            lambda v: not v.keys() & {"coding", "text", "extension"},
        ),
    ),
    "Identifier": (("identifier-empty", "an identifier needs a value", lambda v: "value" not in v),),
}


def _number(value: Value) -> Decimal | int | None:
    number = value.get("value") if isinstance(value, dict) else value
    return number if isinstance(number, Decimal | int) and not isinstance(number, bool) else None


def _above(low: Value, high: Value) -> bool:
    first, second = _number(low), _number(high)
    return first is not None and second is not None and first > second


def _negative(value: Value) -> bool:
    number = _number(value)
    return number is not None and number < 0
