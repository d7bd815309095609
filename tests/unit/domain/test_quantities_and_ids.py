"""Amounts, identifiers and consent: the small words that everything rests on."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coordinator.domain.consent import decide
from coordinator.domain.ids import is_mistyped_reference, letter_reference, reference_of, stable_uuid
from coordinator.domain.quantities import Quantity, plain
from coordinator.domain.registry import Consent, Patient


@pytest.mark.parametrize(
    ("value", "unit", "normal"),
    [
        ("500", "mcg/kg", "0.5 mg/kg"),
        ("500", "ug/kg", "0.5 mg/kg"),
        ("180", "[lb_av]", "81.6 kg"),
        ("37.50", "mg", "37.5 mg"),
    ],
)
def test_units_are_brought_to_the_kept_one(value, unit, normal):
    assert str(Quantity(value=value, unit=unit).normalised()) == normal


@pytest.mark.parametrize("value", [0.5, True, "", " 1", "NaN", "Infinity", "1e400", "1_0", None, "1" * 40])
def test_what_is_no_decimal_is_refused(value):
    with pytest.raises(ValidationError):
        Quantity(value=value, unit="mg")


@given(st.decimals(min_value=-(10**6), max_value=10**6, allow_nan=False, places=4))
def test_a_decimal_is_printed_without_exponent_or_trailing_zero_and_unchanged(number):
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))


def test_an_amount_needs_its_unit():
    with pytest.raises(ValidationError):
        Quantity.model_validate({"value": "0.5"})


def test_identifiers_come_out_the_same_and_do_not_run_together():
    assert stable_uuid("a", "bc") == stable_uuid("a", "bc")
    assert stable_uuid("a", "bc") != stable_uuid("ab", "c")


def test_a_letter_keeps_its_reference_through_its_versions():
    code = letter_reference("ehr", "sess-8841", "pr-psych")
    assert code == letter_reference("ehr", "sess-8841", "pr-psych")
    assert code != letter_reference("ehr", "sess-8841", "pr-pcp")
    assert [len(part) for part in code.split("-")] == [6, 6, 6]
    assert set(code) <= set("0123456789-")


def test_a_reference_is_known_however_it_is_typed_and_one_wrong_digit_is_noticed():
    for number in range(200):
        code = letter_reference("ehr", f"sess-{number}", "pr-psych")
        bare = code.replace("-", "")
        assert reference_of(bare) == reference_of(f" {code} ") == reference_of(bare[:9] + " " + bare[9:]) == code
        at = number % 18
        wrong = f"{bare[:at]}{(int(bare[at]) + 1 + number % 9) % 10}{bare[at + 1 :]}"
        assert reference_of(wrong) is None
        assert is_mistyped_reference(wrong)
        at = number % 17
        swapped = bare[:at] + bare[at + 1] + bare[at] + bare[at + 2 :]
        assert swapped == bare or is_mistyped_reference(swapped)


@pytest.mark.parametrize("text", ["Zoë", "", "sess-8841", "+1 218-555-0110", "482155-O37719-042604"])
def test_what_is_no_reference_is_not_called_a_mistyped_one(text):
    assert reference_of(text) is None
    assert not is_mistyped_reference(text)


DAY = date(2026, 10, 16)


def patient(*consents):
    return Patient(id="P", name={"family": "F"}, birth_date=date(1990, 1, 1), sex="female", consents=consents)


def consent(decision="permit", **changes):
    values = {
        "id": "c",
        "version": 1,
        "decision": decision,
        "recipient": "pr",
        "content": ["all"],
        "from": "2026-01-01",
        "evidence": "form",
    } | changes
    return Consent.model_validate(values)


@pytest.mark.parametrize(
    ("consents", "decision", "reason"),
    [
        ((), "deny", "no-consent"),
        ((consent(),), "permit", "consent"),
        ((consent(), consent("restrict", id="r", version=3)), "deny", "restriction"),
        ((consent(), consent("restrict", id="r", to="2026-10-15")), "permit", "consent"),
        ((consent(to="2026-10-15"),), "deny", "expired"),
        ((consent(**{"from": "2026-10-17"}),), "deny", "not-yet"),
        ((consent(revoked_on="2026-10-16"),), "deny", "revoked"),
        ((consent(revoked_on="2026-10-17"),), "permit", "consent"),
        ((consent(content=["medication"]),), "deny", "content"),
        ((consent(recipient="other"),), "deny", "no-consent"),
        ((consent(revoked_on="2026-09-01"), consent(id="d", version=2)), "permit", "consent"),
    ],
)
def test_consent_is_decided_with_its_reason(consents, decision, reason):
    answer = decide(patient(*consents), "pr", "session", DAY)
    assert (answer.decision, answer.reason) == (decision, reason)


@given(st.integers(-400, 400))
def test_without_a_permission_in_force_nothing_may_go_on_any_day(days):
    answer = decide(patient(consent("restrict")), "pr", "session", DAY + timedelta(days=days))
    assert not answer.permits
