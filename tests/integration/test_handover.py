"""A printed letter that is handed over and recorded afterwards: when it left, and whether it might go then."""

from datetime import UTC, datetime, timedelta

import pytest
from bench_parts import STAFF, START, example
from test_desk import on_paper
from test_sending_pages import Desk

from coordinator.domain.delivery import State
from coordinator.domain.errors import Refused
from coordinator.flow.case_file import arrived_at

FRIDAY = START + timedelta(hours=2, minutes=20)
"""Noon and twenty minutes at the clinic (America/Chicago), 16 October 2026."""


@pytest.fixture
def paper(bench):
    message = on_paper(bench)
    bench.send_due()  # what goes to the others is not what this is about
    return message


def record(bench, message, at=None):
    bench.desk.record_handover(bench.deliveries(message)[-1].id, to="J. Doe", actor=STAFF, at=at)


def left_at(bench):
    return [one.at for one in bench.desk.disclosures("MRN-1001", STAFF) if one.channel == "by-hand"]


def changed(bench, part, **changes):
    """Change each of the patient's consents, or each entry of the care team."""
    bench.change_patient(**{part: [one | changes for one in example("clinic")["patients"][0][part]]})


def ends(bench, day):
    changed(bench, "consents", revoked_on=day)


def test_a_letter_handed_over_on_friday_and_recorded_on_monday_left_on_friday(bench, paper):
    bench.clock.turn(days=3)
    record(bench, paper, FRIDAY)
    assert left_at(bench) == [FRIDAY]
    seen = bench.desk.message(paper, STAFF)
    assert [(one.received_at, one.verdict) for one in seen.deliveries[-1].receipts] == [(FRIDAY, "handed-over")]
    (line,) = [one for one in seen.timeline if one.text.startswith("handed over")]
    assert (line.at, line.actor) == (bench.clock.now(), "staff dana")
    assert line.text == "handed over: J. Doe (on 16 October 2026 at 12:20)"
    with bench.store.begin(write=False) as tx:
        assert arrived_at(tx, paper) == FRIDAY
    assert bench.broken() == []


def test_a_letter_recorded_without_a_time_was_handed_over_now(bench, paper):
    bench.clock.turn(hours=1)
    record(bench, paper)
    assert left_at(bench) == [bench.clock.now()]
    assert "handed over: J. Doe" in [one.text for one in bench.desk.message(paper, STAFF).timeline]


@pytest.mark.parametrize(
    ("at", "code", "says"),
    [
        (START + timedelta(days=3, minutes=1), "hand.when-ahead", "still to come"),
        (datetime.max.replace(tzinfo=UTC), "hand.when-ahead", "still to come"),
        (START - timedelta(minutes=1), "hand.when-early", "not made before 16 October 2026 at 10:00"),
        (datetime.min.replace(tzinfo=UTC), "hand.when-early", "not made before"),
    ],
)
def test_a_hand_over_in_the_future_or_before_the_letter_was_made_is_refused(bench, paper, at, code, says):
    bench.clock.turn(days=3)
    with pytest.raises(Refused) as refused:
        record(bench, paper, at)
    assert (refused.value.code, says in refused.value.reason) == (code, True)
    assert bench.state(paper) == State.HELD
    assert left_at(bench) == []


def test_the_minute_in_which_the_letter_was_made_is_not_before_it(bench):
    bench.clock.turn(seconds=30)
    message = on_paper(bench)
    bench.clock.turn(hours=1)
    record(bench, message, START)
    assert left_at(bench) == [START]


def test_what_was_handed_over_before_consent_ended_is_recorded_after_it_and_listed(bench, paper):
    ends(bench, "2026-10-18")
    bench.clock.turn(days=3)
    seen = bench.desk.message(paper, STAFF)
    assert (seen.row.cause, seen.deliveries[-1].may_record_handover) == ("consent.revoked", True)
    with pytest.raises(Refused) as refused:
        record(bench, paper)
    assert refused.value.reason.endswith("If the letter was handed over before that, say when.")
    record(bench, paper, FRIDAY)
    assert bench.state(paper) == State.ACKNOWLEDGED
    assert left_at(bench) == [FRIDAY]
    assert bench.broken() == []


@pytest.mark.parametrize("day", ["2026-10-16", "2026-10-10"])
def test_what_was_handed_over_on_the_day_on_which_consent_ended_or_after_it_is_refused_in_words(bench, paper, day):
    ends(bench, day)
    bench.clock.turn(days=3)
    with pytest.raises(Refused) as refused:
        record(bench, paper, FRIDAY)
    assert refused.value.code == "consent.revoked"
    assert refused.value.reason.startswith("By the registry it might not go on 16 October 2026 at 12:20.")
    assert left_at(bench) == []


def test_who_left_the_care_team_after_the_hand_over_had_the_letter_rightly(bench, paper):
    changed(bench, "care_team", to="2026-10-17")
    bench.clock.turn(days=3)
    with pytest.raises(Refused, match=r"release\.left-care-team") as refused:
        record(bench, paper)
    assert "say when" in refused.value.reason
    record(bench, paper, FRIDAY)
    assert left_at(bench) == [FRIDAY]


def test_consent_that_came_after_the_hand_over_does_not_permit_it(bench, paper):
    changed(bench, "consents", **{"from": "2026-10-18"})
    bench.clock.turn(days=3)
    with pytest.raises(Refused, match=r"consent\.not-yet"):
        record(bench, paper, FRIDAY)


def test_the_form_asks_for_the_time_and_keeps_it_on_record(bench, paper):
    bench.clock.turn(days=3)
    desk = Desk(bench, "sender")
    page = desk.get(f"/messages/{paper}").text
    assert '<label for="when">When? (time in America/Chicago; leave it empty for now)</label>' in page
    fields = {"delivery": bench.deliveries(paper)[-1].id, "to": "J. Doe", "when": "2026-10-16T12:20"}
    assert desk.post(f"/messages/{paper}/handover", **fields).status_code == 303
    assert left_at(bench) == [FRIDAY]
    shown = desk.get(f"/messages/{paper}").text
    assert "J. Doe (on 16 October 2026 at 12:20)" in shown
    assert "The printed letter was handed over then." in shown


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("2026-10-16T09:59", "was not made before"),
        ("2026-10-19T10:01", "still to come"),
        ("friday", "not understood"),
        ("2026-10-16", "not understood"),
    ],
)
def test_a_wrong_time_is_named_beside_its_field_and_everything_typed_is_still_there(bench, paper, when, says):
    bench.clock.turn(days=3)
    desk = Desk(bench, "sender")
    fields = {"delivery": bench.deliveries(paper)[-1].id, "to": "J. Doe, front desk", "when": when}
    answer = desk.post(f"/messages/{paper}/handover", **fields)
    assert answer.status_code == 422
    beside = answer.text.partition('<p id="when-wrong"')[2].partition("</p>")[0]
    assert says in beside
    assert 'aria-describedby="when-hint when-wrong" aria-invalid="true" autofocus' in answer.text
    assert f'type="datetime-local" value="{when}"' in answer.text
    assert 'value="J. Doe, front desk"' in answer.text
    assert bench.state(paper) == State.HELD
