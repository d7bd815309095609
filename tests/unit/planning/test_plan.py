"""The plan: who is told what, how urgently, with which requests, by which route, by when."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from coordinator.domain.case import SentLetter
from coordinator.planning.plan import make_plan

CHICAGO, PHOENIX = ZoneInfo("America/Chicago"), ZoneInfo("America/Phoenix")
SPIKE = "session-outcome.bp-spike.json"


def spike(desk):
    return desk.example(SPIKE).model_dump(mode="json", by_alias=True, exclude_none=True)


def by_provider(plan):
    return {one.provider: one for one in plan.recipients}


def quiet(desk, changes=None, **around):
    """A calm session that is not the first of its course."""
    before = desk.session({"/id": "s-1", "/course/session_number": 2}, day="2026-10-12")
    return desk.plan(desk.session(changes), history=(before,), **around)


def sent(provider, kind="L2", version=1, requests=()):
    return SentLetter(provider, kind, version, datetime(2026, 10, 14, 20, tzinfo=UTC), requests)


# --- T1: a pressure spike on a stimulant day


def test_a_pressure_spike_on_a_stimulant_day_makes_one_urgent_letter_for_each(desk):
    plan = desk.plan(spike(desk))
    assert [one.id for one in plan.fired()] == ["R2", "R3"]
    assert {one.priority for one in plan.fired()} == {"urgent"}
    psychiatrist, family = by_provider(plan)["pr-psych"], by_provider(plan)["pr-pcp"]
    assert (psychiatrist.letters, psychiatrist.priority, psychiatrist.when) == (("L5",), "urgent", "now")
    assert (family.letters, family.priority) == (("L5",), "urgent")
    assert psychiatrist.why == "rule R3"
    assert not psychiatrist.phone_call


def test_the_spike_asks_the_most_severe_thing_first(desk):
    plan = by_provider(desk.plan(spike(desk)))
    assert [one.rule for one in plan["pr-psych"].requests] == ["R3", "R2"]
    first = plan["pr-psych"].requests[0].text
    assert first.startswith("Please decide whether the stimulant should be held or adjusted")
    assert [one.rule for one in plan["pr-pcp"].requests] == ["R3"]


def test_the_spike_is_said_as_184_over_112_and_never_172(desk):
    plan = desk.plan(spike(desk))
    said = " ".join(one.why for one in plan.rules)
    assert "184/112" in said
    assert "172" not in said


def test_nobody_acknowledging_an_urgent_message_within_four_hours_makes_a_task(desk):
    one = by_provider(desk.plan(spike(desk)))["pr-psych"]
    assert one.acknowledge_by_at == datetime(2026, 10, 14, 17, 10, tzinfo=CHICAGO)
    assert one.tell_a_person_by_at == datetime(2026, 10, 14, 17, 10, tzinfo=CHICAGO)


def test_the_plan_before_the_next_session_is_due_the_day_before_it(desk):
    request = by_provider(desk.plan(spike(desk)))["pr-psych"].requests[1]
    assert request.due_at == datetime(2026, 10, 15, 23, 59, 59, tzinfo=CHICAGO)


def test_a_stat_rule_always_makes_a_telephone_task_too(desk):
    plan = desk.plan({**spike(desk), "blood_pressure_symptoms": ["chest-pain"]})
    one = by_provider(plan)["pr-psych"]
    assert (one.priority, one.phone_call, one.letters) == ("stat", True, ("L5",))
    assert one.acknowledge_by_at == datetime(2026, 10, 14, 13, 40, tzinfo=CHICAGO)
    assert [request.rule for request in one.requests] == ["R4"]


def test_no_reader_is_asked_more_than_three_things(desk):
    changes = {
        "/vitals/0/systolic": 150,
        "/vitals/2/systolic": 186,
        "/vitals/4/systolic": 165,
        "/vitals/4/heart_rate": 120,
    }
    plan = desk.plan(desk.session(changes))
    assert len(plan.fired()) == 4
    assert len(by_provider(plan)["pr-psych"].requests) == 3


def test_the_stimulant_hold_is_asked_of_its_prescriber_with_an_end(desk):
    plan = by_provider(desk.plan(desk.hold()))
    (request,) = plan["pr-psych"].requests
    assert plan["pr-psych"].letters == ("L4", "L11")
    assert "the evening after each session" in request.text
    assert "Adderall XR should be held on treatment days from 16 October 2026" in request.text
    assert request.action == "suspend"
    assert request.due_at == datetime(2026, 10, 15, 23, 59, 59, tzinfo=CHICAGO)
    assert plan["pr-psych"].acknowledge_by_at == request.due_at


def test_the_others_get_the_hold_as_a_copy_that_asks_nothing(desk):
    one = by_provider(desk.plan(desk.hold()))["pr-pcp"]
    assert (one.letters, one.requests, one.acknowledge_by_at) == (("L4",), (), None)


# --- T2: one of two has no consent

RESTRICTED = {
    "/patients/0/consents/-": {
        "id": "cn-3",
        "version": 3,
        "decision": "restrict",
        "recipient": "pr-pcp",
        "content": ["all"],
        "from": "2026-10-02",
        "evidence": "agreed on 2 October",
    }
}


def test_a_restricted_recipient_stays_in_the_plan_with_the_reason_and_nothing_else(desk):
    plan = by_provider(desk.plan(desk.dose_change(), registry=desk.registry(RESTRICTED)))
    blocked = plan["pr-pcp"]
    assert (blocked.consent.reason, blocked.consent.directive, blocked.consent.version) == ("restriction", "cn-3", 3)
    assert blocked.not_sent_because == "The patient has restricted what this recipient may be told."
    assert (blocked.letters, blocked.requests, blocked.channels) == ((), (), ())


def test_the_other_recipients_plan_is_the_same_as_if_the_restricted_one_did_not_exist(desk):
    alone = {"/patients/0/care_team/1": desk.gone, "/patients/0/consents/1": desk.gone}
    restricted = by_provider(desk.plan(desk.dose_change(), registry=desk.registry(RESTRICTED)))["pr-psych"]
    single = by_provider(desk.plan(desk.dose_change(), registry=desk.registry(alone)))["pr-psych"]
    assert restricted == single
    assert restricted.letters == ("L3",)


def test_the_dose_change_is_told_to_both_when_both_may_know(desk):
    plan = by_provider(desk.plan(desk.dose_change()))
    assert {one.letters for one in plan.values()} == {("L3",)}
    assert {one.why for one in plan.values()} == {"dose changed"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"/patients/0/consents/1": "gone"}, "no-consent"),
        ({"/patients/0/consents/1/to": "2026-10-15"}, "expired"),
        ({"/patients/0/consents/1/from": "2026-10-17"}, "not-yet"),
        ({"/patients/0/consents/1/revoked_on": "2026-10-16"}, "revoked"),
        ({"/patients/0/consents/1/content": ["session"]}, "content"),
    ],
)
def test_each_lack_of_consent_has_its_reason(desk, change, reason):
    change = {where: desk.gone if value == "gone" else value for where, value in change.items()}
    blocked = by_provider(desk.plan(desk.dose_change(), registry=desk.registry(change)))["pr-pcp"]
    assert blocked.consent.reason == reason
    assert blocked.letters == ()
    assert blocked.not_sent_because


def test_a_restriction_on_mental_health_stops_letters_with_scores_but_not_a_dose_change(desk):
    only = {"/patients/0/consents/-": {**RESTRICTED["/patients/0/consents/-"], "content": ["mental-health"]}}
    registry = desk.registry(only)
    assert by_provider(desk.plan(spike(desk), registry=registry))["pr-pcp"].consent.reason == "restriction"
    assert by_provider(desk.plan(desk.dose_change(), registry=registry))["pr-pcp"].letters == ("L3",)


# --- T3: the primary-care provider changes in the middle of the course

SECOND = {
    "id": "pr-pcp2",
    "name": {"family": "Lindqvist", "given": ["Ana"], "suffix": "MD"},
    "specialty": "family-medicine",
    "time_zone": "America/Chicago",
    "endpoints": [{"id": "ep-2", "kind": "fax", "address": "+1-218-555-0144", "verified_on": "2026-09-02"}],
}
CHANGED_PCP = {
    "/providers/-": SECOND,
    "/patients/0/care_team/1/from": "2026-09-01",
    "/patients/0/care_team/1/to": "2026-09-14",
    "/patients/0/care_team/0/from": "2026-09-01",
    "/patients/0/care_team/-": {"provider": "pr-pcp2", "role": "primary-care", "from": "2026-09-15"},
    "/patients/0/consents/1/from": "2026-09-01",
    "/patients/0/consents/0/from": "2026-09-01",
    "/patients/0/consents/-": {
        "id": "cn-9",
        "version": 1,
        "decision": "permit",
        "recipient": "pr-pcp2",
        "content": ["all"],
        "from": "2026-09-15",
        "evidence": "form signed",
    },
}


def test_a_session_goes_to_whoever_was_on_the_care_team_that_day(desk):
    registry = desk.registry(CHANGED_PCP)
    before = by_provider(desk.plan(desk.session(day="2026-09-11"), registry=registry))
    after = by_provider(desk.plan(desk.session(day="2026-09-18"), registry=registry))
    assert set(before) == {"pr-psych", "pr-pcp"}
    assert set(after) == {"pr-psych", "pr-pcp2"}


def test_a_correction_goes_to_the_one_who_left_and_to_the_one_who_came(desk):
    old = desk.session({"/vitals/0/systolic": 142, "/vitals/0/diastolic": 87}, day="2026-09-08")
    new = desk.session({"/version": 2, "/recorded_at": "2026-09-20T09:00:00-05:00"}, day="2026-09-08")
    plan = by_provider(
        desk.plan(new, registry=desk.registry(CHANGED_PCP), previous=old, already_sent=(sent("pr-pcp"),))
    )
    assert plan["pr-pcp"].letters == ("L9", "L2")
    assert plan["pr-pcp"].why == "correction"
    assert plan["pr-pcp2"].letters == ("L2",)
    assert plan["pr-pcp2"].why != "correction"


# --- corrections


def test_a_corrected_session_replaces_the_letter_of_those_who_hold_it(desk):
    old = desk.session({"/vitals/0/systolic": 142})
    plan = quiet(desk, {"/version": 2}, previous=old, already_sent=(sent("pr-psych", "L1"),))
    found = by_provider(plan)
    assert (found["pr-psych"].letters, found["pr-psych"].when) == (("L9", "L1"), "now")
    assert (found["pr-pcp"].letters, found["pr-pcp"].when) == (("L2",), "digest")


def test_a_correction_before_anything_left_is_plain(desk):
    plan = quiet(desk, {"/version": 2}, previous=desk.session({"/vitals/0/systolic": 142}))
    assert all("L9" not in one.letters for one in plan.recipients)


def test_a_correction_keeps_the_higher_priority_of_old_and_new(desk):
    plan = quiet(desk, {"/version": 2}, previous=spike(desk), already_sent=(sent("pr-psych", "L5"),))
    assert plan.fired() == ()
    assert by_provider(plan)["pr-psych"].priority == "urgent"
    assert by_provider(plan)["pr-pcp"].priority == "routine"


def test_an_amendment_that_changes_nothing_told_makes_no_letter(desk):
    plan = quiet(
        desk,
        {"/version": 2, "/amendment_reason": "attested"},
        previous=desk.session(),
        already_sent=(sent("pr-psych", "L1"),),
    )
    one = by_provider(plan)["pr-psych"]
    assert one.letters == ()
    assert one.not_sent_because == "The amendment changes nothing that this recipient was told."


def test_a_record_that_moves_to_another_patient_is_told_to_nobody(desk):
    moved = desk.plan(
        desk.session({"/version": 2}),
        previous=desk.session({"/patient": "MRN-1002"}),
        already_sent=(sent("pr-psych", "L1"),),
    )
    assert all(one.letters == () and one.not_sent_because for one in moved.recipients)


def test_a_record_entered_in_error_is_taken_back_from_those_who_hold_it(desk):
    retracted = desk.session({"/version": 2, "/status": "entered-in-error"})
    plan = by_provider(desk.plan(retracted, previous=desk.session(), already_sent=(sent("pr-psych", "L1"),)))
    assert (plan["pr-psych"].letters, plan["pr-psych"].requests) == (("L9",), ())
    assert plan["pr-pcp"].letters == ()
    assert plan["pr-pcp"].not_sent_because


# --- recipients and routes


def test_a_therapist_gets_no_letter_but_a_prescriber_of_any_role_does(desk):
    therapist = {"/patients/0/care_team/1/role": "therapist"}
    assert set(by_provider(desk.plan(spike(desk), registry=desk.registry(therapist)))) == {"pr-psych"}
    neurologist = {"/patients/0/care_team/0/role": "other"}
    assert by_provider(desk.plan(desk.hold(), registry=desk.registry(neurologist)))["pr-psych"].letters == ("L4", "L11")


def test_a_prescriber_outside_the_care_team_is_still_subject_to_consent(desk):
    registry = desk.registry({"/patients/0/care_team/0": desk.gone, "/patients/0/consents/0": desk.gone})
    one = by_provider(desk.plan(desk.hold(), registry=registry))["pr-psych"]
    assert (one.consent.reason, one.letters) == ("no-consent", ())


def test_nobody_on_the_care_team_is_said(desk):
    plan = desk.plan(spike(desk), registry=desk.registry({"/patients/0/care_team": []}))
    assert plan.recipients == ()
    assert plan.notes == ("Nobody outside the clinic is on the patient's care team, so nobody is told.",)


def test_routes_keep_the_providers_order_and_end_by_hand(desk):
    channels = by_provider(desk.plan(desk.dose_change()))["pr-psych"].channels
    assert [(one.endpoint, one.usable) for one in channels] == [
        ("ep-psych-fhir", True),
        ("ep-psych-direct", True),
        ("by-hand", True),
    ]


@pytest.mark.parametrize(
    ("change", "usable"),
    [
        ({"/providers/1/endpoints/0/verified_on": None}, False),
        ({"/providers/1/endpoints/0/verified_on": "2025-10-16"}, False),
        ({"/providers/1/endpoints/0/verified_on": "2025-10-17"}, True),
        ({"/providers/1/endpoints/0/verified_on": "2026-10-17"}, False),
    ],
)
def test_a_fax_number_is_usable_for_twelve_months_after_it_was_verified(desk, change, usable):
    fax, by_hand = by_provider(desk.plan(desk.dose_change(), registry=desk.registry(change)))["pr-pcp"].channels
    assert fax.usable is usable
    assert bool(fax.why_not) is not usable
    assert by_hand.usable


def test_a_recipient_without_any_address_is_reached_by_hand(desk):
    registry = desk.registry({"/providers/1/endpoints": []})
    (only,) = by_provider(desk.plan(desk.dose_change(), registry=registry))["pr-pcp"].channels
    assert (only.endpoint, only.kind, only.usable) == ("by-hand", "by-hand", True)


# --- clocks in the plan


def test_an_undelivered_dose_change_is_shown_after_four_working_hours(desk):
    found = by_provider(desk.plan(desk.dose_change({"/recorded_at": "2026-10-16T15:00:00-05:00"})))["pr-pcp"]
    assert found.tell_a_person_by_at == datetime(2026, 10, 19, 11, tzinfo=CHICAGO)


def test_an_undelivered_routine_session_is_shown_after_two_business_days(desk):
    plan = desk.plan(desk.session({"/course/session_number": 1, "/adverse_events": []}))
    assert plan.recipients[0].tell_a_person_by_at == datetime(2026, 10, 16, 23, 59, 59, tzinfo=CHICAGO)


def test_a_routine_request_is_due_in_the_recipients_own_zone(desk):
    one = by_provider(quiet(desk, {"/vitals/0/systolic": 145, "/vitals/0/diastolic": 88}))["pr-psych"]
    assert one.requests[0].due_at == datetime(2026, 10, 16, 23, 59, 59, tzinfo=PHOENIX)
    assert one.acknowledge_by_at == one.requests[0].due_at


def test_a_plan_is_the_same_every_time(desk):
    case = desk.case(spike(desk))
    assert make_plan(case, desk.rules, ()) == make_plan(case, desk.rules, ())
