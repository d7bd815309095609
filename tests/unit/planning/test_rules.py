"""Coordination rules: when each fires, at which priority, when it cannot tell, and when it is off."""

from datetime import date

import pytest
import yaml

from coordinator.domain.errors import ConfigurationError
from coordinator.planning.rules import evaluate, load_rules, sign_all

from_slots = {"baseline": 0, "20-min": 1, "40-min": 2, "60-min": 3, "discharge": 4}


def pressure(slot, systolic, diastolic):
    at = f"/vitals/{from_slots[slot]}"
    return {f"{at}/systolic": systolic, f"{at}/diastolic": diastolic}


def rate(slot, value):
    return {f"/vitals/{from_slots[slot]}/heart_rate": value}


NO_STIMULANT = {"/other_medications_taken": []}
SYMPTOMS = {"/blood_pressure_symptoms": ["chest-pain"]}
UNASKED = {"/blood_pressure_symptoms": None}
RHYTHM = {"/adverse_events/0/term": "Atrial fibrillation"}
OLD = {"/patients/0/birth_date": "1950-01-01"}
NO_KNOWN_STIMULANT = {"registry": {"/patients/0/medications": []}}
BELIEF = {"role": "stimulant", "product": "Adderall XR", "form": "extended-release"}
TWENTY = {**BELIEF, "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-01", "source": "patient"}
THIRTY = {**BELIEF, "dose": {"value": "30", "unit": "mg"}, "as_of": "2026-10-10", "source": "prescriber"}
DIFFER = {"registry": {"/patients/0/medications": [TWENTY, THIRTY]}}
AT_40 = "/vitals/2/"

FIRES = [
    ("R1", "routine", pressure("baseline", 141, 80)),
    ("R1", "routine", pressure("baseline", 120, 91)),
    ("R2", "routine", {**pressure("40-min", 164, 80), **NO_STIMULANT}),
    ("R2", "routine", {**pressure("40-min", 138, 103), **NO_STIMULANT}),
    ("R2", "urgent", pressure("40-min", 164, 80)),
    ("R3", "urgent", pressure("40-min", 180, 90)),
    ("R3", "urgent", pressure("20-min", 150, 110)),
    ("R3", "urgent", {**pressure("40-min", 182, 112), **UNASKED}),
    ("R3", "urgent", {**pressure("40-min", 170, 112), **SYMPTOMS}),
    ("R4", "stat", {**pressure("40-min", 184, 112), **SYMPTOMS}),
    ("R4", "stat", {**pressure("40-min", 150, 120), **SYMPTOMS}),
    ("R4", "stat", {**pressure("40-min", 184, 112), **pressure("discharge", 182, 100)}),
    ("R4", "stat", {"/emergency_care_used": True}),
    ("R5", "routine", pressure("discharge", 141, 80)),
    ("R5", "routine", pressure("discharge", 130, 91)),
    ("R5", "urgent", pressure("discharge", 160, 80)),
    ("R5", "urgent", pressure("discharge", 130, 100)),
    ("R6", "routine", {**rate("40-min", 122), **rate("60-min", 121)}),
    ("R6", "routine", rate("discharge", 101)),
    ("R6", "urgent", RHYTHM),
    ("R6", "stat", {**RHYTHM, **SYMPTOMS}),
    ("R7", "urgent", {"/vitals/1/spo2": 91}),
    ("R7", "stat", {"/vitals/1/spo2": 87}),
    ("R7", "stat", {"/adverse_events/0/term": "Respiratory depression"}),
    ("R8", "urgent", {"/sedation/lowest": 2}),
    ("R8", "urgent", {"/sedation/lowest": 3, "/sedation/resolved_at": "2026-10-14T12:01:00-05:00"}),
    ("R8", "stat", {"/sedation/lowest": 0}),
    ("R9", "urgent", {"/dissociation/resolved_at": "2026-10-14T12:01:00-05:00"}),
    ("R9", "urgent", {"/dissociation/resolved_at": {"not_done": "still there when leaving"}}),
    ("R9", "urgent", {"/adverse_events/0/term": "Visual hallucinations"}),
    ("R10", "stat", {"/suicide_risk/result": "high"}),
    ("R10", "stat", {"/scores/0/item_9": 3}),
    ("R11", "urgent", {"/suicide_risk/result": "moderate"}),
    ("R11", "urgent", {"/scores/0/item_9": 1}),
    ("R11", "urgent", {"/scores/0/item_9": None, "/scores/0/items": [1, 1, 1, 1, 1, 2, 1, 1, 2]}),
    ("R13", "urgent", {"/other_medications_taken/0/role": "maoi", **NO_KNOWN_STIMULANT}),
    (
        "R13",
        "stat",
        {
            "/other_medications_taken/-": {
                "role": "maoi",
                "product": "Nardil",
                "dose": {"unknown": True},
                "source": "label",
            }
        },
    ),
    ("R17", "routine", DIFFER),
    ("R19", "routine", {"/adverse_events/0/term": "Painful urination, bladder pain"}),
]
QUIET = [
    ("R1", pressure("baseline", 140, 90)),
    ("R2", {**pressure("40-min", 163, 102)}),
    ("R3", pressure("40-min", 179, 109)),
    ("R4", pressure("40-min", 184, 112)),
    ("R4", {**pressure("40-min", 170, 112), **SYMPTOMS}),
    ("R5", pressure("discharge", 140, 90)),
    ("R6", {**rate("40-min", 130), **rate("60-min", 119)}),
    ("R6", rate("discharge", 100)),
    ("R15", {}),
    ("R7", {"/vitals/1/spo2": 92}),
    ("R8", {"/sedation/lowest": 3, "/sedation/resolved_at": "2026-10-14T12:00:00-05:00"}),
    ("R8", {"/sedation/lowest": 4}),
    ("R9", {"/dissociation/resolved_at": "2026-10-14T12:00:00-05:00"}),
    ("R9", {"/dissociation": {"present": False}}),
    ("R10", {"/suicide_risk/result": "moderate", "/scores/0/item_9": 2}),
    ("R10", {"/scores": []}),
    ("R11", {"/suicide_risk/result": "low", "/scores/0/item_9": 0}),
    ("R13", {}),
    ("R17", {}),
    ("R19", {}),
]
CANNOT_TELL = [
    ("R1", {"/vitals/0/systolic": {"unknown": True}, "/vitals/0/diastolic": {"unknown": True}}, "before the dose"),
    ("R3", {AT_40 + "systolic": {"not_done": "moved"}, AT_40 + "diastolic": {"not_done": "moved"}}, "40-minute"),
    ("R2", {AT_40 + "systolic": {"not_done": "moved"}, AT_40 + "diastolic": {"not_done": "moved"}}, "40-minute"),
    ("R4", {**pressure("40-min", 184, 112), **UNASKED}, "symptoms"),
    ("R5", {"/vitals/4/systolic": None, "/vitals/4/diastolic": None}, "at discharge"),
    ("R6", {"/adverse_events": {"unknown": True}}, "adverse events"),
    ("R8", {"/sedation": None}, "sedation"),
    ("R8", {"/sedation/lowest": 3}, "sedation had passed"),
    ("R9", {"/dissociation/resolved_at": {"unknown": True}}, "dissociation had passed"),
    ("R10", {"/suicide_risk": {"not_done": "refused"}}, "suicide-risk screen"),
    ("R10", {"/scores/0/item_9": None}, "ninth PHQ-9 question"),
    ("R13", {"/other_medications_taken": {"unknown": True}}, "other medicines"),
]


def outcome(desk, rule, changes, **around):
    changes = dict(changes)
    if "registry" in changes:
        around["registry"] = desk.registry(changes.pop("registry"))
    found = evaluate(desk.rules, desk.case(desk.session(changes), **around))
    return next(one for one in found if one.id == rule)


@pytest.mark.parametrize(("rule", "priority", "changes"), FIRES)
def test_a_rule_fires_at_its_threshold(desk, rule, priority, changes):
    found = outcome(desk, rule, changes)
    assert (found.fired, found.state, found.priority) == (True, "evaluated", priority)
    assert found.inputs
    assert "{" not in found.why


@pytest.mark.parametrize(("rule", "changes"), QUIET)
def test_a_rule_stays_quiet_below_its_threshold(desk, rule, changes):
    found = outcome(desk, rule, changes)
    assert not found.fired
    assert found.priority is None


@pytest.mark.parametrize(("rule", "changes", "what"), CANNOT_TELL)
def test_missing_data_gives_could_not_evaluate(desk, rule, changes, what):
    found = outcome(desk, rule, changes)
    assert (found.fired, found.state) == (None, "could-not-evaluate")
    assert found.why.startswith(f"could not evaluate {rule}: ")
    assert what in found.why


def test_the_sentence_names_the_missing_forty_minute_pressure(desk):
    found = outcome(desk, "R3", {"/vitals/2": {"slot": "90-min", "at": "2026-10-14T11:30:00-05:00"}})
    assert found.why == "could not evaluate R3: no 40-minute blood pressure"


def test_a_high_reading_fires_even_when_the_forty_minute_one_is_missing(desk):
    gap = {"/vitals/2": {"slot": "90-min", "at": "2026-10-14T11:30:00-05:00"}}
    assert outcome(desk, "R3", {**gap, **pressure("20-min", 185, 100)}).fired


def test_the_pressure_limit_before_the_dose_is_higher_over_65(desk):
    registry = desk.registry(OLD)
    assert not outcome(desk, "R1", pressure("baseline", 150, 80), registry=registry).fired
    assert outcome(desk, "R1", pressure("baseline", 151, 80), registry=registry).fired


def test_a_session_called_off_twice_for_pressure_is_urgent(desk):
    off = {
        "/status": "not-given",
        "/administration": None,
        "/monitoring_ended_at": None,
        **pressure("baseline", 150, 92),
    }
    first = desk.session({**off, "/id": "s-1"}, day="2026-10-12")
    once = evaluate(desk.rules, desk.case(desk.session(off)))[0]
    twice = evaluate(desk.rules, desk.case(desk.session(off), history=(first,)))[0]
    assert (once.priority, twice.priority) == ("routine", "urgent")


def test_an_upgrade_that_cannot_be_judged_is_told(desk):
    unknown = {"/other_medications_taken/0/last_taken_at": {"unknown": True}}
    found = outcome(desk, "R2", {**pressure("40-min", 164, 80), **unknown})
    assert (found.fired, found.priority) == (True, "routine")
    assert "could not judge whether it is urgent" in found.why


def test_a_stimulant_taken_the_day_before_is_not_the_same_day(desk):
    before = {"/other_medications_taken/0/last_taken_at": "2026-10-13T23:30:00-05:00"}
    assert outcome(desk, "R2", {**pressure("40-min", 164, 80), **before}).priority == "routine"


def test_the_peak_is_the_reading_with_the_highest_systolic_pressure(desk):
    case = desk.case(
        {
            **desk.session(),
            "vitals": desk.example("session-outcome.bp-spike.json").model_dump(mode="json", exclude_none=True)[
                "vitals"
            ],
        }
    )
    found = next(one for one in evaluate(desk.rules, case) if one.id == "R2")
    assert (found.inputs["peak_systolic"], found.inputs["peak_diastolic"]) == (184, 112)
    assert (found.inputs["rise_systolic"], found.inputs["rise_diastolic"]) == (50, 28)


def test_a_rule_for_another_kind_of_event_does_not_apply(desk):
    assert outcome(desk, "R15", {}).state == "not-applicable"
    found = evaluate(desk.rules, desk.case(desk.dose_change()))
    assert {one.id for one in found if one.state == "evaluated"} == {"R15"}
    assert {one.id for one in found if one.fired} == {"R15"}


def test_the_rule_with_an_open_threshold_is_shipped_off_and_says_so(desk):
    found = outcome(desk, "R12", {})
    assert (found.fired, found.state) == (False, "off")
    assert found.why == "R12 is off: its threshold “hours before” is not set."


def test_a_firing_stores_its_version_and_its_signer(desk):
    found = outcome(desk, "R3", pressure("40-min", 184, 112))
    assert found.version == 1
    assert found.demonstration
    assert "Demonstration" in found.signed_by


# --- two statements about the stimulant


def statements(desk, *rows):
    return desk.registry({"/patients/0/medications": list(rows)})


def discrepancy(desk, *rows, history=(), value=None):
    case = desk.case(value or desk.session(), registry=statements(desk, *rows), history=history)
    return next(one for one in evaluate(desk.rules, case) if one.id == "R17")


def test_a_discrepancy_says_both_statements(desk):
    found = discrepancy(desk, TWENTY, THIRTY)
    assert found.why == "Statements about the stimulant differ: Adderall XR 20 mg, and Adderall XR 30 mg."


def test_the_same_daily_total_in_another_form_is_a_discrepancy(desk):
    twice = {**TWENTY, "form": "immediate-release", "dose": {"value": "10", "unit": "mg"}, "frequency": "twice daily"}
    once = {**THIRTY, "dose": {"value": "20", "unit": "mg"}, "frequency": "once daily"}
    assert discrepancy(desk, twice, once).fired
    same = {**THIRTY, "dose": TWENTY["dose"]}
    assert discrepancy(desk, {**TWENTY, "form": "immediate-release"}, same).fired
    assert discrepancy(desk, {**TWENTY, "frequency": "twice daily"}, {**same, "frequency": "once daily"}).fired


@pytest.mark.parametrize(
    "rows",
    [
        [TWENTY],
        [{**TWENTY, "dose": THIRTY["dose"]}, THIRTY],
        [{**TWENTY, "dose": {"unknown": True}}, THIRTY],
        [TWENTY, {**THIRTY, "as_of": "2026-06-01"}],
        [TWENTY, {**THIRTY, "as_of": "2026-10-15"}],
        [TWENTY, {**THIRTY, "role": "other"}],
        [TWENTY, {**THIRTY, "as_of": "2026-09-01"}, {**THIRTY, "dose": TWENTY["dose"]}],
    ],
)
def test_one_side_or_a_stale_or_open_statement_is_no_discrepancy(desk, rows):
    assert discrepancy(desk, *rows).fired is False


def test_a_session_asks_about_a_discrepancy_only_once(desk):
    earlier = desk.session({"/id": "s-1", "/course/session_number": 2}, day="2026-10-12")
    before = desk.session({"/id": "s-1", "/course/session_number": 2}, day="2026-10-09")
    assert discrepancy(desk, TWENTY, THIRTY, history=(before,)).fired
    assert not discrepancy(desk, TWENTY, THIRTY, history=(earlier,)).fired
    assert discrepancy(desk, TWENTY, THIRTY, history=(earlier,), value=desk.hold()).fired


def test_a_hold_of_the_same_day_makes_a_discrepancy_urgent(desk):
    today = desk.hold({"/effective_from": "2026-10-14"})
    assert discrepancy(desk, TWENTY, THIRTY, value=desk.hold()).priority == "routine"
    assert discrepancy(desk, TWENTY, THIRTY, value=today).priority == "urgent"


def test_two_missed_sessions_are_urgent_while_a_hold_is_open(desk):
    missed = {"/status": "no-show", "/administration": None, "/vitals": [], "/suicide_risk": None}
    first = desk.session({**missed, "/id": "s-1"}, day="2026-10-16")
    second = desk.session({**missed, "/id": "s-2"}, day="2026-10-19")

    def priority(*history):
        found = evaluate(desk.rules, desk.case(second, history=history))
        return next(one.priority for one in found if one.id == "R21")

    resumed = desk.hold({"/id": "dc-9", "/action": "resume", "/to": None})
    screened = desk.session({"/id": "s-0"}, day="2026-10-12")
    assert priority() is None
    assert priority(screened, first) == "routine"
    assert priority(desk.hold(), screened, first) == "urgent"
    assert priority(desk.hold(), resumed, screened, first) == "routine"
    risky = desk.session({"/id": "s-0", "/suicide_risk/result": "moderate"}, day="2026-10-12")
    assert priority(risky, first) == "urgent"


def test_every_rule_of_the_file_but_the_one_shipped_off_is_seen_firing(desk):
    seen = {rule for rule, *_ in FIRES} | {"R15", "R16", "R21"}
    assert {one.id for one in desk.rules.rules} == seen | {"R12"}


# --- signatures


def states(book, desk):
    return {one.id: one.state for one in evaluate(book, desk.case(desk.session(pressure("40-min", 184, 112))))}


def test_without_signatures_every_rule_is_off_and_reported_as_off(desk, rules_dir):
    book = load_rules(rules_dir / "coordination.yaml", None, accept_demonstration=True)
    found = evaluate(book, desk.case(desk.session(pressure("40-min", 184, 112))))
    assert {one.state for one in found} == {"off", "not-applicable"}
    assert all("no clinician has signed" in one.why for one in found if one.state == "off")


def test_demonstration_signatures_count_as_none_outside_a_demonstration(desk, rules_dir):
    files = (rules_dir / "coordination.yaml", rules_dir / "signatures.demonstration.yaml")
    assert "evaluated" not in states(load_rules(*files, accept_demonstration=False), desk).values()
    assert states(load_rules(*files, accept_demonstration=True), desk)["R3"] == "evaluated"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("thresholds: {systolic: 180, diastolic: 110}", "thresholds: {systolic: 185, diastolic: 110}"),
        ("held or adjusted until", "held until"),
        ("title: Very high blood pressure during", "title: High blood pressure during"),
    ],
)
def test_a_changed_word_or_number_switches_its_rule_off(desk, rules_dir, tmp_path, old, new):
    text = (rules_dir / "coordination.yaml").read_text()
    assert text.count(old) == 1
    changed = tmp_path / "coordination.yaml"
    changed.write_text(text.replace(old, new))
    found = states(load_rules(changed, rules_dir / "signatures.demonstration.yaml", accept_demonstration=True), desk)
    assert found["R3"] == "off"
    assert found["R2"] == "evaluated"


def test_a_real_signature_switches_rules_on(desk, rules_dir, tmp_path):
    rules = rules_dir / "coordination.yaml"
    signed = tmp_path / "signatures.yaml"
    who = {"name": "Adaeze Okafor, MD", "licence": "MN 00000", "signed_on": date(2026, 10, 1)}
    signed.write_text(sign_all(rules, **who, demonstration=False))
    book = load_rules(rules, signed, accept_demonstration=False)
    assert states(book, desk)["R3"] == "evaluated"
    found = next(one for one in evaluate(book, desk.case(desk.session())) if one.id == "R3")
    assert (found.signed_by, found.demonstration) == ("Adaeze Okafor, MD, MN 00000, 2026-10-01", False)


def test_the_demonstration_file_is_current_and_marked_on_every_row(rules_dir):
    text = (rules_dir / "signatures.demonstration.yaml").read_text()
    rows = yaml.safe_load(text)["signatures"]
    made = sign_all(
        rules_dir / "coordination.yaml",
        name=rows[0]["name"],
        licence=rows[0]["licence"],
        signed_on=date.fromisoformat(rows[0]["signed_on"]),
        demonstration=True,
    )
    assert rows == yaml.safe_load(made)["signatures"]
    assert all(one["demonstration"] is True for one in rows)


# --- what the loader refuses

ROW = {
    "id": "R90",
    "version": 1,
    "title": "t",
    "applies_to": {"event": "session-outcome", "statuses": ["completed"]},
    "thresholds": {"limit": 1},
    "when": {"above": ["peak_systolic", "limit"]},
    "priority": "routine",
    "tells": ["psychiatrist"],
    "says": "It is {peak_systolic}.",
    "requests": {},
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": {"above": ["peak_sistolic", "limit"]}},
        {"when": {"above": ["peak_systolic", "limits"]}},
        {"when": {"over": ["peak_systolic", "limit"]}},
        {"when": {"all": []}},
        {"when": {"true": "no_such_fact"}},
        {"when": {"above": ["peak_systolic", "limit"], "below": ["peak_systolic", "limit"]}},
        {"priority": "asap"},
        {"says": "It is {peak}."},
        {"requests": {"nurse": {"text": "x"}}},
        {"requests": {"psychiatrist": {"text": "x", "due": {"weeks": 2}}}},
        {"upgrades": [{"to": "now", "when": {"true": "stimulant_same_day"}, "because": "x"}]},
    ],
)
def test_a_row_that_names_what_does_not_exist_is_refused_at_load(tmp_path, wrong):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [{**ROW, **wrong}], "requests_of_prescriber": {"words": {}}}))
    with pytest.raises(ConfigurationError, match="R90"):
        load_rules(path, None, accept_demonstration=True)


@pytest.mark.parametrize("lacking", ["version", "when", "says", "tells"])
def test_a_row_that_lacks_a_part_is_refused_at_load(tmp_path, lacking):
    path = tmp_path / "rules.yaml"
    row = {key: value for key, value in ROW.items() if key != lacking}
    path.write_text(yaml.safe_dump({"rules": [row], "requests_of_prescriber": {"words": {}}}))
    with pytest.raises(ConfigurationError, match=lacking):
        load_rules(path, None, accept_demonstration=True)


def test_a_rule_that_stands_there_twice_is_refused_at_load(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"rules": [ROW, ROW], "requests_of_prescriber": {"words": {}}}))
    with pytest.raises(ConfigurationError, match="twice"):
        load_rules(path, None, accept_demonstration=True)
