"""Whole stories, as they arrive: read, checked, planned. Numbers are exact."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from coordinator.domain.case import SentLetter
from coordinator.planning.faults import Unreadable
from coordinator.planning.readings import dose_mg_per_kg

CHICAGO = ZoneInfo("America/Chicago")


def mg(value):
    return {"value": str(value), "unit": "mg"}


def codes(desk, value, **around):
    faults, questions = desk.check(value, **around)
    return {one.code for one in faults}, {one.id.partition("@")[0] for one in questions}


def weighing(desk, kilograms, dose, ordered, **more):
    weight = {"/weight/value": str(kilograms), "/administration/dose": mg(dose)}
    return desk.session({**weight, "/administration/ordered/value": ordered, **more})


# --- T1


def test_the_spike_raises_no_question_and_makes_urgent_letters_not_stat(desk):
    event = desk.example("session-outcome.bp-spike.json").model_dump(mode="json", by_alias=True, exclude_none=True)
    assert desk.check(event) == ((), ())
    plan = desk.plan(event)
    fired = {one.id: one for one in plan.rules if one.fired}
    assert set(fired) == {"R2", "R3"}
    assert fired["R2"].inputs["rise_systolic"] == 50
    assert fired["R2"].inputs["rise_diastolic"] == 28
    assert fired["R2"].inputs["stimulant_same_day"] is True
    assert next(one for one in plan.rules if one.id == "R4").fired is False
    assert [one.letters for one in plan.recipients] == [("L5",), ("L5",)]
    assert all("hold the" not in request.text.lower() for one in plan.recipients for request in one.requests)


# --- T2


def test_a_restriction_leaves_one_letter_and_one_visible_block(desk):
    restriction = {
        "id": "cn-3",
        "version": 3,
        "decision": "restrict",
        "recipient": "pr-pcp",
        "content": ["all"],
        "from": "2026-10-02",
        "evidence": "agreed",
    }
    registry = desk.registry({"/patients/0/consents/-": restriction})
    assert desk.check(desk.dose_change(), registry=registry) == ((), ())
    told, blocked = desk.plan(desk.dose_change(), registry=registry).recipients
    assert (told.provider, told.letters) == ("pr-psych", ("L3",))
    assert (blocked.provider, blocked.letters, blocked.consent.version) == ("pr-pcp", (), 3)


# --- T4


def test_an_amended_session_withdraws_its_rule_and_corrects_everybody_who_holds_it(desk):
    first = weighing(desk, 95, 30, "0.3", **{"/vitals/0/systolic": 142, "/vitals/0/diastolic": 87})
    amended = weighing(desk, 59, 30, "0.5", **{"/version": 2, "/vitals/0/systolic": 124, "/vitals/0/diastolic": 78})
    before = desk.session(
        {
            "/id": "s-1",
            "/course/session_number": 2,
            "/weight": None,
            "/administration/ordered": None,
            "/vitals/0/systolic": 120,
        },
        day="2026-10-12",
    )
    assert [one.id for one in desk.plan(first, history=(before,)).fired()] == ["R1"]
    assert codes(desk, amended, history=(before,), previous=first) == (set(), set())
    holds = tuple(
        SentLetter(one, kind, 1, datetime(2026, 10, 14, 15, 10, tzinfo=CHICAGO), ())
        for one, kind in (("pr-psych", "L1"), ("pr-pcp", "L2"))
    )
    plan = desk.plan(amended, history=(before,), previous=first, already_sent=holds)
    assert plan.fired() == ()
    assert [one.letters for one in plan.recipients] == [("L9", "L1"), ("L9", "L2")]
    assert all(one.requests == () for one in plan.recipients)
    given = desk.read(amended)
    assert round(dose_mg_per_kg(given), 3) == Decimal("0.508")


# --- T7

SIXTEEN = "2009-11-14"


def test_esketamine_for_a_minor_is_refused_unless_the_attending_overrides(desk):
    minor = {"/patients/0/birth_date": SIXTEEN}
    refused, _ = codes(desk, desk.esketamine(), registry=desk.registry(minor))
    assert refused == {"minor-on-esketamine"}
    allowed = {**minor, "/patients/0/attending_override": "Dr. Okafor", "/patients/0/guardian_consent": "form"}
    assert codes(desk, desk.esketamine(), registry=desk.registry(allowed)) == (set(), set())


def test_ketamine_for_a_minor_asks_for_the_guardians_consent(desk):
    minor = {"/patients/0/birth_date": SIXTEEN}
    assert codes(desk, desk.session(), registry=desk.registry(minor)) == (set(), {"minor-without-guardian"})


def test_after_the_eighteenth_birthday_nothing_goes_without_the_patients_own_consent(desk):
    grown = {"/patients/0/birth_date": "2008-10-13"}
    for one in desk.plan(desk.session(), registry=desk.registry(grown)).recipients:
        assert one.letters == ()
        assert one.not_sent_because == "The patient has turned 18, and the consent on record is not the patient's own."
    own = {**grown, "/patients/0/consents/0/from": "2026-10-13", "/patients/0/consents/1/from": "2026-10-13"}
    assert all(one.letters for one in desk.plan(desk.session(), registry=desk.registry(own)).recipients)


# --- T8

SPRAY = {
    "/administration/route": "intranasal",
    "/administration/ordered": None,
    "/administration/ended_at": None,
    "/administration/dose": mg(50),
    "/administration/concentration": {"value": "100", "unit": "mg/mL"},
    "/administration/volume_per_spray": {"value": "0.1", "unit": "mL"},
    "/administration/sprays": 5,
}


def test_a_esketamine_of_42_mg_is_refused(desk):
    refused, _ = codes(desk, desk.esketamine({"/administration/dose": mg(42), "/administration/devices": None}))
    assert refused == {"not-whole-devices"}


def test_b_esketamine_by_weight_is_refused(desk):
    by_weight = {"value": "0.5", "unit": "mg/kg"}
    refused, _ = codes(desk, desk.esketamine({"/administration/dose": by_weight, "/administration/devices": None}))
    assert "esketamine-per-weight" in refused


def test_c_84_mg_from_two_devices_is_refused(desk):
    refused, _ = codes(desk, desk.esketamine({"/administration/dose": mg(84), "/administration/devices": 2}))
    assert refused == {"devices-do-not-add-up"}


def test_d_five_sprays_of_a_tenth_of_a_millilitre_at_100_mg_make_50_mg(desk):
    assert codes(desk, desk.session(SPRAY)) == (set(), set())


def test_e_a_switch_of_product_is_a_switch_and_never_an_increase(desk):
    spray = {"product": "ketamine", "route": "intranasal", "dose": mg(50)}
    label = {"product": "esketamine", "route": "intranasal", "dose": mg(56)}
    refused, _ = codes(desk, desk.dose_change({"/from": spray, "/to": label}))
    assert refused == {"switch-called-otherwise"}
    switch = desk.dose_change({"/from": spray, "/to": label, "/action": "switch"})
    assert codes(desk, switch) == (set(), set())
    assert {one.letters for one in desk.plan(switch).recipients} == {("L3",)}


def test_f_a_dose_without_a_unit_is_refused(desk):
    with pytest.raises(Unreadable) as wrong:
        desk.read(desk.session({"/administration/dose": "0.5"}))
    assert [(one.pointer, one.code) for one in wrong.value.faults] == [("/administration/dose", "unit.missing")]


def test_g_micrograms_per_kilogram_are_taken_as_milligrams_and_the_original_is_kept(desk):
    event = desk.session({"/administration/ordered": {"value": "500", "unit": "mcg/kg"}})
    assert codes(desk, event) == (set(), set())
    ordered = desk.read(event).administration.ordered
    assert str(ordered.normalised()) == "0.5 mg/kg"
    assert str(ordered) == "500 mcg/kg"


# --- T9


def test_a_weight_in_pounds_under_kilograms_is_asked_with_the_likely_value(desk):
    before = desk.session(
        {"/id": "s-1", "/course/session_number": 2, "/weight/value": "81.6", "/vitals/0/systolic": 120},
        day="2026-10-12",
    )
    faults, questions = desk.check(weighing(desk, 180, 41, "0.5"), history=(before,))
    assert faults == ()
    found = {one.id.partition("@")[0]: one for one in questions}
    assert set(found) == {"pounds-for-kilograms", "dose-differs-from-order"}
    assert "81.6 kg" in found["pounds-for-kilograms"].text
    assert found["pounds-for-kilograms"].suggestion == "81.6 kg"
    assert "90 mg" in found["dose-differs-from-order"].text


def test_a_weight_sent_in_pounds_is_converted(desk):
    event = weighing(desk, 130, 30, "0.5", **{"/weight/unit": "[lb_av]"})
    assert codes(desk, event) == (set(), set())
    assert str(desk.read(event).weight.normalised()) == "59 kg"


# --- T10


def test_an_urgent_request_on_the_night_the_clocks_go_back_is_due_by_the_sun(desk):
    event = desk.example("session-outcome.bp-spike.json").model_dump(mode="json", by_alias=True, exclude_none=True)
    event["next_session_on"] = None
    at = datetime(2026, 10, 31, 14, 10, tzinfo=CHICAGO)
    psychiatrist = desk.plan(event, at=at).recipients[0]
    due = {one.rule: one.due_at.isoformat() for one in psychiatrist.requests}
    assert due["R3"] == "2026-11-01T12:10:00-07:00"
    assert due["R2"] == "2026-11-03T23:59:59-07:00"
    clinic = psychiatrist.requests[0].due_at.astimezone(CHICAGO)
    assert clinic.isoformat() == "2026-11-01T13:10:00-06:00"


def test_a_time_in_the_doubled_hour_without_offset_is_refused(desk):
    with pytest.raises(Unreadable) as wrong:
        desk.read(desk.session({"/administration/started_at": "2026-11-01T01:30"}))
    assert [one.code for one in wrong.value.faults] == ["instant.ambiguous"]


def test_monitoring_is_reckoned_on_instants_and_not_on_wall_clocks(desk):
    moved = {
        "/administration/started_at": "2026-11-01T00:30:00-05:00",
        "/administration/ended_at": "2026-11-01T00:35:00-05:00",
        "/monitoring_ended_at": "2026-11-01T01:30:00-06:00",
    }
    vitals = [
        {"slot": "baseline", "at": "2026-11-01T00:20:00-05:00", "systolic": 118, "diastolic": 76},
        {"slot": "40-min", "at": "2026-11-01T01:10:00-05:00", "systolic": 131, "diastolic": 84},
    ]
    rest = {"/vitals": vitals, "/discharge": None, "/dissociation": {"present": False}, "/sedation": None}
    received = datetime(2026, 11, 2, tzinfo=CHICAGO)
    _, asked = codes(desk, desk.esketamine({**moved, **rest}), received_at=received)
    assert "left-before-two-hours" not in asked
    early = {**moved, **rest, "/monitoring_ended_at": "2026-11-01T01:30:00-05:00"}
    _, asked = codes(desk, desk.esketamine(early), received_at=received)
    assert "left-before-two-hours" in asked
