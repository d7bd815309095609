"""What staff do: resend, release, withdraw, hand over; and what they are refused, with the reason."""

import re
import threading

import pytest
from bench_parts import STAFF, example

from coordinator.api.shapes import message_whole
from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, NotFound, Permanent, Refused
from coordinator.flow.ports import ReceiptNews
from coordinator.flow.read_models import MessageFilter
from coordinator.flow.rows import REPLACED
from coordinator.flow.track import take_in
from coordinator.store.tables import deliveries, messages

TOKEN = "t" * 43


@pytest.fixture
def arrived(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    return told


def test_a_resend_is_a_new_delivery_of_the_same_bytes_that_points_at_the_old_one(bench, arrived):
    first = bench.deliveries(arrived["pr-psych"].id)[0]
    name = bench.desk.resend(first.id, reason="they say it is not there", token=TOKEN, actor=STAFF)
    bench.send_due()
    rows = bench.deliveries(arrived["pr-psych"].id)
    assert [one.state for one in rows] == [State.ACKNOWLEDGED, State.ACKNOWLEDGED]
    assert (rows[1].id, rows[1].resend_of, rows[1].reason) == (name, first.id, "they say it is not there")
    held = bench.channels["fhir-rest"].held
    assert held[0] == held[1]
    assert bench.broken() == []


def test_a_double_click_and_two_people_at_once_make_one_resend(bench, arrived):
    row = bench.deliveries(arrived["pr-psych"].id)[0]
    outcomes, start = [], threading.Barrier(4)

    def click(token):
        start.wait()
        try:
            outcomes.append(bench.desk.resend(row.id, reason="not there", token=token, actor=STAFF))
        except Refused:
            outcomes.append("refused")

    threads = [threading.Thread(target=click, args=(one,)) for one in (TOKEN, TOKEN, "u" * 43, "v" * 43)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == 2
    assert len({one for one in outcomes if one != "refused"}) == 1


def test_a_page_that_was_opened_before_a_colleague_sent_it_again_does_not_send_it_once_more(bench, arrived):
    first = bench.deliveries(arrived["pr-psych"].id)[0]
    again = bench.desk.resend(first.id, reason="they say it is not there", token=TOKEN, actor=STAFF)
    bench.send_due()
    with pytest.raises(Refused) as refused:
        bench.desk.resend(first.id, reason="they say it is not there", token="u" * 43, actor=STAFF)
    assert "colleague has sent it again" in refused.value.reason
    assert len(bench.channels["fhir-rest"].held) == 2
    old, new = bench.desk.message(arrived["pr-psych"].id, STAFF).deliveries
    assert (old.may_resend, old.may_not_resend_because) == (False, refused.value.reason)
    assert (new.id, new.may_resend) == (again, True)


def test_a_resend_needs_a_reason(bench, arrived):
    row = bench.deliveries(arrived["pr-psych"].id)[0]
    with pytest.raises(Refused, match="reason"):
        bench.desk.resend(row.id, reason="  ", token=TOKEN, actor=STAFF)


def test_a_message_on_its_way_is_not_resent(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-psych"].id)[0]
    with pytest.raises(Refused) as refused:
        bench.desk.resend(row.id, reason="hurry up please", token=TOKEN, actor=STAFF)
    assert "on its way" in refused.value.reason
    detail = bench.desk.message(told["pr-psych"].id, STAFF)
    assert detail.deliveries[0].may_resend is False
    assert detail.deliveries[0].may_not_resend_because == refused.value.reason


def test_a_replaced_message_is_not_resent(bench, arrived):
    first = bench.deliveries(arrived["pr-psych"].id)[0]
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "another person's cuff"}
    event["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    bench.told(event)
    with pytest.raises(Refused) as refused:
        bench.desk.resend(first.id, reason="they ask for it", token=TOKEN, actor=STAFF)
    assert "newer" in refused.value.reason


def test_a_resend_without_todays_consent_is_refused(bench, arrived):
    consents = example("clinic")["patients"][0]["consents"]
    consents[0]["revoked_on"] = "2026-10-16"
    bench.change_patient(consents=consents)
    row = bench.deliveries(arrived["pr-psych"].id)[0]
    with pytest.raises(Refused):
        bench.desk.resend(row.id, reason="not there", token=TOKEN, actor=STAFF)


def test_a_dead_delivery_is_resent_and_stays_dead_itself(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.channels["fhir-rest"].script = [("refuse", Permanent("fhir.422", status=422))]
    bench.send_due()
    row = bench.deliveries(told["pr-psych"].id)[0]
    bench.desk.resend(row.id, reason="their server was mended", token=TOKEN, actor=STAFF)
    bench.send_due()
    assert [one.state for one in bench.deliveries(told["pr-psych"].id)] == [State.DEAD, State.ACKNOWLEDGED]


def test_a_message_of_which_nothing_left_can_be_withdrawn(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.desk.cancel(told["pr-psych"].id, reason="wrong patient", actor=STAFF)
    bench.send_due()
    assert bench.channels["fhir-rest"].calls == 0
    assert bench.state(told["pr-psych"].id) == State.CANCELLED
    assert bench.broken() == []


def test_what_a_person_withdrew_says_so_with_who_when_and_why_and_speaks_of_no_newer_message(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.clock.turn(minutes=5)
    bench.desk.cancel(told["pr-psych"].id, reason="wrong patient", actor=STAFF)
    detail = bench.desk.message(told["pr-psych"].id, STAFF)
    assert (detail.row.state, detail.row.cause, detail.superseded_by) == (State.CANCELLED, "cancelled.person", None)
    assert detail.row.why == detail.deliveries[0].why == "A person withdrew this message before it was sent."
    assert detail.deliveries[0].may_not_resend_because == detail.row.why
    by = detail.withdrawn
    assert (by.at, by.actor, by.reason) == (bench.clock.now(), "staff dana", "wrong patient")
    api = message_whole(detail)
    assert api["withdrawn"] == {"at": by.at, "by": "dana"}
    assert bench.desk.message(told["pr-pcp"].id, STAFF).withdrawn is None


def test_what_a_person_withdrew_under_an_earlier_version_is_told_right_too(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    bench.desk.cancel(told["pr-psych"].id, reason="wrong patient", actor=STAFF)
    with bench.store.begin() as tx:
        for table in (messages, deliveries):
            tx.connection.execute(table.update().where(table.c.cause == "cancelled.person").values(cause=REPLACED))
    detail = bench.desk.message(told["pr-psych"].id, STAFF)
    assert (detail.row.cause, detail.deliveries[0].cause) == ("cancelled.person", "cancelled.person")
    assert detail.withdrawn.reason == "wrong patient"


def test_what_a_newer_message_replaced_is_nobodys_withdrawal(bench):
    event = example("session-outcome.bp-spike")
    first = bench.told(event)["pr-psych"]
    bench.told(event | {"version": 2, "amendment_reason": "a typing mistake"})
    detail = bench.desk.message(first.id, STAFF)
    assert detail.superseded_by is not None
    assert (detail.withdrawn, detail.row.cause == "cancelled.person") == (None, False)


def test_a_message_that_left_cannot_be_withdrawn(bench, arrived):
    with pytest.raises(Refused, match=r"cancel\.left"):
        bench.desk.cancel(arrived["pr-psych"].id, reason="wrong patient", actor=STAFF)


def test_a_letter_without_any_channel_waits_to_be_printed_and_handed_over(bench):
    import json

    clinic = example("clinic")
    clinic["providers"][1]["endpoints"] = []
    bench.registry.write_whole(json.dumps(clinic).encode(), STAFF)
    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-pcp"].id)[0]
    assert (row.channel, row.state, row.cause) == ("by-hand", State.HELD, "hand.print")
    with pytest.raises(Refused):
        bench.desk.record_handover(row.id, to=" ", actor=STAFF)
    bench.desk.record_handover(row.id, to="Front desk at Hillside, J. Doe", actor=STAFF)
    assert bench.state(told["pr-pcp"].id) == State.ACKNOWLEDGED
    assert bench.broken() == []


def on_paper(bench):
    import json

    clinic = example("clinic")
    clinic["providers"][1]["endpoints"] = []
    bench.registry.write_whole(json.dumps(clinic).encode(), STAFF)
    return bench.told(example("session-outcome.bp-spike"))["pr-pcp"].id


def test_when_consent_ends_before_a_letter_was_handed_over_staff_are_told_so_and_not_to_print_it(bench):
    message = on_paper(bench)
    assert bench.desk.message(message, STAFF).row.cause == "hand.print"
    consents = example("clinic")["patients"][0]["consents"]
    for one in consents:
        one["revoked_on"] = "2026-10-14"
    bench.change_patient(consents=consents)
    bench.clock.turn(days=1)
    seen = bench.desk.message(message, STAFF)
    assert (seen.row.state, seen.row.cause, seen.row.needs_person) == (State.HELD, "consent.revoked", True)
    assert (seen.deliveries[-1].cause, "withdrawn consent" in seen.deliveries[-1].why) == ("consent.revoked", True)
    assert "print" not in seen.row.next_step.lower()
    (listed,) = [one for one in bench.desk.messages(MessageFilter(channel="by-hand"), STAFF) if one.id == message]
    assert listed.cause == "consent.revoked"
    with pytest.raises(Refused) as refused:
        bench.desk.record_handover(seen.deliveries[-1].id, to="J. Doe", actor=STAFF)
    assert seen.row.next_step in refused.value.reason


def test_paper_that_follows_a_fax_is_to_be_marked_as_a_copy_of_it_and_a_first_one_is_not(bench):
    bench.channels["fax"].script = ["queue"]
    message = bench.told(example("dose-change.ketamine"))["pr-pcp"].id
    bench.send_due()
    fax = bench.deliveries(message)[-1]
    take_in(bench.parts, ReceiptNews("r", "fax", fax.far_side_ref, fax.id, "failed", "fax.bad-number"))
    bench.desk.resend(fax.id, reason="the number is dead", token=TOKEN, actor=STAFF)
    paper = bench.desk.message(message, STAFF).deliveries[-1]
    assert (paper.channel, paper.cause) == ("by-hand", "hand.print")
    assert re.fullmatch(r"COPY of fax, \d+ \w+ \d{4}", paper.write_on_it)
    bench.desk.record_handover(paper.id, to="J. Doe", actor=STAFF)
    assert bench.desk.message(message, STAFF).deliveries[-1].write_on_it == ""


def test_paper_that_is_handed_over_once_more_is_to_be_marked_as_such(bench):
    message = on_paper(bench)
    assert bench.desk.message(message, STAFF).deliveries[-1].write_on_it == ""
    first = bench.deliveries(message)[0]
    bench.desk.record_handover(first.id, to="J. Doe", actor=STAFF)
    bench.desk.resend(first.id, reason="they have lost it", token=TOKEN, actor=STAFF)
    assert bench.desk.message(message, STAFF).deliveries[-1].write_on_it == "RESENT"


def test_two_people_record_one_hand_over(bench):
    row = bench.deliveries(on_paper(bench))[0]
    bench.desk.record_handover(row.id, to="J. Doe", actor=STAFF)
    with pytest.raises(Refused, match=r"hand\.not-waiting"):
        bench.desk.record_handover(row.id, to="J. Doe", actor=STAFF)
    assert bench.broken() == []


def test_messages_are_found_without_accents_by_patient_recipient_and_reference(bench, arrived):
    def found(text):
        return {one.id for one in bench.desk.messages(MessageFilter(text=text), STAFF)}

    mine = arrived["pr-psych"]
    assert mine.id in found("nunez")
    assert mine.id in found("NÚÑEZ-ĐẶNG zoe")
    assert found("muller lukasz") == {mine.id}
    assert found(mine.reference) == found(mine.reference.replace("-", "")) == {mine.id}
    assert found("nobody") == set()


def test_every_look_at_a_message_is_on_record(bench, arrived):
    bench.desk.message(arrived["pr-psych"].id, STAFF)
    timeline = bench.desk.message(arrived["pr-psych"].id, STAFF).timeline
    assert sum(one.text == "message opened" and one.actor == "staff dana" for one in timeline) == 2


def test_what_is_not_there_is_not_found(bench):
    with pytest.raises(NotFound):
        bench.desk.message("nothing", STAFF)
    with pytest.raises(NotFound):
        bench.desk.resend("nothing", reason="a reason", token=TOKEN, actor=STAFF)


def test_rules_that_said_nothing_are_named_with_the_reason(bench, arrived):
    detail = bench.desk.message(arrived["pr-psych"].id, STAFF)
    off = dict(detail.rules_off)
    assert "R12" in off
    assert off["R12"]
    assert "R3" not in off
    assert {one[0] for one in detail.rules} == {"R2", "R3"}


@pytest.fixture
def withheld(bench):
    bench.change_patient(consents=example("clinic")["patients"][0]["consents"][:1])
    told = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    return told["pr-pcp"]


def test_a_withheld_message_stays_so_while_consent_is_missing(bench, withheld):
    row = bench.deliveries(withheld.id)[0]
    with pytest.raises(Refused) as refused:
        bench.desk.release(row.id, reason="they asked for it", token=TOKEN, actor=STAFF)
    assert "consent" in refused.value.reason.lower()
    assert bench.state(withheld.id) == State.HELD


def test_consent_granted_later_sends_nothing_old_by_itself(bench, withheld):
    bench.change_patient()
    bench.clock.turn(hours=1)
    bench.sweep()
    assert bench.send_due() == 0
    assert bench.channels["fax"].calls == 0


def test_a_person_may_have_a_withheld_message_told_once_consent_is_there(bench, withheld):
    bench.change_patient()
    row = bench.deliveries(withheld.id)[0]
    bench.desk.release(row.id, reason="patient signed today", token=TOKEN, actor=STAFF)
    bench.send_due()
    assert len(bench.channels["fax"].held) == 1
    assert bench.state(withheld.id) == State.ACKNOWLEDGED
    assert bench.desk.message(withheld.id, STAFF).row.letters == ("L5",)
    with pytest.raises(Refused):
        bench.desk.release(row.id, reason="and once more", token="w" * 43, actor=STAFF)
    assert bench.broken() == []


def test_a_message_tells_in_words_by_which_consent_it_was_written(bench, arrived):
    detail = bench.desk.message(arrived["pr-psych"].id, STAFF)
    assert detail.consent == "In force when this was written: cn-1, version 1."
    tries = [fact for one in detail.deliveries[0].attempts for fact in one.facts]
    assert not any("_" in name for name, _ in tries)


def test_a_withheld_message_tells_in_words_that_there_was_no_consent(bench, withheld):
    detail = bench.desk.message(withheld.id, STAFF)
    assert detail.consent == "No consent of the patient for this recipient is on record."


def test_what_is_held_needs_attention_however_often_another_message_was_sent_again(bench):
    """Before, one second delivery anywhere hid every message that was held at its first."""
    sent = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    row = bench.deliveries(sent["pr-psych"].id)[0]
    bench.desk.resend(row.id, reason="they lost it", token="t" * 40, actor=STAFF)
    bench.send_due()
    assert len(bench.deliveries(sent["pr-psych"].id)) == 2
    bench.channels["fax"].script = [NeedsHuman("fax.account")]
    held = bench.told(example("dose-change.ketamine"))["pr-pcp"]
    bench.send_due()
    assert bench.state(held.id) == State.HELD
    listed = bench.desk.messages(MessageFilter(needs_attention=True), STAFF)
    assert [one.id for one in listed] == [held.id]
    assert bench.desk.overview().needs_attention == len(listed)
