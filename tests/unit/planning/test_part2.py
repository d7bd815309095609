"""Part 2 material in planning and at release: held without a consent that names it, whatever else is on record."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from coordinator.domain.part2 import is_part2
from coordinator.planning.causes import load_causes
from coordinator.planning.faults import Unreadable
from coordinator.planning.recipients import WHY_NOT
from coordinator.planning.release import Part2Mark, may_release

NOON = datetime(2026, 10, 20, 12, tzinfo=ZoneInfo("America/Chicago"))
CONSENTS, COURSE = "/patients/0/consents", "/patients/0/course/part2"
SAYS = {"signed_on": "2026-10-01", "recipients": "my treating providers", "paper": "P2-7", "purpose": "treatment"}
MARK = Part2Mark(marked=True, course="course-77", explains=("p2", 1))


def named(**changes):
    return {
        "id": "p2",
        "version": 1,
        "decision": "permit",
        "recipient": "pr-pcp",
        "content": ["substance-use"],
        "from": "2026-10-01",
        "evidence": "form signed 2026-10-01",
        "part2": SAYS,
    } | changes


def asked(desk, *consents, changes=None, part2=MARK, letters=("L2",), now=NOON):
    added = {f"{CONSENTS}/-": consents[0]} if len(consents) == 1 else {}
    if len(consents) > 1:
        added = {CONSENTS: [*desk.clinic["patients"][0]["consents"], *consents]}
    return may_release(
        registry=desk.registry({**added, **(changes or {})}),
        patient_id="MRN-1001",
        recipient="pr-pcp",
        endpoint_id="ep-pcp-fax",
        letters=letters,
        now=now,
        part2=part2,
    )


@pytest.mark.parametrize(
    ("consents", "cause"),
    [
        ((), "consent.part2-no-consent"),
        ((named(),), None),
        ((named(to="2026-10-19"),), "consent.part2-expired"),
        ((named(revoked_on="2026-10-20"),), "consent.part2-revoked"),
        ((named(**{"from": "2026-10-21"}),), "consent.part2-not-yet"),
        ((named(content=["medication"]),), "consent.part2-content"),
        ((named(), named(id="r", decision="restrict", part2=None)), "consent.restriction"),
        # The letter explains p2, version 1; another consent in force does not make that explanation true.
        ((named(revoked_on="2026-10-10"), named(version=2)), "consent.part2-other"),
        ((named(version=2),), "consent.part2-other"),
        ((named(), named(version=2)), None),
        ((named(content=["medication"]), named(version=2)), "consent.part2-other"),
    ],
)
def test_at_release_a_consent_that_names_part2_is_asked_for_today(desk, rules_dir, consents, cause):
    release = asked(desk, *consents)
    assert (release.allowed, release.cause) == (cause is None, cause)
    if cause is None:
        assert (release.consent.directive, release.consent.version) == ("p2", 1)
    else:
        assert load_causes(rules_dir / "causes.yaml").get(cause).code == cause


def test_a_message_that_explains_no_consent_does_not_go(desk):
    assert asked(desk, named(), part2=Part2Mark(True, "course-77", None)).cause == "consent.part2-other"


@pytest.mark.parametrize("where", [COURSE, "/clinic/part2"])
def test_what_was_written_before_the_course_or_clinic_was_marked_lacks_the_notice_and_is_held(desk, where):
    plain = Part2Mark(False, "course-77", ("cn-2", 1))
    assert asked(desk, named(), part2=plain).allowed
    assert asked(desk, named(), changes={where: True}, part2=plain).cause == "consent.part2-unmarked"
    assert asked(desk, changes={where: True}, part2=plain).cause == "consent.part2-no-consent"


def test_a_consent_given_for_a_minor_by_somebody_else_ends_at_eighteen_here_too(desk):
    grown = {"/patients/0/birth_date": "2008-10-18"}
    assert asked(desk, named(), changes=grown).cause == "consent.minor-turned-adult"


MARKS = [
    ({"/part2": True}, {}, True),
    ({}, {COURSE: True}, True),
    ({}, {"/clinic/part2": True}, True),
    ({"/part2": False}, {}, False),
    ({}, {}, False),
]


@pytest.mark.parametrize(("event", "registry", "expected"), MARKS)
def test_the_record_the_course_or_the_clinic_makes_it_part2(desk, event, registry, expected):
    assert is_part2(desk.case(desk.session(event), registry=desk.registry(registry))) is expected


def test_what_a_letter_draws_on_makes_it_part2(desk):
    before = desk.session({"/id": "sess-1", "/part2": True}, day="2026-10-12")
    assert is_part2(desk.case(desk.session(), history=(before,)))
    assert is_part2(desk.case(desk.session({"/version": 2}), previous=desk.session({"/part2": True})))
    assert not is_part2(desk.case(desk.session(), history=(desk.session({"/id": "sess-1"}, day="2026-10-12"),)))


@pytest.mark.parametrize(("event", "registry", "expected"), MARKS)
def test_a_recipient_without_such_a_consent_is_planned_with_the_reason_alone(desk, event, registry, expected):
    plan = desk.plan(desk.session(event), registry=desk.registry({**registry, f"{CONSENTS}/-": named()}))
    psychiatrist, primary = plan.recipients
    assert (psychiatrist.not_sent_because == WHY_NOT["part2-no-consent"]) is expected
    assert primary.not_sent_because != WHY_NOT["part2-no-consent"]
    if expected:
        assert psychiatrist.letters == psychiatrist.requests == psychiatrist.channels == ()
        assert primary.consent.directive == "p2"


@pytest.mark.parametrize(("where", "refused"), [(COURSE, True), ("/clinic/part2", True), (None, False)])
def test_a_record_that_denies_what_the_registry_says_is_refused(desk, where, refused):
    registry = desk.registry({where: True} if where else {})
    faults, _ = desk.check(desk.session({"/part2": False}), registry=registry)
    assert [one.pointer for one in faults] == (["/part2"] if refused else [])
    assert desk.check(desk.session({"/part2": True}), registry=registry)[0] == ()


@pytest.mark.parametrize(
    ("consent", "at"),
    [
        (named(decision="restrict"), "/part2"),
        (named(part2=SAYS | {"signed_on": "2026-10-02"}), "/part2/signed_on"),
        (named(revoked_on="2026-09-30"), "/revoked_on"),
        (named(part2={name: SAYS[name] for name in SAYS if name != "recipients"}), "/part2/recipients"),
        (named(part2=SAYS | {"purpose": "marketing"}), "/part2/purpose"),
        (named(part2=SAYS | {"paper": "the blue form"}), "/part2/paper"),
        (named(part2=SAYS | {"signed": "2026-10-01"}), "/part2/signed"),
    ],
)
def test_a_part2_consent_that_does_not_hold_together_is_refused_at_its_place(desk, consent, at):
    with pytest.raises(Unreadable) as refused:
        desk.registry({f"{CONSENTS}/-": consent})
    assert [one.pointer for one in refused.value.faults] == [f"/patients/0/consents/2{at}"]


@pytest.mark.parametrize("said", ["yes please", "true", 1])
def test_part2_is_a_yes_or_no(desk, said):
    with pytest.raises(Unreadable) as refused:
        desk.read(desk.session({"/part2": said}))
    assert [one.pointer for one in refused.value.faults] == ["/part2"]
