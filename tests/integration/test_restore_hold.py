"""After the database was restored from an older copy: nothing goes out before its far side was asked."""

import errno
import json
from pathlib import Path

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, NotFound, Permanent, Refused
from coordinator.flow import deliver, holds, resend_jobs
from coordinator.flow.hold_rows import Selection
from coordinator.flow.read_models import Actor
from coordinator.flow.sweep import clocks, late_receipts
from coordinator.store.anchor import Anchor

WATCH = Actor("job", "restore-watch")


def older_copy(bench, told):
    """Make the rows say what an older copy would say: nothing of this was sent, though the far side has it."""
    for one in bench.channels.values():
        one.held = []
    for message in told.values():
        row = bench.deliveries(message.id)[0]
        bench.channels[row.channel].held.append((f"urn:uuid:{message.id}", "bytes"))


@pytest.fixture
def spike(bench):
    bench.clock.turn(hours=3)
    return bench.told(example("session-outcome.bp-spike"))


def test_what_the_far_side_has_is_found_there_and_never_sent_again(bench, spike):
    older_copy(bench, spike)
    before = {kind: list(one.held) for kind, one in bench.channels.items()}
    assert holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.send_due()
    bench.sweep()
    bench.send_due()
    assert {bench.state(one.id) for one in spike.values()} == {State.ACKNOWLEDGED}
    assert holds.restore_status(bench.parts).arrived == len(spike)
    assert holds.end_restore_hold(bench.parts, reason="all was looked at", actor=STAFF).go_on == 0
    bench.send_due()
    assert {kind: one.held for kind, one in bench.channels.items()} == before


def test_what_the_far_side_has_not_goes_out_only_after_a_person_has_released_it(bench, spike):
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.sweep()
    bench.clock.turn(minutes=5)
    bench.sweep()
    assert bench.send_due() == 0
    assert {bench.state(one.id) for one in spike.values()} == {State.PENDING}
    assert holds.restore_status(bench.parts).absent == len(spike)
    assert holds.end_restore_hold(bench.parts, reason="they have nothing", actor=STAFF).go_on == len(spike)
    bench.send_due()
    assert {bench.state(one.id) for one in spike.values()} == {State.ACKNOWLEDGED}
    assert bench.broken() == []


def test_the_end_of_the_hold_counts_only_what_no_hold_of_a_person_covers(bench, spike):
    bench.clock.turn(hours=1)
    row = bench.deliveries(spike["pr-psych"].id)[0]
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.sweep()
    holds.hold(bench.parts, f"endpoint:{row.endpoint_id}", reason="their server is being moved", actor=STAFF)
    bench.clock.turn(minutes=5)
    bench.sweep()
    gone = holds.end_restore_hold(bench.parts, reason="they have nothing", actor=STAFF)
    assert gone == holds.LetGo(1, 1, (f"endpoint:{row.endpoint_id}",))
    assert bench.send_due() == 1


def test_what_nobody_can_say_stays_in_doubt_for_a_person(bench, spike):
    for one in bench.channels.values():
        one.knows = False
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.sweep()
    holds.end_restore_hold(bench.parts, reason="we telephone them", actor=STAFF)
    bench.clock.turn(hours=2)
    bench.sweep()
    bench.send_due()
    assert {bench.state(one.id) for one in spike.values()} == {State.IN_DOUBT}
    assert {bench.cause(one.id) for one in spike.values()} == {"restore.maybe-sent"}
    assert all(one.held == [] for one in bench.channels.values())


def test_a_held_delivery_may_have_been_released_since_so_it_is_looked_up_too(bench, spike):
    row = bench.deliveries(spike["pr-psych"].id)[0]
    bench.channels[row.channel].script = [NeedsHuman("fhir.403")]
    bench.send_due()
    assert bench.state(spike["pr-psych"].id) == State.HELD
    bench.channels[row.channel].held.append((f"urn:uuid:{spike['pr-psych'].id}", "bytes"))
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.sweep()
    assert bench.state(spike["pr-psych"].id) == State.ACKNOWLEDGED


def test_an_event_that_the_source_sends_again_is_looked_up_before_it_goes(bench):
    bench.clock.turn(hours=3)
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.clock.turn(minutes=1)
    again = bench.told(example("session-outcome.bp-spike"))
    older_copy(bench, again)
    holds.end_restore_hold(bench.parts, reason="the source has sent all again", actor=STAFF)
    bench.sweep()
    bench.send_due()
    assert {bench.state(one.id) for one in again.values()} == {State.ACKNOWLEDGED}
    assert sum(one.calls for one in bench.channels.values()) == 0


def test_the_hold_of_a_restore_is_not_lifted_like_another(bench, spike):
    holds.hold(bench.parts, "everything", reason="held by hand before", actor=STAFF)
    assert holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    assert not holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    with pytest.raises(Refused, match=r"hold\.restore"):
        holds.let_go(bench.parts, "everything", reason="never mind that", actor=STAFF)
    with pytest.raises(Refused, match="reason"):
        holds.end_restore_hold(bench.parts, reason="", actor=STAFF)
    holds.end_restore_hold(bench.parts, reason="all was looked at", actor=STAFF)
    with pytest.raises(NotFound):
        holds.end_restore_hold(bench.parts, reason="all was looked at", actor=STAFF)


def test_the_mark_outside_tells_an_older_copy_and_another_database_from_our_own(bench, spike, tmp_path):
    anchor = Anchor(tmp_path / "anchor.json", bench.store)
    assert anchor.compare() == "no-mark"
    anchor.write()
    assert anchor.compare() == "same"
    bench.send_due()
    assert anchor.compare() == "same"
    anchor.write()
    with bench.store.begin() as tx:
        from coordinator.store.tables import audit, audit_heads

        seq = tx.connection.execute(audit_heads.select()).first().seq
        tx.connection.execute(audit.delete().where(audit.c.seq > seq - 2))
    assert anchor.compare() == "older"
    (tmp_path / "anchor.json").write_text("{broken")
    assert anchor.compare() == "older"
    assert (tmp_path / "anchor.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_process_that_has_used_up_its_file_handles_or_memory_takes_no_database_for_an_older_one(
    bench, tmp_path, monkeypatch, number
):
    anchor = Anchor(tmp_path / "anchor.json", bench.store)
    anchor.write()

    def nothing_left(*_, **__):
        raise OSError(number, "used up")

    monkeypatch.setattr(Path, "read_text", nothing_left)
    with pytest.raises(OSError, match="used up"):
        anchor.compare()


def test_a_mark_that_may_not_be_read_is_a_persons_matter(bench, tmp_path, monkeypatch):
    anchor = Anchor(tmp_path / "anchor.json", bench.store)
    anchor.write()

    def forbidden(*_, **__):
        raise PermissionError(errno.EACCES, "not yours")

    monkeypatch.setattr(Path, "read_text", forbidden)
    assert anchor.compare() == "older"


def test_many_workers_may_keep_one_mark(bench, tmp_path):
    import threading

    anchors = [Anchor(tmp_path / "anchor.json", bench.store) for _ in range(6)]
    found = []

    def keep(anchor):
        for number in range(20):
            with bench.store.begin() as tx:
                tx.audit(WATCH, f"line {number}", at=bench.clock.now())
            anchor.write()
            found.append(anchor.compare())

    threads = [threading.Thread(target=keep, args=(one,)) for one in anchors]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(found) == {"same"}
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("anchor")] == ["anchor.json"]


def test_what_a_worker_had_in_hand_when_the_copy_was_made_is_looked_at_before_the_hold_ends(bench, spike):
    """Nobody had taken it back when the hold was ended; then it would have gone out once more without being asked."""
    deliver.claim(bench.parts, "a worker of that time", 10)
    older_copy(bench, spike)
    before = {kind: list(one.held) for kind, one in bench.channels.items()}
    bench.clock.turn(days=1)
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    with pytest.raises(Refused, match=r"restore\.in-hand"):
        holds.end_restore_hold(bench.parts, reason="all was looked at", actor=STAFF)
    bench.sweep()
    holds.end_restore_hold(bench.parts, reason="all was looked at", actor=STAFF)
    bench.sweep()
    bench.send_due()
    assert {kind: one.held for kind, one in bench.channels.items()} == before
    assert {bench.state(one.id) for one in spike.values()} == {State.ACKNOWLEDGED}


def test_no_clock_takes_the_next_address_for_what_an_older_copy_calls_unsent_or_unproven(bench, spike):
    entity = example("clinic")["clinic"] | {"fallback": "take"}
    assert bench.registry.write("clinic", None, json.dumps(entity).encode(), STAFF).outcome == "updated"
    bench.channels["fhir-rest"].script = ["queue"]
    bench.channels["fhir-rest"].knows = False
    bench.send_due(limit=1)
    bench.clock.turn(days=1)
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    clocks(bench.parts)  # before everything was looked at: more was waiting than one round looks at
    late_receipts(bench.parts)
    assert {len(bench.deliveries(one.id)) for one in spike.values()} == {1}


def test_a_resend_job_of_the_older_copy_rests_until_a_person_lets_it_go_on(bench, spike):
    bench.channels["fhir-rest"].script = [Permanent("fhir.422")]
    bench.send_due()
    drawn = resend_jobs.plan_job(bench.parts, Selection(provider_id="pr-psych"), reason="mended now", actor=STAFF)
    resend_jobs.move_job(bench.parts, drawn.id, "start", actor=STAFF)
    holds.hold_after_restore(bench.parts, reason="restored", actor=WATCH)
    bench.sweep()
    assert resend_jobs.job(bench.parts, drawn.id, STAFF).state == "paused"
    assert len(bench.deliveries(spike["pr-psych"].id)) == 1
