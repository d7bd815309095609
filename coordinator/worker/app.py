"""The Celery application. Tasks carry ids and nothing else; the database decides whether there is anything to do."""

from celery import Celery
from celery.signals import celeryd_init, worker_ready

from coordinator.bootstrap import has_loops
from coordinator.heap import keep_what_is_loaded
from coordinator.observe.log import Log, configure, write
from coordinator.settings import Settings

SWEEP_EVERY_S = 2.0
RECEIPTS_EVERY_S = 15.0


def make() -> Celery:
    """Return the application: late acknowledgement, no results, no Celery retries, no long eta."""
    made = Celery("coordinator", include=["coordinator.worker.tasks"])
    made.conf.update(
        broker_url=Settings().broker() or "memory://",
        broker_connection_retry_on_startup=True,
        # A hundred tries, as it comes, are over after three quarters of an hour; then workers and beat would end.
        broker_connection_max_retries=None,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=16,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        # Nobody steers workers through the broker. Its queue would also be one worker's alone on each machine: RabbitMQ
        # refuses it to the second, which then ends.
        worker_enable_remote_control=False,
        task_default_queue="coordinator",
        # Redis redelivers a dead worker's tasks only after this sweep; the default takes an hour and a half.
        broker_transport_options={
            "visibility_timeout": 300,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
        beat_schedule={
            "sweep": {"task": "coordinator.sweep", "schedule": SWEEP_EVERY_S, "options": {"expires": 30}},
            "receipts": {"task": "coordinator.receipts", "schedule": RECEIPTS_EVERY_S, "options": {"expires": 60}},
        },
    )
    if made.conf.broker_url.startswith(("amqp", "memory")):
        made.conf.broker_transport_options = {}
    return made


@celeryd_init.connect
def refuse_a_worker_without_loops(**_: object) -> None:
    """End a worker that was started by hand: it would take every hint from the broker and do nothing with it."""
    if has_loops():
        return
    configure()
    write(Log.WORKER_REFUSED, code="worker.by-hand")
    raise SystemExit(
        "This worker would take the hints meant for others and send nothing. Start it with: coordinator worker"
    )


@worker_ready.connect
def settle(**_: object) -> None:
    """Everything is loaded now, Celery too."""
    keep_what_is_loaded()


app = make()
