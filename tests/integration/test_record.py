"""T1: what an arriving event is answered, and what it leaves behind."""

import json
import threading

import pytest
from bench_parts import STAFF, example


def spike(**changes):
    return example("session-outcome.bp-spike") | changes


def rows(bench, table):
    import sqlalchemy as sa

    from coordinator.store.tables import METADATA

    with bench.store.begin(write=False) as tx:
        return tx.connection.execute(sa.select(sa.func.count()).select_from(METADATA.tables[table])).scalar_one()


def test_an_event_is_accepted_once_and_replayed_with_the_first_answer(bench):
    first = bench.submit(spike())
    again = bench.submit(spike())
    assert first.outcome == "accepted"
    assert (again.outcome, again.event_ref) == ("replay", first.event_ref)
    assert rows(bench, "inbox") == 1


def test_a_change_told_by_a_prescriber_who_is_not_on_the_care_team_is_accepted_and_names_them(bench):
    clinic = example("clinic")
    other = {**clinic["providers"][0], "id": "pr-other", "npi": "1234567893", "endpoints": []}
    clinic["providers"].append(other)
    assert bench.registry.write_whole(json.dumps(clinic, ensure_ascii=False).encode(), STAFF).outcome == "updated"
    hold = example("dose-change.stimulant-hold")
    event = {
        **hold, "kind": "reported-by-prescriber", "action": "increase", "reported_by": "pr-other", "session": None,
        "requested_of": None, "resume_when": None, "to": {**hold["from"], "dose": {"value": "40", "unit": "mg"}},
    }  # fmt: skip
    answer = bench.submit(event)
    assert answer.outcome == "accepted", answer
    message = next(one for one in bench.prepare(answer) if one.provider_id == "pr-psych")
    with bench.store.begin(write=False) as tx:
        (chart,) = [tx.document(one[0])[0].body for one in tx.documents(message.id) if one[1] == "fhir-chart"]
    people = [
        one["resource"] for one in json.loads(chart)["entry"] if one["resource"]["resourceType"] == "Practitioner"
    ]
    assert other["npi"] in [one["identifier"][0]["value"] for one in people]


def test_the_same_content_in_another_spelling_is_still_a_replay(bench):
    bench.submit(spike())
    turned = dict(reversed(spike().items()))
    assert bench.submit(turned).outcome == "replay"


def test_the_same_name_with_other_content_is_a_conflict_and_changes_nothing(bench):
    first = bench.submit(spike())
    changed = spike()
    changed["vitals"][5]["heart_rate"] = 87
    answer = bench.submit(changed)
    assert (answer.outcome, answer.event_ref) == ("conflict", first.event_ref)
    assert "version 2" in answer.faults[0][2]
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(first.event_ref).event.vitals[5].heart_rate == 92


def test_two_sources_may_use_the_same_id(bench):
    assert bench.submit(spike(), source="one").outcome == "accepted"
    assert bench.submit(spike(), source="two").outcome == "accepted"


def test_a_wrong_event_gets_every_fault_at_once_and_leaves_nothing_but_the_refusal(bench):
    wrong = spike(weigth={"value": "82", "unit": "kg"}, recorded_at="2026-10-14T13:10:00")
    wrong["administration"]["dose"] = "41"
    answer = bench.submit(wrong)
    assert answer.outcome == "refused"
    assert {one[0] for one in answer.faults} >= {"/weigth", "/recorded_at", "/administration/dose"}
    assert rows(bench, "inbox") == 0
    assert rows(bench, "messages") == 0
    assert rows(bench, "refusals") == 1


def test_a_refusal_on_record_holds_no_value_of_the_event(bench):
    wrong = spike(status="Zanzibar-secret")
    answer = bench.submit(wrong)
    assert answer.outcome == "refused"
    assert "Zanzibar" not in repr(bench.desk.refusals())


def test_an_older_version_after_a_newer_one_is_refused(bench):
    assert bench.submit(spike(version=3)).outcome == "accepted"
    answer = bench.submit(spike(version=2))
    assert answer.outcome == "refused"
    assert answer.faults[0][0] == "/version"
    assert "version 4" in answer.faults[0][2]


def test_a_newer_version_takes_the_place_of_one_that_was_not_prepared_yet(bench):
    first = bench.submit(spike())
    bench.submit(spike(version=2, amendment_reason="typing error"))
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(first.event_ref).state == "superseded"


def test_a_suspicious_event_is_held_with_its_question_until_a_person_answers(bench):
    from bench_parts import STAFF

    answer = bench.submit(example("session-outcome.esketamine"))
    assert answer.outcome == "held"
    assert answer.questions
    assert bench.prepare(answer) == []
    assert [one.event_ref for one in bench.desk.held_events(STAFF)] == [answer.event_ref]
    bench.desk.answer(answer.event_ref, confirmed=True, reason="asked the patient", actor=STAFF)
    assert len(bench.prepare(answer)) >= 2
    assert bench.desk.held_events(STAFF) == []


def test_a_declined_event_goes_nowhere_and_stays_on_record(bench):
    from bench_parts import STAFF

    answer = bench.submit(example("session-outcome.esketamine"))
    bench.desk.answer(answer.event_ref, confirmed=False, reason="wrong patient", actor=STAFF)
    assert bench.prepare(answer) == []
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(answer.event_ref).state == "declined"
    assert bench.broken() == []


def test_five_submissions_at_once_make_one_event(bench):
    answers = []
    start = threading.Barrier(5)

    def hand_in():
        start.wait()
        answers.append(bench.submit(spike()))

    threads = [threading.Thread(target=hand_in) for _ in range(5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(one.outcome for one in answers) == ["accepted", "replay", "replay", "replay", "replay"]
    assert len({one.event_ref for one in answers}) == 1
    assert rows(bench, "inbox") == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b'{"type": "session-outcome"}', b"null", b'"x"'])
def test_what_is_no_event_is_refused_without_harm(bench, body):
    from coordinator.flow.record import record

    assert record(bench.parts, "ehr", body).outcome == "refused"
