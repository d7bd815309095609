"""Registries: each kind of recipient, consent, address, partner and missing fact about people."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.matrix.changes import asked, own
from tests.conformance.matrix.inputs import Data, Rendering, example, registry, with_
from tests.conformance.matrix.sessions import spike

Change = Callable[[Data], None]


def people() -> Iterator[tuple[str, Rendering]]:
    """Yield every variation of the people around an event by name."""
    for name, event, change in (*_patients(), *_recipients(), *_consents(), *_addresses(), *_clinics()):
        yield name, Rendering(event, registry(change))


def _patient(**changes: Any) -> Change:
    def change(data: Data) -> None:
        kept = {**data["patients"][0], **changes}
        data["patients"][0] = {key: value for key, value in kept.items() if value is not None}

    return change


def _provider(number: int, **changes: Any) -> Change:
    def change(data: Data) -> None:
        kept = {**data["providers"][number], **changes}
        data["providers"][number] = {key: value for key, value in kept.items() if value is not None}

    return change


def _patients() -> Iterator[tuple[str, Data, Change]]:
    drip = spike()
    yield "patient-with-little-known", drip, _patient(address=None, phone=None, identifiers=None, sex="unknown")
    yield "patient-of-one-name", drip, _patient(name={"family": "Suharto"}, sex="male")
    yield "patient-without-family-name", drip, _patient(name={"given": ["Björk"], "suffix": "Jr."}, sex="other")
    for indication in ("trd", "mdd-si", "gad", "ptsd", "other"):
        course = {"id": "course-77", "indications": [indication]}
        yield f"indication-{indication}", drip, _patient(course=course)
    earlier = [
        {"id": "course-12", "indications": ["adhd", "trd"], "started_on": "2025-01-10", "ended_on": "2025-06-01"}
    ]
    address = {"lines": [], "city": "Duluth", "state": "MN", "postal_code": "55804"}
    yield "patient-without-street", drip, _patient(address=address)
    yield "patient-with-earlier-course", drip, _patient(earlier_courses=earlier)
    held = [{"system": "urn:example:hie", "value": "H-9"}, {"system": "urn:example:hillside:mrn", "value": "HF-1",
            "held_by": "pr-pcp"}]  # fmt: skip
    yield "numbers-of-several", drip, _patient(identifiers=held)
    known = {"role": "stimulant", "product": "Adderall XR", "dose": {"unknown": True}, "as_of": "2026-10-01"}
    yield "regimen-of-unknown-dose", drip, _patient(medications=[{**known, "source": "family"}])
    rest = [{**known, "role": role, "product": f"Product {role}", "source": source, **({"form": form} if form else {})}
            for role, source, form in (("maoi", "label", "patch"), ("benzodiazepine", "pharmacy", "immediate-release"),
                                       ("sedative", "clinic", "prodrug"), ("opioid", "family", None),
                                       ("antihypertensive", "patient", None), ("other", "prescriber", None))
            ]  # fmt: skip
    yield "medicines-known-of-every-role", drip, _patient(medications=rest)
    yield "no-medicine-known", drip, _patient(medications=[])
    theirs = {**known, "dose": {"value": "20", "unit": "mg"}, "frequency": "once daily", "source": "prescriber"}
    ours = {**theirs, "dose": {"value": "30", "unit": "mg"}, "source": "patient"}
    yield "statements-differ", drip, _patient(medications=[ours, theirs])
    newer = {"dose": {"value": "37.50", "unit": "mg"}, "as_of": "2026-10-12"}
    answered = [{**theirs, "id": "statement-1", "form": "extended-release"}, {**theirs, "id": "statement-2", **newer}]
    yield "prescriber-has-answered", drip, _patient(medications=[ours, *answered])
    yield "prescriber-has-answered-when-asking", asked(), _patient(medications=answered)
    yield "statements-differ-when-asking", asked(), _patient(medications=[ours, {**theirs, "as_of": "2026-10-10"}])


def _recipients() -> Iterator[tuple[str, Data, Change]]:
    drip = spike()
    spray = example("session-outcome.esketamine")
    for specialty in ("internal-medicine", "pediatrics", "other"):
        yield f"specialty-{specialty}", drip, _provider(1, specialty=specialty)
    yield "recipient-with-telephone", drip, _provider(0, phone="+1-218-555-0150")
    yield "recipient-with-little-known", drip, _provider(0, npi=None, organization=None)
    team = [{"provider": "pr-psych", "role": "therapist", "prescribes": ["stimulant"], "from": "2026-10-01"},
            {"provider": "pr-pcp", "role": "other", "prescribes": ["stimulant", "maoi", "other"],
             "from": "2026-10-01", "to": "2026-12-31"}]  # fmt: skip
    yield "prescribers-of-other-kinds", drip, _both(_patient(care_team=team), _provider(0, specialty="therapy"))
    first, second = ({**one, "from": "2026-10-01"} for one in (
        {"provider": "pr-psych", "role": "psychiatrist", "prescribes": ["stimulant"], "digests": False},
        {"provider": "pr-pcp", "role": "primary-care", "digests": True},
    ))  # fmt: skip
    yield "one-wants-no-digests", spray, _patient(care_team=[first, second])
    yield "asked-of-an-outsider", asked(), _patient(care_team=[second])
    yield "nobody-on-the-team", drip, _patient(care_team=[])


def _both(*changes: Change) -> Change:
    def change(data: Data) -> None:
        for one in changes:
            one(data)

    return change


def _consents() -> Iterator[tuple[str, Data, Change]]:
    drip, change = spike(), own()

    def given(**changes: Any) -> Data:
        return {"id": "cn-1", "version": 1, "decision": "permit", "recipient": "pr-psych", "content": ["all"],
                "from": "2026-10-01", "evidence": "form signed 2026-10-01", **changes}  # fmt: skip

    pcp = given(id="cn-2", recipient="pr-pcp")
    yield "consent-of-a-later-version", drip, _patient(consents=[given(version=3, to="2027-10-01"), pcp])
    for content in ("session", "medication"):
        for kind, event in (("session", drip), ("change", change)):
            yield f"consent-to-{content}-for-a-{kind}", event, _patient(consents=[given(content=[content]), pcp])
    several = given(content=["session", "mental-health", "substance-use", "medication"])
    yield "consent-by-classes", drip, _patient(consents=[several, pcp])
    for content in ("mental-health", "substance-use"):
        against = given(id="cn-3", decision="restrict", content=[content])
        yield f"restricted-{content}", drip, _patient(consents=[given(), against, pcp])
    yield "consent-to-nothing", drip, _patient(consents=[given(content=[]), pcp])
    yield "consent-withdrawn", drip, _patient(consents=[given(revoked_on="2026-10-10"), pcp])
    yield "consent-run-out", drip, _patient(consents=[given(to="2026-10-10"), pcp])
    yield "consent-not-begun", drip, _patient(consents=[given(**{"from": "2026-12-01"}), pcp])
    yield "consent-of-neither", drip, _patient(consents=[])
    says = {"signed_on": "2026-10-01", "recipients": "my treating providers", "paper": "P2-7"}
    for purpose in ("treatment", "treatment-payment-operations"):
        named = [{**one, "part2": {**says, "purpose": purpose}} for one in (given(), pcp)]
        for kind, event in (("session", drip), ("change", change)):
            yield f"part2-{kind}-for-{purpose}", {**event, "part2": True}, _patient(consents=named)
    yield "consent-of-a-guardian", drip, _patient(birth_date="2010-03-07", guardian_consent="mother, form 2026-10-01")


def _addresses() -> Iterator[tuple[str, Data, Change]]:
    drip = spike()
    fhir = {"id": "ep-psych-fhir", "kind": "fhir-rest", "address": "https://ehr.northshore.example/fhir",
            "verified_on": "2026-09-01"}  # fmt: skip
    for partner in ("epic-like", "oracle-like", "athena-like", "takes-fhir-documents"):
        yield f"partner-{partner}", drip, _provider(0, endpoints=[{**fhir, "partner": partner}])
    yield (
        "partner-takes-fhir-documents-of-a-change",
        asked(),
        _provider(0, endpoints=[{**fhir, "partner": "takes-fhir-documents"}]),
    )
    yield "text-only", drip, _provider(0, endpoints=[{**fhir, "accepts": ["text/plain"]}])
    yield "pdf-only", drip, _provider(0, endpoints=[{**fhir, "accepts": ["application/pdf"]}])
    message = {**fhir, "kind": "fhir-message", "address": "https://ehr.northshore.example/fhir/$process-message"}
    yield "message-endpoint", drip, _provider(0, endpoints=[message])
    yield "message-endpoint-for-a-request", asked(), _provider(0, endpoints=[message])
    yield "by-hand-only", drip, _provider(1, endpoints=[])


def _clinics() -> Iterator[tuple[str, Data, Change]]:
    spray = example("session-outcome.esketamine")

    def clinic(**changes: Any) -> Change:
        def change(data: Data) -> None:
            data["clinic"] = {key: value for key, value in {**data["clinic"], **changes}.items() if value is not None}

        return change

    yield "clinic-without-fax", spray, clinic(fax=None)
    for rhythm in ("weekly", "per-phase", "every-session"):
        yield f"digest-{rhythm}", spray, clinic(digest=rhythm)

    def nobody_has_a_number(data: Data) -> None:
        data["staff"] = [{key: value for key, value in one.items() if key != "npi"} for one in data["staff"]]

    yield "author-without-npi", with_(spray, attested_by=None), nobody_has_a_number
