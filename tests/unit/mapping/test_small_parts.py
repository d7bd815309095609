"""Check digits, FHIRPath on the short way and the long way, bytes, text, the content level of an endpoint."""

from decimal import Decimal
from typing import Any

import pytest

from coordinator.domain.events import SessionOutcome
from coordinator.mapping.body import to_bytes
from coordinator.mapping.digits import loinc_is_whole, npi_is_whole, snomed_is_whole
from coordinator.mapping.paths import PathError, _engine, compile_condition, compile_value
from coordinator.mapping.problems import MappingHeld
from coordinator.mapping.view import roots
from coordinator.mapping.walk import said

ROOTS = roots(("session-outcome",), "event")
SCOPE: dict[str, Any] = {
    "event": {
        "status": "completed",
        "administration": {
            "product": "ketamine",
            "dose": {"value": Decimal("37.50"), "unit": "mg"},
            "compounded": False,
        },
        "vitals": [{"slot": "baseline", "systolic": 120}, {"slot": "40-min", "systolic_absent": "unknown"}],
        "weight_absent": "not-done",
    },
    "author": None,
}


@pytest.mark.parametrize("code", ["47625008", "406506008", "1153570009", "55561003"])
def test_a_whole_snomed_code_passes(code: str) -> None:
    assert snomed_is_whole(code)


@pytest.mark.parametrize("code", ["755561003", "47625009", "47652008", "12345", "abc", ""])
def test_a_mistyped_snomed_code_fails(code: str) -> None:
    assert not snomed_is_whole(code)


@pytest.mark.parametrize(("code", "whole"), [("85354-9", True), ("44261-6", True), ("85354-8", False), ("8867", False)])
def test_the_loinc_check_digit(code: str, whole: bool) -> None:
    assert loinc_is_whole(code) is whole


@pytest.mark.parametrize(("npi", "whole"), [("1999999018", True), ("1999999019", False), ("199999901", False)])
def test_the_npi_check_digit(npi: str, whole: bool) -> None:
    assert npi_is_whole(npi) is whole


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("event.administration", True),
        ("event.administration.compounded", False),
        ("event.discharge", False),
        ("event.discharge.empty()", True),
        ("event.weight.exists()", False),
        ("event.weight_absent = 'not-done'", True),
        ("event.status = 'completed' and event.administration.product = 'ketamine'", True),
        ("event.status = 'aborted' or event.administration.exists()", True),
        ("event.status != 'aborted'", True),
        ("event.discharge.ready != true", False),
    ],
)
def test_the_short_way_answers_as_the_engine_does(condition: str, holds: bool) -> None:
    assert compile_condition(condition, ROOTS)(SCOPE) is holds
    if any(sign in condition for sign in ("=", "()")):
        assert (_engine(condition, ROOTS)(SCOPE) is True) is holds


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("event.vitals.where(slot = 'baseline').systolic", 120),
        ("event.vitals.first().slot", "baseline"),
        ("event.vitals.last().slot", "40-min"),
        ("event.vitals.count()", 2),
        ("iif(event.status = 'completed', 'yes', 'no')", "yes"),
        ("event.status.startsWith('comp')", True),
        ("event.weight.exists().not()", True),
        ("event.discharge.empty()", True),
    ],
)
def test_each_allowed_function_works(expression: str, answer: Any) -> None:
    assert compile_value(expression, ROOTS)(SCOPE) == answer


@pytest.mark.parametrize("expression", ["event.vitals.systolic.max()", "event.vitals.select(slot)", "today()"])
def test_a_function_that_is_not_on_the_list_is_refused(expression: str) -> None:
    with pytest.raises(PathError, match="allowed list"):
        compile_value(expression, ROOTS)


def test_a_path_through_a_list_gathers_what_is_known() -> None:
    assert compile_value("event.vitals.systolic", ROOTS)(SCOPE) == [120]


def test_only_a_field_that_may_be_unknown_can_be_asked_for_its_absence() -> None:
    assert SessionOutcome.model_fields["weight"]
    compile_value("event.weight_absent", ROOTS)
    with pytest.raises(PathError, match="no field 'status_absent'"):
        compile_value("event.status_absent", ROOTS)


@pytest.mark.parametrize(
    ("number", "digits"),
    [
        ("37.50", b"37.50"),
        ("0.1", b"0.1"),
        ("1E+2", b"100"),
        ("0.000001", b"0.000001"),
        ("123456789.123", b"123456789.123"),
    ],
)
def test_a_decimal_goes_out_digit_for_digit(number: str, digits: bytes) -> None:
    assert to_bytes({"value": Decimal(number)}) == b'{"value":' + digits + b"}"


def test_something_that_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        to_bytes({"value": object()})


def test_a_quantity_is_said_with_its_unit() -> None:
    assert said({"value": Decimal("37.50"), "unit": "mg"}) == "37.5 mg"


def test_an_expression_that_fails_on_an_event_holds_it_without_saying_the_value() -> None:
    reader = compile_value("event.vitals.where(slot > 5).slot", ROOTS)
    with pytest.raises(MappingHeld) as held:
        reader(SCOPE)
    assert held.value.problems[0].code == "mapping.expression"
    assert "baseline" not in f"{held.value!r} {held.value.problems}"
    assert held.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "symptoms", "quick"),
    [
        ("iif(event.blood_pressure_symptoms = 'none', false, true)", "none", False),
        ("iif(event.blood_pressure_symptoms = 'none', false, true)", ["vision"], True),
        ("iif(event.blood_pressure_symptoms.exists(), event.blood_pressure_symptoms, 'x')", "none", "none"),
        ("iif(event.blood_pressure_symptoms.exists(), 'y')", None, None),
    ],
)
def test_a_simple_choice_needs_no_engine_and_says_what_the_engine_says(text: str, symptoms: Any, quick: Any) -> None:
    scope = {"event": {} if symptoms is None else {"blood_pressure_symptoms": symptoms}}
    assert compile_value(text, ROOTS)(scope) == quick
    assert _engine(text, ROOTS)(scope) == quick


@pytest.mark.parametrize(("symptoms", "among"), [("none", False), (["vision", "chest-pain"], True), (None, False)])
def test_a_word_is_looked_for_among_the_items_of_a_list(symptoms: Any, among: bool) -> None:
    text = "event.blood_pressure_symptoms.where($this = 'vision').exists()"
    scope = {"event": {} if symptoms is None else {"blood_pressure_symptoms": symptoms}}
    assert compile_condition(text, ROOTS)(scope) is among
    assert (_engine(text, ROOTS)(scope) is True) is among
