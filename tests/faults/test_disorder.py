"""Doubled and reordered tasks, workers that stand still and wake up, clocks that jump or differ, consent that ends.

The last part takes a safeguard away in the worker processes: the same cases must then convict.
"""

import random
import time
from pathlib import Path

import pytest

from coordinator.sandbox.web import Fault, Reply
from tests.faults import report, servers
from tests.faults.conftest import SQLITE
from tests.faults.engines import engine
from tests.faults.template import Template

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(900)]
FAKETIME = "/usr/lib/{}/faketime/libfaketimeMT.so.1"


@pytest.mark.servers
def test_tasks_ten_times_over_and_in_any_order_send_each_message_once(at_scale, settle):
    import sqlalchemy as sa
    from celery import Celery

    from coordinator.store.tables import deliveries

    made = at_scale
    for _ in range(6):
        made.submit()
    with made.service.store.begin(write=False) as tx:
        names = [row.id for row in tx.connection.execute(sa.select(deliveries.c.id))]
    tasks = names[-12:] * 10 + names
    random.Random(made.name).shuffle(tasks)
    app = Celery(broker=made.broker, set_as_current=False)
    app.conf.task_default_queue = "coordinator"
    with app.connection_for_write() as connection:
        for name in tasks:
            app.send_task("coordinator.deliver", args=[name], connection=connection)
    workers = [made.start_worker(), made.start_worker()]
    made.until_quiet()
    for worker in workers:
        worker.kill()
    settle(f"{len(tasks)} tasks: every one tenfold, in any order, at two workers")


def a_late_worker(made, **more):
    """A worker reads a refusal and stands still; another takes over, the message arrives, and it is killed before it
    can write that down; then the first wakes up and writes its refusal. Return the first worker.
    """
    # The fax: FHIR REST looks at the far side before any second try, so it has a second safeguard of its own.
    made.stage.farm.fax.misbehave(Fault("answer", 1, Reply(503), writes=True))
    made.submit()
    first = made.start_worker(STOP_AT="fax:refusal-read", **more)
    first.has_stopped_at()
    time.sleep(made.lease_s + 0.5)
    second = made.start_worker(STOP_AT="fax:answer-read", **more)
    second.has_stopped_at(90)
    second.kill()
    first.go_on()
    return first


@pytest.mark.servers
def test_a_worker_that_stood_still_and_wakes_up_does_no_harm(at_scale, settle):
    first = a_late_worker(at_scale)
    at_scale.until_quiet()
    first.kill()
    settle("a worker stands still past its lease, another takes over and is killed, the first wakes up", 1)


def consent_ends(made, **more):
    """The consent ends while a worker stands between the claim and the mark; then the worker goes on."""
    number = made.submitted
    ref = made.submit()
    worker = made.start_worker(WAIT_AT="claim:after-commit", **more)
    worker.has_stopped_at()
    made.withdraw_consent(ref, number)
    assert made.withdrawn, "nothing stood between the claim and the mark"
    worker.go_on()
    return worker


def test_consent_that_ends_after_the_claim_stops_the_message(made, settle):
    worker = consent_ends(made)
    made.until_quiet()
    worker.kill()
    settle("consent ends between the claim and the first byte")


def test_consent_that_ends_while_a_retry_waits_stops_the_message(made, settle):
    while made.submitted % 3 == 2:
        made.submitted += 1
    number = made.submitted
    made.stage.farm.ehr.misbehave(Fault("answer", 1, Reply(503), writes=True))
    ref = made.submit()
    worker = made.start_worker(WAIT_AT="fhir-rest:refusal-read")
    worker.has_stopped_at()
    made.withdraw_consent(ref, number)
    with made.service.store.begin(write=False) as tx:
        # The refused one is marked as on its way still, but its only try is over: it too must not arrive any more.
        made.withdrawn |= {one.id for one in tx.messages_of_event(ref) if one.provider_id == "pr-psych"}
    worker.go_on()
    made.until_quiet()
    worker.kill()
    settle("consent ends between a refusal and the retry")


def test_consent_that_cannot_be_asked_stops_the_message(made, settle):
    """The registry's row of the patient cannot be opened any more: nothing goes on what is remembered."""
    import sqlalchemy as sa

    from coordinator.store.tables import registry

    number = made.submitted
    ref = made.submit()
    with made.service.store.begin() as tx:
        key = tx.key("patient", f"MRN-F{number}")
        where = sa.and_(registry.c.kind == "patient", registry.c.key == key)
        assert tx.connection.execute(sa.update(registry).where(where).values(body_sealed=b"unreadable")).rowcount == 1
        made.withdrawn |= {one.id for one in tx.messages_of_event(ref)}
    made.submit()
    worker = made.start_worker()
    made.until_quiet()
    worker.kill()
    assert set(made.states(ref).values()) == {("held", "bug")}
    verdict = settle("the row that a consent stands in cannot be read; another message beside it")
    assert (verdict.acknowledged, verdict.waiting) == (2, 2)


@pytest.mark.servers
def test_a_poisonous_task_harms_no_other(at_scale, settle):
    from celery import Celery

    for _ in range(2):
        at_scale.submit()
    app = Celery(broker=at_scale.broker, set_as_current=False)
    app.conf.task_default_queue = "coordinator"
    with app.connection_for_write() as connection:
        for name, args in (("deliver", ["no such delivery"]), ("deliver", [None]), ("prepare", [{"a": 1}]),
                           ("deliver", []), ("unheard-of", [1])):  # fmt: skip
            app.send_task(f"coordinator.{name}", args=args, connection=connection)
    worker = at_scale.start_worker()
    at_scale.until_quiet()
    assert worker.ended() is None, worker.said()
    worker.kill()
    settle("5 poisonous tasks among the others")


CONFLICTS = """
CREATE SEQUENCE conflicts;
CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CASE mod(nextval('conflicts'), 11)
    WHEN 3 THEN RAISE EXCEPTION 'as a deadlock' USING ERRCODE = '40P01';
    WHEN 7 THEN RAISE EXCEPTION 'as a conflict' USING ERRCODE = '40001';
    ELSE RETURN NEW;
  END CASE;
END $$;
CREATE TRIGGER conflict BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION conflict();
CREATE TRIGGER conflict BEFORE UPDATE ON attempts FOR EACH ROW EXECUTE FUNCTION conflict();
"""
NO_CONFLICTS = "DROP FUNCTION conflict() CASCADE; DROP SEQUENCE conflicts"


@pytest.mark.servers
def test_transactions_that_the_database_undoes_are_made_again_and_leave_no_half(at_scale, settle):
    """Two in eleven writes are undone, as deadlocks and conflicts; workers read one snapshot, so real conflicts too."""
    made = at_scale
    engine = made.service.store.engine
    with engine.begin() as plain:  # not the store's own: several commands in one text go only where rows come as text
        plain.exec_driver_sql(CONFLICTS)
        isolation = "SET default_transaction_isolation TO 'repeatable read'"
        plain.exec_driver_sql(f'ALTER DATABASE "{engine.url.database}" {isolation}')
    try:
        refs = [made.submit() for _ in range(6)]
        workers = [made.start_worker(), made.start_worker()]
        made.until_quiet(90)
        for worker in workers:
            worker.kill()
    finally:
        with engine.begin() as plain:
            undone = plain.exec_driver_sql("SELECT last_value FROM conflicts").scalar_one() * 2 // 11
            plain.exec_driver_sql(NO_CONFLICTS)
            plain.exec_driver_sql(f'ALTER DATABASE "{engine.url.database}" RESET default_transaction_isolation')
    assert undone > 4, "hardly a transaction was undone"
    told = [one for ref in refs for one in made.states(ref).values()]
    assert {state for state, _ in told} == {"acknowledged"}, told
    settle(f"{undone} transactions undone by the database as deadlocks and conflicts, two workers")


def test_birthdays_on_the_29th_of_february_are_counted_by_the_calendar():
    from datetime import date

    from coordinator.planning.readings import age_on

    days = (date(2026, 2, 28), date(2026, 3, 1), date(2028, 2, 28), date(2028, 2, 29))
    assert [age_on(date(2008, 2, 29), day) for day in days] == [17, 18, 19, 20]


def faketime(offsets: Path) -> Template:
    """Return a template whose workers read the time with an offset that stands in a file, whatever they call."""
    import platform

    library = FAKETIME.format(f"{platform.machine()}-linux-gnu")
    assert Path(library).exists(), "faketime is missing: run .ci/servers COMMAND, which installs it"
    return Template(
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=str(offsets),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )


def test_a_clock_that_jumps_by_an_hour_and_by_a_day_sends_nothing_twice_and_nothing_too_late(made, settle, tmp_path):
    offsets = tmp_path / "offset"
    offsets.write_text("+0")
    jumping = faketime(offsets)
    try:
        worker = made.start_worker(template=jumping, **kept_by(offsets))
        for offset in ("+3600", "-3600", "+86400", "-86400", "+0"):
            for _ in range(2):
                made.submit()
            time.sleep(1.5)
            offsets.write_text(offset)
            time.sleep(1.5)
        worker.kill()
    finally:
        jumping.close()
    settle("the worker's clock jumps by +1 h, -1 h, +1 day, -1 day while it works, then kill -9", 1)


@pytest.mark.servers
def test_two_workers_whose_clocks_are_ten_minutes_apart_send_each_message_once(at_scale, settle, tmp_path):
    made = at_scale
    offsets = tmp_path / "offset"
    offsets.write_text("+600")
    ahead = faketime(offsets)
    try:
        # The one on time stands still in the middle of a send; the one ahead must not take its lease for run out.
        on_time = made.start_worker(STOP_AT="send:begins mark:after-commit")
        while made.submitted % 3 == 2:
            made.submitted += 1
        made.submit()
        on_time.has_stopped_at()
        other = made.start_worker(template=ahead, **kept_by(offsets))
        for _ in range(4):
            made.submit()
        time.sleep(made.lease_s / 3)
        on_time.go_on()
        made.until_quiet()
        for one in (on_time, other):
            one.kill()
    finally:
        ahead.close()
    settle("two workers whose clocks are ten minutes apart")


def kept_by(offsets: Path) -> dict[str, str]:
    """Return what libfaketime looks for in a worker's own environment."""
    return {"FAKETIME_TIMESTAMP_FILE": str(offsets), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


# Without a safeguard ------------------------------------------------------------------------------------------


def convicted(made, safeguard):
    """Let healthy workers finish, and return what the judge found, kept for the table."""
    worker = made.start_worker(TAKE_AWAY=safeguard)
    made.until_quiet(25)
    worker.kill()
    verdict = made.judge()
    assert not verdict.kept, f"without the {safeguard} nothing was found: {verdict}"
    found = verdict.why[0].partition(":")[0]
    report.keep_conviction(safeguard, made.name, found)
    return found


@pytest.fixture
def crippled(template, tmp_path):
    """An engine of its own on SQLite, since what is found here must not count against the others."""
    with engine(tmp_path, SQLITE, template) as one:
        yield one


def test_without_the_outbox_row_the_matrix_convicts(crippled):
    crippled.submit(and_prepare=False)
    assert "on no way to anybody" in convicted(crippled, "outbox")


def test_without_asking_consent_again_the_matrix_convicts(crippled):
    worker = consent_ends(crippled, TAKE_AWAY="consent")
    crippled.until_quiet(25)
    worker.kill()
    assert "held although the consent had ended" in convicted(crippled, "consent")


def test_without_the_mark_before_the_first_byte_the_matrix_convicts(crippled):
    crippled.submit()
    worker = crippled.start_worker(STOP_AT="send:answer-read", TAKE_AWAY="mark")
    worker.has_stopped_at()
    worker.kill()
    convicted(crippled, "mark")


@pytest.mark.servers
def test_without_the_fence_the_matrix_convicts(template, tmp_path):
    name = "PostgreSQL + RabbitMQ"
    broker = servers.needed(servers.BROKERS[name][0])
    servers.flush(broker)
    with servers.database() as url, engine(tmp_path, name, template, url, broker) as made:
        made.start("beat")
        first = a_late_worker(made, TAKE_AWAY="fence")
        made.until_quiet(40)
        first.kill()
        assert "held 2 times" in convicted(made, "fence")
