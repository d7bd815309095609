"""serve, worker, beat, migrate: the processes of the service."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import uvicorn

from coordinator.bootstrap import Service, build, service
from coordinator.flow.runner import Runner
from coordinator.heap import keep_what_is_loaded
from coordinator.observe.log import Log, configure, write
from coordinator.settings import Settings
from coordinator.store import migrate as schema
from coordinator.store.only_one import only_one

CELERY_APP = "coordinator.worker.app"
TASKS_AT_ONCE = "4"
"""A sweep, a fetch of receipts, and room for hints beside them."""


@click.command()
@click.option("--port", type=int, help="Port of the intake API (COORDINATOR_PORT).")
@click.option("--console-port", type=int, help="Port of the staff console (COORDINATOR_CONSOLE_PORT).")
def serve(port: int | None, console_port: int | None) -> None:
    """Run the API and the console; without a broker also the embedded runner, all in this process."""
    configure()
    settings = Settings()
    made = service()
    if not settings.broker():
        made.open()
        with only_one(settings.data_dir), ending_in_order(made.runner()):
            write(Log.SERVICE_STARTED, port=port or settings.port)
            run_servers(settings.host, port or settings.port, console_port or settings.console_port)
        return
    need_schema(made)
    run_servers(settings.host, port or settings.port, console_port or settings.console_port)


@contextmanager
def ending_in_order(runner: Runner) -> Iterator[None]:
    """Let the runner work; at the end, or at any SIGTERM, finish what is on the wire and give back the rest.

    The servers and Celery have ways of their own to end at a signal, but only once they
    are up; and uvicorn raises the signal again when it is done, which would end the
    process before the runner has.
    """

    def end(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one does not cut short what the first one began
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, end)
    try:
        runner.start()
        yield
    finally:
        write(Log.SERVICE_STOPPING)
        runner.stop()
        signal.signal(signal.SIGTERM, before)


def run_servers(host: str, port: int, console_port: int) -> None:
    """Serve the API and the console until a signal ends both. They are separate hosts on purpose."""

    async def both() -> None:
        configs = [
            uvicorn.Config(
                name, factory=True, host=host, port=number, log_config=None, access_log=False, server_header=False
            )
            for name, number in (("coordinator.api.app:create", port), ("coordinator.console.app:create", console_port))
        ]
        for one in configs:
            one.load()
        keep_what_is_loaded()
        await asyncio.gather(*(uvicorn.Server(one).serve() for one in configs))

    asyncio.run(both())


def need_schema(made: Service) -> None:
    """Raise ClickException unless the database has this version's schema."""
    if not schema.is_current(made.store.engine):
        raise click.ClickException("The database is not at this version's schema. Run: coordinator migrate")
    made.check_keys()
    made.look_for_restore()


@click.command()
@click.option(
    "--concurrency", type=click.IntRange(1, 64), help="Threads that send at the same time (COORDINATOR_SENDERS)."
)
def worker(concurrency: int | None) -> None:
    """Run a Celery worker (needs COORDINATOR_BROKER_URL). Any number may run."""
    configure()
    _need_broker()
    made = service()
    need_schema(made)
    with ending_in_order(made.crew(concurrency)):
        _celery("worker", "--pool", "threads", "--concurrency", TASKS_AT_ONCE, "--loglevel", "WARNING",
                "--without-gossip", "--without-mingle")  # fmt: skip


@click.command()
def beat() -> None:
    """Run the Celery beat: the sweeper's clock. One is enough; two do no harm."""
    configure()
    _need_broker()
    need_schema(service())
    schedule = Settings().data_dir / "beat-schedule"
    _celery("beat", "--loglevel", "WARNING", "--schedule", str(schedule))


def _need_broker() -> None:
    if not Settings().broker():
        raise click.ClickException("COORDINATOR_BROKER_URL is not set; without a broker, run: coordinator serve")


def _celery(*arguments: str) -> None:
    from celery.bin.celery import main as celery_main  # noqa: PLC0415  (slow to import, needed here only)

    sys.argv = ["celery", "--app", CELERY_APP, *arguments]
    celery_main()


@click.command()
def migrate() -> None:
    """Bring the database to this version's schema. Safe to run twice."""
    made = build(Settings())
    made.open()
    click.echo("The database has this version's schema.")
