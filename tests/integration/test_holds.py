"""Holding an address, a channel or everything: what waits stays, in view, and goes out once when it is let go."""

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Permanent, Refused
from coordinator.flow import deliver, holds, sweep
from coordinator.flow.presenting import what_comes


@pytest.fixture
def spike(bench):
    return bench.told(example("session-outcome.bp-spike"))


def routes(bench, told):
    return {name: bench.deliveries(one.id)[0] for name, one in told.items()}


def test_a_held_address_keeps_its_messages_and_loses_no_attempt(bench, spike):
    row = routes(bench, spike)["pr-psych"]
    view = holds.hold(bench.parts, f"endpoint:{row.endpoint_id}", reason="their server is being moved", actor=STAFF)
    assert (view.placed_by, view.waiting) == ("dana", 1)
    for _ in range(5):
        bench.send_due()
        bench.clock.turn(minutes=10)
    kept = bench.deliveries(spike["pr-psych"].id)[0]
    assert (kept.state, kept.tries, kept.attempts_used) == (State.PENDING, 0, 0)
    assert bench.state(spike["pr-pcp"].id) == State.ACKNOWLEDGED
    assert bench.broken() == []
    assert holds.let_go(bench.parts, view.scope, reason="the move is done", actor=STAFF) == holds.LetGo(1)
    bench.send_due()
    assert bench.state(spike["pr-psych"].id) == State.ACKNOWLEDGED
    assert len(bench.channels["fhir-rest"].held) == 1


def test_a_held_channel_holds_every_address_of_that_kind_and_no_other(bench, spike):
    ways = routes(bench, spike)
    holds.hold(bench.parts, f"channel:{ways['pr-psych'].channel}", reason="a bad release there", actor=STAFF)
    bench.send_due()
    assert bench.state(spike["pr-psych"].id) == State.PENDING
    assert bench.state(spike["pr-pcp"].id) == State.ACKNOWLEDGED


def test_everything_held_sends_nothing_at_all(bench, spike):
    holds.hold(bench.parts, "everything", reason="we look into something", actor=STAFF)
    assert bench.send_due() == 0
    assert list(deliver.claim(bench.parts, "w", 10)) == []
    assert sweep.due_now(bench.parts) == ([], [])
    assert all(one.held == [] for one in bench.channels.values())


def test_a_hold_between_claim_and_first_byte_still_stops_the_message(bench, spike):
    claimed = deliver.claim(bench.parts, "w", 10)
    holds.hold(bench.parts, "everything", reason="stop at once please", actor=STAFF)
    for one in claimed:
        deliver.attempt(bench.parts, one)
    assert all(one.held == [] for one in bench.channels.values())
    assert {bench.state(one.id) for one in spike.values()} == {State.PENDING}
    assert {bench.cause(one.id) for one in spike.values()} == {"release.paused"}


def test_a_held_message_says_so_and_still_comes_up_by_its_clock(bench, spike):
    row = routes(bench, spike)["pr-psych"]
    holds.hold(bench.parts, f"endpoint:{row.endpoint_id}", reason="their server is being moved", actor=STAFF)
    shown = bench.desk.message(spike["pr-psych"].id, STAFF).row
    assert (shown.cause, shown.needs_person) == ("release.paused", False)
    bench.clock.turn(days=3)
    bench.sweep()
    shown = bench.desk.message(spike["pr-psych"].id, STAFF).row
    assert (shown.cause, shown.needs_person) == ("release.paused", True)


def test_only_what_no_other_hold_covers_goes_on_when_a_hold_is_lifted(bench, spike):
    row = routes(bench, spike)["pr-psych"]
    address = f"endpoint:{row.endpoint_id}"
    for scope in (address, f"channel:{row.channel}", "channel:direct", "everything"):
        holds.hold(bench.parts, scope, reason="we look into something", actor=STAFF)
    gone = holds.let_go(bench.parts, "everything", reason="all but that address", actor=STAFF)
    assert gone == holds.LetGo(1, 1, (f"channel:{row.channel}", address))
    assert gone.said() == f"1 go on. 1 still waits, behind what else is held: channel:{row.channel}, {address}."
    assert holds.let_go(bench.parts, address, reason="the move is done", actor=STAFF).go_on == 0
    assert bench.send_due() == 1
    assert holds.let_go(bench.parts, f"channel:{row.channel}", reason="the move is done", actor=STAFF).said() == (
        "1 go on."
    )
    assert bench.send_due() == 1


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (
            "endpoint:{0.endpoint_id}",
            "It waits behind the hold of its address (endpoint:{0.endpoint_id}), and goes out",
        ),
        ("channel:{0.channel}", "It waits behind the hold of its channel (channel:{0.channel}), and goes out"),
        ("everything", "It waits behind the hold of everything, and goes out"),
    ],
)
def test_what_is_sent_again_behind_a_hold_says_what_it_waits_for(bench, spike, scope, said):
    row = routes(bench, spike)["pr-psych"]
    bench.channels[row.channel].script = [Permanent("fhir.422")]
    bench.send_due()
    holds.hold(bench.parts, scope.format(row), reason="we look into something", actor=STAFF)
    name = bench.desk.resend(row.id, reason="their server was mended", token="t" * 43, actor=STAFF)
    view = next(one for one in bench.desk.message(row.message_id, STAFF).deliveries if one.id == name)
    assert what_comes(view) == f"{said.format(row)} once that is lifted."
    assert view.why == bench.parts.causes.get("release.paused").sentence
    holds.let_go(bench.parts, scope.format(row), reason="all is well there", actor=STAFF)
    view = next(one for one in bench.desk.message(row.message_id, STAFF).deliveries if one.id == name)
    assert (what_comes(view), view.waits_behind) == ("It goes out when it is due.", ())


def test_two_people_cannot_hold_the_same_thing_twice_and_a_hold_needs_a_reason(bench, spike):
    holds.hold(bench.parts, "channel:fax", reason="the line is down", actor=STAFF)
    with pytest.raises(Refused):
        holds.hold(bench.parts, "channel:fax", reason="the line is down", actor=STAFF)
    with pytest.raises(Refused, match="reason"):
        holds.hold(bench.parts, "channel:direct", reason=" ", actor=STAFF)


@pytest.mark.parametrize("scope", ["endpoint:nobody", "channel:pigeon", "planet:earth", ""])
def test_what_does_not_exist_cannot_be_held(bench, scope):
    with pytest.raises(NotFound):
        holds.hold(bench.parts, scope, reason="the line is down", actor=STAFF)
    with pytest.raises(NotFound):
        holds.let_go(bench.parts, scope, reason="the line is back", actor=STAFF)


def test_held_messages_do_not_hide_the_ones_behind_them(bench, spike):
    row = routes(bench, spike)["pr-psych"]
    holds.hold(bench.parts, f"endpoint:{row.endpoint_id}", reason="their server is being moved", actor=STAFF)
    assert sweep.due_now(bench.parts, limit=1)[1] == [routes(bench, spike)["pr-pcp"].id]
