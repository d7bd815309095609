"""Numbers and instants go out as they came in: no float's tail, no zone lost, whatever they are."""

import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain.quantities import Quantity, plain
from coordinator.mapping.body import to_bytes
from coordinator.mapping.load import Mappings
from coordinator.mapping.view import plain_value
from coordinator.mapping.walk import said
from tests.unit.mapping.conftest import Make, example

SPIKE = "session-outcome.bp-spike"
doses = st.decimals(min_value=Decimal("0.001"), max_value=Decimal(9999), places=3).filter(lambda one: one > 0)
offsets = st.integers(min_value=-12 * 60, max_value=14 * 60).map(lambda one: timezone(timedelta(minutes=one)))
FROM, TO = datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2030-01-01")
instants = st.datetimes(min_value=FROM, max_value=TO, timezones=offsets)


def exactly(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@given(doses)
def test_a_decimal_is_the_same_number_in_json_and_in_words(dose: Decimal) -> None:
    (out,) = exactly(to_bytes({"value": dose})).values()
    assert out == dose
    assert format(out, "f") == format(dose, "f")
    assert said({"value": dose, "unit": "mg"}) == f"{plain(dose)} mg"
    assert "e" not in to_bytes({"value": dose}).decode().replace("value", "")


@given(doses)
def test_a_quantity_keeps_its_digits_through_the_case_view(dose: Decimal) -> None:
    told = plain_value(Quantity(value=dose, unit="mg"))
    assert (told["value"], type(told["value"])) == (dose, Decimal)


@given(instants)
def test_an_instant_keeps_its_own_offset(at: datetime) -> None:
    text = plain_value(at)
    back = datetime.fromisoformat(text)
    assert (back, back.utcoffset()) == (at, at.utcoffset())


@settings(max_examples=15, deadline=None)
@given(dose=doses)
def test_a_dose_goes_through_a_whole_chart_digit_for_digit(make: Make, mappings: Mappings, dose: Decimal) -> None:
    event = example(SPIKE)
    event["administration"] = {**event["administration"], "dose": {"value": str(dose), "unit": "mg"}, "ordered": None}
    content = make(event)
    given_dose = next(
        one["dosage"] for one in content.all("MedicationAdministration") if "route" in one.get("dosage", {})
    )
    assert given_dose["dose"]["value"] == dose
    assert given_dose["text"] == f"{plain(dose)} mg intravenous"


def test_thirty_seven_and_a_half_keeps_its_nought_as_a_number_and_loses_it_in_words(make: Make) -> None:
    event = example("dose-change.stimulant-hold")
    event["from"] = {**event["from"], "dose": {"value": "37.50", "unit": "mg"}}
    content = make(event)
    known = next(one for one in content.all("MedicationRequest") if one["intent"] == "plan")
    (dosage,) = known["dosageInstruction"]
    assert dosage["text"].startswith("37.5 mg")
    assert b'"value":37.50,' in next(one.body for one in content.contents if one.level == "chart")
