"""What a delivery notice may settle: of whom it speaks, and when the clock of the proof begins."""

import json
from datetime import timedelta

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import Transient, Unreadable
from coordinator.flow import track
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.track import fetch_receipts, take_in

HERS, ANOTHER = "l.muller@direct.northshore.example", "z.other@direct.northshore.example"


@pytest.fixture
def waiting(bench):
    """Let the psychiatrist have one address, Direct, whose far side cannot be asked."""
    provider = next(one for one in example("clinic")["providers"] if one["id"] == "pr-psych")
    provider["endpoints"] = [one for one in provider["endpoints"] if one["kind"] == "direct"]
    written = bench.registry.write("providers", provider["id"], json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    bench.channels["direct"].knows = False


@pytest.fixture
def sent(bench, waiting):
    """Return a delivery by Direct that was sent and waits for its notices."""
    bench.channels["direct"].script = ["queue"]
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    (row,) = bench.deliveries(message.id)
    assert (row.channel, row.state) == ("direct", State.SENT)
    return row


def notice(row, verdict, key="n-1", about=()):
    return ReceiptNews(key, "direct", row.far_side_ref, None, verdict, about=about)


def now_of(bench, row):
    return bench.deliveries(row.message_id)[-1]


def test_word_of_another_recipient_proves_nothing_and_is_kept_as_evidence(bench, sent):
    take_in(bench.parts, notice(sent, "acknowledged", about=(ANOTHER,)))
    assert now_of(bench, sent).state == State.SENT
    assert bench.desk.message(sent.message_id, STAFF).deliveries[-1].receipts == ()
    take_in(bench.parts, notice(sent, "acknowledged", "n-2", about=(ANOTHER, HERS.upper())))
    assert now_of(bench, sent).state == State.ACKNOWLEDGED
    assert bench.broken() == []


@pytest.mark.parametrize(("verdict", "then"), [("acknowledged", State.ACKNOWLEDGED), ("processed", State.SENT)])
def test_a_letter_that_was_taken_after_all_is_not_sent_again(bench, waiting, verdict, then):
    bench.channels["direct"].script = [("take-then", Transient("direct.later", status=451))]
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    (row,) = bench.deliveries(message.id)
    assert (row.state, row.tries) == (State.PENDING, 1)
    take_in(bench.parts, notice(row, verdict))
    bench.clock.turn(minutes=45)
    bench.sweep()
    bench.send_due()
    assert now_of(bench, row).state == then
    assert bench.channels["direct"].calls == 1
    assert bench.broken() == []


def test_a_failure_is_heard_whomever_it_names(bench, sent):
    take_in(bench.parts, notice(sent, "failed", about=(ANOTHER,)))
    assert now_of(bench, sent).state == State.HELD


def test_the_clock_of_dispatched_begins_with_processed_and_a_second_word_buys_no_time(bench, sent):
    bench.clock.turn(minutes=50)
    take_in(bench.parts, notice(sent, "processed", about=(HERS,)))
    assert now_of(bench, sent).receipt_due_at == bench.clock.now() + timedelta(hours=1)
    due_at = now_of(bench, sent).receipt_due_at
    bench.clock.turn(minutes=50)
    bench.sweep()
    take_in(bench.parts, notice(sent, "processed", "n-2"))
    assert (now_of(bench, sent).state, now_of(bench, sent).receipt_due_at) == (State.SENT, due_at)
    bench.clock.turn(minutes=11)
    bench.sweep()
    assert (now_of(bench, sent).state, now_of(bench, sent).cause) == (State.HELD, "direct.no-dispatched")
    take_in(bench.parts, notice(sent, "acknowledged", "n-3", about=(HERS,)))
    assert now_of(bench, sent).state == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_what_is_sent_again_has_its_clocks_anew(bench, sent):
    take_in(bench.parts, notice(sent, "processed"))
    bench.clock.turn(minutes=5)
    take_in(bench.parts, notice(sent, "failed", "n-2"))
    bench.clock.turn(minutes=5)
    bench.desk.release(sent.id, reason="their server is mended", token="t-1", actor=STAFF)
    take_in(bench.parts, notice(sent, "processed"))
    assert now_of(bench, sent).state == State.PENDING, "old word, heard once more"
    bench.channels["direct"].script = ["queue"]
    bench.send_due()
    bench.clock.turn(minutes=50)
    take_in(bench.parts, notice(sent, "processed", "n-3"))
    assert now_of(bench, sent).receipt_due_at == bench.clock.now() + timedelta(hours=1)


def test_without_any_word_the_hour_is_that_of_processed_and_staff_read_how_far_it_got(bench, sent):
    bench.clock.turn(minutes=61)
    bench.sweep()
    assert (now_of(bench, sent).state, now_of(bench, sent).cause) == (State.HELD, "direct.no-processed")
    shown = bench.desk.message(sent.message_id, STAFF).deliveries[-1]
    assert "has not confirmed that it took the message" in str(shown)
    take_in(bench.parts, notice(sent, "acknowledged", about=(HERS,)))
    assert now_of(bench, sent).state == State.ACKNOWLEDGED


def test_a_receipt_that_cannot_be_taken_in_stays_and_stops_none_behind_it(bench, sent, monkeypatch):
    marked, really = [], track.take_in

    def trips(parts, news):
        if news.key == "spoilt":
            raise Unreadable
        really(parts, news)

    class Source:
        def fetch(self):
            yield notice(sent, "acknowledged", "spoilt"), lambda: marked.append("spoilt")
            yield notice(sent, "acknowledged", "good"), lambda: marked.append("good")

    monkeypatch.setattr(track, "take_in", trips)
    assert fetch_receipts(bench.parts, (Source(),)) == 1
    assert marked == ["good"]
    assert now_of(bench, sent).state == State.ACKNOWLEDGED


NEW = "letters@direct.northshore.example"


def corrected(bench, address=NEW):
    """Put the mailbox right, as staff do: it was verified today, and a second person has looked at it."""
    provider = next(one for one in example("clinic")["providers"] if one["id"] == "pr-psych")
    provider["endpoints"] = [one for one in provider["endpoints"] if one["kind"] == "direct"]
    provider["endpoints"][0] |= {"address": address, "verified_on": bench.clock.now().date().isoformat()}
    written = bench.registry.write("providers", provider["id"], json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    bench.approve(provider["endpoints"][0]["id"], address)


def released_to_the_new_address(bench, row):
    bench.clock.turn(hours=3)
    bench.sweep()
    assert now_of(bench, row).state == State.HELD
    corrected(bench)
    bench.desk.release(row.id, reason="mailbox was wrong", token="t-1", actor=STAFF)
    assert now_of(bench, row).state == State.PENDING


@pytest.mark.parametrize("verdict", ["acknowledged", "processed"])
def test_word_from_the_former_mailbox_proves_nothing_of_the_corrected_one(bench, sent, verdict):
    released_to_the_new_address(bench, sent)
    take_in(bench.parts, notice(sent, verdict, about=(HERS,)))
    state = now_of(bench, sent).state
    assert state == (State.HELD if verdict == "acknowledged" else State.PENDING)
    if state == State.HELD:
        shown = bench.desk.message(sent.message_id, STAFF).row
        assert shown.needs_person
        assert "before it was corrected" in shown.why
        bench.desk.release(sent.id, reason="asked, nobody else has it", token="t-2", actor=STAFF)
        take_in(bench.parts, notice(sent, verdict, about=(HERS,)))  # the same word again holds nothing again
    bench.channels["direct"].script = ["queue"]
    bench.send_due()
    assert bench.channels["direct"].calls == 2
    take_in(bench.parts, notice(sent, "acknowledged", "n-3", about=(HERS,)))
    assert now_of(bench, sent).state == State.SENT
    take_in(bench.parts, notice(sent, "acknowledged", "n-4", about=(NEW,)))
    assert now_of(bench, sent).state == State.ACKNOWLEDGED
    assert bench.broken() == []


def test_proof_from_the_mailbox_that_it_went_to_counts_though_the_registry_has_another_since(bench, sent):
    corrected(bench)
    take_in(bench.parts, notice(sent, "acknowledged", about=(HERS,)))
    assert now_of(bench, sent).state == State.ACKNOWLEDGED


def test_proof_that_comes_while_a_person_has_it_and_the_mailbox_is_corrected_is_told_to_that_person(bench, sent):
    bench.clock.turn(hours=3)
    bench.sweep()
    corrected(bench)
    take_in(bench.parts, notice(sent, "acknowledged", about=(HERS,)))
    row = now_of(bench, sent)
    assert (row.state, row.cause) == (State.HELD, "address.arrived-at-former")
