"""The tasks: each looks at its row first and may find nothing to do, so a doubled or late task harms nobody."""

import os
import threading

from celery import shared_task

from coordinator.bootstrap import service
from coordinator.flow import deliver, prepare, sweep, track


def _worker() -> str:
    return f"celery-{os.getpid()}-{threading.get_ident() % 10_000}"


@shared_task(name="coordinator.prepare")
def prepare_event(event_ref: str) -> None:
    """Prepare one event; its deliveries are hinted as soon as they are on record."""
    prepare.prepare(service().parts, event_ref)


@shared_task(name="coordinator.deliver")
def deliver_one(delivery_id: str) -> None:
    """Send one delivery, if it is still due and free."""
    parts = service().parts
    claimed = deliver.claim_one(parts, _worker(), delivery_id)
    if claimed is not None:
        deliver.attempt(parts, claimed)


@shared_task(name="coordinator.sweep")
def sweep_all() -> None:
    """Find every due, stale or overdue row again, and hint what is due."""
    service().look_for_restore()
    parts = service().parts
    sweep.sweep(parts)
    events, deliveries = sweep.due_now(parts)
    for event_ref in events:
        prepare_event.delay(event_ref)
    for delivery_id in deliveries:
        deliver_one.delay(delivery_id)


@shared_task(name="coordinator.receipts")
def fetch_receipts() -> None:
    """Take in what the far sides have to say."""
    made = service()
    track.fetch_receipts(made.parts, made.sources())
