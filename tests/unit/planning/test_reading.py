"""Reading events: strictly, with every fault at once, and without the values."""

import json
from decimal import Decimal

import pytest

from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.values import NotDone, Unknown
from coordinator.planning.faults import Unreadable
from coordinator.planning.reading import MAX_BYTES, read_event, read_value


def refused(body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Unreadable) as wrong:
        read_event(body)
    return {one.pointer: one for one in wrong.value.faults}


@pytest.mark.parametrize("name", ["session-outcome.bp-spike", "session-outcome.esketamine"])
def test_the_example_sessions_are_read(desk, name):
    assert isinstance(desk.example(f"{name}.json"), SessionOutcome)


@pytest.mark.parametrize("name", ["dose-change.ketamine", "dose-change.stimulant-hold"])
def test_the_example_dose_changes_are_read(desk, name):
    assert isinstance(desk.example(f"{name}.json"), DoseChange)


def test_every_fault_comes_at_once_each_at_its_place(desk):
    event = desk.session(
        {
            "/vitals/0/systolicc": 3,
            "/vitals/1/systolic": "x",
            "/weight": 82,
            "/administration/started_at": "2026-10-14T10:00:00",
            "/status": desk.gone,
            "/discharge/ready": "yes",
            "/next_session_on": 5,
            "/sedation": {"scale": "moaa-s"},
        }
    )
    faults = refused(event)
    assert {where: one.code for where, one in faults.items()} == {
        "/vitals/0/systolicc": "field.unknown",
        "/vitals/1/systolic": "number.whole",
        "/weight": "unit.missing",
        "/administration/started_at": "instant.ambiguous",
        "/status": "missing",
        "/discharge/ready": "yes-no",
        "/next_session_on": "date",
        "/sedation/lowest": "missing",
        "/sedation/at": "missing",
    }
    assert "Write systolic if that was meant" in faults["/vitals/0/systolicc"].fix


def test_a_place_with_several_forms_makes_one_fault(desk):
    for value in ("x", [1], {"un_known": True}, True):
        faults = refused(desk.session({"/vitals/0/heart_rate": value}))
        assert len(faults) == 1
        assert all(where.startswith("/vitals/0/heart_rate") for where in faults)


def test_an_amount_without_a_unit_says_so(desk):
    for value in (0.5, "0.5", {"value": "0.5"}):
        (fault,) = refused(desk.session({"/administration/dose": value})).values()
        assert fault.code == "unit.missing"
        assert "unit" in fault.fix


def test_a_time_without_offset_is_ambiguous(desk):
    (fault,) = refused(desk.session({"/vitals/0/at": "2026-11-01T01:30"})).values()
    assert (fault.code, fault.pointer) == ("instant.ambiguous", "/vitals/0/at")
    assert "ambiguous" in fault.message


@pytest.mark.parametrize("when", ["2026-10-14", 1760000000, "yesterday", "2026-13-40T10:00:00Z", None])
def test_what_is_no_instant_is_refused(desk, when):
    assert refused(desk.session({"/recorded_at": when}))["/recorded_at"].code == "instant"


@pytest.mark.parametrize("value", ["yes", 1, 0, "true", "on"])
def test_a_yes_or_no_is_never_guessed(desk, value):
    assert refused(desk.session({"/discharge/escort": value}))["/discharge/escort"].code == "yes-no"


@pytest.mark.parametrize("value", [20261016, "2026-10-16T00:00:00", "16.10.2026", "2026-02-30"])
def test_a_day_is_never_guessed(desk, value):
    assert refused(desk.session({"/next_session_on": value}))["/next_session_on"].code == "date"


@pytest.mark.parametrize("value", [1, 1.0, 0, "true", "yes", None])
def test_unknown_is_true_and_nothing_that_equals_it(desk, value):
    (fault,) = refused(desk.session({"/vitals/0/spo2": {"unknown": value}})).values()
    assert (fault.pointer, fault.code) == ("/vitals/0/spo2/unknown", "yes-no")
    assert '{"unknown": true}' in fault.fix


@pytest.mark.parametrize("value", [True, 1.0, "1", 2, None])
def test_the_version_of_the_schema_is_a_whole_number_and_nothing_that_equals_it(desk, value):
    (fault,) = refused(desk.session({"/schema_version": value})).values()
    assert (fault.pointer, fault.code) == ("/schema_version", "choice")
    assert "Use one of: 1." in fault.fix


@pytest.mark.parametrize("year", ["0001", "1799", "2200", "9999"])
def test_a_year_that_no_record_speaks_of_is_refused(desk, year):
    changes = {"/recorded_at": f"{year}-12-31T23:59:59-12:00", "/next_session_on": f"{year}-12-31"}
    faults = refused(desk.session({**changes, "/vitals/0/at": f"{year}-01-01T00:00:00+14:00"}))
    assert {where: one.code for where, one in faults.items()} == dict.fromkeys(
        ("/recorded_at", "/next_session_on", "/vitals/0/at"), "year"
    )


@pytest.mark.parametrize("offset", ["+23:59", "+14:01", "-15:00", "+1500"])
def test_an_offset_that_no_clock_has_is_refused(desk, offset):
    (fault,) = refused(desk.session({"/vitals/0/at": f"2026-10-14T09:50:00{offset}"})).values()
    assert (fault.pointer, fault.code) == ("/vitals/0/at", "instant.offset")


@pytest.mark.parametrize("offset", ["Z", "+14:00", "-12:00", "+05:45"])
def test_an_offset_of_some_clock_is_taken(desk, offset):
    assert desk.read(desk.session({"/vitals/0/at": f"2026-10-14T09:50:00{offset}"}))


def test_the_python_name_of_a_field_is_not_a_field(desk):
    event = desk.dose_change()
    event["from_"] = event.pop("from")
    assert set(refused(event)) == {"/from_", "/from"}


def test_unknown_and_not_done_are_kept_apart(desk):
    event = desk.read(desk.session({"/vitals/0/spo2": {"unknown": True}, "/vitals/1/spo2": {"not_done": "probe off"}}))
    assert isinstance(event.vitals[0].spo2, Unknown)
    assert isinstance(event.vitals[1].spo2, NotDone)


def test_a_decimal_keeps_its_digits(desk):
    body = json.dumps(desk.session()).replace('"41"', "37.50").encode()
    assert str(read_event(body).administration.dose.value) == "37.50"


def test_a_float_has_lost_its_digits_and_is_refused(desk):
    with pytest.raises(Unreadable):
        read_value(desk.session({"/administration/dose/value": 41.5}))
    assert read_value(desk.session({"/administration/dose/value": Decimal("41.5")}))


@pytest.mark.parametrize(
    ("body", "where", "code"),
    [
        (b'{"type": "session-outcome", "id": "a", "id": "b"}', "/id", "field.twice"),
        (b'{"course": {"id": "a", "id": "b"}}', "/course/id", "field.twice"),
        (b'{"version": NaN}', "/version", "number.form"),
        (b'{"version": -Infinity}', "/version", "number.form"),
        (b'{"version": 1' + b"0" * 6000 + b"}", "/version", "number.form"),
        (b'{"id": "a\\u0000b"}', "/id", "text.characters"),
        (b'{"id": "\\ud83d"}', "/id", "text.characters"),
        (b'{"id": "\xff"}', "", "encoding"),
        (b'{"id": ', "", "json"),
        (b"", "", "json"),
        (b"[" * 100_000, "", "depth"),
        (b"[" * 40 + b"]" * 40, "/0" * 25, "depth"),
        (b"[]", "", "object"),
        (b'"text"', "", "object"),
        (b'{"type": "letter"}', "/type", "type"),
        (b"{}", "/type", "type"),
        (b" " * (MAX_BYTES + 1), "", "size"),
    ],
)
def test_what_is_not_strict_json_is_refused_at_its_place(body, where, code):
    assert refused(body)[where].code == code


UNSEEN = [
    ("\u202e", "turns the direction"),
    ("\u2066", "turns the direction"),
    ("\u0085", "control character"),
    ("\u2028", "separator"),
    ("\ufffe", "no character"),
    ("\U0010ffff", "no character"),
]


@pytest.mark.parametrize(("char", "kind"), UNSEEN)
@pytest.mark.parametrize(
    "where",
    ["/plan", "/status_reason", "/administration/reason", "/administration/lot_number", "/amendment_reason",
     "/other_medications_taken/0/product", "/adverse_events/0/term", "/id"],
)  # fmt: skip
def test_a_character_that_nobody_sees_is_refused_by_its_kind(desk, where, char, kind):
    (fault,) = refused(desk.session({where: f"take 30{char}mg"})).values()
    assert (fault.pointer, fault.code) == (where, "text.characters")
    assert kind in fault.message
    assert "Type the text anew" in fault.fix
    assert char not in fault.message + fault.fix


@pytest.mark.parametrize("where", ["/reason/text", "/resume_when", "/from/product", "/from/frequency"])
def test_a_character_that_nobody_sees_is_refused_in_a_change_of_dose(desk, where):
    assert refused(desk.hold({where: "a\u202eb"}))[where].code == "text.characters"


def test_a_reason_why_something_was_not_done_holds_no_unseen_character(desk):
    faults = refused(desk.session({"/vitals/0/spo2": {"not_done": "probe\u2029off"}}))
    assert faults["/vitals/0/spo2/not_done"].code == "text.characters"


@pytest.mark.parametrize("text", ["דוד\u200f ו-3", "می\u200cخواهم", "\U0001f468\u200d\U0001f469", "Zoe\u0308", "محمد"])
def test_what_scripts_need_is_taken(desk, text):
    assert desk.read(desk.session({"/plan": text}))


def test_half_of_a_character_is_refused_in_any_text(desk):
    body = json.dumps(desk.session({"/plan": "x\ud83d"})).encode()
    assert refused(body)["/plan"].code == "text.characters"


def test_a_text_is_kept_in_composed_form(desk):
    event = desk.read(desk.session({"/plan": "Zoe\u0308 rests"}))
    assert event.plan == "Zo\u00eb rests"


def test_a_fault_never_holds_the_value(desk):
    secret = "Zebedee-4711"
    changes = {"/status": secret, "/plan": secret * 100, "/vitals/0/systolic": secret, "/weight": secret}
    said = " ".join(f"{one.message} {one.fix}" for one in refused(desk.session(changes)).values())
    assert secret not in said


def test_the_exception_itself_says_nothing_of_the_content(desk):
    with pytest.raises(Unreadable) as wrong:
        read_event(json.dumps(desk.session({"/status": "Zebedee"})).encode())
    assert str(wrong.value) == "1 faults"


def test_saturation_as_a_fraction_is_told_to_be_a_percentage(desk):
    (fault,) = refused(desk.session({"/vitals/0/spo2": 0.97})).values()
    assert "97" in fault.fix
