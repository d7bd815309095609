"""The tasks: hints that something is due, and the clock's two chores. A doubled, late or lost one harms nobody."""

from celery import shared_task

from coordinator.bootstrap import service
from coordinator.flow import sweep, track


@shared_task(name="coordinator.prepare")
def look_for_events(_event_ref: str) -> None:
    """Wake this process's preparing loop: this event is due, and others may be."""
    service().parts.bell.wake("event")


@shared_task(name="coordinator.deliver")
def look_for_deliveries(_delivery_id: str) -> None:
    """Wake this process's claiming loop: this delivery is due, and others may be."""
    service().parts.bell.wake("delivery")


@shared_task(name="coordinator.sweep")
def sweep_all() -> None:
    """Find every stale or overdue row again, and hint when something is due."""
    made = service()
    made.look_for_restore()
    sweep.sweep(made.parts)
    made.heart.beat("sweep")
    events, deliveries = sweep.due_now(made.parts, limit=1)
    for event_ref in events:
        look_for_events.delay(event_ref)
    for delivery_id in deliveries:
        look_for_deliveries.delay(delivery_id)


@shared_task(name="coordinator.receipts")
def fetch_receipts() -> None:
    """Take in what the far sides have to say."""
    made = service()
    track.fetch_receipts(made.parts, made.sources())
    made.heart.beat("receipts")
