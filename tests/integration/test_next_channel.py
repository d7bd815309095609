"""The next address: offered to staff, or taken by the clock where the clinic allows it; never two ways side by side."""

import io
import json

import pytest
from bench_parts import DIFFER, STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, Permanent, Refused, Transient
from coordinator.flow import deliver
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.track import take_in

TOKEN = "n" * 43


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def clinic(bench, fallback: str) -> None:
    written = bench.registry.write_whole(json.dumps(example("clinic") | {}).encode(), STAFF)
    assert written.outcome in {"updated", "unchanged"}
    entity = example("clinic")["clinic"] | {"fallback": fallback}
    assert bench.registry.write("clinic", None, json.dumps(entity).encode(), STAFF).outcome in {"updated", "unchanged"}


def ways(bench, message):
    return [(one.channel, one.state) for one in bench.deliveries(message.id)]


@pytest.mark.parametrize("fallback", ["take", "offer"])
def test_when_a_person_must_know_and_nothing_has_left_the_next_address_is_taken_or_offered(bench, fallback):
    clinic(bench, fallback)
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Transient("net.connect")] * 50
    for _ in range(20):
        bench.send_due()
        bench.clock.turn(minutes=30)
        bench.sweep()
    shown = bench.desk.message(message.id, STAFF)
    if fallback == "take":
        assert ways(bench, message)[0] == ("fhir-rest", State.CANCELLED)
        assert ways(bench, message)[1] == ("direct", State.ACKNOWLEDGED)
        assert bench.deliveries(message.id)[0].cause == "clock.next-channel"
    else:
        assert {channel for channel, _ in ways(bench, message)} == {"fhir-rest"}
        assert shown.row.needs_person
        assert shown.deliveries[-1].may_not_next_because is None
    assert len(bench.channels["direct"].held) == (1 if fallback == "take" else 0)
    assert bench.broken() == []


def test_what_may_have_arrived_is_not_sent_a_second_way_by_the_clock(bench):
    clinic(bench, "take")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = ["queue"]
    bench.send_due()
    bench.clock.turn(days=3)
    with bench.store.begin() as tx:
        tx.postpone(bench.deliveries(message.id)[0].id, bench.clock.now())
    from coordinator.flow.sweep import clocks

    clocks(bench.parts)
    assert ways(bench, message) == [("fhir-rest", State.SENT)]


def test_staff_take_the_next_address_once_with_a_reason(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Permanent("fhir.422")]
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    with pytest.raises(Refused):
        bench.desk.send_by_next(row.id, reason="", token=TOKEN, actor=STAFF)
    first = bench.desk.send_by_next(row.id, reason="their server refuses it", token=TOKEN, actor=STAFF)
    assert bench.desk.send_by_next(row.id, reason="their server refuses it", token=TOKEN, actor=STAFF) == first
    bench.send_due()
    assert ways(bench, message)[-1] == ("direct", State.ACKNOWLEDGED)
    new = bench.deliveries(message.id)[-1]
    assert (new.resend_of, new.reason) == (row.id, "their server refuses it")
    assert bench.broken() == []


def test_what_arrived_or_may_have_is_not_offered_another_way(bench):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = ["queue"]
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    with pytest.raises(Refused) as told:
        bench.desk.send_by_next(row.id, reason="they say it is not there", token=TOKEN, actor=STAFF)
    assert "may have" in told.value.reason


def the_fax(bench, package):
    from pypdf import PdfReader

    pages = PdfReader(io.BytesIO(package.document("fax-pdf").body)).pages
    return [one.extract_text() for one in pages]


def handed_over(bench, kind):
    taken = []
    before = bench.channels[kind].send

    def send(package, endpoint, **more):
        taken.append(package)
        return before(package, endpoint, **more)

    bench.channels[kind].send = send
    return taken


def test_a_fax_sent_again_says_so_on_its_cover_and_its_letter_is_the_very_same(bench):
    taken = handed_over(bench, "fax")
    message = bench.told(example("session-outcome.bp-spike"))["pr-pcp"]
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    bench.desk.resend(row.id, reason="they say it is not there", token=TOKEN, actor=STAFF)
    bench.send_due()
    first, again = (the_fax(bench, one) for one in taken)
    assert "RESENT" not in first[0].upper()
    assert "RESENT" in again[0].upper() or "SENT AGAIN" in again[0].upper()
    assert first[1:] == again[1:]
    assert len(first) > 1
    assert bench.broken() == []


def test_a_copy_names_the_channel_and_the_day_that_came_first(bench):
    taken = handed_over(bench, "direct")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    far = bench.channels["fhir-rest"]
    far.script = [("then", Permanent("fhir.422"))]
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    assert row.state == State.DEAD
    bench.clock.turn(minutes=5)
    bench.desk.send_by_next(row.id, reason="their server refuses it", token=TOKEN, actor=STAFF)
    bench.send_due()
    assert taken[0].copy_of == "EHR, 16 October 2026"


def test_what_never_left_before_is_no_copy(bench):
    taken = handed_over(bench, "direct")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    row = bench.deliveries(message.id)[0]
    bench.desk.send_by_next(row.id, reason="they want it by Direct", token=TOKEN, actor=STAFF)
    bench.send_due()
    assert taken[0].copy_of is None


@pytest.mark.parametrize("fault", ["net.connect", "fhir.404"])
def test_what_failed_for_good_before_the_first_byte_goes_by_the_next_address_where_the_clinic_allows_it(bench, fault):
    clinic(bench, "take")
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Transient(fault) if fault == "net.connect" else Permanent(fault)] * 50
    for _ in range(14):
        with bench.store.begin() as tx:
            waiting = bench.deliveries(message.id)[0]
            if waiting.state == State.PENDING:
                tx.postpone(waiting.id, bench.clock.now())
        bench.send_due()
        bench.clock.turn(minutes=6)
    assert [state for _, state in ways(bench, message)] == [State.DEAD, State.ACKNOWLEDGED]
    assert bench.deliveries(message.id)[0].cause == ("retry.spent" if fault == "net.connect" else fault)
    assert len(bench.channels["direct"].held) == 1
    assert bench.broken() == []


def test_what_failed_for_good_before_the_first_byte_waits_for_staff_where_the_clinic_offers(bench):
    clinic(bench, "offer")
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    bench.channels["fhir-rest"].script = [Permanent("fhir.404")]
    bench.send_due()
    assert ways(bench, message) == [("fhir-rest", State.DEAD)]
    assert bench.desk.message(message.id, STAFF).row.needs_person
    bench.desk.send_by_next(bench.deliveries(message.id)[0].id, reason="not there", token=TOKEN, actor=STAFF)
    bench.send_due()
    assert ways(bench, message)[-1] == ("direct", State.ACKNOWLEDGED)


def run_out(bench):
    from coordinator.flow.sweep import clocks

    bench.clock.turn(hours=5)
    clocks(bench.parts)


def test_the_clock_takes_the_next_address_also_while_a_worker_holds_the_first_and_not_a_byte_follows(bench):
    clinic(bench, "take")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    (claimed,) = [one for one in deliver.claim(bench.parts, "w", 5) if one.message.id == message.id]
    run_out(bench)
    deliver.attempt(bench.parts, claimed)
    bench.send_due()
    assert ways(bench, message) == [("fhir-rest", State.CANCELLED), ("direct", State.ACKNOWLEDGED)]
    assert not [one for one, _ in bench.channels["fhir-rest"].held if one == f"urn:uuid:{message.id}"]


def test_the_clock_takes_the_next_address_of_what_is_held_and_never_left(bench):
    clinic(bench, "take")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.channels["fhir-rest"].script = [NeedsHuman("fhir.patient-not-matched")]
    bench.send_due()
    assert ways(bench, message) == [("fhir-rest", State.HELD)]
    run_out(bench)
    bench.send_due()
    assert ways(bench, message) == [("fhir-rest", State.CANCELLED), ("direct", State.ACKNOWLEDGED)]


def test_the_clock_takes_no_other_address_for_what_consent_holds_back(bench):
    clinic(bench, "take")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    with bench.store.begin() as tx:
        tx.move_delivery(bench.deliveries(message.id)[0].id, State.HELD, at=bench.clock.now(), cause="consent.expired")
    run_out(bench)
    assert ways(bench, message) == [("fhir-rest", State.HELD)]


def silent(bench, event, fallback):
    clinic(bench, fallback)
    message = bench.told(event)["pr-psych"]
    bench.channels["fhir-rest"].script = ["queue"]
    bench.channels["fhir-rest"].knows = False
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    return message


def test_an_urgent_message_that_nobody_confirms_goes_by_the_next_address_as_a_copy_too(bench):
    taken = handed_over(bench, "direct")
    message = silent(bench, example("session-outcome.bp-spike"), "take")
    bench.sweep()
    bench.send_due()
    first, second = bench.deliveries(message.id)
    assert (first.state, first.cause) == (State.HELD, "receipt.overdue")
    assert (second.channel, second.state) == ("direct", State.ACKNOWLEDGED)
    assert taken[0].copy_of == "EHR, 16 October 2026"
    take_in(bench.parts, ReceiptNews("late", "fhir-rest", first.far_side_ref, first.id, "acknowledged"))
    assert bench.deliveries(message.id)[0].state == State.ACKNOWLEDGED
    assert bench.broken() == []


@pytest.mark.parametrize(
    ("name", "fallback"), [("dose-change.ketamine", "take"), ("session-outcome.bp-spike", "offer")]
)
def test_what_can_wait_or_where_the_clinic_offers_an_unconfirmed_message_stays_with_a_person(bench, name, fallback):
    message = silent(bench, example(name), fallback)
    assert ways(bench, message) == [("fhir-rest", State.HELD)]


def test_two_letters_sent_again_by_fax_are_one_fax_whose_cover_counts_them_both(bench):
    taken = handed_over(bench, "fax")
    registry = example("clinic")
    registry["providers"][0]["endpoints"] = [
        {"id": "ep-psych-fax", "kind": "fax", "address": "+1-218-555-0144", "verified_on": "2026-09-01"}
    ]
    registry["patients"][0]["medications"] = DIFFER
    written = bench.registry.write_whole(json.dumps(registry).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    bench.approve("ep-psych-fax", "+1-218-555-0144")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    assert message.letters == ("L5", "L12", "L11")
    bench.send_due()
    row = bench.deliveries(message.id)[0]
    bench.desk.resend(row.id, reason="they say it is not there", token=TOKEN, actor=STAFF)
    bench.send_due()
    taken = [one for one in taken if one.message == message.id]
    first, again = (the_fax(bench, one) for one in taken)
    assert [len(one.all("fax-pdf")) for one in taken] == [1, 1]
    assert "RESENT" in again[0]
    assert first[1:] == again[1:]
    for cover, *sheets in (first, again):
        assert f"{len(sheets) + 1}, including this cover" in cover
        assert f"page {len(sheets)} of {len(sheets)}" in sheets[-1]
    assert "Reply form" in "".join(first)
