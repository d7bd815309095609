"""T2 to T4: what is sent, once, and what becomes of every answer."""

import errno
from datetime import timedelta

import pytest
from bench_parts import STAFF, example, of_patients

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Refused, StoreAway, Transient
from coordinator.flow import deliver, prepare
from coordinator.flow.outcome import Outcome, write_outcome
from coordinator.flow.ports import Lookup, ReceiptNews
from coordinator.flow.sending_desk import StaffSending
from coordinator.flow.sweep import take_back_leases
from coordinator.flow.track import take_in


@pytest.fixture
def told(bench):
    return bench.told(example("session-outcome.bp-spike"))


def test_a_spike_makes_one_urgent_message_each_by_the_first_channel(bench, told):
    assert set(told) == {"pr-psych", "pr-pcp"}
    assert all(one.letters[0] == "L5" and one.priority == "urgent" for one in told.values())
    assert bench.deliveries(told["pr-psych"].id)[0].channel == "fhir-rest"
    assert bench.deliveries(told["pr-pcp"].id)[0].channel == "fax"
    assert bench.send_due() == 2
    assert bench.state(told["pr-psych"].id) == State.ACKNOWLEDGED
    assert len(bench.channels["fhir-rest"].held) == len(bench.channels["fax"].held) == 1
    assert bench.broken() == []


def test_a_patient_with_nobody_outside_to_tell_is_shown_to_a_person(bench):
    bench.change_patient(care_team=[])
    answer = bench.submit(example("session-outcome.bp-spike"))
    assert bench.prepare(answer) == []
    held = bench.desk.held_events(STAFF)
    assert ["care team" in one.cause for one in held] == [True]
    assert bench.broken() == []


def test_preparing_twice_makes_nothing_twice(bench):
    answer = bench.submit(example("session-outcome.bp-spike"))
    first = bench.prepare(answer)
    assert [one.id for one in bench.prepare(answer)] == [one.id for one in first]
    assert all(len(bench.deliveries(one.id)) == 1 for one in first)


@pytest.mark.parametrize(
    ("lack", "then"),
    [(OSError(errno.EMFILE, "Too many open files"), "prepared"), (MemoryError(), "prepared"), (KeyError("x"), "stuck")],
    ids=["no file handle", "no memory", "a fault of ours"],
)
def test_what_the_machine_lacks_for_a_while_costs_an_event_nothing_and_a_fault_of_ours_waits_for_an_engineer(
    bench, monkeypatch, lack, then
):
    def fails(*_args):
        raise lack

    answer = bench.submit(example("session-outcome.bp-spike"))
    with monkeypatch.context() as ill:
        ill.setattr(prepare, "compose", fails)
        for _ in range(10):
            assert bench.prepare(answer) == []
            bench.clock.turn(minutes=1.1)
        bench.prepare(answer)
        assert bool(bench.broken()) is (then == "prepared"), "what lasts is not silent: verify names it"
        bench.clock.turn(minutes=1)
    bench.prepare(answer)
    with bench.store.begin(write=False) as tx:
        assert tx.inbox_row(answer.event_ref).state == then
    assert bench.broken() == []


def test_an_event_that_waits_for_the_machine_is_in_view_on_the_first_page_and_leaves_it_by_itself(bench, monkeypatch):
    def fails(*_args):
        raise OSError(errno.EMFILE, "Too many open files")

    answers = [bench.submit(example(name)) for name in ("session-outcome.bp-spike", "dose-change.ketamine")]
    with monkeypatch.context() as ill:
        ill.setattr(prepare, "compose", fails)
        for _ in range(12):
            bench.clock.turn(minutes=1)
            for answer in answers:
                bench.prepare(answer)
    shown = bench.desk.overview()
    assert [(one.count, one.role) for one in shown.unprepared] == [(2, "engineer")]
    assert "no file handle" in shown.unprepared[0].why
    assert shown.needs_attention == 2
    assert {one.what for one in bench.broken()} == {"tried again and again, and still not prepared"}
    bench.clock.turn(minutes=1)
    for answer in answers:
        bench.prepare(answer)
    assert bench.desk.overview().unprepared == ()
    assert bench.broken() == []


def test_an_event_that_no_worker_takes_up_is_in_view_on_the_first_page(bench):
    bench.submit(example("session-outcome.bp-spike"))
    bench.clock.turn(minutes=9)
    assert bench.desk.overview().unprepared == ()
    bench.clock.turn(minutes=2)
    (shown,) = bench.desk.overview().unprepared
    assert shown.count == 1
    assert "no worker" in shown.why
    assert "never silent" in {one.promise for one in bench.broken()}


def test_a_question_that_was_answered_late_is_not_called_unprepared_at_once(bench):
    event = example("session-outcome.bp-spike")
    event["vitals"][0]["heart_rate"] = 190
    answer = bench.submit(event)
    assert answer.outcome == "held"
    bench.clock.turn(hours=3)
    bench.desk.answer(answer.event_ref, confirmed=True, reason="measured twice", actor=STAFF)
    assert bench.desk.overview().unprepared == ()


@pytest.mark.parametrize("code", ["token.refused", "token.key", "token.discovery"])
def test_a_partner_that_refuses_our_key_is_one_problem_with_its_messages_behind_it_and_they_go_by_themselves(
    bench, code
):
    sending = StaffSending(bench.parts)
    events = ("session-outcome.bp-spike", "dose-change.ketamine", "dose-change.stimulant-hold")
    told = [bench.told(example(name))["pr-psych"] for name in events]
    bench.channels["fhir-rest"].script = [NeedsHuman(code, status=401)] * 20
    bench.send_due()
    for _ in range(3):
        bench.clock.turn(minutes=6)
        bench.send_due()
    with bench.store.begin(write=False) as tx:
        assert [row.state for one in told for row in tx.deliveries(one.id)[-1:]] == [State.PENDING] * len(told)
        assert all(row.attempts_used == 0 for one in told for row in tx.deliveries(one.id))
    (alone,) = sending.left_alone()
    assert (alone.waiting, alone.why) == (len(told), bench.parts.causes.get(code).sentence)
    calls = bench.channels["fhir-rest"].calls
    assert calls < len(told) * 3, "while it is left alone, one message asks for all"
    bench.channels["fhir-rest"].script = []
    for _ in range(3):
        bench.clock.turn(minutes=6)
        bench.send_due()
    assert [bench.state(one.id) for one in told] == [State.ACKNOWLEDGED] * len(told)
    assert sending.left_alone() == []
    assert bench.broken() == []


@pytest.mark.parametrize("code", ["net.connect", "token.unreachable", "token.malformed"])
def test_a_server_or_its_token_server_that_is_away_is_one_problem_and_not_one_for_each_message(bench, code):
    sending = StaffSending(bench.parts)
    events = ("session-outcome.bp-spike", "dose-change.ketamine", "dose-change.stimulant-hold")
    told = [bench.told(example(name))["pr-psych"] for name in events]
    bench.channels["fhir-rest"].script = [Transient(code)] * 50
    for _ in range(16):
        bench.send_due()
        bench.clock.turn(minutes=6)
    (alone,) = sending.left_alone()
    assert alone.waiting == len(told)
    bench.channels["fhir-rest"].script = []
    for _ in range(12):
        bench.clock.turn(hours=1)
        bench.send_due()
    assert [bench.state(one.id) for one in told] == [State.ACKNOWLEDGED] * len(told)
    assert bench.broken() == []


def test_a_sign_in_that_is_refused_after_the_first_byte_holds_that_one_message(bench, told):
    bench.channels["fhir-rest"].script = [("say", NeedsHuman("token.refused", status=401))]
    bench.send_due()
    message = told["pr-psych"]
    assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "token.refused")


def test_what_was_sent_is_what_was_composed(bench, told):
    bench.send_due()
    message = told["pr-psych"]
    sent = bench.channels["fhir-rest"].held[0][1]
    import hashlib

    with bench.store.begin(write=False) as tx:
        bodies = [tx.document(one[0])[0].body for one in tx.documents(message.id)]
    assert sent == hashlib.sha256(b"".join(bodies)).hexdigest()


def test_a_passing_fault_is_tried_again_when_due_and_not_before(bench, told):
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    bench.send_due()
    row = bench.deliveries(told["pr-psych"].id)[0]
    assert (row.state, row.attempts_used) == (State.PENDING, 1)
    assert row.due_at > bench.clock.now()
    assert bench.send_due() == 0
    bench.clock.time = row.due_at
    assert bench.send_due() == 1
    assert bench.state(told["pr-psych"].id) == State.ACKNOWLEDGED


def test_a_wish_to_wait_is_honoured_and_burns_no_attempt(bench, told):
    bench.channels["fhir-rest"].script = [
        Transient("fhir.429", status=429, retry_after=timedelta(hours=3), uses_attempt=False)
    ]
    bench.send_due()
    row = bench.deliveries(told["pr-psych"].id)[0]
    assert row.attempts_used == 0
    assert row.due_at >= bench.clock.now() + timedelta(hours=3)


def test_a_refusal_for_good_is_dead_and_needs_a_person(bench, told):
    bench.channels["fhir-rest"].script = [("refuse", Permanent("fhir.422", status=422))]
    bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.DEAD
    row = bench.desk.message(told["pr-psych"].id, STAFF).row
    assert row.needs_person
    assert row.next_step


def test_what_needs_a_person_is_held_and_uses_no_attempt(bench, told):
    bench.channels["fhir-rest"].script = [NeedsHuman("fhir.patient-not-matched")]
    bench.send_due()
    row = bench.deliveries(told["pr-psych"].id)[0]
    assert (row.state, row.cause, row.attempts_used) == (State.HELD, "fhir.patient-not-matched", 0)
    bench.desk.release(row.id, reason="matched by hand", token="a" * 40, actor=STAFF)
    bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.ACKNOWLEDGED


def test_a_fault_of_ours_is_held_not_repeated(bench, told):
    bench.channels["fhir-rest"].script = [ZeroDivisionError()]
    bench.send_due()
    assert (bench.state(told["pr-psych"].id), bench.cause(told["pr-psych"].id)) == (State.HELD, "bug")


@pytest.mark.parametrize("arrived", [True, False])
def test_a_lost_answer_is_asked_about_before_anything_is_sent_again(bench, told, arrived):
    step = ("take-then" if arrived else "lose", InDoubt("fhir.timeout"))
    channel = bench.channels["fhir-rest"]
    channel.script = [step]
    bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.IN_DOUBT
    assert bench.send_due() == 0
    bench.clock.turn(minutes=1)
    bench.sweep()
    bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.ACKNOWLEDGED
    assert len(channel.held) == 1
    assert channel.calls == (1 if arrived else 2)


def test_a_doubt_that_nobody_can_settle_waits_for_a_person_and_is_never_repeated(bench, told):
    channel = bench.channels["fhir-rest"]
    channel.script, channel.knows = [("take-then", InDoubt("fhir.timeout"))], False
    bench.send_due()
    for _ in range(5):
        bench.clock.turn(hours=2)
        bench.sweep()
        bench.send_due()
    assert bench.state(told["pr-psych"].id) == State.IN_DOUBT
    assert channel.calls == 1
    assert bench.desk.message(told["pr-psych"].id, STAFF).row.needs_person


def test_a_worker_that_dies_before_the_first_byte_is_simply_replaced(bench, told):
    claimed = deliver.claim(bench.parts, "dead", 10)
    assert len(claimed) == 2
    assert bench.send_due() == 0
    bench.clock.turn(minutes=10)
    assert take_back_leases(bench.parts) == 2
    assert bench.send_due() == 2
    assert [len(bench.channels[one].held) for one in ("fhir-rest", "fax")] == [1, 1]


def test_a_worker_that_dies_on_the_wire_leaves_a_doubt(bench, told):
    for one in deliver.claim(bench.parts, "dead", 10):
        deliver.mark(bench.parts, one, None)
    bench.clock.turn(minutes=10)
    bench.sweep()
    assert bench.state(told["pr-psych"].id) == State.IN_DOUBT
    bench.clock.turn(minutes=10)
    bench.sweep()
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == 1
    assert bench.broken() == []


def test_a_late_worker_cannot_overrule_the_one_that_took_over(bench, told):
    late = deliver.claim(bench.parts, "late", 1)[0]
    bench.clock.turn(minutes=10)
    take_back_leases(bench.parts)
    bench.send_due()
    bench.channels["fhir-rest"].script = []
    write_outcome(bench.parts, late.delivery, late.message, None, Outcome("needs-human", code="bug"))
    assert bench.state(late.message.id) == State.ACKNOWLEDGED
    with pytest.raises(Exception, match="lease"):
        deliver.mark(bench.parts, late, None)


def test_consent_that_ends_before_the_send_stops_it(bench, told):
    consents = example("clinic")["patients"][0]["consents"]
    consents[0]["revoked_on"] = "2026-10-16"
    bench.change_patient(consents=consents)
    bench.send_due()
    assert bench.channels["fhir-rest"].calls == 0
    assert (bench.state(told["pr-psych"].id), bench.cause(told["pr-psych"].id)) == (State.CANCELLED, "consent.revoked")
    assert len(bench.channels["fax"].held) == 1


def test_consent_that_ends_between_claim_and_mark_still_stops_it(bench, told):
    consents = example("clinic")["patients"][0]["consents"]
    consents[0]["revoked_on"] = "2026-10-16"
    bench.channels["fhir-rest"].between = lambda: bench.change_patient(consents=consents)
    bench.send_due()
    assert bench.channels["fhir-rest"].held == []
    assert bench.state(told["pr-psych"].id) == State.CANCELLED
    assert bench.broken() == []


def test_a_recipient_without_consent_gets_nothing_and_nobody_else_hears_of_it(bench):
    consents = example("clinic")["patients"][0]["consents"][:1]
    bench.change_patient(consents=consents)
    told = bench.told(example("dose-change.ketamine"))
    assert told["pr-pcp"].state == "withheld"
    assert bench.deliveries(told["pr-pcp"].id)[0].cause == "consent.no-consent"
    bench.send_due()
    assert bench.channels["fax"].calls == 0
    with bench.store.begin(write=False) as tx:
        assert tx.documents(told["pr-pcp"].id) == []
        letters = [tx.document(one[0])[0].body for one in tx.documents(told["pr-psych"].id) if one[1] == "letter-text"]
    assert all("Brien" not in one.decode() for one in letters)
    with pytest.raises(Refused):
        bench.desk.resend(bench.deliveries(told["pr-pcp"].id)[0].id, reason="please", token="t" * 40, actor=STAFF)


def test_a_newer_dose_change_replaces_the_older_one_that_was_not_sent(bench):
    older = bench.told(example("dose-change.ketamine"))
    event = example("dose-change.ketamine") | {"id": "dc-3001", "recorded_at": "2026-10-16T09:40:00-05:00"}
    event["from"], event["to"] = event["to"] | {"as_of": "2026-10-16", "source": "clinic"}, dict(event["to"])
    event["to"]["dose"] = {"value": "0.7", "unit": "mg/kg"}
    newer = bench.told(event)
    assert bench.state(older["pr-psych"].id) == State.CANCELLED
    bench.send_due()
    assert [name for name, _ in bench.channels["fhir-rest"].held] == [f"urn:uuid:{newer['pr-psych'].id}"]
    assert bench.broken() == []


def test_an_older_dose_change_that_comes_late_is_not_sent_after_the_newer_one(bench):
    newer = example("dose-change.ketamine") | {"id": "dc-3001", "recorded_at": "2026-10-16T09:40:00-05:00"}
    bench.told(newer)
    bench.send_due()
    older = bench.told(example("dose-change.ketamine"))
    assert bench.send_due() == 0
    assert older["pr-psych"].state == "superseded"
    assert len(bench.channels["fhir-rest"].held) == 1


def test_an_amendment_before_the_send_goes_out_plain_and_alone(bench):
    first = bench.told(example("session-outcome.bp-spike"))
    second = bench.told(example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"})
    bench.send_due()
    assert "L9" not in second["pr-psych"].letters
    assert bench.state(first["pr-psych"].id) == State.CANCELLED
    assert len(bench.channels["fhir-rest"].held) == 1


def test_an_amendment_after_the_send_is_a_correction_to_everybody_who_has_the_letter(bench):
    bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"}
    event["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    second = bench.told(event)
    assert all(one.letters[0] == "L9" for one in second.values())
    bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == 2
    assert bench.broken() == []


def test_an_amendment_that_changes_nothing_told_sends_nothing_and_says_so(bench):
    first = bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    second = bench.told(example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "typing error"})
    bench.send_due()
    assert {one.state for one in second.values()} == {"nothing-to-send"}
    assert len(bench.channels["fhir-rest"].held) == 1
    assert bench.desk.message(first["pr-psych"].id, STAFF).row.state == State.ACKNOWLEDGED
    assert bench.desk.message(second["pr-psych"].id, STAFF).row.why
    assert bench.broken() == []


def test_a_fax_is_proven_by_its_report_and_only_once(bench, told):
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    row = bench.deliveries(told["pr-pcp"].id)[0]
    assert row.state == State.SENT
    news = ReceiptNews("report-1", "fax", row.far_side_ref, row.id, "acknowledged")
    take_in(bench.parts, news)
    take_in(bench.parts, news)
    assert bench.state(told["pr-pcp"].id) == State.ACKNOWLEDGED
    with bench.store.begin(write=False) as tx:
        assert len(tx.receipts(row.id)) == 1


def test_a_report_of_another_fax_settles_nothing(bench, told):
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    take_in(bench.parts, ReceiptNews("report-9", "fax", "ref-unknown", None, "acknowledged"))
    assert bench.state(told["pr-pcp"].id) == State.SENT


def test_a_number_where_a_person_answered_is_closed_for_every_patient(bench, told):
    bench.channels["fax"].script = ["queue"]
    bench.send_due()
    row = bench.deliveries(told["pr-pcp"].id)[0]
    take_in(
        bench.parts, ReceiptNews("report-2", "fax", row.far_side_ref, row.id, "failed", "fax.wrong-number", retry=True)
    )
    assert (bench.state(told["pr-pcp"].id), bench.cause(told["pr-pcp"].id)) == (State.HELD, "fax.wrong-number")
    other = bench.told(example("dose-change.ketamine"))
    bench.send_due()
    assert bench.channels["fax"].calls == 1
    assert bench.cause(other["pr-pcp"].id) == "release.endpoint-suspended"


def test_a_proof_that_does_not_come_becomes_somebodys_problem_and_may_still_come(bench, told):
    bench.channels["fax"].script, bench.channels["fax"].knows = ["queue"], False
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert (bench.state(told["pr-pcp"].id), bench.cause(told["pr-pcp"].id)) == (State.HELD, "receipt.overdue")
    row = bench.deliveries(told["pr-pcp"].id)[0]
    take_in(bench.parts, ReceiptNews("report-3", "fax", row.far_side_ref, row.id, "acknowledged"))
    assert bench.state(told["pr-pcp"].id) == State.ACKNOWLEDGED


@pytest.mark.parametrize("code", ["net.refused", "fhir.503", "fhir.metadata"])
def test_one_dead_endpoint_opens_its_breaker_and_is_probed_with_one_message(bench, code):
    bench.channels["fhir-rest"].script = [Transient(code) for _ in range(50)]
    bench.told(example("session-outcome.bp-spike"))
    for _ in range(6):
        bench.send_due()
        bench.clock.turn(hours=6)
    calls = bench.channels["fhir-rest"].calls
    with bench.store.begin(write=False) as tx:
        assert tx.health("ep-psych-fhir").open_since is not None
    bench.told(example("dose-change.ketamine"))
    bench.send_due()
    assert bench.channels["fhir-rest"].calls - calls <= 1
    bench.channels["fhir-rest"].script = []
    for _ in range(4):
        bench.clock.turn(hours=12)
        bench.send_due()
    assert len(bench.channels["fhir-rest"].held) == 2
    with bench.store.begin(write=False) as tx:
        assert tx.health("ep-psych-fhir").open_since is None


def test_a_server_that_nobody_reaches_leaves_few_messages_in_doubt_and_the_others_behind_its_breaker(bench):
    fhir = bench.channels["fhir-rest"]
    fhir.script = [InDoubt("fhir.502", status=502) for _ in range(50)]
    for event in of_patients(bench, 8):
        bench.told(event)
        bench.send_due()
        bench.clock.turn(seconds=1)
    assert fhir.calls == bench.parts.policy.breaker_after
    with bench.store.begin(write=False) as tx:
        assert tx.health("ep-psych-fhir").open_since is not None


def test_an_overdue_message_appears_under_needs_attention_while_it_is_still_tried(bench, told):
    bench.channels["fhir-rest"].script = [Transient("fhir.503", status=503) for _ in range(20)]
    bench.send_due()
    bench.clock.turn(hours=5)
    bench.sweep()
    row = bench.desk.message(told["pr-psych"].id, STAFF).row
    assert row.state == State.PENDING
    assert row.needs_person
    assert row.next_step


def test_an_unanswered_urgent_message_becomes_a_telephone_task_once(bench, told):
    bench.send_due()
    bench.clock.turn(hours=5)
    bench.sweep()
    bench.sweep()
    with bench.store.begin(write=False) as tx:
        tasks = tx.open_tasks(told["pr-psych"].id)
    assert [(one[2], one[3]) for one in tasks] == [("call", "answer.overdue")]


def test_a_mark_that_the_database_does_not_take_sends_nothing_and_is_tried_again(bench, monkeypatch):
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    write, away = bench.parts.together.write, [StoreAway()]

    def writing(ledger, kind, known, act):
        if kind is deliver.before_marks and known[1].id == message.id and away:
            raise away.pop()
        return write(ledger, kind, known, act)

    monkeypatch.setattr(bench.parts.together, "write", writing)
    bench.send_due()
    assert (bench.state(message.id), bench.cause(message.id)) == (State.PENDING, "release.not-now")
    assert bench.channels["fhir-rest"].held == []
    bench.send_due()
    assert bench.state(message.id) == State.ACKNOWLEDGED
    assert bench.broken() == []


@pytest.mark.parametrize(
    ("code", "retry", "state"),
    [
        ("fax.busy", True, State.PENDING),
        ("fax.no-answer", True, State.PENDING),
        ("fax.refused", False, State.HELD),
        ("fax.document", False, State.HELD),
        ("fax.unknown", False, State.HELD),
        ("fax.bad-number", False, State.HELD),
        ("fax.no-fax-tone", False, State.HELD),
    ],
)
def test_a_fax_found_failed_by_asking_is_dialled_again_only_where_its_class_says(bench, told, code, retry, state):
    bench.channels["fax"].script = ["queue"]
    bench.channels["fax"].says = Lookup("failed", code=code, retry=retry)
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    assert (bench.state(told["pr-pcp"].id), bench.cause(told["pr-pcp"].id)) == (state, code)
    assert bench.broken() == []


def test_a_letter_filed_in_another_patients_record_is_an_incident_and_closes_the_address(bench, told):
    bench.channels["fhir-rest"].script = [("take-then", NeedsHuman("fhir.other-patient", detail=b"patient"))]
    bench.send_due()
    message = told["pr-psych"].id
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "fhir.other-patient")
    with bench.store.begin(write=False) as tx:
        (incident,) = tx.incidents()
        frozen = tx.health(bench.deliveries(message)[0].endpoint_id)
    assert (incident.kind, incident.message_id) == ("wrong-record", message)
    assert frozen.suspended_at is not None
    assert bench.desk.message(message, STAFF).row.needs_person


def test_what_a_server_took_and_did_not_keep_is_never_sent_again_by_itself(bench, told):
    bench.channels["fhir-rest"].script = ["queue"]
    bench.channels["fhir-rest"].says = Lookup("failed", code="fhir.not-kept", detail=b"Their copy is not as sent.")
    bench.send_due()
    bench.clock.turn(hours=2)
    bench.sweep()
    message = told["pr-psych"].id
    assert (bench.state(message), bench.cause(message)) == (State.HELD, "fhir.not-kept")
    assert len(bench.channels["fhir-rest"].held) == 1
    with bench.store.begin(write=False) as tx:
        assert "Their copy is not as sent." in [one.detail for one in tx.audit_of([message])]
    assert bench.broken() == []
