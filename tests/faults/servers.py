"""The servers that .ci/servers started, and how to stop and start one in the middle of the work."""

import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.intake import free_port

ROOT = Path(__file__).resolve().parents[2]
BROKERS = {"PostgreSQL + RabbitMQ": ("COORDINATOR_TEST_AMQP", "rabbit"),
           "PostgreSQL + Redis": ("COORDINATOR_TEST_REDIS", "redis")}  # fmt: skip


def needed(name: str) -> str:
    """Return a variable that .ci/servers sets."""
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: run .ci/servers COMMAND, which starts the servers")
    return value


def control(server: str, what: str) -> None:
    """Stop or start postgres, rabbit or redis. PostgreSQL is stopped as a crash stops it, without a checkpoint."""
    command = [str(ROOT / ".ci" / "servers"), "--in", needed("COORDINATOR_TEST_SERVERS_DIR"), server, what]
    # Files, not pipes: a server that was started would hold a pipe open for as long as it lives.
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=180)
    if what == "start":
        assert done.returncode == 0, f"{server} did not start again"


@contextmanager
def away(server: str, least_s: float) -> Iterator[None]:
    """Stop a server, for at least so long, and start it again."""
    began = time.monotonic()
    control(server, "stop")
    try:
        yield
        time.sleep(max(0.0, least_s - (time.monotonic() - began)))
    finally:
        control(server, "start")


@contextmanager
def database(tablespace: Path | None = None) -> Iterator[str]:
    """Yield the URL of a database of its own, dropped afterwards."""
    import psycopg

    server = needed("COORDINATOR_TEST_POSTGRES")
    name = f"f{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        if tablespace is not None:
            admin.execute(f"CREATE TABLESPACE \"{name}\" LOCATION '{tablespace}'")
        admin.execute(f'CREATE DATABASE "{name}"' + (f' TABLESPACE "{name}"' if tablespace else ""))
    yield server.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        if tablespace is not None:
            admin.execute(f'DROP TABLESPACE "{name}"')


@contextmanager
def cluster(folder: Path, wal: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield (URL, a call that starts it when it has gone down) of a PostgreSQL whose write-ahead log is in `wal`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    as_owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    data, port = folder / "data", free_port()

    def run(*command: object, check: bool = True) -> int:
        whole = [*as_owner, *map(str, command)]
        # No pipes, and no folder of root's: a server that was started keeps both for as long as it lives.
        done = subprocess.run(whole, check=False, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=120)  # fmt: skip
        assert done.returncode == 0 or not check, whole
        return done.returncode

    def start() -> None:
        if run(found / "pg_ctl", "-D", data, "status", check=False):
            more = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c min_wal_size=2MB -c max_wal_size=4MB"
            run(found / "pg_ctl", "-D", data, "-w", "-l", folder / "server.log", "-o", more, "start")

    run(found / "initdb", "-D", data, "-X", wal / "log", "--wal-segsize=1", "-U", "coordinator", "-A", "trust",
        "--no-instructions")  # fmt: skip
    start()
    try:
        yield f"postgresql+psycopg://coordinator@127.0.0.1:{port}/postgres", start
    finally:
        run(found / "pg_ctl", "-D", data, "-m", "immediate", "stop", check=False)


def flush(broker: str) -> None:
    """Empty a broker: every task that waits is gone."""
    if broker.startswith("redis"):
        import redis

        with redis.Redis.from_url(broker) as server:
            server.flushall()
        return
    from kombu import Connection

    with Connection(broker) as connection, connection.SimpleQueue("coordinator") as queue:
        queue.clear()
