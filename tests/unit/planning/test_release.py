"""The last question before each send."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from coordinator.planning.causes import load_causes
from coordinator.planning.release import may_release

CHICAGO = ZoneInfo("America/Chicago")
NOON = datetime(2026, 10, 20, 12, tzinfo=CHICAGO)
PCP_CONSENT, PCP_MEMBER, PCP_FAX = "/patients/0/consents/1", "/patients/0/care_team/1", "/providers/1/endpoints/0"


def asked(desk, changes=None, *, now=NOON, letters=("L2",), endpoint="ep-pcp-fax", **more):
    changes = {where: desk.gone if value == "gone" else value for where, value in (changes or {}).items()}
    return may_release(
        registry=desk.registry(changes),
        patient_id="MRN-1001",
        recipient="pr-pcp",
        endpoint_id=endpoint,
        letters=letters,
        now=now,
        **more,
    )


def test_a_message_with_consent_and_a_verified_address_may_go(desk):
    release = asked(desk)
    assert (release.allowed, release.cause) == (True, None)
    assert (release.consent.directive, release.consent.version) == ("cn-2", 1)


@pytest.mark.parametrize(
    ("changes", "more", "cause"),
    [
        ({PCP_CONSENT: "gone"}, {}, "consent.no-consent"),
        ({PCP_CONSENT + "/revoked_on": "2026-10-20"}, {}, "consent.revoked"),
        ({PCP_CONSENT + "/to": "2026-10-19"}, {}, "consent.expired"),
        ({PCP_CONSENT + "/from": "2026-10-21"}, {}, "consent.not-yet"),
        ({PCP_CONSENT + "/content": ["medication"]}, {}, "consent.content"),
        ({PCP_CONSENT + "/decision": "restrict"}, {}, "consent.restriction"),
        ({PCP_MEMBER + "/to": "2026-10-19"}, {}, "release.left-care-team"),
        ({PCP_FAX + "/verified_on": None}, {}, "release.unverified"),
        ({PCP_FAX + "/verified_on": "2025-10-20"}, {}, "release.verification-expired"),
        ({"/providers/1/endpoints": []}, {}, "release.endpoint-gone"),
        ({}, {"is_suspended": True}, "release.endpoint-suspended"),
        ({}, {"is_superseded": True}, "release.superseded"),
        ({"/patients/0/birth_date": "2008-10-18"}, {}, "consent.minor-turned-adult"),
    ],
)
def test_each_reason_to_stop_has_its_stable_cause(desk, rules_dir, changes, more, cause):
    release = asked(desk, changes, **more)
    assert (release.allowed, release.cause) == (False, cause)
    assert load_causes(rules_dir / "causes.yaml").get(cause).code != "bug"


def test_a_retry_waiting_for_somebody_who_left_is_held(desk):
    left = {PCP_MEMBER + "/to": "2026-10-14"}
    assert asked(desk, left, now=datetime(2026, 10, 14, 23, 59, tzinfo=CHICAGO)).allowed
    assert asked(desk, left, now=datetime(2026, 10, 15, 0, 1, tzinfo=CHICAGO)).cause == "release.left-care-team"


def test_a_correction_still_goes_to_somebody_who_left(desk):
    left = {PCP_MEMBER + "/to": "2026-10-14"}
    assert asked(desk, left, is_correction=True).allowed
    assert asked(desk, left, letters=("L9", "L2")).allowed


def test_a_correction_needs_consent_all_the_same(desk):
    assert asked(desk, {PCP_CONSENT: "gone"}, is_correction=True).cause == "consent.no-consent"


def test_by_hand_needs_no_verified_address_but_consent(desk):
    unverified = {PCP_FAX + "/verified_on": None}
    assert asked(desk, unverified, endpoint="by-hand").allowed
    assert asked(desk, {PCP_CONSENT: "gone"}, endpoint="by-hand").cause == "consent.no-consent"


def test_consent_is_reckoned_by_the_clinics_calendar(desk):
    ends = {PCP_CONSENT + "/to": "2026-10-20"}
    assert asked(desk, ends, now=datetime(2026, 10, 21, 4, 59, tzinfo=ZoneInfo("UTC"))).allowed
    assert asked(desk, ends, now=datetime(2026, 10, 21, 5, 0, tzinfo=ZoneInfo("UTC"))).cause == "consent.expired"


def test_a_patient_who_came_of_age_gives_their_own_consent(desk):
    grown = {"/patients/0/birth_date": "2008-10-18"}
    assert asked(desk, grown, now=datetime(2026, 10, 17, 12, tzinfo=CHICAGO)).allowed
    assert asked(desk, grown, now=datetime(2026, 10, 18, 12, tzinfo=CHICAGO)).cause == "consent.minor-turned-adult"
    own = {**grown, PCP_CONSENT + "/from": "2026-10-18"}
    assert asked(desk, own, now=datetime(2026, 10, 18, 12, tzinfo=CHICAGO)).allowed


def test_a_patient_or_recipient_no_longer_in_the_registry_stops_it(desk):
    registry = desk.registry()
    around = {"registry": registry, "endpoint_id": "x", "letters": ("L2",), "now": NOON}
    assert may_release(patient_id="MRN-9", recipient="pr-pcp", **around).cause == "event.registry"
    assert may_release(patient_id="MRN-1001", recipient="pr-9", **around).cause == "event.registry"
