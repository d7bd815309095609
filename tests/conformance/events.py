"""Varied events: each status, product, route, subject, kind and missing-data branch, made from the public examples."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from coordinator.domain.case import Case
from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import EVENT
from coordinator.domain.letter import Letter
from coordinator.domain.plan import ChannelChoice, Plan, RecipientPlan, Request
from coordinator.domain.registry import Registry

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
COMPOSED_AT = datetime(2026, 10, 14, 18, 10, tzinfo=UTC)
HEAD = ("type", "schema_version", "id", "version", "recorded_at", "recorded_by", "patient", "course")
ACTIONS = ("start", "increase", "decrease", "hold", "resume", "stop", "switch", "retime", "unchanged")


def _read(name: str) -> dict[str, Any]:
    return json.loads((EXAMPLES / f"{name}.json").read_text(), parse_float=Decimal)


def _sessions() -> Iterator[tuple[str, dict[str, Any]]]:
    spike, spray = _read("session-outcome.bp-spike"), _read("session-outcome.esketamine")
    yield "spike", spike
    yield "esketamine-56", spray
    yield (
        "esketamine-84",
        {**spray, "administration": {**spray["administration"], "dose": {"value": "84", "unit": "mg"}}},
    )
    yield (
        "esketamine-28",
        {**spray, "administration": {**spray["administration"], "dose": {"value": "28", "unit": "mg"}}},
    )
    for status in ("aborted", "not-given", "arrived"):
        yield f"status-{status}", {**spike, "status": status, "status_reason": "the reason"}
    for status in ("scheduled", "no-show", "cancelled"):
        yield f"status-{status}", {**{key: spike[key] for key in HEAD}, "status": status}
    for route in ("intramuscular", "subcutaneous", "oral", "sublingual", "intranasal"):
        given = {**spike["administration"], "route": route, "compounded": True, "sprays": 4}
        yield f"route-{route}", {**spike, "administration": given}
    yield "dose-unknown", {**spike, "administration": {**spike["administration"], "dose": {"unknown": True}}}
    unknown, skipped = {"unknown": True}, {"not_done": "machine broken"}
    vitals = [
        {"slot": "baseline", "at": "2026-10-14T09:50:00-05:00", "systolic": unknown, "diastolic": unknown,
         "heart_rate": skipped, "spo2": unknown, "respiratory_rate": skipped, "temperature": skipped},
        {"slot": "40-min", "at": "2026-10-14T10:40:00Z", "systolic": 120, "diastolic": 80, "respiratory_rate": 14,
         "spo2": 95, "oxygen_flow": {"value": "2", "unit": "L/min"}, "temperature": {"value": "36.6", "unit": "Cel"}},
    ]  # fmt: skip
    yield "vitals-missing", {**spike, "vitals": vitals}
    asked = ("weight", "sedation", "dissociation", "suicide_risk", "adverse_events", "other_medications_taken")
    yield "everything-unknown", {**spike, **dict.fromkeys(asked, unknown), "scores": []}
    yield "everything-not-done", {**spike, **dict.fromkeys(asked, skipped), "scores": []}
    scores = ("phq-9", "gad-7", "madrs", "qids-sr16", "asrs-v1.1", "asrs-5", "cadss", "cadss-6")
    yield "every-score", {**spike, "scores": [{"instrument": one, "total": 3, "on": "2026-10-14"} for one in scores]}
    answered = [0, 1, unknown, 3, skipped, 0, 1]
    gad = {
        "instrument": "gad-7",
        "total": unknown,
        "items": answered,
        "on": "2026-10-14",
        "administered": "self-report",
    }
    yield "answers-with-gaps", {**spike, "scores": [gad]}
    events = [
        {"term": "Headache", "severity": "moderate", "serious": True, "outcome": "ongoing"},
        {"term": "Dizziness", "severity": "severe", "serious": False, "outcome": "resolved", "started_at": unknown},
    ]
    rescue = [{"product": "labetalol", "role": "antihypertensive", "dose": {"value": "10", "unit": "mg"},
               "at": "2026-10-14T10:50:00-05:00"}]  # fmt: skip
    yield "events-and-rescue", {**spike, "adverse_events": events, "rescue_medications": rescue}
    yield "markup-in-the-plan", {**spike, "plan": 'Ask about <script>alert("x")</script> & sleep.'}
    yield "author-unknown", {**spike, "recorded_by": "st-77", "attested_by": None}


def _changes() -> Iterator[tuple[str, dict[str, Any]]]:
    own, hold = _read("dose-change.ketamine"), _read("dose-change.stimulant-hold")
    for action in ACTIONS:
        yield f"own-{action}", {**own, "action": action, **({"to": None} if action in ("hold", "stop") else {})}
    after = {"product": "Vyvanse", "dose": {"value": "37.50", "unit": "mg"}, "frequency": "every morning"}
    for action in ("hold", "resume", "stop", "switch", "retime"):
        yield f"asked-{action}", {**hold, "action": action, "to": None if action in ("hold", "stop") else after}
    yield "told-by-patient", {**hold, "kind": "reported-by-patient", "action": "switch", "to": after}
    yield "told-by-prescriber", {**hold, "kind": "reported-by-prescriber", "action": "decrease", "to": after}
    yield "own-first", {**own, "action": "start", "from": None}
    yield "asked-of-unknown", {**hold, "from": {"unknown": True}}


def cases() -> dict[str, Case]:
    """Return every varied event as a case, corrections and retractions among them."""
    registry = Registry.model_validate(_read("clinic"))
    found: dict[str, Case] = {}
    for name, data in (*_sessions(), *_changes()):
        event = EVENT.validate_python(data)
        found[name] = Case("charting", event, registry, (), COMPOSED_AT)
    for name in ("spike", "own-increase", "asked-hold"):
        old = found[name].event
        data = old.model_dump(by_alias=True)
        newer = EVENT.validate_python({**data, "version": 2, "amendment_reason": "typing fault"})
        found[f"{name}-corrected"] = Case("charting", newer, registry, (), COMPOSED_AT, previous=old)
        gone = EVENT.validate_python({**data, "version": 2, "status": "entered-in-error"})
        found[f"{name}-retracted"] = Case("charting", gone, registry, (), COMPOSED_AT, previous=old)
    for name in ("spike", "own-increase", "asked-hold"):
        event = found[name].event.model_copy(update={"part2": True})
        found[f"{name}-part2"] = Case("charting", event, _with_part2_consents(), (), COMPOSED_AT)
    return found


def _with_part2_consents() -> Registry:
    clinic = _read("clinic")
    says = {"signed_on": "2026-10-01", "recipients": "my treating providers", "paper": "P2-7", "purpose": "treatment"}
    for one in clinic["patients"][0]["consents"]:
        one["part2"] = says
    return Registry.model_validate(clinic)


def recipient(provider: str) -> RecipientPlan:
    """Return the plan for one recipient, with a request that has an end."""
    asked = Request("Please review the stimulant on treatment days.", "R3", COMPOSED_AT, "review")
    consent = ConsentDecision("permit", "consent", "cn-1" if provider == "pr-psych" else "cn-2", 1)
    endpoint = "ep-psych-fhir" if provider == "pr-psych" else "ep-pcp-fax"
    channels = (ChannelChoice(endpoint, "fhir-rest"),)
    return RecipientPlan(provider, "psychiatrist", consent, "urgent", ("L1",), (asked,), channels)


def plan(*recipients: RecipientPlan) -> Plan:
    """Return a plan that tells these recipients."""
    return Plan("event", 1, (), (), recipients, "session:1")


def letter(provider: str) -> Letter:
    """Return a finished letter, small and invented."""
    return Letter(
        "L1", provider, "Session summary", "A letter", "AAAA-BBBB-CCCC", 1, "en-US", "<p>words</p>", "words",
        b"%PDF-1.7 words", "1", "progress-note",
    )  # fmt: skip
