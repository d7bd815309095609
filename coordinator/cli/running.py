"""serve, worker, beat, migrate: the processes of the service."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import click
import uvicorn

from coordinator.bootstrap import Service, build, service
from coordinator.cli.ending import REQUESTS_END_WITHIN_S, Ending, Server, listening, working
from coordinator.cli.ports import Taken, bound
from coordinator.heap import keep_what_is_loaded
from coordinator.observe.log import Log, configure, write
from coordinator.settings import Settings
from coordinator.store import migrate as schema
from coordinator.store.only_one import only_one

CELERY_APP = "coordinator.worker.app"
PORT = click.IntRange(0, 65_535)
TASKS_AT_ONCE = "4"
"""A sweep, a fetch of receipts, and room for hints beside them."""


@click.command()
@click.option("--port", type=PORT, help="Port of the intake API (COORDINATOR_PORT); 0 picks a free one.")
@click.option("--console-port", type=PORT, help="Port of the staff console (COORDINATOR_CONSOLE_PORT).")
def serve(port: int | None, console_port: int | None) -> None:
    """Run the API and the console; without a broker also the embedded runner, all in this process."""
    configure()
    settings = Settings()
    wanted = settings.port if port is None else port, settings.console_port if console_port is None else console_port
    made = service()
    if settings.broker():
        need_schema(made)
        made.heart.expect_all()
        with bound(settings.host, *wanted) as taken, listening() as ending:
            run_servers(taken, ending)
        return
    made.open()
    with (
        only_one(settings.data_dir),
        bound(settings.host, *wanted) as taken,
        listening() as ending,
        working(made.runner(), ending),
    ):
        run_servers(taken, ending)


def run_servers(taken: tuple[Taken, Taken], ending: Ending) -> None:
    """Serve the API and the console until the process is asked to end. They are separate hosts on purpose."""

    def is_up() -> None:
        if all(one.started for one in ending.servers):
            write(Log.SERVICE_STARTED, port=taken[0].port)

    async def both() -> None:
        configs = [
            uvicorn.Config(
                name, factory=True, log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            )
            for name in ("coordinator.api.app:create", "coordinator.console.app:create")
        ]  # fmt: skip
        for one in configs:
            one.load()
        keep_what_is_loaded()
        ending.servers += [Server(one, is_up) for one in configs]
        if ending.asked:
            return
        for place in taken:
            place.listen()
        served = zip(ending.servers, taken, strict=True)
        await asyncio.gather(*(server.serve(place.sockets) for server, place in served))

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
    with listening() as ending, working(made.crew(concurrency), ending):
        _once_celery_takes_signals(ending.hand_over)
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


def _once_celery_takes_signals(call: Callable[[], None]) -> None:
    """Have this called by the worker of this process after it has put its own handlers in place."""
    from celery import bootsteps, signals  # noqa: PLC0415  (slow to import, needed here only)

    class TakesSignals(bootsteps.StartStopStep):  # type: ignore[misc]
        def start(self, _worker: object) -> None:
            call()

    def add(instance: Any, **_: object) -> None:  # noqa: ANN401  (Celery says no more of it)
        instance.app.steps["worker"].add(TakesSignals)

    signals.celeryd_init.connect(add, weak=False)


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
