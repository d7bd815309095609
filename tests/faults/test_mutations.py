"""A judge that never convicts proves nothing: with one safeguard taken away, the simulation must find the harm."""

from unittest.mock import patch

import pytest

from coordinator.flow import deliver, prepare
from coordinator.flow.releasing import ask_release
from coordinator.store.delivery_part import DeliveryRows
from coordinator.store.record_part import RecordRows
from tests.faults.simulation.chance import Weather
from tests.faults.simulation.many import look

SEEDS = 80
LATE = Weather(
    moods={"away-late": 3, "take": 2},
    acts={"pass_time": 3, "sweep": 5, "claim_some": 3, "send_from_hand": 3},
    crash_chance=0.4,
    crash_places=("send:after-taken",),
    meanwhile_steps=14,
)
"""Workers that read an answer, stand still until others have taken over, and then write down what they read."""

pytestmark = pytest.mark.timeout(600)


def first_conviction(promise: str, weather: Weather | None = None) -> str | None:
    """Return the first finding about a promise within the seeds, or None."""
    for seed in range(SEEDS):
        for finding in look(seed, weather).findings:
            if finding.startswith(promise):
                return finding
    return None


def test_with_the_fence_no_late_worker_does_harm():
    assert [finding for seed in range(15) for finding in look(seed, LATE).findings] == []


def test_without_the_fence_a_message_arrives_twice():
    lease = DeliveryRows._lease

    def same_fence(self, row, worker, now, lease_until):
        made = lease(self, row, worker, now, lease_until)
        self.connection.exec_driver_sql("UPDATE deliveries SET fence = 1 WHERE id = ?", (made.id,))
        return type(made)(**{**made.__dict__, "fence": 1})

    with patch.object(DeliveryRows, "_lease", same_fence):
        assert first_conviction("never twice", LATE)


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
    with patch.object(RecordRows, "add_receipt", lambda *_: True):
        assert first_conviction("never")


def test_without_the_mark_before_the_first_byte_a_crash_doubles_a_message():
    with patch.object(deliver, "mark", lambda *_: None):
        assert first_conviction("never")
