"""Database and broker: stopped and started in the middle of the work, away for a while, emptied, full.

The intake answers 503 while the database is away and never a 2xx that does not hold; the broker's absence only slows.
"""

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.faults import servers
from tests.faults.conftest import LONG, SQLITE
from tests.faults.engines import engine
from tests.faults.intake import Poster

AWAY_S = int(os.environ.get("COORDINATOR_AWAY_S") or (20 if LONG else 5))
"""How long a server is away. The matrix asks for half an hour and for an hour: set it, and run the one test."""
pytestmark = [pytest.mark.loopback, pytest.mark.timeout(900 + AWAY_S)]


def only(statuses, *allowed):
    """Return what was answered that must not be; a connection that is refused or reset is no answer."""
    return {one: count for one, count in statuses.items() if isinstance(one, int) and one not in allowed}


def until(true, timeout_s, what):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    pytest.fail(f"never came: {what}")


@pytest.mark.servers
def test_a_database_that_is_stopped_and_comes_back_loses_nothing_that_was_answered(at_scale, settle):
    made = at_scale
    posting = Poster(made, every_s=max(0.7, AWAY_S / 200))
    posting.serve()
    worker = made.start_worker()
    made.submit()
    made.until_quiet()  # so that the worker is known to be up
    with posting:
        until(lambda: posting.statuses[202] >= 2, 60, "events before the outage")
        with servers.away("postgres", AWAY_S):
            until(lambda: posting.statuses[503] >= 2, 60, f"a refusal during the outage: {posting.statuses}")
        before = posting.statuses[202]
        until(lambda: posting.statuses[202] >= before + 2, 90, f"events after the outage: {posting.statuses}")
    made.service.store.engine.dispose()
    assert only(posting.statuses, 202, 503) == {}
    assert posting.retry_after >= posting.statuses[503], "a refusal says when to come again"
    assert worker.ended() is None, f"the worker did not live through it: {worker.said()}"
    worker.kill()
    settle(f"PostgreSQL stopped as by a crash for {AWAY_S} s under intake and sending, then started")


@pytest.mark.servers
def test_a_database_that_is_restarted_again_and_again_while_it_recovers_strands_nothing(at_scale, settle):
    made = at_scale
    for _ in range(3):
        made.submit()
    worker = made.start_worker(STOP_AT="mark:after-commit")
    worker.has_stopped_at()
    worker.kill()
    worker = made.start_worker()
    for _ in range(3):
        time.sleep(made.lease_s / 2)
        with servers.away("postgres", 0.5):
            pass
    made.service.store.engine.dispose()
    worker.kill()
    settle("PostgreSQL restarted 3 times during the recovery from a kill -9", 1)


@pytest.mark.servers
def test_a_broker_that_is_stopped_for_a_while_only_slows(at_scale, settle):
    made = at_scale
    posting = Poster(made, every_s=max(1.0, AWAY_S / 60))
    posting.serve()
    worker = made.start_worker()
    with posting:
        until(lambda: posting.statuses[202] >= 2, 60 + AWAY_S / 20, "events before the outage")
        with servers.away(made.server, AWAY_S):
            before = posting.statuses[202]
            until(lambda: posting.statuses[202] >= before + 3, 60 + AWAY_S / 15, "events while the broker is away")
    assert only(posting.statuses, 202) == {}, "the intake needs no broker"
    assert worker.ended() is None, f"the worker did not live through it: {worker.said()}"
    made.until_quiet(120)
    assert made.unfinished() == (0, 0), "the same worker drains what came meanwhile"
    worker.kill()
    settle(f"broker stopped for {AWAY_S} s under intake and sending, then started")


@pytest.mark.servers
def test_a_flushed_broker_only_slows(at_scale, settle):
    for _ in range(3):
        at_scale.submit()
    worker = at_scale.start_worker()
    for _ in range(8):
        time.sleep(0.5)
        servers.flush(at_scale.broker)
    worker.kill()
    settle("broker emptied 8 times while working, then kill -9", 1)


def test_a_sqlite_file_that_somebody_holds_locked_delays_and_loses_nothing(made, settle):
    if made.broker:
        pytest.skip("PostgreSQL has no lock on the whole")
    posting = Poster(made, every_s=0.5)
    process = posting.serve()
    with posting:
        until(lambda: posting.statuses[202] >= 2, 60, "events before the lock")
        with contextlib.closing(sqlite3.connect(made.folder / "coordinator.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(40 if LONG else 5)  # 40 s is longer than a writer waits
            other.execute("ROLLBACK")
        before = posting.statuses[202]
        until(lambda: posting.statuses[202] >= before + 2, 60, f"events after the lock: {posting.statuses}")
    assert only(posting.statuses, 202, 503) == {}
    process.kill()
    settle("SQLite held locked by another process" + (" for longer than a writer waits" if LONG else ""))


def test_a_worker_without_a_file_handle_left_loses_and_doubles_nothing(made, settle):
    worker = made.start_worker()
    made.submit()
    made.until_quiet()  # so that it is known to be up
    whole = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, whole[1]))  # nothing more can be opened
    for _ in range(3):
        made.submit()
    time.sleep(made.lease_s)
    assert worker.ended() is None, f"the worker did not live through it: {worker.said()}"
    assert sum(made.unfinished()) or "rror" in worker.said(), "it never wanted another handle"
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, whole)
    made.until_quiet(60)
    assert made.unfinished() == (0, 0), "the same worker drains what came meanwhile"
    worker.kill()
    settle("a worker has no file handle left for a while")


@contextlib.contextmanager
def small_disk(folder, megabytes, owner=None):
    """Yield a file system of its own of that size, or skip where this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    try:
        if owner is not None:
            subprocess.run(["chown", owner, str(folder)], check=True)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder):
    """Use up every byte that is left."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as out, contextlib.suppress(OSError):
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while out.write(b"\0" * size):
                    pass
    return filler


def _through_a_full_disk(made, disk, operator=lambda: None):
    """Intake and sending go on while the disk fills up and after it has room again; then comes the operator."""
    posting = Poster(made, every_s=0.3)
    process = posting.serve()
    worker = made.start_worker() if made.broker else process
    with posting:
        until(lambda: posting.statuses[202] >= 2, 60, "events before the disk was full")
        filler = fill(disk)
        stop = threading.Event()

        def keep_full():
            # What the database frees is taken again, so that there is no room for as long as the test says.
            while not stop.wait(0.05):
                fill(disk)

        keeper = threading.Thread(target=keep_full)
        keeper.start()
        try:
            until(lambda: posting.statuses[503] >= 3, 90, f"a refusal: {posting.statuses} {process.said()}")
        finally:
            stop.set()
            keeper.join()
            filler.unlink()
        operator()
        before = posting.statuses[202]
        until(lambda: posting.statuses[202] >= before + 2, 60, f"events after: {posting.statuses} {process.said()}")
    assert only(posting.statuses, 202, 503) == {}
    assert worker.ended() is None, f"the worker did not live through it: {worker.said()}"
    made.until_quiet(120)
    worker.kill()


def test_a_full_disk_under_sqlite_refuses_and_recovers_by_itself(tmp_path, template):
    from tests.faults import report

    with small_disk(tmp_path / "disk", 24) as disk:
        (tmp_path / "elsewhere").mkdir()
        (disk / "sandbox").symlink_to(tmp_path / "elsewhere")
        with engine(disk, SQLITE, template) as made:
            began = time.monotonic()
            _through_a_full_disk(made, disk)
            verdict = made.judge()
            report.keep(made.name, "disk full under intake and sending, then room again", 0, verdict,
                        time.monotonic() - began)  # fmt: skip
            assert verdict.kept, str(verdict)


@pytest.mark.servers
def test_a_full_disk_under_postgresql_refuses_and_recovers_by_itself(tmp_path, template):
    from tests.faults import report

    variable, _ = servers.BROKERS["PostgreSQL + RabbitMQ"]
    place = Path(servers.needed("COORDINATOR_TEST_SERVERS_DIR")) / f"disk-{os.getpid()}"
    with (
        small_disk(place, 48, "postgres" if os.getuid() == 0 else None) as disk,
        servers.database(tablespace=disk) as url,
        engine(tmp_path, "PostgreSQL + RabbitMQ", template, url, servers.needed(variable)) as made,
    ):
        made.start("beat")
        began = time.monotonic()
        _through_a_full_disk(made, disk)
        verdict = made.judge()
        report.keep(made.name, "disk full under intake and sending, then room again", 0, verdict,
                    time.monotonic() - began)  # fmt: skip
        assert verdict.kept, str(verdict)


@pytest.mark.servers
def test_a_full_disk_under_the_write_ahead_log_of_postgresql_loses_and_doubles_nothing(tmp_path, template):
    """PostgreSQL stops by itself when it cannot write its log; somebody makes room and starts it again."""
    from tests.faults import report

    variable, _ = servers.BROKERS["PostgreSQL + RabbitMQ"]
    owner = "postgres" if os.getuid() == 0 else None
    place = Path(servers.needed("COORDINATOR_TEST_SERVERS_DIR"))
    folder = place / f"cluster-{os.getpid()}"
    folder.mkdir()
    if owner:
        shutil.chown(folder, owner)
    with (
        small_disk(place / f"log-{os.getpid()}", 16, owner) as disk,
        servers.cluster(folder, disk) as (url, start),
        engine(tmp_path, "PostgreSQL + RabbitMQ", template, url, servers.needed(variable)) as made,
    ):
        made.start("beat")
        began = time.monotonic()
        _through_a_full_disk(made, disk, start)
        assert "No space left on device" in (folder / "server.log").read_text("utf-8", "replace")
        verdict = made.judge()
        report.keep(made.name, "disk of the database's log full under intake and sending, then room again", 0, verdict,
                    time.monotonic() - began)  # fmt: skip
        assert verdict.kept, str(verdict)
