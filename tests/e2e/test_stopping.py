"""Asked to end, at any moment: what is on the wire is finished and written down, and nobody has to ask about it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordinator.bootstrap import build
from coordinator.flow.prepare import prepare_all
from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.flow.record import record
from coordinator.flow.sweep import due_now
from coordinator.settings import Settings
from tests.faults.intake import free_port
from tests.faults.servers import database, needed

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
TESTER = Actor("staff", "tester")
pytestmark = [pytest.mark.timeout(300), pytest.mark.loopback]


def installation(data, monkeypatch, **more):
    """Make an installation with one event, its letters written and nothing sent; return its environment."""
    settings = {"COORDINATOR_DATA_DIR": str(data), "COORDINATOR_SENDERS": "4", **more}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = build(Settings())
    made.open()
    assert made.registry.write_whole((EXAMPLES / "clinic.json").read_bytes(), TESTER).outcome == "created"
    record(made.parts, "ehr", (EXAMPLES / "session-outcome.bp-spike.json").read_bytes())
    prepare_all(made.parts, due_now(made.parts)[0])
    made.close()
    return {**os.environ, **settings}


def states():
    made = build(Settings())
    rows = made.desk.messages(MessageFilter(), TESTER)
    made.close()
    return sorted(str(row.state) for row in rows)


@contextmanager
def inherited(ignores):
    """Have a process that starts here inherit these signals ignored, and the others not, whatever started the tests."""
    wanted = {one: signal.SIG_IGN if one in ignores else signal.SIG_DFL for one in (signal.SIGINT, signal.SIGHUP)}
    before = {one: signal.signal(one, handler) for one, handler in wanted.items()}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class Started:
    """A process of the service with a slow far side, and the log it writes."""

    def __init__(self, *arguments, settings, data, ignores=()):
        self.log, self.data = data / "log", data
        command = [sys.executable, "-m", "tests.e2e.slow_service", *map(str, arguments)]
        with self.log.open("wb") as log, inherited(ignores):
            self.process = subprocess.Popen(command, env=settings, cwd=ROOT, stdout=log, stderr=log)

    def until(self, condition, within_s=60):
        ends = time.monotonic() + within_s
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            time.sleep(0.01)

    def until_sending(self):
        self.until((self.data / "SENDING").exists)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        """Return the exit code; fail, with what the process wrote, unless it ends within a minute."""
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"it goes on a minute after it was asked to end:\n{self.log.read_text()}")


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return (environment, data folder) of an embedded installation."""
    return installation(tmp_path, monkeypatch), tmp_path


@pytest.fixture
def behind_a_broker(tmp_path, monkeypatch):
    """Return (environment, data folder) of an installation at scale, whose broker is away."""
    nowhere = f"amqp://guest:guest@127.0.0.1:{free_port()}//"
    with database() as url:
        more = {"COORDINATOR_DATABASE_URL": url, "COORDINATOR_BROKER_URL": nowhere}
        yield installation(tmp_path, monkeypatch, **more), tmp_path


def finished_in_order(started):
    assert (started.data / "SENT").exists(), "the send was cut off"
    found = states()
    assert "acknowledged" in found
    assert not {"on-wire", "claimed", "in-doubt"} & set(found)


def serve(settings, data, **more):
    return Started("serve", "--port", free_port(), "--console-port", free_port(), settings=settings, data=data, **more)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_embedded_service_finishes_what_is_on_the_wire(told, number):
    settings, data = told
    started = serve(settings, data)
    started.until_sending()
    assert started.end(number) == 0, started.log.read_text()
    assert "service stopping" in started.log.read_text()
    finished_in_order(started)


def test_the_embedded_service_that_has_hardly_begun_ends_in_order_too(told):
    settings, data = told
    started = serve(settings, data)
    started.until(lambda: "service started" in started.log.read_text())
    assert started.end() == 0, started.log.read_text()
    assert "service stopping" in started.log.read_text()
    assert "claimed" not in states()


def test_what_it_was_started_to_ignore_does_not_end_it(told):
    settings, data = told
    started = serve(settings, data, ignores=[signal.SIGHUP])  # as nohup has it
    started.until_sending()
    started.process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert started.process.poll() is None
    assert "service stopping" not in started.log.read_text()
    assert started.end() == 0, started.log.read_text()


def test_it_ends_in_order_though_it_was_asked_where_exceptions_are_swallowed(told):
    settings, data = told
    started = serve(settings | {"SIGTERM_WHERE_SWALLOWED": "yes"}, data)
    assert started.ended() == 0, started.log.read_text()
    assert "service stopping" in started.log.read_text()
    assert not {"on-wire", "claimed", "in-doubt"} & set(states())


def test_a_caller_who_stalls_in_the_midst_of_a_request_does_not_keep_it_from_ending(told):
    settings, data = told
    port = free_port()
    started = Started("serve", "--port", port, "--console-port", free_port(), settings=settings, data=data)
    with socket.socket() as caller:
        started.until(lambda: caller.connect_ex(("127.0.0.1", port)) == 0)
        form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 900"
        caller.sendall(b"POST /l/open HTTP/1.1\r\nHost: localhost\r\n" + form + b"\r\n\r\ncode=")
        time.sleep(1)
        assert started.end() == 0, started.log.read_text()
    finished_in_order(started)


@pytest.mark.servers
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("broker", "after_s"), [(True, 0), (True, 2), (False, 0), (False, 2)])
def test_a_worker_finishes_what_is_on_the_wire_however_early_it_is_stopped(behind_a_broker, broker, after_s, number):
    settings, data = behind_a_broker
    there = {"COORDINATOR_BROKER_URL": needed("COORDINATOR_TEST_AMQP")} if broker else {}
    started = Started("worker", settings=settings | there, data=data)
    started.until_sending()
    time.sleep(after_s)
    assert started.end(number) == 0, started.log.read_text()
    finished_in_order(started)


@pytest.mark.servers
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_a_celery_worker_started_by_hand_says_that_it_would_send_nothing_and_ends(pool):
    settings = {**os.environ, "COORDINATOR_BROKER_URL": needed("COORDINATOR_TEST_AMQP")}
    command = [sys.executable, "-m", "celery", "--app", "coordinator.worker.app", "worker", "--pool", pool]
    done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "WORKER_REFUSED" in done.stderr
    assert "worker.by-hand" in done.stderr
    assert "Start it with: coordinator worker" in done.stderr


@pytest.mark.parametrize("which", ["--port", "--console-port"])
def test_a_port_that_is_taken_is_told_before_anything_starts(told, which):
    settings, data = told
    other = {"--port": "--console-port", "--console-port": "--port"}[which]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        started = Started("serve", which, port, other, 0, settings=settings, data=data)
        assert started.ended() == 1
    said = started.log.read_text()
    assert f"127.0.0.1:{port} is in use; set COORDINATOR_" in said
    assert "service started" not in said
    assert "library.uvicorn" not in said
    assert not (data / "SENDING").exists()


def test_it_says_that_it_has_started_once_callers_are_answered(told):
    settings, data = told
    port, console_port = free_port(), free_port()
    started = Started("serve", "--port", port, "--console-port", console_port, settings=settings, data=data)
    started.until(lambda: "service started" in started.log.read_text())
    for one in (port, console_port):
        socket.create_connection(("127.0.0.1", one)).close()
    assert started.end() == 0, started.log.read_text()
