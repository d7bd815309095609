"""What a delivery under way meets when the registry, a proof, an outage or a colleague comes in between."""

import pytest
from bench_parts import COLLEAGUE, STAFF, example, of_patients
from test_addresses import FAX, NEW, edit
from test_next_channel import silent

from coordinator.domain.delivery import State
from coordinator.domain.errors import Permanent, Refused, StoreAway, Transient
from coordinator.flow import deliver
from coordinator.flow.addresses import approve
from coordinator.flow.incidents import close_incident, open_incident
from coordinator.flow.outcome import before_outcomes
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.recompose import recompose
from coordinator.flow.track import take_in


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def test_a_number_corrected_between_claim_and_first_byte_is_not_dialled_as_it_was(bench):
    bench.told(example("session-outcome.bp-spike"))
    fax, dialled = bench.channels["fax"], []
    send = fax.send

    def dial(package, endpoint, **more):
        dialled.append(endpoint.address)
        return send(package, endpoint, **more)

    fax.send = dial
    held = deliver.claim(bench.parts, "w", 10)
    edit(bench, NEW, verified_on="2026-10-16")
    bench.approve(FAX, NEW)
    for one in held:
        deliver.attempt(bench.parts, one)
    assert fax.held == [], "the channel was asked, and its first byte was refused"
    bench.send_due()
    assert (dialled[-1], len(fax.held)) == (NEW, 1)
    assert bench.broken() == []


def test_a_try_that_fails_after_the_address_was_changed_leaves_the_new_one_as_it_waits(bench):
    bench.told(example("session-outcome.bp-spike"))

    def changed_meanwhile(package, endpoint, *, deadline, about_to_send):
        about_to_send(None)
        edit(bench, NEW, verified_on="2026-10-16")
        raise Transient("fax.unavailable")

    bench.channels["fax"].send = changed_meanwhile
    bench.send_due()
    with pytest.raises(Refused, match=r"address\.second-person"):
        approve(bench.parts, FAX, NEW, STAFF)
    approve(bench.parts, FAX, NEW, COLLEAGUE)


def test_an_incident_about_a_letter_does_not_open_an_address_that_nobody_has_approved(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    edit(bench, NEW, verified_on="2026-10-16")
    name = open_incident(bench.parts, message.id, kind="wrong-recipient", note="they telephoned", actor=STAFF)
    close_incident(bench.parts, name, resolution="was right after all", address_is_right=True, actor=STAFF)
    bench.told(example("session-outcome.bp-spike") | {"id": "another"})
    calls = bench.channels["fax"].calls
    bench.send_due()
    assert bench.channels["fax"].calls == calls


def test_a_copy_that_has_not_left_is_not_sent_once_the_first_is_proven(bench):
    message = silent(bench, example("session-outcome.bp-spike"), "take")
    bench.sweep()
    first = bench.deliveries(message.id)[0]
    bench.channels["direct"].script = [Transient("net.connect")]
    bench.send_due()
    take_in(bench.parts, ReceiptNews("late", "fhir-rest", first.far_side_ref, first.id, "acknowledged"))
    bench.clock.turn(hours=3)
    bench.send_due()
    assert bench.channels["direct"].held == []
    assert [one.state for one in bench.deliveries(message.id)] == [State.ACKNOWLEDGED, State.CANCELLED]
    assert bench.broken() == []


def test_what_stands_with_a_person_is_not_let_go_while_its_copy_is_under_way(bench):
    message = silent(bench, example("session-outcome.bp-spike"), "take")
    bench.sweep()
    first, _ = bench.deliveries(message.id)
    with pytest.raises(Refused, match=r"release\.under-way"):
        bench.desk.release(first.id, reason="try it again", token="r" * 40, actor=STAFF)
    bench.send_due()
    with pytest.raises(Refused, match=r"release\.under-way"):
        bench.desk.release(first.id, reason="try it again", token="s" * 40, actor=STAFF)


def test_a_message_that_arrived_stays_so_when_its_resend_is_stopped(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    bench.desk.resend(bench.deliveries(message.id)[0].id, reason="asked for it", token="t" * 40, actor=STAFF)
    consents = [dict(one) for one in example("clinic")["patients"][0]["consents"]]
    for one in consents:
        if one["recipient"] == "pr-pcp":
            one["revoked_on"] = "2026-10-15"
    bench.change_patient(consents=consents)
    bench.send_due()
    assert [one.state for one in bench.deliveries(message.id)] == [State.ACKNOWLEDGED, State.CANCELLED]
    with bench.store.begin(write=False) as tx:
        assert tx.message(message.id).state == "open"
    assert bench.broken() == []


def test_an_address_that_answers_again_is_open_again_though_it_refused_that_message(bench):
    events = of_patients(bench, 12)
    for one in events:
        bench.told(one)
    fax = bench.channels["fax"]
    fax.script = [Transient("fax.unavailable")] * 8
    for _ in range(2):
        bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert tx.health(FAX).open_since is not None
    bench.clock.turn(minutes=6)
    fax.script = [Permanent("fax.refused", status=422)]
    bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert tx.health(FAX).open_since is None
    bench.clock.turn(hours=1)
    for _ in range(6):
        bench.send_due()
        bench.clock.turn(minutes=1)
    assert len(fax.held) == 11


def test_an_answer_between_failures_ends_the_row_of_them(bench):
    for one in of_patients(bench, 6):
        bench.told(one)
    fax = bench.channels["fax"]
    away = Transient("fax.unavailable")
    fax.script = [away, away, away, Permanent("fax.refused", status=422), away, away]
    bench.send_due()
    bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert (tx.health(FAX).failures, tx.health(FAX).open_since) == (2, None)


def test_what_came_of_a_send_is_written_down_though_the_database_was_away_right_after_it(bench, monkeypatch):
    """A mail agent that took it cannot be asked later: it would be in doubt for ever although we had its word."""
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    write, away = bench.parts.together.write, [StoreAway(), StoreAway()]

    def writing(ledger, kind, known, act):
        if kind is before_outcomes and known[1].id == message.id and away:
            raise away.pop()
        return write(ledger, kind, known, act)

    monkeypatch.setattr(bench.parts.together, "write", writing)
    monkeypatch.setattr(deliver, "AWAY_PAUSES_S", (0.0, 0.0))
    bench.send_due()
    assert bench.state(message.id) == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_an_outcome_that_the_database_took_without_saying_so_counts_once(bench, monkeypatch):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    write, unsaid = bench.parts.together.write, [StoreAway()]

    def writing(ledger, kind, known, act):
        done = write(ledger, kind, known, act)
        if kind is before_outcomes and known[1].id == message.id and unsaid:
            raise unsaid.pop()
        return done

    monkeypatch.setattr(bench.parts.together, "write", writing)
    monkeypatch.setattr(deliver, "AWAY_PAUSES_S", (0.0,))
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    assert (row.state, row.attempts_used, row.tries) == (State.PENDING, 1, 1)
    with bench.store.begin(write=False) as tx:
        assert tx.health(row.endpoint_id).failures == 1


def test_a_stopped_resend_is_not_called_delivered_by_a_second_click_of_composing_anew(bench):
    """The button was refused, and pressed once more it answered as if it had been done."""
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Permanent("fhir.422")]
    bench.send_due()
    newer = example("dose-change.ketamine") | {"id": "dc-3001", "recorded_at": "2026-10-16T09:40:00-05:00"}
    bench.told(newer)
    for _ in range(2):
        with pytest.raises(Refused):
            recompose(bench.parts, message.id, seen=None, reason="once more", token="t" * 43, actor=STAFF)
