"""Composing anew: shown as a difference, linked to the old version, and only for what nobody holds."""

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, Permanent, Refused
from coordinator.flow import recompose

TOKEN = "r" * 43


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


@pytest.fixture
def refused(bench):
    """Return the psychiatrist's message, which their server refused for good."""
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    way = bench.deliveries(message.id)[0]
    bench.channels[way.channel].script = [Permanent("fhir.422")]
    bench.send_due()
    assert bench.state(message.id) in {State.DEAD, State.HELD}
    return message


def rename(bench):
    bench.change_patient(name={"family": "Newname", "given": ["Avery"]})


def test_the_difference_shows_what_the_record_says_now(bench, refused):
    assert recompose.preview(bench.parts, refused.id, STAFF).same
    rename(bench)
    shown = recompose.preview(bench.parts, refused.id, STAFF)
    assert not shown.same
    assert any(sign == "+" and "Newname" in line for sign, line in shown.diff)
    assert bench.deliveries(refused.id)[-1].state in {State.DEAD, State.HELD}


def test_the_new_version_takes_the_place_of_the_old_one_and_both_know_each_other(bench, refused):
    rename(bench)
    shown = recompose.preview(bench.parts, refused.id, STAFF)
    name = recompose.recompose(
        bench.parts, refused.id, seen=shown.seen, reason="the name was wrong", token=TOKEN, actor=STAFF
    )
    assert name != refused.id
    bench.send_due()
    assert bench.state(name) == State.ACKNOWLEDGED
    old, new = bench.desk.message(refused.id, STAFF), bench.desk.message(name, STAFF)
    assert (old.superseded_by, new.supersedes) == (name, refused.id)
    assert "Newname" in new.row.patient_name
    assert bench.channels[new.row.channel].held[0][0] == f"urn:uuid:{name}"
    assert bench.broken() == []


def test_a_double_click_composes_once(bench, refused):
    shown = recompose.preview(bench.parts, refused.id, STAFF)
    told = {
        recompose.recompose(
            bench.parts, refused.id, seen=shown.seen, reason="once more please", token=TOKEN, actor=STAFF
        )
        for _ in range(2)
    }
    assert len(told) == 1


def test_a_record_that_changed_after_the_look_is_shown_again_and_not_sent_unseen(bench, refused):
    shown = recompose.preview(bench.parts, refused.id, STAFF)
    rename(bench)
    with pytest.raises(Refused, match=r"recompose\.changed"):
        recompose.recompose(
            bench.parts, refused.id, seen=shown.seen, reason="the name was wrong", token=TOKEN, actor=STAFF
        )


def test_what_arrived_is_corrected_by_an_amended_event_and_never_composed_anew(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    with pytest.raises(Refused) as told:
        recompose.preview(bench.parts, message.id, STAFF)
    assert "amended event" in told.value.reason


def test_a_message_without_consent_is_not_composed_anew(bench, refused):
    bench.change_patient(consents=[])
    with pytest.raises(Refused, match="consent"):
        recompose.preview(bench.parts, refused.id, STAFF)


@pytest.mark.parametrize(
    "step",
    [
        ("take-then", NeedsHuman("fhir.outcome-error", status=201)),
        ("take-then", NeedsHuman("fhir.partial", status=200)),
        ("take-then", NeedsHuman("fhir.altered", status=201)),
        ("take-then", NeedsHuman("fhir.other-patient", status=201)),
        "queue",
    ],
)
def test_what_stands_with_a_person_and_may_be_there_all_the_same_is_not_composed_anew_nor_withdrawn(bench, step):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script, bench.channels["fhir-rest"].knows = [step], False
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert bench.state(message.id) == State.HELD
    with pytest.raises(Refused) as caught:
        recompose.preview(bench.parts, message.id, STAFF)
    assert "arrived, or may have" in caught.value.reason
    with pytest.raises(Refused) as caught:
        bench.desk.cancel(message.id, reason="typed wrongly", actor=STAFF)
    assert caught.value.code == "cancel.left"
    assert bench.state(message.id) == State.HELD
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"}
    event["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    assert bench.told(event)["pr-psych"].letters[0] == "L9"
    assert bench.broken() == []
