"""Reading the registry: its own shape, and what must fit together in it."""

import json

import pytest

from coordinator.domain.quantities import MEDICINE_UNITS
from coordinator.planning.faults import Unreadable
from coordinator.planning.reading import read_registry


def refused(desk, changes):
    with pytest.raises(Unreadable) as wrong:
        desk.registry(changes)
    return [(one.code, one.pointer) for one in wrong.value.faults]


def endpoint(kind, address):
    return {"/providers/0/endpoints/0/kind": kind, "/providers/0/endpoints/0/address": address}


def test_the_example_registry_is_read(desk):
    registry = desk.registry()
    assert registry.patient("MRN-1001").name.full() == "Zoë Núñez-Đặng"
    assert len(registry.providers) == 2


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"/patients/0/care_team/0/provider": "pr-9"}, "provider.unknown", "/patients/0/care_team/0/provider"),
        ({"/patients/0/consents/1/recipient": "pr-9"}, "provider.unknown", "/patients/0/consents/1/recipient"),
        ({"/patients/0/identifiers/0/held_by": "pr-9"}, "provider.unknown", "/patients/0/identifiers/0/held_by"),
        ({"/providers/1/endpoints/0/verified_by": "st-9"}, "staff.unknown", "/providers/1/endpoints/0/verified_by"),
        ({"/clinic/time_zone": "America/Duluth"}, "time-zone", "/clinic/time_zone"),
        ({"/providers/0/time_zone": "Mars/Olympus"}, "time-zone", "/providers/0/time_zone"),
        ({"/patients/0/name": {"suffix": "III"}}, "name.empty", "/patients/0/name"),
        ({"/staff/0/name": {}}, "name.empty", "/staff/0/name"),
        ({"/clinic/phone": "+1-218-55"}, "phone", "/clinic/phone"),
        ({"/patients/0/phone": "+999-218-555-0110"}, "phone", "/patients/0/phone"),
        ({"/patients/0/care_team/0/to": "2026-09-30"}, "order", "/patients/0/care_team/0/to"),
        ({"/patients/0/consents/0/to": "2026-09-30"}, "order", "/patients/0/consents/0/to"),
        ({"/patients/0/consents/1/id": "cn-1"}, "id.twice", "/patients/0/consents/1/id"),
        ({"/staff/1/id": "st-1"}, "id.twice", "/staff/1/id"),
        ({"/providers/1/endpoints/0/id": "ep-psych-fhir"}, "id.twice", "/providers/1/endpoints/0/id"),
    ],
)
def test_what_does_not_fit_together_is_refused_at_its_place(desk, changes, code, where):
    assert (code, where) in refused(desk, changes)


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"/schema_version": True}, "choice", "/schema_version"),
        ({"/patients/0/medications/0/dose": {"unknown": 1}}, "yes-no", "/patients/0/medications/0/dose/unknown"),
        ({"/providers/0/endpoints/0/pace": {"at_once": True}}, "number.whole", "/providers/0/endpoints/0/pace/at_once"),
        ({"/providers/0/endpoints/0/pace": {"at_once": "4"}}, "number.whole", "/providers/0/endpoints/0/pace/at_once"),
        (
            {"/providers/0/endpoints/0/pace": {"per_minute": 1.5}},
            "number.whole",
            "/providers/0/endpoints/0/pace/per_minute",
        ),
    ],
)
def test_nothing_is_taken_for_what_it_equals(desk, changes, code, where):
    assert refused(desk, changes) == [(code, where)]


@pytest.mark.parametrize(
    ("dose", "code", "where"),
    [
        ({"value": "30", "unit": "x@y"}, "unit.medicine", "unit"),
        ({"value": "30", "unit": "kg"}, "unit.medicine", "unit"),
        ({"value": "30", "unit": "milligrams"}, "unit.medicine", "unit"),
        ({"value": "-30", "unit": "mg"}, "not-above-zero", "value"),
        ({"value": "0", "unit": "mg"}, "not-above-zero", "value"),
    ],
)
def test_a_known_medicine_has_a_dose_above_nothing_in_a_usable_unit(desk, dose, code, where):
    with pytest.raises(Unreadable) as wrong:
        desk.registry({"/patients/0/medications/0/dose": dose})
    (fault,) = wrong.value.faults
    assert (fault.code, fault.pointer) == (code, f"/patients/0/medications/0/dose/{where}")
    assert fault.message
    assert where == "value" or all(unit in fault.fix for unit in MEDICINE_UNITS)


@pytest.mark.parametrize("unit", [*MEDICINE_UNITS, "mcg", "g", "mcg/h"])
def test_a_known_medicine_in_a_usable_unit_is_taken(desk, unit):
    assert desk.registry({"/patients/0/medications/0/dose": {"value": "30", "unit": unit}})
    assert desk.registry({"/patients/0/medications/0/dose": {"unknown": True}})


def test_a_medicine_of_the_registry_is_refused_in_the_words_of_an_event(desk):
    with pytest.raises(Unreadable) as wrong:
        desk.registry({"/patients/0/medications/0/dose": {"value": "0", "unit": "kg"}})
    here = {one.code: (one.message, one.fix) for one in wrong.value.faults}
    rows = {one["id"]: one for one in (*desk.checks.units, *desk.checks.logic)}
    assert here == {code: (rows[code]["says"], rows[code]["fix"]) for code in ("unit.medicine", "not-above-zero")}


@pytest.mark.parametrize(
    "where",
    [
        "/clinic/name",
        "/clinic/closing_line",
        "/clinic/address/city",
        "/clinic/address/lines/0",
        "/staff/0/name/family",
        "/providers/0/organization",
        "/providers/0/endpoints/0/verified_how",
        "/patients/0/name/preferred",
        "/patients/0/name/given/0",
        "/patients/0/address/lines/0",
        "/patients/0/identifiers/0/value",
        "/patients/0/consents/0/evidence",
        "/patients/0/medications/0/product",
    ],
)
@pytest.mark.parametrize("char", ["\u202e", "\u0085", "\u2028", "\ufffe"])
def test_a_character_that_nobody_sees_is_refused_in_every_text(desk, where, char):
    assert refused(desk, {where: f"a{char}b"}) == [("text.characters", where)]


def test_everything_wrong_comes_at_once(desk):
    found = refused(desk, {"/clinic/time_zone": "X", "/staff/0/name": {}, "/patients/0/consents/1/recipient": "pr-9"})
    assert len(found) == 3


def test_shape_faults_come_with_their_place_and_the_nearest_spelling(desk):
    with pytest.raises(Unreadable) as wrong:
        desk.registry({"/clinic/fone": "x", "/patients/0/birth_date": "7 March 1988"})
    fixes = {one.pointer: one for one in wrong.value.faults}
    assert set(fixes) == {"/clinic/fone", "/patients/0/birth_date"}
    assert fixes["/patients/0/birth_date"].code == "date"


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("fhir-rest", "https://ehr.northshore.example/fhir"),
        ("fhir-message", "https://ehr.northshore.example:8443/fhir"),
        ("fhir-rest", "http://127.0.0.1:8080/fhir"),
        ("fhir-rest", "http://localhost:8080/fhir"),
        ("fhir-rest", "http://[::1]:8080/fhir"),
        ("direct", "l.muller@direct.northshore.example"),
        ("secure-link", "office@northshore.example"),
        ("fax", "+1-218-555-0143"),
        ("fax", "+12185550143"),
        ("fax", "+44-20-7946-0958"),
        ("by-hand", "front-desk"),
    ],
)
def test_an_address_that_fits_its_kind_is_taken(desk, kind, address):
    assert desk.registry(endpoint(kind, address)).providers[0].endpoints[0].address == address


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("fhir-rest", "http://ehr.northshore.example/fhir"),
        ("fhir-rest", "http://127.0.0.1.example/fhir"),
        ("fhir-rest", "http://10.0.0.5/fhir"),
        ("fhir-rest", "ftp://ehr.northshore.example/fhir"),
        ("fhir-rest", "https://user:secret@ehr.northshore.example/fhir"),
        ("fhir-rest", "https://ehr.northshore.example/fhir?patient=1"),
        ("fhir-rest", "https:///fhir"),
        ("fhir-rest", "https://[oops/fhir"),
        ("direct", "direct.northshore.example"),
        ("direct", "a@b@c.example"),
        ("direct", "name@localhost"),
        ("secure-link", "https://northshore.example"),
        ("fax", "218-555-0143"),
        ("fax", "+1-218"),
        ("fax", "+1-218-555-0143x7"),
        ("fax", "+1-218-555-0143;ext=7"),
        ("fax", "+12185550143,,7"),
        ("fax", "+1-218-FLOWERS"),
        ("fax", "+1.218.555.0143"),
        ("fax", "+1(218)555-0143"),
        ("fax", "+1-218-555-014\N{ARABIC-INDIC DIGIT THREE}"),
        ("fax", "+-1-218-555-0143"),
        ("fax", "fax@northshore.example"),
    ],
)
def test_an_address_that_does_not_fit_its_kind_is_refused(desk, kind, address):
    assert ("endpoint.address", "/providers/0/endpoints/0/address") in refused(desk, endpoint(kind, address))


def test_a_person_with_one_name_is_a_person(desk):
    assert desk.registry({"/patients/0/name": {"given": ["Suharto"]}}).patients[0].name.full() == "Suharto"
    assert desk.registry({"/patients/0/name": {"family": "O’Brien-Süß"}}).patients[0].name.full() == "O’Brien-Süß"


def test_names_come_out_in_composed_form(desk):
    decomposed = json.loads(json.dumps(desk.clinic).replace("\\u00eb", "e\\u0308"))
    assert read_registry(json.dumps(decomposed).encode()).patients[0].name.given == ("Zoë",)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff\xfe"])
def test_a_body_that_is_no_registry_is_refused(body):
    with pytest.raises(Unreadable):
        read_registry(body)
