"""The report of a fax: early, late or lost, it settles the try that it is about."""

import json

from bench_parts import STAFF, example, of_patients

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, Transient
from coordinator.flow.ports import Lookup, ReceiptNews
from coordinator.flow.track import take_in
from coordinator.store.tables import registry


def report(row, number, verdict="acknowledged", *, tag=True, **more):
    """What the gateway says of a fax: under the same key whoever tells it, the callback or the poller."""
    ref = f"ref-{row.id}"
    return ReceiptNews(f"fax:{ref}:{number}", "fax", ref, row.id if tag else None, verdict, **more)


def fax_of(bench, told):
    return bench.deliveries(told["pr-pcp"].id)[-1]


def without_a_name(bench):
    """Let the gateway choose the fax's name, as real ones do: it is known only once its answer is written."""
    far = bench.channels["fax"]

    def send(package, endpoint, *, deadline, about_to_send):
        return type(far).send(
            far, package, endpoint, deadline=deadline, about_to_send=lambda _: (about_to_send(None), far.meanwhile())
        )

    far.meanwhile = lambda: None
    far.send = send
    return far


def test_a_report_that_names_no_tag_and_comes_before_our_own_outcome_is_taken_in_when_it_comes_again(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    far = without_a_name(bench)
    far.script = ["queue"]
    early = report(fax_of(bench, told), 1, tag=False)
    far.meanwhile = lambda: take_in(bench.parts, early)
    bench.send_due()
    assert fax_of(bench, told).state == State.SENT
    take_in(bench.parts, early)
    assert fax_of(bench, told).state == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_a_second_try_that_fails_before_our_own_outcome_is_tried_again_and_not_after_an_hour(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    far = without_a_name(bench)
    far.script = [Transient("fax.unavailable"), "queue"]
    bench.send_due()
    bench.clock.turn(hours=1)
    early = report(fax_of(bench, told), 1, "failed", code="fax.busy", retry=True)
    far.meanwhile = lambda: take_in(bench.parts, early)
    bench.send_due()
    assert fax_of(bench, told).state == State.SENT
    take_in(bench.parts, early)
    assert (fax_of(bench, told).state, fax_of(bench, told).cause) == (State.PENDING, "fax.busy")
    take_in(bench.parts, early)
    with bench.store.begin(write=False) as tx:
        assert len(tx.receipts(fax_of(bench, told).id)) == 1
        assert [one.action for one in tx.audit_of([told["pr-pcp"].id])].count("receipt failed") == 2


def test_the_same_word_twice_says_nothing_of_a_later_try(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    far = bench.channels["fax"]
    far.script = ["queue"]
    bench.send_due()
    first = report(fax_of(bench, told), 1, "failed", code="fax.busy", retry=True)
    take_in(bench.parts, first)
    bench.clock.turn(hours=1)
    far = without_a_name(bench)
    far.script = ["queue"]
    far.meanwhile = lambda: take_in(bench.parts, first)
    bench.send_due()
    assert fax_of(bench, told).state == State.SENT


def test_a_fax_that_was_reported_busy_and_arrived_after_all_is_not_dialled_again(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    far = bench.channels["fax"]
    far.script = ["queue"]
    bench.send_due()
    take_in(bench.parts, report(fax_of(bench, told), 1, "failed", code="fax.busy", retry=True))
    assert fax_of(bench, told).state == State.PENDING
    take_in(bench.parts, report(fax_of(bench, told), 2))
    assert fax_of(bench, told).state == State.ACKNOWLEDGED
    bench.clock.turn(hours=1)
    bench.send_due()
    assert far.calls == 1
    assert bench.broken() == []


def corrected(bench, number="+13125550199"):
    """Put the fax number right, as staff do: it was verified today, and a second person has looked at it."""
    provider = next(one for one in example("clinic")["providers"] if one["id"] == "pr-pcp")
    fax = next(one for one in provider["endpoints"] if one["kind"] == "fax")
    fax |= {"address": number, "verified_on": bench.clock.now().date().isoformat()}
    written = bench.registry.write("providers", provider["id"], json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    bench.approve(fax["id"], number)


def released_to_the_new_number(bench, told):
    """Return the fax that a wrong number took, whose report did not come, and which waits for the right number now."""
    far = without_a_name(bench)
    far.script, far.knows = ["queue", "queue"], False
    bench.send_due()
    bench.clock.turn(hours=3)
    bench.sweep()
    corrected(bench)
    row = fax_of(bench, told)
    bench.desk.release(row.id, reason="the number was wrong", token="t-1", actor=STAFF)
    return fax_of(bench, told)


def named(row, ref, number):
    return ReceiptNews(f"fax:{ref}:{number}", "fax", ref, row.id, "acknowledged")


def test_a_fax_that_the_wrong_number_took_is_still_sent_to_the_right_one_and_a_person_is_told(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    row = released_to_the_new_number(bench, told)
    take_in(bench.parts, named(row, "at-the-wrong-one", 1))
    row = fax_of(bench, told)
    assert (row.state, row.cause) == (State.HELD, "address.arrived-at-former")
    bench.desk.release(row.id, reason="reported as misdirected", token="t-2", actor=STAFF)
    bench.send_due()
    assert (fax_of(bench, told).state, bench.channels["fax"].calls) == (State.SENT, 2)
    assert bench.broken() == []


def test_a_late_report_of_the_wrong_number_does_not_speak_for_the_fax_under_way_to_the_right_one(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    row = released_to_the_new_number(bench, told)
    bench.send_due()
    take_in(bench.parts, named(row, "at-the-wrong-one", 1))
    assert fax_of(bench, told).state == State.SENT
    take_in(bench.parts, named(row, f"ref-{row.id}", 2))
    assert fax_of(bench, told).state == State.ACKNOWLEDGED


def test_a_look_up_that_finds_the_fax_to_the_wrong_number_does_not_speak_for_one_in_doubt_to_the_right_one(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    released_to_the_new_number(bench, told)
    bench.channels["fax"].script = [("take-then", InDoubt("fax.in-doubt"))]
    bench.send_due()
    bench.channels["fax"].says = Lookup("arrived-proven", far_side_ref="at-the-wrong-one")
    bench.clock.turn(hours=1)
    bench.sweep()
    assert fax_of(bench, told).state == State.IN_DOUBT


def awaited(bench, limit=500):
    with bench.store.begin(write=False) as tx:
        since = bench.clock.now().replace(year=2020)
        return [row.id for row in tx.reports_awaited("fax", since, limit)]


def test_however_many_wait_by_other_channels_every_open_fax_is_asked_about(bench):
    told = [bench.told(event) for event in of_patients(bench, 3)]
    for kind in bench.channels:
        bench.channels[kind].script = ["queue"] * 3
    bench.send_due()
    assert sorted(awaited(bench, 3)) == sorted(fax_of(bench, one).id for one in told)


def test_a_fax_whose_report_is_late_is_still_asked_about_while_a_person_has_it(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    far = bench.channels["fax"]
    far.script, far.knows = ["queue"], False
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert (fax_of(bench, told).state, fax_of(bench, told).cause) == (State.HELD, "receipt.overdue")
    assert awaited(bench) == [fax_of(bench, told).id]


def test_one_late_report_that_cannot_be_read_keeps_no_other_from_a_person(bench):
    told = [bench.told(event) for event in of_patients(bench, 2)]
    for kind in bench.channels:
        bench.channels[kind].script, bench.channels[kind].knows = ["queue"] * 2, False
    bench.send_due()
    with bench.store.begin() as tx:
        where = (registry.c.kind == "patient") & (registry.c.key == tx.message(told[0]["pr-pcp"].id).patient_key)
        assert tx.connection.execute(registry.update().where(where).values(body_sealed=b"x")).rowcount == 1
    bench.clock.turn(hours=2)
    bench.sweep()
    assert (fax_of(bench, told[0]).state, fax_of(bench, told[0]).cause) == (State.HELD, "receipt.overdue")
    assert (fax_of(bench, told[1]).state, fax_of(bench, told[1]).cause) == (State.HELD, "receipt.overdue")
