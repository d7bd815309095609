"""Five of the twenty faults: what many messages, settings, secrets, sizes and pages do to a delivery system."""

import json
import logging
from dataclasses import fields, replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.delivery import State
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.flow import deliver
from coordinator.flow.heartbeat import Heartbeat
from coordinator.flow.hold_rows import Selection
from coordinator.flow.parts import Policy
from coordinator.flow.ports import Lookup, ReceiptNews
from coordinator.flow.prepare import prepare
from coordinator.flow.read_models import MessageFilter
from coordinator.flow.resend_jobs import job, plan_job
from coordinator.flow.rows import NewDelivery, NewMessage
from coordinator.flow.sending_desk import StaffSending
from coordinator.flow.sweep import BATCH, settle_doubts
from coordinator.flow.track import take_in
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.settings import Settings
from coordinator.worker import tasks
from coordinator.worker.app import app
from tests.contract.people import CANARY, CountingDice, WallClock, a_package
from tests.contract.test_fhir_rest import CREATED, far_side
from tests.faults.simulation import workshop
from tests.faults.simulation.world import STAFF
from tests.faults.test_twenty_bugs import dose_change, held, rows, send_due, submit, tell, world  # noqa: F401

AWAY = Policy().breaker_after


def away(world, kind):  # noqa: F811
    world.channels[kind].calm, world.channels[kind].moods = False, {"no-line": 1}


def many(world, message, count, state, *, cause="fhir.403"):  # noqa: F811
    """Put `count` more messages beside one, all of the very same instant, each with a delivery in that state."""
    now = world.clock.now()
    with world.store.begin() as tx:
        known, documents = tx.message(message.id), tx.contents(message.id)
        made = {one.name: getattr(known, one.name) for one in fields(NewMessage)}
        first = tx.deliveries(message.id)[0]
        for number in range(count):
            # In an order that is not the order of their ids, as real ids are.
            name = f"{(number * 7919) % 100_003:06d}"
            tx.add_message(NewMessage(**{**made, "id": f"m-{name}", "lane_subject": f"lane-{name}"}), at=now, terms=())
            for one in documents:
                tx.add_document(replace(one, id=f"{one.role}-{name}", message_id=f"m-{name}"), at=now)
            tx.add_delivery(
                NewDelivery(
                    id=f"d-{name}", message_id=f"m-{name}", provider_id=first.provider_id, channel=first.channel,
                    endpoint_id=first.endpoint_id, position=0, priority=first.priority, state=state, cause=cause,
                    due_at=now,
                ),
                at=now,
            )  # fmt: skip


def test_07_one_far_side_that_is_away_is_one_problem_however_many_messages_wait(world, caplog):  # noqa: F811
    caplog.set_level(logging.INFO, logger="coordinator")
    away(world, "fhir-rest")
    message = tell(world, dose_change(world))["pr-psych"]
    many(world, message, 30, State.PENDING, cause=None)
    for _ in range(40):
        send_due(world)
        world.clock.turn(timedelta(minutes=7))
    (outage,) = StaffSending(world.parts).left_alone()
    opened = [one for one in caplog.records if getattr(one, "line", "") == "BREAKER_OPENED"]
    assert (len(opened), outage.waiting) == (1, 31)
    world.channels["fhir-rest"].calm = True
    for _ in range(20):
        world.clock.turn(timedelta(hours=1))
        send_due(world)
    closed = [one for one in caplog.records if getattr(one, "line", "") == "BREAKER_CLOSED"]
    assert (len(opened), len(closed), StaffSending(world.parts).left_alone()) == (1, 1, [])


def test_07_what_needs_a_person_is_counted_by_recipient_and_cause_and_not_by_message(world):  # noqa: F811
    message = tell(world, dose_change(world))["pr-psych"]
    many(world, message, 30, State.DEAD)
    overview = world.desk.overview()
    assert [count for place, _, count in overview.problems if place == "ep-psych-fhir"] == [30]


@pytest.mark.parametrize("told", [True, False])
def test_08_a_far_side_is_left_alone_whether_or_not_anybody_listens(world, told):  # noqa: F811
    logging.disable(logging.NOTSET if told else logging.CRITICAL)
    try:
        away(world, "fhir-rest")
        message = tell(world, dose_change(world))["pr-psych"]
        many(world, message, AWAY + 10, State.PENDING, cause=None)
        for _ in range(AWAY + 10):
            for one in deliver.claim(world.parts, "w", 1):
                deliver.attempt(world.parts, one)
        tried = world.books.moods["no-line"]
    finally:
        logging.disable(logging.NOTSET)
    assert tried == AWAY


def test_08_a_wrong_number_is_left_alone_whether_or_not_anybody_listens(world):  # noqa: F811
    logging.disable(logging.CRITICAL)
    try:
        first = tell(world, dose_change(world))["pr-pcp"]
        send_due(world)
        world.channels["fax"].mail.clear()
        ref = rows(world, first)[0].far_side_ref
        take_in(world.parts, ReceiptNews("report", "fax", ref, None, "failed", "fax.bad-number"))
        other = tell(world, dose_change(world, "b", patient="MRN-1002"))["pr-pcp"]
        send_due(world)
    finally:
        logging.disable(logging.NOTSET)
    row = rows(world, other)[0]
    assert (row.state, row.cause, held(world, other)) == (State.HELD, "release.endpoint-suspended", 0)


@pytest.mark.loopback
def test_15_a_fixed_secret_stands_in_no_log_and_no_error_and_a_resend_is_the_very_same_bytes(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "ehr-token").write_text("Tr0ub4dor-secret\n")
    asked = far_side(CREATED)
    auth = EndpointAuth(method="bearer", secret="ehr-token")
    with asked as far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        at = Endpoint(id="ep-1", kind="fhir-rest", address=far.address, auth=auth)
        sign_in = SignIn(http, SmartConfig(keys=(), secrets_dir=tmp_path), WallClock(), CountingDice())
        channel = FhirRest(http, sign_in, WallClock())
        package = a_package(message="m-15")
        facts = []
        for again in (False, True):
            deadline = WallClock().now() + timedelta(seconds=8)
            one = a_package(message="m-15", resent=again)
            facts.append(channel.send(one, at, deadline=deadline, about_to_send=lambda _: None))
        written = [
            (headers, body) for method, path, headers, body in far.requests if path.endswith("DocumentReference")
        ]
    assert [headers["authorization"] for headers, _ in written] == ["Bearer Tr0ub4dor-secret"] * 2
    assert [body for _, body in written] == [package.document("fhir-document").body] * 2
    everything = caplog.text + repr([vars(one) for one in caplog.records]) + repr(facts) + repr(channel) + repr(sign_in)
    assert "Tr0ub4dor" not in everything
    assert CANARY not in caplog.text


def test_15_what_a_person_looks_at_changes_nothing_of_what_is_sent(world):  # noqa: F811
    message = tell(world, dose_change(world))["pr-psych"]

    def stored():
        with world.store.begin(write=False) as tx:
            return [(one.role, one.body) for one in tx.contents(message.id)]

    before = stored()
    send_due(world)
    world.desk.messages(MessageFilter(), STAFF)
    world.desk.message(message.id, STAFF)
    world.desk.resend(rows(world, message)[0].id, reason="asked for it", token="t" * 40, actor=STAFF)
    send_due(world)
    assert stored() == before
    sent = [one.content_sha256 for one in rows(world, message)]
    assert len(sent) == 2
    assert len(set(sent)) == 1


def test_18_a_letter_far_too_large_for_a_broker_is_delivered_because_a_task_is_an_id(world, monkeypatch):  # noqa: F811
    whole = workshop.tiny
    huge = b"%PDF " + bytes(24_000_000)

    def large(*arguments, **named):
        made = whole(*arguments, **named)
        return replace(made, letters=tuple(replace(one, pdf=huge) for one in made.letters))

    monkeypatch.setattr(workshop, "tiny", large)
    made = SimpleNamespace(
        parts=world.parts, look_for_restore=lambda: None, heart=Heartbeat(world.store, world.parts.clock)
    )
    monkeypatch.setattr(tasks, "service", lambda: made)
    answer = submit(world, dose_change(world))
    published = what_the_broker_gets(tasks.sweep_all)
    prepare(world.parts, answer.event_ref)
    with world.store.begin(write=False) as tx:
        told = list(tx.messages_of_event(answer.event_ref))
        assert sum(one.body == huge for one in tx.contents(told[0].id)) == 1
    published += what_the_broker_gets(tasks.sweep_all)
    names = {json.loads(one)[0][0] for one in published}
    assert answer.event_ref in names
    assert len(names) == 2, "one hint stands for all that is due"
    assert names < {answer.event_ref, *(rows(world, one)[0].id for one in told)}
    assert max(len(one) for one in published) < 1_000
    send_due(world)
    assert all(held(world, one) == 1 for one in told)


def what_the_broker_gets(act):
    """Return the bodies of every task that is published meanwhile, to a broker in memory."""
    assert not Settings().broker(), "these tests publish to a broker in memory"
    found = []
    with app.connection_for_read() as connection, connection.SimpleQueue("coordinator") as queue:
        queue.clear()
        act()
        while queue.qsize():
            message = queue.get(timeout=5)
            found.append(message.body if isinstance(message.body, bytes) else message.body.encode())
            message.ack()
    return found


def test_19_every_doubt_of_the_same_instant_is_asked_about_once_before_any_is_asked_twice(world):  # noqa: F811
    count = 2 * BATCH + 37
    message = tell(world, dose_change(world))["pr-psych"]
    many(world, message, count, State.IN_DOUBT, cause="net.timeout-after-send")
    asked = []

    def look_up(package, endpoint, far_side_ref, *, deadline):
        asked.append(package.delivery)
        return Lookup("unknown")

    world.channels["fhir-rest"].look_up = look_up
    world.clock.turn(timedelta(minutes=1))
    for _ in range(3):
        settle_doubts(world.parts)
    assert len(asked) == count == len(set(asked))


def test_19_a_recovery_takes_every_failure_of_the_same_instant_once_whatever_the_page(world):  # noqa: F811
    count = 333
    message = tell(world, dose_change(world))["pr-psych"]
    many(world, message, count, State.DEAD)
    chosen = Selection(endpoint_id=rows(world, message)[0].endpoint_id, since=world.clock.now() - timedelta(hours=1))
    made = plan_job(world.parts, chosen, reason="their server was away", actor=STAFF)
    seen, after = [], 0
    while True:
        page = job(world.parts, made.id, STAFF, after=after, limit=50)
        seen += [one.message.id for one in page.items]
        if page.next_after is None:
            break
        after = page.next_after
    assert made.total == count == len(seen) == len(set(seen))


def test_19_the_list_of_what_needs_attention_shows_every_message_of_the_same_instant_once(world):  # noqa: F811
    count = 233
    message = tell(world, dose_change(world))["pr-psych"]
    many(world, message, count, State.DEAD)
    seen, before = [], None
    while True:
        page = world.desk.messages(MessageFilter(needs_attention=True, before_id=before, limit=50), STAFF)
        if not page:
            break
        seen += [one.id for one in page]
        before = page[-1].id
    assert len(seen) == count == len(set(seen))
