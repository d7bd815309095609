"""What becomes a message, and when: at once, in the digest, or not at all."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from coordinator.domain.case import SentLetter, corrected_by

CHICAGO = ZoneInfo("America/Chicago")


def spike(desk):
    event = desk.example("session-outcome.bp-spike.json")
    return event.model_dump(mode="json", by_alias=True, exclude_none=True)


def by_provider(plan):
    return {one.provider: one for one in plan.recipients}


def quiet(desk, changes=None, **around):
    """A calm session that is not the first of its course."""
    before = desk.session({"/id": "s-1", "/course/session_number": 2}, day="2026-10-12")
    return desk.plan(desk.session(changes), history=(before,), **around)


def test_the_first_session_is_told_now(desk):
    plan = by_provider(desk.plan(desk.session({"/course/session_number": 1})))
    assert (plan["pr-psych"].letters, plan["pr-psych"].when, plan["pr-psych"].why) == (("L1",), "now", "first session")
    assert plan["pr-pcp"].letters == ("L2",)


def test_an_uneventful_session_waits_for_the_weekly_digest(desk):
    one = by_provider(quiet(desk))["pr-psych"]
    assert (one.letters, one.when, one.why) == (("L1",), "digest", "digest")
    assert one.digest_due_at == datetime(2026, 10, 16, 17, tzinfo=CHICAGO)
    assert one.requests == ()


@pytest.mark.parametrize(("day", "due"), [("2026-10-16", 16), ("2026-10-17", 23), ("2026-10-18", 23)])
def test_the_digest_goes_on_the_friday_on_or_after_the_session(desk, day, due):
    plan = desk.plan(desk.session(day=day), history=(desk.session({"/id": "s-1"}, day="2026-10-12"),))
    assert plan.recipients[0].digest_due_at == datetime(2026, 10, due, 17, tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"/administration/ordered/value": "0.6", "/administration/dose/value": "49.2"}, "dose changed"),
        ({"/administration/route": "intramuscular", "/administration/ended_at": None}, "dose changed"),
        ({"/course/phase": "maintenance"}, "phase changed"),
        ({"/vitals/0/systolic": 145, "/vitals/0/diastolic": 88}, "rule R1"),
    ],
)
def test_a_session_with_news_is_told_now(desk, changes, why):
    one = by_provider(quiet(desk, changes))["pr-psych"]
    assert (one.letters, one.when, one.why) == (("L1",), "now", why)


def test_the_last_planned_session_ends_the_course(desk):
    for one in quiet(desk, {"/course/session_number": 6}).recipients:
        assert (one.letters, one.when, one.why) == (("L7",), "now", "last planned session")


def test_a_last_session_that_a_rule_is_about_is_told_by_its_rule(desk):
    plan = quiet(desk, {"/course/session_number": 6, "/vitals/0/systolic": 145, "/vitals/0/diastolic": 88})
    assert plan.recipients[0].why == "rule R1"


def test_the_same_dose_by_weight_is_no_change_of_dose(desk):
    assert (
        by_provider(quiet(desk, {"/weight/value": "84", "/administration/dose/value": "42"}))["pr-psych"].when
        == "digest"
    )


def test_a_clinic_that_tells_of_every_session_does(desk):
    registry = desk.registry({"/clinic/digest": "every-session"})
    assert {one.when for one in quiet(desk, registry=registry).recipients} == {"now"}


def test_digests_per_phase_come_after_four_weeks_at_the_latest(desk):
    registry = desk.registry({"/clinic/digest": "per-phase"})
    assert quiet(desk, registry=registry).recipients[0].digest_due_at == datetime(2026, 11, 13, 17, tzinfo=CHICAGO)


def test_somebody_who_wants_no_digests_gets_none_but_still_hears_news(desk):
    registry = desk.registry({"/patients/0/care_team/1/digests": False})
    assert by_provider(quiet(desk, registry=registry))["pr-pcp"].letters == ()
    assert by_provider(desk.plan(spike(desk), registry=registry))["pr-pcp"].letters == ("L5",)


@pytest.mark.parametrize("status", ["aborted", "not-given", "no-show"])
def test_a_session_that_was_not_completed_is_told_now(desk, status):
    given = {} if status == "aborted" else {"/administration": None}
    plan = quiet(desk, {"/status": status, **given})
    assert {(one.letters, one.when) for one in plan.recipients} == {(("L8",), "now")}


def planned(desk, changes=None):
    """The first session of a course, as it is planned: nothing has been given yet."""
    bare = {
        "/id": "s-0",
        "/status": "scheduled",
        "/course/session_number": None,
        "/recorded_at": "2026-10-02T13:10:00-05:00",
        "/administration": None,
        "/vitals": [],
        "/scores": [],
        "/discharge": None,
        "/attested_by": None,
    }
    return desk.session({**bare, **(changes or {})})


def sent(kind, version=1):
    at = datetime(2026, 10, 2, 13, 30, tzinfo=CHICAGO)
    return tuple(SentLetter(one, kind, version, at, ()) for one in ("pr-psych", "pr-pcp"))


def letters(plan):
    return {(one.letters, one.why) for one in plan.recipients}


def test_the_first_planned_session_starts_the_course(desk):
    assert letters(desk.plan(planned(desk))) == {(("L6",), "course start")}
    assert letters(desk.plan(planned(desk, {"/course/session_number": 1}))) == {(("L6",), "course start")}


def test_a_course_is_started_once(desk):
    later = planned(desk, {"/id": "s-1", "/recorded_at": "2026-10-03T13:10:00-05:00"})
    assert letters(desk.plan(later, history=(planned(desk),))) == {((), "")}
    assert letters(desk.plan(planned(desk, {"/course/session_number": 4}))) == {((), "")}


def test_a_moved_first_session_corrects_the_letter_that_named_the_day(desk):
    moved = planned(desk, {"/version": 2, "/next_session_on": "2026-10-09"})
    plan = desk.plan(moved, previous=planned(desk), already_sent=sent("L6"))
    assert letters(plan) == {(("L9", "L6"), "correction")}


def test_the_planned_session_that_took_place_is_told_and_corrects_nothing(desk):
    took_place = desk.session({"/id": "s-0", "/version": 2, "/course/session_number": 1})
    held = tuple(one for one in sent("L6") if corrected_by(desk.read(took_place), one))
    assert held == ()
    plan = desk.plan(took_place, previous=planned(desk), already_sent=held)
    assert letters(plan) == {(("L1",), "first session"), (("L2",), "first session")}


def test_a_first_session_that_is_called_off_is_told_to_those_who_expect_it(desk):
    called_off = planned(desk, {"/version": 2, "/status": "cancelled"})
    plan = desk.plan(called_off, previous=planned(desk))
    assert letters(plan) == {(("L8",), "first session called off")}


def test_a_course_that_was_planned_in_error_is_withdrawn(desk):
    wrong = planned(desk, {"/version": 2, "/status": "entered-in-error"})
    plan = desk.plan(wrong, previous=planned(desk), already_sent=sent("L6"))
    assert letters(plan) == {(("L9",), "retraction")}


@pytest.mark.parametrize(
    ("changes", "told"),
    [({}, "L7"), ({"/status": "cancelled", "/administration": None}, "L8")],
)
def test_a_course_that_ends_before_its_last_planned_session_is_told_now(desk, changes, told):
    registry = desk.registry({"/patients/0/course/ended_on": "2026-10-14"})
    assert letters(quiet(desk, changes, registry=registry)) == {((told,), "course ended")}


def test_missed_sessions_are_told_as_such_however_urgent(desk):
    missed = {"/status": "no-show", "/administration": None, "/vitals": [], "/scores": []}
    before = [
        desk.hold({"/recorded_at": "2026-10-08T13:10:00-05:00", "/effective_from": "2026-10-08"}),
        desk.session({"/id": "s-9", **missed}, day="2026-10-12"),
    ]
    plan = desk.plan(desk.session(missed), history=tuple(before))
    assert {(one.letters, one.priority) for one in plan.recipients} == {(("L8",), "urgent")}


@pytest.mark.parametrize("status", ["scheduled", "arrived", "cancelled"])
def test_a_session_that_did_not_happen_yet_makes_no_letter(desk, status):
    plan = quiet(desk, {"/status": status, "/administration": None, "/vitals": []})
    assert all(one.letters == () and one.not_sent_because for one in plan.recipients)


@pytest.mark.parametrize("kind", ["reported-by-patient", "reported-by-prescriber"])
def test_a_reported_stimulant_change_is_told_as_a_dose_change(desk, kind):
    report = desk.hold(
        {
            "/kind": kind,
            "/requested_of": None,
            "/action": "decrease",
            "/to": {"product": "Adderall XR", "dose": {"value": "20", "unit": "mg"}},
        }
    )
    assert {one.letters for one in desk.plan(report).recipients} == {("L3",)}


def test_a_product_switch_is_one_subject_with_the_new_product(desk):
    switch = desk.dose_change(
        {
            "/action": "switch",
            "/to": {"product": "esketamine", "route": "intranasal", "dose": {"value": "56", "unit": "mg"}},
        }
    )
    plan = desk.plan(switch)
    assert plan.lane_subject == "clinic-drug:esketamine"
    assert "increas" not in " ".join(one.why for one in plan.rules)


@pytest.mark.parametrize(("event", "subject"), [("dose_change", "clinic-drug:ketamine"), ("hold", "stimulant")])
def test_messages_about_one_drug_share_a_lane(desk, event, subject):
    assert desk.plan(getattr(desk, event)()).lane_subject == subject


def test_a_sessions_lane_does_not_hold_its_id(desk):
    subject = desk.plan(desk.session()).lane_subject
    assert subject.startswith("session:")
    assert "sess-8841" not in subject
    assert subject == desk.plan(desk.session({"/version": 2})).lane_subject


# --- a report, and two statements that differ

BELIEF = {"role": "stimulant", "product": "Adderall XR", "form": "extended-release"}
DIFFER = {
    "/patients/0/medications": [
        {**BELIEF, "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-01", "source": "patient"},
        {**BELIEF, "dose": {"value": "30", "unit": "mg"}, "as_of": "2026-10-13", "source": "prescriber"},
    ]
}


def test_a_report_by_the_patient_is_confirmed_with_the_prescriber_and_nobody_else(desk):
    report = desk.hold({"/kind": "reported-by-patient", "/requested_of": None})
    plan = by_provider(desk.plan(report))
    assert [one.rule for one in plan["pr-psych"].requests] == ["R16"]
    assert plan["pr-pcp"].requests == ()


def test_a_report_by_the_prescriber_asks_the_prescriber_nothing(desk):
    plan = by_provider(desk.plan(desk.hold({"/kind": "reported-by-prescriber", "/requested_of": None})))
    assert plan["pr-psych"].letters == ("L3",)
    assert plan["pr-psych"].requests == ()


def test_no_hold_quotes_a_dose_while_statements_differ(desk):
    plan = by_provider(desk.plan(desk.hold(), registry=desk.registry(DIFFER)))
    assert plan["pr-psych"].letters == ("L12", "L11")
    assert [one.rule for one in plan["pr-psych"].requests] == ["R17"]
    assert plan["pr-pcp"].letters == ()
    assert plan["pr-pcp"].not_sent_because == "The prescriber is first asked which stimulant regimen holds."


def test_a_session_with_a_discrepancy_asks_the_prescriber_beside_its_own_letter(desk):
    plan = by_provider(quiet(desk, registry=desk.registry(DIFFER)))
    assert plan["pr-psych"].letters == ("L1", "L12", "L11")
    assert "20 mg" in plan["pr-psych"].requests[0].text
    assert "30 mg" in plan["pr-psych"].requests[0].text
    assert plan["pr-pcp"].letters == ("L2",)
    assert plan["pr-pcp"].when == "digest"


def test_a_question_is_asked_in_its_own_letter_however_much_the_other_letter_asks(desk):
    high = {
        f"/vitals/{place}/{side}": value for place in (0, 4) for side, value in (("systolic", 158), ("diastolic", 96))
    }
    peak = {"/vitals/2/systolic": 204, "/vitals/2/diastolic": 108, "/vitals/2/heart_rate": 148}
    plan = by_provider(desk.plan(desk.session(high | peak), registry=desk.registry(DIFFER)))
    assert plan["pr-psych"].letters == ("L5", "L12", "L11")
    *others, question = plan["pr-psych"].requests
    assert len(others) == 3
    assert [one.rule for one in others].count("R17") == 0
    assert question.rule == "R17"
