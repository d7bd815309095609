"""Doses of a change and of the medicines of others: their units, and how much of the clinic's own drug is possible."""

from pathlib import Path

import pytest

from coordinator.domain.quantities import MEDICINE_UNITS, Quantity
from coordinator.letters.formats import quantity
from coordinator.yaml_files import read_yaml

MAPPINGS = Path(__file__).parents[3] / "mappings"
WITHOUT_A_CODE = {"cm"}
"""A height goes out as text: no unit of length is among the verified codes."""


def amount(value, unit="mg"):
    return {"value": str(value), "unit": unit}


def said(desk, event, **around):
    faults, questions = desk.check(event, **around)
    return {(one.code, one.pointer) for one in faults}, {(one.id.partition("@")[0], one.pointer) for one in questions}


def own(desk, dose, route="intravenous", side="to", product="ketamine"):
    """A change of the clinic's own drug that says one dose; the other side says nothing to compare it with."""
    other = "from" if side == "to" else "to"
    regimen = {"product": product, "dose": dose, **({"route": route} if route else {})}
    return desk.dose_change({"/action": "retime", f"/{side}": regimen, f"/{other}": {"unknown": True}})


def rescue(dose):
    return [{"product": "labetalol", "role": "antihypertensive", "dose": dose, "at": "2026-10-14T10:50:00-05:00"}]


PLACES = {
    "/from/dose": lambda desk, dose: desk.hold({"/from/dose": dose}),
    "/to/dose": lambda desk, dose: desk.hold(
        {
            "/kind": "reported-by-patient",
            "/action": "increase",
            "/to": {"product": "Adderall XR", "dose": dose},
        }
    ),
    "/other_medications_taken/0/dose": lambda desk, dose: desk.session({"/other_medications_taken/0/dose": dose}),
    "/rescue_medications/0/dose": lambda desk, dose: desk.session({"/rescue_medications": rescue(dose)}),
}


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("unit", ["kg", "milligrams", "foo", "MG", "mm[Hg]", "mg/mL", "x@y"])
def test_a_medicine_in_a_unit_that_is_none_of_a_dose_is_refused_and_told_the_usable_ones(desk, where, unit):
    faults, _ = desk.check(PLACES[where](desk, amount(30, unit)))
    (fault,) = [one for one in faults if one.code == "unit.medicine"]
    assert fault.pointer == f"{where}/unit"
    assert all(usable in fault.fix for usable in MEDICINE_UNITS)
    assert unit not in ("foo", "x@y", "milligrams") or unit not in fault.message + fault.fix


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("unit", [*MEDICINE_UNITS, "mcg", "ug", "g", "mcg/kg", "mcg/h", "mcg/kg/min"])
def test_a_medicine_in_a_usable_unit_is_taken(desk, where, unit):
    faults, _ = desk.check(PLACES[where](desk, amount(30, unit)))
    assert not {one.pointer for one in faults} & {f"{where}/unit", f"{where}/value"}


@pytest.mark.parametrize("side", ["from", "to"])
@pytest.mark.parametrize("unit", ["mL", "kg", "mg/h", "foo"])
def test_the_clinics_own_drug_is_in_mg_or_mg_per_kg(desk, side, unit):
    refused, asked = said(desk, own(desk, amount("0.5", unit), side=side))
    assert ("unit.regimen", f"/{side}/dose/unit") in refused
    assert f"/{side}/dose/value" not in {where for _, where in refused | asked}


def test_every_unit_that_a_row_admits_has_a_code_and_a_printed_form(desk):
    coded = {one["from"] for one in read_yaml(MAPPINGS / "codes" / "ucum.yaml")["rows"]}
    admitted = {unit for row in desk.checks.units for unit in row["units"]}
    assert admitted - coded == WITHOUT_A_CODE
    assert all(quantity(1, unit) for unit in admitted)


def test_a_medicine_has_the_same_units_in_an_event_and_in_the_registry(desk):
    (row,) = [one for one in desk.checks.units if one["id"] == "unit.medicine"]
    assert tuple(row["units"]) == MEDICINE_UNITS


def test_rates_are_converted_and_printed_without_the_greek_letter():
    assert str(Quantity(value="25", unit="mcg/h").normalised()) == "0.025 mg/h"
    assert str(Quantity(value="5", unit="mcg/kg/min").normalised()) == "5 ug/kg/min"
    assert quantity(5, "ug/kg/min") == "5\N{NO-BREAK SPACE}mcg/kg/min"


def test_a_change_to_nothing_is_told_to_be_a_stop_or_a_hold(desk):
    event = desk.dose_change({"/to/dose/value": "0", "/action": "decrease"})
    (fault,) = [one for one in desk.check(event)[0] if one.pointer == "/to/dose/value"]
    assert "stop or hold" in fault.fix
    assert "to to null" in fault.fix


# (route, row, dose in mg that is taken, asked, refused), without any weight on record
BY_ROUTE = [
    ("intravenous", "regimen-amount", (3.5, 41, 200), (3, 201, 350, 800), (801, 3500)),
    ("intramuscular", "regimen-amount", (41,), (350,), (801,)),
    ("subcutaneous", "regimen-subcutaneous", (41,), (350,), (801,)),
    ("intranasal", "regimen-spray", (10, 150), (5, 151, 300), (301,)),
    ("oral", "regimen-by-mouth", (25, 300), (20, 301, 1000), (1001,)),
    ("sublingual", "regimen-by-mouth", (25, 300), (20, 301, 1000), (1001,)),
    (None, "regimen-route-unsaid", (25, 150), (20, 350), (1001,)),
]


def doses(which):
    return [(route, row, dose) for route, row, *verdicts in BY_ROUTE for dose in verdicts[which]]


@pytest.mark.parametrize(("route", "row", "dose"), doses(0))
def test_a_usual_new_dose_is_taken_silently(desk, route, row, dose):
    assert said(desk, own(desk, amount(dose), route)) == (set(), set())


@pytest.mark.parametrize(("route", "row", "dose"), doses(1))
def test_an_unlikely_new_dose_is_asked(desk, route, row, dose):
    assert said(desk, own(desk, amount(dose), route)) == (set(), {(row, "/to/dose/value")})


@pytest.mark.parametrize(("route", "row", "dose"), doses(2))
def test_an_impossible_new_dose_is_refused(desk, route, row, dose):
    assert said(desk, own(desk, amount(dose), route)) == ({(row, "/to/dose/value")}, set())


@pytest.mark.parametrize(("route", "row", "dose"), [*doses(1), *doses(2)])
def test_an_unlikely_old_dose_is_asked_and_never_refused(desk, route, row, dose):
    event = own(desk, amount(dose), route, side="from")
    assert said(desk, event) == (set(), {(row, "/from/dose/value")})
    (question,) = desk.check(event)[1]
    assert question.text.startswith(("The old ", "By "))


@pytest.mark.parametrize(
    ("dose", "refused", "asked"),
    [(41, 0, 0), (82, 0, 0), (8, 0, 1), (100, 0, 1), (164, 0, 1), (165, 1, 0), (350, 1, 0)],
)
def test_a_new_dose_in_mg_is_judged_by_the_weight_of_the_last_session(desk, dose, refused, asked):
    faults, questions = desk.check(own(desk, amount(dose)), history=(desk.session(),))
    assert ([one.code for one in faults], [one.id.partition("@")[0] for one in questions]) == (
        ["regimen-per-weight"] * refused,
        ["regimen-per-weight"] * asked,
    )


def test_an_old_dose_in_mg_is_judged_by_the_weight_too_and_asked(desk):
    faults, questions = desk.check(own(desk, amount(350), side="from"), history=(desk.session(),))
    assert faults == ()
    assert [one.id for one in questions] == ["regimen-per-weight@/from/dose/value"]
    assert "4.268 mg per kg" in questions[0].text


@pytest.mark.parametrize(("day", "row"), [("2026-07-19", "regimen-per-weight"), ("2026-07-17", "regimen-amount")])
def test_a_weight_older_than_ninety_days_is_not_gone_by(desk, day, row):
    faults, questions = desk.check(own(desk, amount(350)), history=(desk.session(day=day),))
    assert {one.code for one in faults} | {one.id.partition("@")[0] for one in questions} == {row}


def test_a_weight_of_another_patient_is_not_gone_by(desk):
    faults, questions = desk.check(own(desk, amount(350)), history=(desk.session({"/patient": "MRN-2"}),))
    assert (faults, [one.id.partition("@")[0] for one in questions]) == ((), ["regimen-amount"])


@pytest.mark.parametrize(("dose", "refused", "asked"), [("7", 0, 0), ("8", 0, 1), ("50", 0, 1), ("51", 1, 0)])
def test_a_dose_per_kg_by_mouth_has_limits_without_a_weight(desk, dose, refused, asked):
    faults, questions = desk.check(own(desk, amount(dose, "mg/kg"), "oral"))
    assert (len(faults), len(questions)) == (refused, asked)


def test_a_dose_per_kg_by_spray_is_judged_in_mg_when_the_weight_is_known(desk):
    refused, _ = said(desk, own(desk, amount("6", "mg/kg"), "intranasal"), history=(desk.session(),))
    assert refused == {("regimen-spray", "/to/dose/value")}


def test_a_route_left_out_is_that_of_the_other_side(desk):
    event = desk.dose_change({"/action": "increase", "/to": {"product": "ketamine", "dose": amount("2.5", "mg/kg")}})
    assert said(desk, event)[0] == {("regimen-per-weight", "/to/dose/value")}


def test_a_route_left_out_on_both_sides_is_that_of_the_last_session(desk):
    event = own(desk, amount(350), route=None)
    assert said(desk, event, history=(desk.session(),))[0] == {("regimen-per-weight", "/to/dose/value")}


@pytest.mark.parametrize("name", ["Ketamine", "KETAMINE", "ketamine ", " Ketamine"])
def test_the_clinics_drug_has_its_limits_however_its_name_is_written(desk, name):
    refused, _ = said(desk, own(desk, amount("6", "mg/kg"), product=name))
    assert ("regimen-per-weight", "/to/dose/value") in refused


@pytest.mark.parametrize("name", ["ketamine hydrochloride", "Ketalar", "ketamine  hydrochloride"])
def test_a_longer_name_of_the_clinics_drug_is_refused_with_the_name_to_write(desk, name):
    faults, _ = desk.check(own(desk, amount("0.5", "mg/kg"), product=name))
    assert [(one.code, one.pointer) for one in faults] == [("unknown-clinic-drug", "/to/product")]
    assert "Write ketamine or esketamine" in faults[0].fix


def test_blanks_and_capitals_make_no_other_product(desk):
    twice = {"product": "adderall  XR", "dose": amount(20)}
    event = desk.hold(
        {"/kind": "reported-by-patient", "/action": "increase", "/from/product": "Adderall xr", "/to": twice}
    )
    refused, _ = said(desk, event)
    assert ("switch-called-otherwise", "/action") not in refused


def test_a_dose_without_a_weight_is_judged_by_the_last_recent_one(desk):
    changes = {"/weight": None, "/administration/ordered": None, "/administration/dose": amount(350)}
    event = desk.session({**changes, "/id": "sess-9", "/course/session_number": 4}, day="2026-10-16")
    assert ("dose-per-weight", "/administration/dose/value") in said(desk, event, history=(desk.session(),))[0]


def test_every_limit_of_a_regimen_is_tested(desk):
    rows = {row for _, row, *_ in BY_ROUTE} | {"regimen-per-weight", "regimen-per-weight-otherwise"}
    assert {one.row["id"] for one in desk.checks.limits if one.row["id"].startswith("regimen-")} == rows
