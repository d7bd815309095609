"""Every `$process-message` bundle under the rules of Da Vinci Alerts 1.1.0; and messages that break one rule each."""

import pytest

from coordinator.mapping.load import load
from tests.conformance.alerts import EVENTS, PLANTED, differential, event_codes, faults, messages, wrong_messages
from tests.conformance.test_our_gate import ROOT

pytestmark = pytest.mark.timeout(600)
"""Whoever asks first waits until everything is rendered: a quarter of a minute, more on a busy machine."""


def test_every_message_keeps_the_rules() -> None:
    assert len(messages()) > 200
    assert {one["name"]: broken for one in messages() if (broken := faults(one["resource"]))} == {}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_wrong_message_breaks_its_own_rule(fault: str) -> None:
    wrong = next(one for one in wrong_messages() if one["name"] == f"wrong message: {fault}")
    assert wrong["rule"] in faults(wrong["resource"])


def test_every_rule_of_the_profiles_that_can_be_broken_has_a_wrong_message() -> None:
    """What is required or forbidden beyond R4 itself; elsewhere a second one would be the same fault again."""
    planted = {rule for rule, _, _ in PLANTED.values()}
    for profile in ("notifications-bundle", "notifications-messageheader"):
        for row in differential(profile):
            if ":" not in row["id"] and row.get("max") == "0":
                assert f"{row['path']}: max" in planted
    assert {"Bundle.timestamp: min", "MessageHeader.focus: min", "MessageHeader.eventCoding: binding"} <= planted


def test_our_event_codes_are_codes_of_the_guide() -> None:
    ours = load(ROOT / "mappings").known_codes[EVENTS]
    assert ours <= event_codes()
    sent = {one["resource"]["entry"][0]["resource"]["eventCoding"]["code"] for one in messages()}
    assert sent <= ours
    assert {code.removeprefix("notification-") for code in sent} == {"tx-change", "tx-issue", "progress-update"}
