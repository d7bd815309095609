"""Sending many again: counted and frozen first, limited in rate, pausable, each with its result, and never doubled."""

import contextlib
from dataclasses import replace

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import Permanent, Refused
from coordinator.flow import recompose as anew
from coordinator.flow import resend_jobs as jobs
from coordinator.flow.hold_rows import Selection
from coordinator.flow.read_models import Actor
from coordinator.store.tables import messages

KIT = Actor("staff", "kit")


EVENTS = ("session-outcome.bp-spike", "dose-change.ketamine", "dose-change.stimulant-hold")


def failed(bench) -> list:
    """Return messages to the psychiatrist whose server refused each for good."""
    found = []
    for name in EVENTS:
        told = bench.told(example(name))
        if "pr-psych" in told:
            found.append(told["pr-psych"])
    way = bench.deliveries(found[0].id)[0]
    bench.channels[way.channel].script = [Permanent("fhir.422")] * 50
    for _ in EVENTS:
        bench.send_due()
        bench.clock.turn(seconds=10)
    bench.channels[way.channel].script = []
    return [one for one in found if bench.state(one.id) in {State.DEAD, State.HELD}]


def spoil(bench, message_id):
    with bench.store.begin() as tx:
        where = messages.c.id == message_id
        assert tx.connection.execute(messages.update().where(where).values(plan_sealed=b"x")).rowcount == 1


def test_an_item_that_cannot_be_read_is_refused_and_stops_neither_its_list_nor_another(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    spoil(bench, drawn.items[0].message.id)
    run(bench)
    with bench.store.begin(write=False) as tx:
        counts = tx.job_counts(drawn.id)
        assert (tx.job(drawn.id).state, counts["refused"], counts["made"]) == ("done", 1, len(group) - 1)


def test_an_item_that_cannot_be_composed_anew_is_refused_and_the_list_goes_on(bench, group, monkeypatch):
    drawn = jobs.plan_job(
        bench.parts, chosen(bench, group), reason="the template was mended", actor=STAFF, mode="recomposed"
    )  # fmt: skip
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    real, bad = jobs.recompose, drawn.items[0].message.id

    def recompose(parts, message_id, **more):
        if message_id == bad:
            raise TypeError("a fault of the letter's own")
        return real(parts, message_id, **more)

    monkeypatch.setattr(jobs, "recompose", recompose)
    run(bench)
    shown = jobs.job(bench.parts, drawn.id, STAFF)
    assert [one.state for one in shown.items] == ["refused", *["made"] * (len(group) - 1)]
    assert "Tell whoever looks after the service" in shown.items[0].why


@pytest.fixture
def group(bench):
    stuck = failed(bench)
    assert len(stuck) >= 2
    return stuck


def chosen(bench, stuck) -> Selection:
    row = bench.deliveries(stuck[0].id)[-1]
    return Selection(provider_id=row.provider_id, channel=row.channel, cause=row.cause)


def run(bench, minutes: float = 2) -> None:
    for _ in range(int(minutes * 30)):
        jobs.work_jobs(bench.parts)
        bench.clock.turn(seconds=2)


def test_the_list_is_counted_sampled_and_frozen_before_anything_goes(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    assert (drawn.state, drawn.total, drawn.waiting) == ("draft", len(group), len(group))
    oldest_first = sorted(group, key=lambda one: one.occurred_at)
    assert [one.message.id for one in drawn.items] == [one.id for one in oldest_first]
    run(bench)
    assert all(len(bench.deliveries(one.id)) == 1 for one in group)


def test_a_started_job_sends_each_once_oldest_first_and_says_what_came_of_it(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    jobs.move_job(bench.parts, drawn.id, "start", actor=KIT)
    run(bench)
    bench.send_due()
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert (view.state, view.made, view.refused, view.waiting) == ("done", len(group), 0, 0)
    assert {one.new_state for one in view.items} == {State.ACKNOWLEDGED}
    for one in group:
        rows = bench.deliveries(one.id)
        assert [row.resend_of for row in rows] == [None, rows[0].id]
        assert rows[1].reason == "their server was mended"


def test_the_rate_is_kept(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="slowly please", actor=STAFF, per_minute=1)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    jobs.work_jobs(bench.parts)
    jobs.work_jobs(bench.parts)
    assert jobs.job(bench.parts, drawn.id, STAFF).made == 1
    bench.clock.turn(seconds=59)
    jobs.work_jobs(bench.parts)
    assert jobs.job(bench.parts, drawn.id, STAFF).made == 1
    bench.clock.turn(seconds=2)
    jobs.work_jobs(bench.parts)
    assert jobs.job(bench.parts, drawn.id, STAFF).made == 2


def test_a_paused_job_rests_and_a_continued_one_goes_on_where_it_was(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="slowly please", actor=STAFF, per_minute=1)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    jobs.work_jobs(bench.parts)
    jobs.move_job(bench.parts, drawn.id, "pause", actor=KIT)
    run(bench, minutes=5)
    assert jobs.job(bench.parts, drawn.id, STAFF).made == 1
    jobs.move_job(bench.parts, drawn.id, "continue", actor=KIT)
    run(bench, minutes=10)
    assert jobs.job(bench.parts, drawn.id, STAFF).state == "done"
    assert all(len(bench.deliveries(one.id)) == 2 for one in group)


def test_a_cancelled_job_sends_nothing_more(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="slowly please", actor=STAFF, per_minute=1)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    jobs.work_jobs(bench.parts)
    jobs.move_job(bench.parts, drawn.id, "cancel", actor=STAFF)
    run(bench, minutes=5)
    assert sum(len(bench.deliveries(one.id)) for one in group) == len(group) + 1
    with pytest.raises(Refused):
        jobs.move_job(bench.parts, drawn.id, "continue", actor=STAFF)


def test_two_starts_are_one_and_two_jobs_never_hold_the_same_message(bench, group):
    first = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    second = jobs.plan_job(bench.parts, chosen(bench, group), reason="so say I too", actor=KIT)
    jobs.move_job(bench.parts, first.id, "start", actor=STAFF)
    jobs.move_job(bench.parts, first.id, "start", actor=KIT)
    with pytest.raises(Refused, match=r"job\.overlap"):
        jobs.move_job(bench.parts, second.id, "start", actor=KIT)
    run(bench)
    bench.send_due()
    jobs.move_job(bench.parts, second.id, "start", actor=KIT)
    run(bench)
    bench.send_due()
    again = jobs.job(bench.parts, second.id, STAFF)
    assert (again.made, again.refused) == (0, len(group))
    assert {one.why for one in again.items} == {"Somebody has sent it again since the list was drawn up."}
    assert all(len(bench.deliveries(one.id)) == 2 for one in group)


def test_a_job_goes_on_after_the_process_died_between_two_items(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    jobs._one_item(bench.parts, drawn.id)
    # Another process, with nothing in its memory, finds the rows.
    bench.clock.turn(minutes=5)
    while jobs.work_jobs(bench.parts):
        bench.clock.turn(seconds=5)
    assert jobs.job(bench.parts, drawn.id, STAFF).state == "done"
    assert all(len(bench.deliveries(one.id)) == 2 for one in group)


def test_what_may_not_be_sent_is_refused_item_by_item_with_the_reason(bench, group):
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    bench.change_patient(consents=[])
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    run(bench)
    bench.send_due()
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert (view.made, view.refused) == (0, len(group))
    assert all("consent" in one.why.lower() for one in view.items)


def test_everything_of_an_address_since_a_time_takes_what_arrived_only_when_asked(bench):
    told = bench.told(example("session-outcome.bp-spike"))
    row = bench.deliveries(told["pr-psych"].id)[0]
    start = bench.clock.now()
    bench.send_due()
    since = Selection(endpoint_id=row.endpoint_id, since=start)
    with pytest.raises(Refused, match=r"job\.nothing"):
        jobs.plan_job(bench.parts, since, reason="they lost a day", actor=STAFF)
    louder = Selection(endpoint_id=row.endpoint_id, since=start, with_arrived=True)
    assert jobs.plan_job(bench.parts, louder, reason="they lost a day", actor=STAFF).total == 1
    bench.clock.turn(hours=1)
    later = Selection(endpoint_id=row.endpoint_id, since=bench.clock.now(), with_arrived=True)
    with pytest.raises(Refused, match=r"job\.nothing"):
        jobs.plan_job(bench.parts, later, reason="they lost a day", actor=STAFF)


def test_a_list_that_means_everything_or_lies_for_an_hour_is_not_started(bench, group):
    with pytest.raises(Refused, match=r"job\.everything"):
        jobs.plan_job(bench.parts, Selection(), reason="all of it", actor=STAFF)
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    bench.clock.turn(minutes=61)
    with pytest.raises(Refused, match=r"job\.old"):
        jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)


def test_a_job_that_composes_anew_makes_linked_new_messages(bench, group):
    drawn = jobs.plan_job(
        bench.parts, chosen(bench, group), reason="the template was mended", actor=STAFF, mode="recomposed"
    )
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    run(bench)
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert view.made + view.refused == len(group)
    assert view.made >= 1


def test_two_sweeps_at_one_item_that_is_composed_anew_tell_of_one_result(bench, group, monkeypatch):
    """Composing takes longer than a fast job's pause: the slower sweep found it done, and called it refused."""
    drawn = jobs.plan_job(
        bench.parts, chosen(bench, group), reason="the template was mended", actor=STAFF, mode="recomposed",
        per_minute=600,
    )  # fmt: skip
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    real, inside = anew._compose, []

    def slowly(*args):
        if not inside:
            inside.append("the other sweep comes by and is quicker")
            bench.clock.turn(seconds=2)
            jobs._one_item(bench.parts, drawn.id)
        return real(*args)

    monkeypatch.setattr(anew, "_compose", slowly)
    run(bench)
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert (view.made, view.refused) == (len(group), 0)


def two_at_most_alone(bench):
    bench.parts = replace(bench.parts, policy=replace(bench.parts.policy, resend_alone=1))


def test_more_than_the_limit_waits_for_a_second_person_and_says_who_must_act(bench, group):
    two_at_most_alone(bench)
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    assert "a colleague approves it" in drawn.next_step
    asked = jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    assert (asked.state, asked.started_by) == ("asked", STAFF.name)
    assert f"Somebody else than {STAFF.name}" in asked.next_step
    run(bench)
    assert all(len(bench.deliveries(one.id)) == 1 for one in group)
    for verb in ("start", "approve"):
        with contextlib.suppress(Refused):
            assert jobs.move_job(bench.parts, drawn.id, verb, actor=STAFF).state == "asked"
    with pytest.raises(Refused, match=r"job\.second-person"):
        jobs.move_job(bench.parts, drawn.id, "approve", actor=STAFF)
    assert jobs.move_job(bench.parts, drawn.id, "approve", actor=KIT).state == "running"
    run(bench)
    view = jobs.job(bench.parts, drawn.id, STAFF)
    assert (view.state, view.made, view.made_by, view.started_by) == ("done", len(group), STAFF.name, KIT.name)
    with bench.store.begin(write=False) as tx:
        lines = [(one.actor, one.action) for one in tx.audit_of([drawn.id])]
    assert (f"staff {STAFF.name}", "resend job: start asked for, a second person must approve") in lines
    assert ("staff kit", "resend job: approve") in lines


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (STAFF, "job.second-person"),
        (Actor("staff", f"terminal:{STAFF.name}"), "job.second-person"),
        (Actor("source", "ehr"), "job.person"),
    ],
)
def test_nobody_approves_their_own_list_and_no_program_does(bench, group, who, code):
    two_at_most_alone(bench)
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    with pytest.raises(Refused) as caught:
        jobs.move_job(bench.parts, drawn.id, "approve", actor=who)
    assert caught.value.code == code


def test_who_asked_for_the_start_of_somebody_elses_list_does_not_approve_it_either(bench, group):
    two_at_most_alone(bench)
    drawn = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    assert jobs.move_job(bench.parts, drawn.id, "start", actor=KIT).state == "asked"
    with pytest.raises(Refused, match=r"job\.second-person"):
        jobs.move_job(bench.parts, drawn.id, "approve", actor=KIT)


def test_a_list_stopped_half_way_counts_with_what_had_gone(bench, group):
    bench.parts = replace(bench.parts, policy=replace(bench.parts.policy, resend_alone=len(group)))
    first = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    jobs.move_job(bench.parts, first.id, "start", actor=STAFF)
    jobs.work_jobs(bench.parts)
    assert jobs.move_job(bench.parts, first.id, "cancel", actor=STAFF).made >= 1
    bench.send_due()
    again = Selection(provider_id="pr-psych", channel=bench.deliveries(group[0].id)[0].channel, with_arrived=True)
    second = jobs.plan_job(bench.parts, again, reason="and once more", actor=STAFF)
    assert jobs.move_job(bench.parts, second.id, "start", actor=STAFF).state == "asked"


def test_many_small_lists_of_one_person_count_together_within_the_hour(bench, group):
    bench.parts = replace(bench.parts, policy=replace(bench.parts.policy, resend_alone=len(group)))
    first = jobs.plan_job(bench.parts, chosen(bench, group), reason="their server was mended", actor=STAFF)
    assert (first.next_step, jobs.move_job(bench.parts, first.id, "start", actor=STAFF).state) == ("", "running")
    run(bench)
    bench.channels["fhir-rest"].script = []
    again = Selection(provider_id="pr-psych", channel=bench.deliveries(group[0].id)[0].channel, with_arrived=True)
    bench.send_due()
    second = jobs.plan_job(bench.parts, again, reason="and once more", actor=STAFF)
    assert jobs.move_job(bench.parts, second.id, "start", actor=STAFF).state == "asked"
    bench.clock.turn(hours=9)
    with pytest.raises(Refused, match=r"job\.old"):
        jobs.move_job(bench.parts, second.id, "approve", actor=KIT)
    assert "Nobody agreed" in jobs.job(bench.parts, second.id, STAFF).next_step
    assert jobs.move_job(bench.parts, second.id, "cancel", actor=STAFF).state == "cancelled"
    third = jobs.plan_job(bench.parts, again, reason="the next day", actor=STAFF)
    assert jobs.move_job(bench.parts, third.id, "start", actor=STAFF).state == "running"
