"""Uneventful sessions: told together when the week is over, and to a record system at once."""

import errno
import json

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.flow import digest


def quiet(number: int, day: int) -> dict:
    """An uneventful session like the one before it."""
    text = json.dumps(example("session-outcome.bp-spike")).replace("2026-10-14", f"2026-10-{day:02}")
    event = json.loads(text) | {"id": f"sess-{number}", "next_session_on": "2026-10-30"}
    event["course"]["session_number"] = number
    readings = ((118, 76, 72), (124 + number, 78, 78), (130, 84, 82), (128, 80, 80), (122, 78, 76), (119, 76, 74))
    for vital, (systolic, diastolic, rate) in zip(event["vitals"], readings, strict=True):
        vital |= {"systolic": systolic, "diastolic": diastolic, "heart_rate": rate}
    event["adverse_events"] = []
    return event


def take_in(bench, event):
    answer = bench.submit(event)
    assert answer.outcome in {"accepted", "held"}, answer.faults
    if answer.outcome == "held":
        bench.desk.answer(answer.event_ref, confirmed=True, reason="read again", actor=STAFF)
    return bench.prepare(answer)


@pytest.fixture
def week(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    for channel in bench.channels.values():
        channel.held.clear()
    return [take_in(bench, quiet(4, 12)), take_in(bench, quiet(5, 14))]


def by(messages, provider, state):
    return [one for one in messages if one.provider_id == provider and one.state == state]


def test_an_uneventful_session_makes_no_letter_at_once_but_a_chart_update(bench, week):
    for messages in week:
        assert by(messages, "pr-pcp", "open") == []
        assert len(by(messages, "pr-pcp", "digest")) == 1
        assert len(by(messages, "pr-psych", "open")) == len(by(messages, "pr-psych", "digest")) == 1
    bench.send_due()
    assert len(bench.channels["fax"].held) == 0
    assert len(bench.channels["fhir-rest"].held) == 2


def test_when_the_week_is_over_one_letter_tells_of_all_its_sessions(bench, week):
    bench.send_due()
    bench.channels["fhir-rest"].held.clear()
    bench.clock.turn(days=3)
    bench.sweep()
    bench.send_due()
    assert len(bench.channels["fax"].held) == len(bench.channels["fhir-rest"].held) == 1
    newest = by(week[1], "pr-pcp", "digest")[0]
    older = by(week[0], "pr-pcp", "digest")[0]
    with bench.store.begin(write=False) as tx:
        assert tx.message(newest.id).state == "open"
        assert tx.message(older.id).superseded_by == newest.id
        roles = {one[1]: one[0] for one in tx.documents(newest.id)}
        text = tx.document(roles["letter-text"])[0].body.decode()
    assert "12 October 2026" in text
    assert "14 October 2026" in text
    assert bench.state(newest.id) == State.ACKNOWLEDGED
    bench.sweep()
    assert bench.send_due() == 0
    assert bench.broken() == []


def test_a_digest_waits_for_consent_like_everything_else(bench, week):
    consents = example("clinic")["patients"][0]["consents"]
    consents[1]["revoked_on"] = "2026-10-16"
    bench.change_patient(consents=consents)
    bench.clock.turn(days=3)
    bench.sweep()
    bench.send_due()
    assert bench.channels["fax"].held == []
    with bench.store.begin(write=False) as tx:
        assert tx.message(by(week[1], "pr-pcp", "digest")[0].id).state == "withheld"
    assert bench.broken() == []


@pytest.mark.parametrize(
    ("lack", "then"), [(OSError(errno.EMFILE, "Too many open files"), "digest"), (TypeError("x"), "withheld")]
)
def test_a_digest_that_cannot_be_written_costs_none_after_it_and_waits_only_for_the_machine(
    bench, week, monkeypatch, lack, then
):
    def fails(*_args):
        raise lack

    bench.clock.turn(days=3)
    with monkeypatch.context() as ill:
        ill.setattr(digest, "compose_for", fails)
        bench.sweep()
    with bench.store.begin(write=False) as tx:
        states = {one.state for messages in week for one in messages if one.state == "digest"
                  for one in [tx.message(one.id)]}  # fmt: skip
        causes = {tx.message(one.id).cause for messages in week for one in messages if one.state == "digest"}
    assert states == {then}
    assert causes == ({"bug"} if then == "withheld" else {None})
