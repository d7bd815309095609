"""A judge that never convicts proves nothing: with one safeguard taken away, the simulation must find the harm."""

import contextlib
from datetime import timedelta
from unittest.mock import patch

import pytest

from coordinator.flow import deliver, lanes, prepare
from coordinator.flow.releasing import ask_release
from coordinator.flow.sweep import sweep
from coordinator.store import delivery_part
from coordinator.store.record_part import RecordRows
from tests.faults.simulation.chance import Crash
from tests.faults.simulation.judge import broken, drive_to_quiet
from tests.faults.simulation.many import look
from tests.faults.simulation.workshop import cheap_composing
from tests.faults.simulation.world import World

SEEDS = 80
pytestmark = pytest.mark.timeout(600)


def first_conviction(promise: str, first: int = 0) -> str | None:
    """Return the first finding about a promise within the seeds from `first` on, or None."""
    for seed in range(first, first + SEEDS):
        for finding in look(seed).findings:
            if finding.startswith(promise):
                return finding
    return None


def late_worker(seed: int) -> list[str]:
    """A worker reads a refusal and stands still; another takes over, its message arrives, and it dies before it can
    write that down; then the first writes its refusal. Return the broken promises.
    """
    world = World(seed)
    rest = world.channels["fhir-rest"]

    def one_dies(place):
        if place == "send:after-taken":
            raise Crash(place, whole=False)

    calls = []

    def others_take_over(**_):
        calls.append("before the mark, then after the answer")
        if len(calls) != 2:
            return
        for seconds in (200, 60):
            world.clock.turn(timedelta(seconds=seconds))
            sweep(world.parts)
        rest.calm, rest._at_point = True, one_dies
        with contextlib.suppress(Crash):
            for claimed in deliver.claim(world.parts, "second", 5):
                deliver.attempt(world.parts, claimed)
        rest._at_point = world.at_point

    try:
        with cheap_composing():
            world.permitted["MRN-1001", "pr-pcp"] = True
            world.submit_new()
            world.prepare_some()
            rest.moods, rest._meanwhile = {"away-late": 1}, others_take_over
            for claimed in deliver.claim(world.parts, "first", 5):
                deliver.attempt(world.parts, claimed)
            drive_to_quiet(world)
            return list(broken(world))
    finally:
        world.close()


def test_with_the_fence_a_late_worker_does_no_harm():
    assert [finding for seed in range(4) for finding in late_worker(seed)] == []


def test_without_the_fence_a_late_worker_makes_a_message_arrive_twice():
    with patch.object(delivery_part, "next_fence", lambda _: 1):
        found = [finding for seed in range(4) for finding in late_worker(seed)]
    assert any(one.startswith("never twice") for one in found)


def test_without_asking_consent_again_a_message_goes_after_it_ended():
    def remembered(parts, tx, row, message, now):
        answer = ask_release(parts, tx, row, message, now)
        ended = answer.code is not None and answer.code.startswith("consent.")
        return type(answer)(True, directive="remembered", version=1) if ended else answer

    with patch.object(deliver, "ask_release", remembered):
        assert first_conviction("never without consent")


def test_without_the_outbox_row_a_message_is_lost():
    with patch.object(prepare, "first_delivery", lambda *_: None):
        assert first_conviction("never lost")


def test_without_the_once_only_key_a_receipt_counts_again():
    add = RecordRows.add_receipt

    def forgetful(self, receipt_id, once_key, *rest):
        return add(self, receipt_id, receipt_id, *rest)

    with patch.object(RecordRows, "add_receipt", forgetful):
        assert first_conviction("evidence")


def test_without_the_mark_before_the_first_byte_a_crash_doubles_a_message():
    with patch.object(deliver, "mark", lambda *_: None):
        assert first_conviction("never")


def test_without_asking_whether_it_still_stands_a_repeat_follows_its_correction():
    # Two of the seeds 80 to 240 meet a repeat, a correction and a retraction in that order, the first of them 162.
    with patch.object(deliver, "is_outdated_repeat", lambda *_: False):
        assert first_conviction("never wrong", first=160)


def test_without_letting_stand_again_what_a_wrong_record_had_replaced_a_change_is_told_to_nobody():
    with patch.object(lanes, "let_replaced_go", lambda *_: None):
        assert first_conviction("never lost")
