"""42 CFR Part 2: which consent lets such material go, and what makes a record one."""

from datetime import date

import pytest

from coordinator.domain.consent import decide
from coordinator.domain.part2 import registered_part2
from coordinator.domain.registry import Consent, Part2Consent, Patient, PatientCourse, Registry

DAY = date(2026, 10, 16)
SAYS = {"signed_on": "2026-01-01", "recipients": "my treating providers", "paper": "P2-7", "purpose": "treatment"}


def consent(decision="permit", *, names_part2=True, **changes):
    values = {
        "id": "c",
        "version": 1,
        "decision": decision,
        "recipient": "pr",
        "content": ["substance-use"],
        "from": "2026-01-01",
        "evidence": "form",
        **({"part2": SAYS} if names_part2 else {}),
    } | changes
    return Consent.model_validate(values)


def general(**changes):
    return consent(names_part2=False, **{"id": "g", "content": ["all"], **changes})


def restriction(*content, **changes):
    return consent("restrict", names_part2=False, **{"id": "r", "content": list(content), **changes})


def patient(*consents, **more):
    return Patient(id="P", name={"family": "F"}, birth_date=date(1990, 1, 1), sex="female", consents=consents, **more)


@pytest.mark.parametrize(
    ("consents", "reason"),
    [
        ((), "part2-no-consent"),
        ((general(),), "part2-no-consent"),
        ((general(content=["all", "substance-use"]),), "part2-no-consent"),
        ((consent(),), "consent"),
        ((consent(content=["all"]),), "consent"),
        ((consent(content=["session"]),), "consent"),
        ((consent(content=["medication"]),), "part2-content"),
        ((general(), consent(content=["medication"])), "part2-content"),
        ((consent(recipient="another"),), "part2-no-consent"),
        ((consent(to="2026-10-16"),), "consent"),
        ((consent(to="2026-10-15"),), "part2-expired"),
        ((consent(**{"from": "2026-10-17"}),), "part2-not-yet"),
        ((consent(revoked_on="2026-10-16"),), "part2-revoked"),
        ((consent(revoked_on="2026-10-17"),), "consent"),
        ((general(), consent(revoked_on="2026-10-01")), "part2-revoked"),
        ((consent(revoked_on="2026-09-01"), consent(id="d", version=2)), "consent"),
        ((consent(), restriction("substance-use")), "restriction"),
        ((consent(), restriction("all")), "restriction"),
        ((consent(), restriction("session")), "restriction"),
        ((consent(), restriction("medication")), "consent"),
        ((consent(), restriction("substance-use", to="2026-10-15")), "consent"),
    ],
)
def test_part2_material_goes_only_by_a_consent_that_names_it(consents, reason):
    answer = decide(patient(*consents), "pr", "session", DAY, part2=True)
    assert (answer.permits, answer.reason) == (reason == "consent", reason)


def test_the_decision_rests_on_the_part2_consent_and_not_on_a_newer_general_one():
    answer = decide(patient(consent(version=2), general(version=9)), "pr", "session", DAY, part2=True)
    assert (answer.directive, answer.version) == ("c", 2)


def test_a_consent_for_part2_records_alone_opens_nothing_else():
    assert decide(patient(consent()), "pr", "session", DAY).reason == "content"


def test_a_restriction_of_substance_use_content_leaves_ordinary_letters_alone():
    assert decide(patient(general(), restriction("substance-use")), "pr", "session", DAY).permits


@pytest.mark.parametrize(
    ("clinic", "courses", "course", "expected"),
    [
        (False, {"one": False}, "one", False),
        (True, {"one": False}, "one", True),
        (False, {"one": True}, "one", True),
        (False, {"one": False, "other": True}, "one", False),
        (False, {"one": False, "other": True}, "other", True),
        (False, {"one": False, "other": True}, "mistyped", True),
        (False, {"one": False, "other": True}, None, True),
        (False, {}, "one", False),
    ],
)
def test_the_registry_says_it_of_the_clinic_or_of_the_course(clinic, courses, course, expected):
    made = [PatientCourse(id=name, indications=("other",), part2=part2) for name, part2 in courses.items()]
    who = patient(course=made[0] if made else None, earlier_courses=tuple(made[1:]))
    registry = Registry.model_validate(
        {
            "schema_version": 1,
            "clinic": {
                "name": "C",
                "npi": "1234567890",
                "time_zone": "America/Chicago",
                "address": {"lines": ["1 A Street"], "city": "B", "state": "MN", "postal_code": "55802"},
                "phone": "+1-218-555-0110",
                "after_hours_phone": "+1-218-555-0111",
                "part2": clinic,
            },
        }
    )
    assert registered_part2(registry, who, course) is expected


@pytest.mark.parametrize("missing", ["signed_on", "recipients", "paper", "purpose"])
def test_a_part2_consent_says_everything_that_goes_on_the_letter(missing):
    with pytest.raises(ValueError, match=missing):
        Part2Consent.model_validate({name: value for name, value in SAYS.items() if name != missing})
