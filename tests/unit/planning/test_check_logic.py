"""Every logic row of the validation table: an event that it minds, where it points, and one that it leaves alone."""

import pytest

SPRAY = {
    "/administration/route": "intranasal",
    "/administration/concentration": {"value": "100", "unit": "mg/mL"},
    "/administration/ordered": None,
    "/administration/ended_at": None,
    "/administration/dose": {"value": "50", "unit": "mg"},
    "/administration/sprays": 5,
}


def mg(value):
    return {"value": str(value), "unit": "mg"}


def session(changes):
    return lambda desk: desk.check(desk.session(changes))


def esketamine(changes):
    return lambda desk: desk.check(desk.esketamine(changes))


def hold(changes):
    return lambda desk: desk.check(desk.hold(changes))


def change(changes):
    return lambda desk: desk.check(desk.dose_change(changes))


def later(changes=None, before=None, **around):
    """Two days after a first session of the same course."""

    def run(desk):
        first = desk.session({"/id": "sess-1", "/course/session_number": 2, **(before or {})}, day="2026-10-12")
        registry = desk.registry(around["registry"]) if "registry" in around else None
        other = {"/vitals/0/systolic": 126, "/vitals/1/systolic": 133, "/vitals/2/systolic": 139}
        return desk.check(desk.session({**other, **(changes or {})}), history=(first,), registry=registry)

    return run


def week_of(number):
    """The last of so many sessions on following days."""

    def run(desk):
        days = [
            desk.session(
                {"/id": f"s-{n}", "/course/session_number": n, "/vitals/0/systolic": 120 + n},
                day=f"2026-10-{8 + n:02d}",
            )
            for n in range(1, number)
        ]
        last = desk.session({"/course/session_number": number}, day=f"2026-10-{8 + number:02d}")
        return desk.check(last, history=tuple(days))

    return run


def registry(changes, event=None):
    return lambda desk: desk.check(desk.session(event), registry=desk.registry(changes))


REFUSED = [
    ("patient-unknown", "/patient", session({"/patient": "MRN-9"})),
    (
        "patient-changed",
        "/patient",
        lambda desk: desk.check(desk.session({"/version": 2}), previous=desk.session({"/patient": "MRN-1002"})),
    ),
    ("staff-unknown", "/recorded_by", session({"/recorded_by": "st-9"})),
    ("staff-unknown", "/attested_by", session({"/attested_by": "st-9"})),
    ("staff-unknown", "/discharge/discharged_by", session({"/discharge/discharged_by": "st-9"})),
    ("staff-unknown", "/decided_by", change({"/decided_by": "st-9"})),
    ("provider-unknown", "/requested_of", hold({"/requested_of": "pr-9"})),
    ("no-indication", "/course/id", registry({"/patients/0/course": None})),
    ("no-indication", "/course/id", registry({"/patients/0/course/indications": []})),
    ("course-unknown", "/course/id", session({"/course/id": "course-9"})),
    (
        "part2-denied",
        "/part2",
        lambda desk: desk.check(desk.session({"/part2": False}), registry=desk.registry({"/clinic/part2": True})),
    ),
    (
        "minor-on-esketamine",
        "/administration/product",
        lambda desk: desk.check(desk.esketamine(), registry=desk.registry({"/patients/0/birth_date": "2009-11-20"})),
    ),
    ("completed-without-dose", "/administration", session({"/administration": None})),
    ("dose-without-treatment", "/administration", session({"/status": "no-show"})),
    ("impossible-route", "/administration/route", esketamine({"/administration/route": "intravenous"})),
    (
        "impossible-route",
        "/to/route",
        change({"/to": {"product": "esketamine", "route": "oral", "dose": mg(56)}, "/action": "switch"}),
    ),
    ("unknown-clinic-drug", "/to/product", change({"/to/product": "psilocybin"})),
    ("esketamine-per-weight", "/administration/dose/unit", esketamine({"/administration/dose/unit": "mg/kg"})),
    (
        "esketamine-per-weight",
        "/to/dose/unit",
        change({"/to/product": "esketamine", "/to/route": "intranasal", "/action": "switch"}),
    ),
    ("not-whole-devices", "/administration/dose/value", esketamine({"/administration/dose": mg(42)})),
    (
        "not-whole-devices",
        "/to/dose/value",
        change({"/to": {"product": "esketamine", "dose": mg(42)}, "/action": "switch"}),
    ),
    ("devices-do-not-add-up", "/administration/devices", esketamine({"/administration/dose": mg(84)})),
    (
        "concentration-missing",
        "/administration/concentration",
        session({**SPRAY, "/administration/concentration": None}),
    ),
    ("sprays-do-not-add-up", "/administration/sprays", session({**SPRAY, "/administration/dose_per_spray": mg(11)})),
    (
        "sprays-do-not-add-up",
        "/administration/sprays",
        session({**SPRAY, "/administration/volume_per_spray": {"value": "0.2", "unit": "mL"}}),
    ),
    ("weight-missing", "/weight", session({"/weight": None})),
    ("not-above-zero", "/administration/ordered/value", session({"/administration/ordered/value": "-0.5"})),
    ("not-above-zero", "/administration/ordered/value", session({"/administration/ordered": mg(0)})),
    (
        "not-above-zero",
        "/administration/concentration/value",
        session({**SPRAY, "/administration/concentration": {"value": "-10", "unit": "mg/mL"}}),
    ),
    (
        "not-above-zero",
        "/administration/dose_per_spray/value",
        session({**SPRAY, "/administration/dose_per_spray": mg(-1)}),
    ),
    (
        "not-above-zero",
        "/administration/volume_per_spray/value",
        session({**SPRAY, "/administration/volume_per_spray": {"value": "-1", "unit": "mL"}}),
    ),
    (
        "not-above-zero",
        "/other_medications_taken/0/dose/value",
        session({"/other_medications_taken/0/dose/value": "-30"}),
    ),
    (
        "not-above-zero",
        "/rescue_medications/0/dose/value",
        session(
            {
                "/rescue_medications": [
                    {
                        "product": "labetalol",
                        "role": "antihypertensive",
                        "dose": mg(-10),
                        "at": "2026-10-14T10:50:00-05:00",
                    }
                ]
            }
        ),
    ),
    ("not-above-zero", "/from/dose/value", hold({"/from/dose/value": "-30"})),
    ("new-dose-not-above-zero", "/to/dose/value", change({"/to/dose/value": "0", "/action": "decrease"})),
    (
        "new-dose-not-above-zero",
        "/to/dose/value",
        hold({"/kind": "reported-by-patient", "/action": "decrease", "/to": {"product": "Adderall XR", "dose": mg(0)}}),
    ),
    (
        "times-out-of-order",
        "/administration/ended_at",
        session({"/administration/ended_at": "2026-10-14T09:59:00-05:00"}),
    ),
    ("times-out-of-order", "/discharge/at", session({"/discharge/at": "2026-10-14T10:20:00-05:00"})),
    ("times-out-of-order", "/monitoring_ended_at", session({"/monitoring_ended_at": "2026-10-14T09:00:00-05:00"})),
    (
        "times-out-of-order",
        "/adverse_events/0/resolved_at",
        session({"/adverse_events/0/resolved_at": "2026-10-14T10:20:00-05:00"}),
    ),
    (
        "times-out-of-order",
        "/dissociation/resolved_at",
        session({"/dissociation/onset_at": "2026-10-14T11:20:00-05:00"}),
    ),
    ("times-out-of-order", "/sedation/resolved_at", session({"/sedation/resolved_at": "2026-10-14T10:20:00-05:00"})),
    ("next-session-passed", "/next_session_on", session({"/next_session_on": "2026-10-13"})),
    ("half-a-pressure", "/vitals/1/diastolic", session({"/vitals/1/diastolic": None})),
    ("half-a-pressure", "/vitals/1/systolic", session({"/vitals/1/systolic": None})),
    ("pressure-upside-down", "/vitals/1/diastolic", session({"/vitals/1/systolic": 80, "/vitals/1/diastolic": 80})),
    ("pulse-pressure", "/vitals/1/diastolic", session({"/vitals/1/systolic": 91, "/vitals/1/diastolic": 82})),
    ("no-pressure-before-dose", "/vitals", session({"/vitals": []})),
    ("session-number-twice", "/course/session_number", later({"/course/session_number": 2})),
    ("hold-without-end", "/resume_when", hold({"/resume_when": None})),
    ("stimulant-ordered-by-clinic", "/kind", hold({"/kind": "ordered", "/decided_by": "st-1"})),
    ("stimulant-ordered-by-clinic", "/kind", hold({"/kind": "performed", "/decided_by": "st-1"})),
    ("other-not-reported", "/kind", hold({"/subject": "other"})),
    ("other-not-reported", "/kind", change({"/subject": "other"})),
    ("own-drug-requested", "/kind", change({"/kind": "requested-of-prescriber", "/requested_of": "pr-psych"})),
    ("nobody-decided", "/decided_by", change({"/decided_by": None})),
    ("nobody-asked", "/requested_of", hold({"/requested_of": None})),
    ("new-regimen-missing", "/to", change({"/to": None})),
    ("new-regimen-with-stop", "/to", hold({"/to": {"product": "Adderall XR", "dose": mg(10)}})),
    ("switch-called-otherwise", "/action", change({"/to": {"product": "esketamine", "dose": mg(56)}})),
    ("switch-to-the-same", "/action", change({"/action": "switch"})),
    ("direction-wrong", "/action", change({"/action": "decrease"})),
    ("direction-wrong", "/action", change({"/to/dose/value": "0.4"})),
    ("direction-wrong", "/action", change({"/action": "unchanged"})),
    ("ends-before-it-begins", "/effective_to", change({"/effective_to": "2026-10-15"})),
]
ASKED = [
    ("minor-without-guardian", "/patient", registry({"/patients/0/birth_date": "2009-11-20"})),
    ("dose-unknown", "/administration/dose", session({"/administration/dose": {"unknown": True}})),
    (
        "unusual-esketamine-dose",
        "/administration/dose/value",
        esketamine({"/administration/dose": mg(28), "/administration/devices": 1}),
    ),
    (
        "first-esketamine-dose-high",
        "/administration/dose/value",
        esketamine({"/administration/dose": mg(84), "/administration/devices": 3, "/course/session_number": 1}),
    ),
    ("lot-missing", "/administration/lot_number", esketamine({"/administration/lot_number": None})),
    ("dose-differs-from-order", "/administration/dose/value", session({"/administration/dose": mg(46)})),
    ("dose-differs-from-order", "/administration/dose/value", session({"/administration/ordered": mg(30)})),
    ("weight-unknown", "/weight", session({"/weight": {"not_done": "scale broken"}})),
    ("pounds-for-kilograms", "/weight/value", later({"/weight/value": "180.8", "/administration/ordered": None})),
    ("pounds-for-kilograms", "/weight/value", later({"/weight/value": "37.2", "/administration/ordered": None})),
    ("weight-jump", "/weight/value", later({"/weight/value": "92", "/administration/ordered": None})),
    ("long-gap", "/monitoring_ended_at", session({"/monitoring_ended_at": "2026-10-14T17:00:00-05:00"})),
    ("in-the-future", "/recorded_at", session({"/recorded_at": "2026-11-02T00:00:00-05:00"})),
    (
        "pressure-before-dose-unknown",
        "/vitals",
        session(
            {"/vitals/0/systolic": {"not_done": "cuff broken"}, "/vitals/0/diastolic": {"not_done": "cuff broken"}}
        ),
    ),
    (
        "no-pressure-at-40-minutes",
        "/vitals",
        esketamine({"/vitals/1": {"slot": "90-min", "at": "2026-10-15T11:30:00-05:00"}}),
    ),
    (
        "vitals-copied",
        "/vitals",
        later({"/vitals/0/systolic": 124, "/vitals/1/systolic": 132, "/vitals/2/systolic": 138}),
    ),
    ("fahrenheit", "/vitals/0/temperature/value", session({"/vitals/0/temperature": {"value": "98.6", "unit": "Cel"}})),
    ("session-number-gap", "/course/session_number", later({"/course/session_number": 4})),
    ("session-number-gap", "/course/session_number", session({"/course/session_number": 0})),
    ("many-sessions", "/course/session_number", week_of(4)),
    (
        "left-before-two-hours",
        "/monitoring_ended_at",
        esketamine({"/monitoring_ended_at": "2026-10-15T11:30:00-05:00"}),
    ),
    ("left-before-two-hours", "/monitoring_ended_at", esketamine({"/monitoring_ended_at": None})),
    ("dissociated-at-discharge", "/dissociation/resolved_at", session({"/dissociation/resolved_at": None})),
    (
        "dissociated-at-discharge",
        "/dissociation/resolved_at",
        session({"/dissociation/resolved_at": {"not_done": "still there"}}),
    ),
    ("serious-adverse-event", "/adverse_events/0/serious", session({"/adverse_events/0/serious": True})),
    ("left-without-escort", "/discharge/escort", session({"/discharge/escort": False})),
    ("drove-home", "/discharge/drove_self", session({"/discharge/drove_self": True})),
    ("left-before-ready", "/discharge/ready", session({"/discharge/ready": False})),
    (
        "last-stimulant-time-unknown",
        "/other_medications_taken/0/last_taken_at",
        session({"/other_medications_taken/0/last_taken_at": {"unknown": True}}),
    ),
    (
        "last-stimulant-time-unknown",
        "/other_medications_taken/0/last_taken_at",
        session({"/other_medications_taken/0/last_taken_at": None}),
    ),
    (
        "stimulant-above-usual",
        "/other_medications_taken/0/dose/value",
        session({"/other_medications_taken/0/dose/value": "80"}),
    ),
    (
        "stimulant-above-usual",
        "/other_medications_taken/0/dose/value",
        session(
            {
                "/other_medications_taken/0/product": "Ritalin",
                "/other_medications_taken/0/dose/value": "40",
                "/other_medications_taken/0/frequency": "twice daily",
            }
        ),
    ),
    ("stimulant-above-usual", "/from/dose/value", hold({"/from/dose/value": "90"})),
    (
        "asked-outside-care-team",
        "/requested_of",
        lambda desk: desk.check(desk.hold(), registry=desk.registry({"/patients/0/care_team/0/to": "2026-10-10"})),
    ),
    (
        "unusual-esketamine-dose",
        "/to/dose/value",
        change({"/action": "switch", "/to": {"product": "Esketamine", "route": "intranasal", "dose": mg(560)}}),
    ),
    ("units-not-comparable", "/to/dose/unit", change({"/to/dose": mg(45)})),
    (
        "stimulant-statements-differ",
        "/from",
        lambda desk: desk.check(
            desk.hold({"/from/dose/value": "20"}),
            registry=desk.registry(
                {
                    "/patients/0/medications/-": {
                        "role": "stimulant",
                        "product": "Adderall XR",
                        "form": "extended-release",
                        "dose": mg(30),
                        "frequency": "once daily",
                        "as_of": "2026-10-10",
                        "source": "prescriber",
                    }
                }
            ),
        ),
    ),
]
LEFT_ALONE = [
    lambda desk: desk.check(desk.session({"/version": 2}), previous=desk.session()),
    session({}),
    session({"/next_session_on": "2026-10-14"}),
    session({"/status": "cancelled", "/administration": None, "/vitals": [], "/next_session_on": "2026-10-13"}),
    esketamine({}),
    hold({}),
    change({}),
    session(SPRAY),
    session({**SPRAY, "/administration/volume_per_spray": {"value": "0.1", "unit": "mL"}}),
    session({"/status": "aborted", "/administration": None, "/monitoring_ended_at": None}),
    session({"/weight": {"unknown": True}, "/administration/ordered": None}),
    session({"/vitals/3/systolic": {"unknown": True}, "/vitals/3/diastolic": {"unknown": True}}),
    session({"/administration/dose": mg(44)}),
    session({"/dissociation": {"present": False}}),
    session({"/other_medications_taken/0/last_taken_at": {"not_done": "left out today"}}),
    esketamine(
        {"/administration/dose": mg(28), "/administration/devices": 1, "/administration/reason": "72 years old"}
    ),
    esketamine(
        {"/monitoring_ended_at": "2026-10-15T11:30:00-05:00", "/monitoring_shortened_reason": "left on own wish"}
    ),
    esketamine({"/monitoring_ended_at": "2026-10-15T12:00:00-05:00"}),
    later(),
    later({"/course/session_number": 2}, before={"/status": "no-show", "/administration": None}),
    later({"/course/session_number": 2}, before={"/status": "entered-in-error"}),
    week_of(3),
    change({"/action": "switch", "/to": {"product": "esketamine", "route": "intranasal", "dose": mg(56)}}),
    hold({"/kind": "reported-by-patient", "/requested_of": None}),
    hold({"/kind": "reported-by-patient", "/requested_of": None, "/subject": "other"}),
    lambda desk: desk.check(
        desk.session(),
        registry=desk.registry(
            {"/patients/0/birth_date": "2009-11-20", "/patients/0/guardian_consent": "form of 2026-09-30"}
        ),
    ),
]


def ids(rows):
    return [f"{name}-{number}" for number, (name, *_) in enumerate(rows)]


@pytest.mark.parametrize(("row", "where", "run"), REFUSED, ids=ids(REFUSED))
def test_what_cannot_be_is_refused_at_its_place(desk, row, where, run):
    faults, _ = run(desk)
    assert (row, where) in {(one.code, one.pointer) for one in faults}


@pytest.mark.parametrize(("row", "where", "run"), ASKED, ids=ids(ASKED))
def test_what_is_unlikely_is_asked_at_its_place(desk, row, where, run):
    faults, questions = run(desk)
    assert faults == ()
    assert (row, where) in {(one.id.partition("@")[0], one.pointer) for one in questions}


@pytest.mark.parametrize("run", LEFT_ALONE)
def test_what_is_in_order_is_left_alone(desk, run):
    assert run(desk) == ((), ())


def test_every_logic_row_has_a_test(desk):
    assert {one["id"] for one in desk.checks.logic} == {row for row, *_ in (*REFUSED, *ASKED)}


def test_every_question_reads_as_a_question_and_names_who_answers(desk):
    for _, _, run in ASKED:
        for one in run(desk)[1]:
            assert one.text.endswith(("?", "confirm it.", "settled."))
            assert "{" not in one.text
            assert one.role in ("clinician", "nurse", "front-desk")


def test_all_faults_come_at_once(desk):
    faults, _ = desk.check(
        desk.session({"/recorded_by": "st-9", "/weight": None, "/vitals/1/diastolic": None, "/vitals/0/spo2": 7})
    )
    assert {one.code for one in faults} == {"staff-unknown", "weight-missing", "half-a-pressure", "spo2"}


def test_the_place_of_a_fault_is_not_asked_about_as_well(desk):
    faults, questions = later({"/weight/value": "19", "/administration/ordered": None})(desk)
    assert "/weight/value" in {one.pointer for one in faults}
    assert "/weight/value" not in {one.pointer for one in questions}


def test_a_retracted_record_is_only_checked_for_whom_it_is_about(desk):
    wrong = {"/status": "entered-in-error", "/vitals": [], "/weight/value": "4000"}
    assert desk.check(desk.session(wrong)) == ((), ())
    faults, _ = desk.check(desk.session({**wrong, "/patient": "MRN-9"}))
    assert [one.code for one in faults] == ["patient-unknown"]
