"""Every limit of the validation table, value by value: taken, asked, or refused."""

from decimal import Decimal

import pytest

KETAMINE_SPRAY = {
    "/administration/route": "intranasal",
    "/administration/concentration": {"value": "100", "unit": "mg/mL"},
    "/administration/ordered": None,
    "/administration/ended_at": None,
}
BY_MOUTH = {"/administration/route": "oral", "/administration/ordered": None, "/administration/ended_at": None}
NO_ORDER = {"/administration/ordered": None}


def mg(value):
    return {"value": str(value), "unit": "mg"}


# (row, pointer of the fault, how to set the value, taken, asked, refused)
TABLE = [
    (
        "systolic",
        "/vitals/0/systolic",
        lambda v: {"/vitals": lone(v, 40 if v < 80 else 78)},
        (100, 179),
        (60, 180, 260, 280),
        (39, 301),
    ),
    (
        "diastolic",
        "/vitals/0/diastolic",
        lambda v: {"/vitals": lone(175 if v < 160 else 290, v)},
        (40, 109),
        (30, 110, 160),
        (19, 201),
    ),
    (
        "heart-rate",
        "/vitals/0/heart_rate",
        lambda v: {"/vitals": lone(124, 78, v)},
        (45, 130),
        (30, 44, 131, 200),
        (19, 301),
    ),
    ("spo2", "/vitals/0/spo2", lambda v: {"/vitals/0/spo2": v}, (92, 100), (80, 91), (49, 101, 1)),
    (
        "respiratory-rate",
        "/vitals/0/respiratory_rate",
        lambda v: {"/vitals/0/respiratory_rate": v},
        (8, 30),
        (4, 7, 31, 50),
        (2, 71),
    ),
    (
        "temperature",
        "/vitals/0/temperature/value",
        lambda v: {"/vitals/0/temperature": {"value": str(v), "unit": "Cel"}},
        (35, 39),
        (34.9, 39.1, 41),
        (29.9, 43.1),
    ),
    (
        "weight",
        "/weight/value",
        lambda v: {"/weight": {"value": str(v), "unit": "kg"}, **NO_ORDER},
        (50, 200),
        (201, 400),
        (19, 401),
    ),
    (
        "height",
        "/height/value",
        lambda v: {"/height": {"value": str(v), "unit": "cm"}},
        (120, 220),
        (119, 221),
        (49, 261),
    ),
    (
        "dose-per-weight",
        "/administration/dose/value",
        lambda v: {"/administration/dose": mg(82 * Decimal(str(v))), **NO_ORDER},
        (0.25, 0.5, 1),
        (0.05, 1.01, 1.5),
        (2.01, 0),
    ),
    (
        "dose-spray",
        "/administration/dose/value",
        lambda v: {**KETAMINE_SPRAY, "/administration/dose": mg(v)},
        (10, 150),
        (5, 151, 300),
        (301, 0),
    ),
    (
        "dose-by-mouth",
        "/administration/dose/value",
        lambda v: {**BY_MOUTH, "/administration/dose": mg(v)},
        (25, 300),
        (20, 301, 600, 1000),
        (1001, 0),
    ),
    (
        "dose-amount",
        "/administration/dose/value",
        lambda v: {"/administration/dose": mg(v), "/weight": None, **NO_ORDER},
        (1, 41, 200),
        (201, 800),
        (0, -1, 801),
    ),
    (
        "infusion-time",
        "/administration/ended_at",
        lambda v: {"/administration/ended_at": f"2026-10-14T{10 + v // 60}:{v % 60:02d}:00-05:00"},
        (30, 60),
        (10, 29, 61, 120),
        (4,),
    ),
    ("sedation-level", "/sedation/lowest", lambda v: {"/sedation/lowest": v}, (3, 5), (0, 1, 2), (-1, 6)),
    ("cadss-total", "/dissociation/cadss_total", lambda v: {"/dissociation/cadss_total": v}, (0, 92), (), (-1, 93)),
    (
        "sprays",
        "/administration/sprays",
        lambda v: {**KETAMINE_SPRAY, "/administration/sprays": v},
        (1, 20),
        (21,),
        (0,),
    ),
    ("planned-sessions", "/course/planned_sessions", lambda v: {"/course/planned_sessions": v}, (1, 60), (61,), (0,)),
    (
        "oxygen-flow",
        "/vitals/0/oxygen_flow/value",
        lambda v: {"/vitals/0/oxygen_flow": {"value": str(v), "unit": "L/min"}},
        (0, 15),
        (16,),
        (-1,),
    ),
]


def lone(systolic, diastolic, rate=72):
    """One reading, so that no neighbour speaks for it."""
    at = "2026-10-14T09:50:00-05:00"
    return [{"slot": "baseline", "at": at, "systolic": systolic, "diastolic": diastolic, "heart_rate": rate}]


def rows(which):
    return [
        pytest.param(row, where, build(value), id=f"{row}-{value}")
        for row, where, build, *verdicts in TABLE
        for value in verdicts[which]
    ]


def said(desk, changes):
    faults, questions = desk.check(desk.session(changes))
    return {(one.code, one.pointer) for one in faults}, {(one.id.split("@")[0], one.pointer) for one in questions}


@pytest.mark.parametrize(("row", "where", "changes"), rows(0))
def test_a_usual_value_is_taken_silently(desk, row, where, changes):
    refused, asked = said(desk, changes)
    assert (row, where) not in refused | asked


@pytest.mark.parametrize(("row", "where", "changes"), rows(1))
def test_an_unlikely_value_is_asked(desk, row, where, changes):
    refused, asked = said(desk, changes)
    assert (row, where) in asked
    assert (row, where) not in refused


@pytest.mark.parametrize(("row", "where", "changes"), rows(2))
def test_an_impossible_value_is_refused(desk, row, where, changes):
    refused, asked = said(desk, changes)
    assert (row, where) in refused
    assert where not in {place for _, place in asked}


def test_every_limit_of_the_table_is_tested(desk):
    elsewhere = {"age", "devices"}
    limits = {one.row["id"] for one in desk.checks.limits}
    assert {one for one in limits if not one.startswith("regimen-")} == {row for row, *_ in TABLE} | elsewhere


@pytest.mark.parametrize(("born", "code"), [("2014-01-01", "age"), ("1890-01-01", "age"), ("2027-01-01", "age")])
def test_an_age_outside_thirteen_to_a_hundred_and_twenty_is_refused(desk, born, code):
    faults, _ = desk.check(desk.session(), registry=desk.registry({"/patients/0/birth_date": born}))
    assert [(one.code, one.pointer) for one in faults] == [(code, "/patient")]


def test_no_device_is_refused(desk):
    faults, _ = desk.check(desk.esketamine({"/administration/devices": 0}))
    assert "devices" in {one.code for one in faults}


@pytest.mark.parametrize(("dose", "refused", "asked"), [("0.6", 0, 0), ("1.2", 0, 1), ("2.5", 1, 0)])
def test_an_ordered_dose_per_weight_has_the_same_limits(desk, dose, refused, asked):
    faults, questions = desk.check(desk.dose_change({"/to/dose/value": dose}))
    assert (len(faults), len(questions)) == (refused, asked)


def test_a_high_pressure_beside_another_high_one_is_taken_as_it_stands(desk):
    event = desk.session({"/vitals/1/systolic": 172, "/vitals/2/systolic": 184, "/vitals/2/diastolic": 102})
    assert desk.check(event) == ((), ())


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"/administration/dose": {"value": "0.5", "unit": "mg/kg"}}, "unit.dose", "/administration/dose/unit"),
        ({"/administration/ordered": {"value": "5", "unit": "mL"}}, "unit.ordered", "/administration/ordered/unit"),
        ({"/weight": {"value": "82", "unit": "g"}}, "unit.weight", "/weight/unit"),
        ({"/height": {"value": "175", "unit": "kg"}}, "unit.height", "/height/unit"),
        (
            {"/vitals/0/temperature": {"value": "98.6", "unit": "[degF]"}},
            "unit.temperature",
            "/vitals/0/temperature/unit",
        ),
        ({"/vitals/0/oxygen_flow": {"value": "2", "unit": "mL"}}, "unit.oxygen", "/vitals/0/oxygen_flow/unit"),
        (
            {"/administration/concentration": {"value": "2", "unit": "mg"}},
            "unit.concentration",
            "/administration/concentration/unit",
        ),
        (
            {"/administration/volume_per_spray": {"value": "2", "unit": "mg"}},
            "unit.volume",
            "/administration/volume_per_spray/unit",
        ),
    ],
)
def test_a_unit_of_the_wrong_kind_is_refused_and_its_number_is_not_judged(desk, changes, code, where):
    faults, _ = desk.check(desk.session(changes))
    assert (code, where) in {(one.code, one.pointer) for one in faults}
    assert where.replace("/unit", "/value") not in {one.pointer for one in faults}


@pytest.mark.parametrize(
    "changes",
    [
        {"/weight": {"value": "180.8", "unit": "[lb_av]"}},
        {"/height": {"value": "69", "unit": "[in_i]"}},
        {"/height": {"value": "1.75", "unit": "m"}},
        {"/administration/ordered": {"value": "500", "unit": "mcg/kg"}},
        {"/administration/dose": {"value": "41000", "unit": "mcg"}},
    ],
)
def test_a_convertible_unit_is_taken(desk, changes):
    assert desk.check(desk.session(changes)) == ((), ())


def test_a_fault_never_holds_the_value(desk):
    faults, _ = desk.check(desk.session({"/vitals/0/systolic": 3999, "/weight": {"value": "4321.5", "unit": "kg"}}))
    text = " ".join(f"{one.message} {one.fix} {one.pointer}" for one in faults)
    assert len(faults) == 2
    assert "3999" not in text
    assert "4321" not in text
