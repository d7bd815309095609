"""Makes `tests.faults...` importable however pytest was started; the engines that the fault tests run on."""

import os
import sys
import time
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.faults import report, servers  # noqa: E402
from tests.faults.engines import engine  # noqa: E402
from tests.faults.template import Template  # noqa: E402

LONG = os.environ.get("COORDINATOR_FAULTS") == "long"
SQLITE = "SQLite embedded"
ENGINES = [SQLITE, *(pytest.param(name, marks=pytest.mark.servers) for name in servers.BROKERS)]


@pytest.fixture(scope="session")
def template():
    made = Template()
    yield made
    made.close()


@pytest.fixture(scope="session", params=ENGINES)
def made(request, tmp_path_factory, template):
    """The engine, open for the whole session, so that its judge also sees what comes late."""
    folder = tmp_path_factory.mktemp("matrix")
    if request.param == SQLITE:
        with engine(folder, request.param, template) as one:
            yield one
        return
    variable, server = servers.BROKERS[request.param]
    broker = servers.needed(variable)
    servers.flush(broker)
    with servers.database() as url, engine(folder, request.param, template, url, broker) as one:
        one.server = server
        yield one


@pytest.fixture(autouse=True)
def nobody_left(request):
    """Kill what a test left behind, so that a failure is one failure."""
    yield
    if "made" in request.fixturenames:
        for process in request.getfixturevalue("made").processes:
            process.kill()
        request.getfixturevalue("made").processes.clear()


@pytest.fixture
def at_scale(made):
    """The engine, where it has a broker and a database server; there is nothing of these to break elsewhere."""
    if not made.broker:
        pytest.skip("SQLite embedded has neither broker nor database server")
    return made


@pytest.fixture
def beat(made):
    process = made.start("beat") if made.broker else None
    yield process
    if process is not None:
        process.kill()


@pytest.fixture
def settle(made, beat):
    """Let a healthy worker finish, judge, keep the verdict for the table, and fail unless all six promises hold."""

    def finish(fault, kills=0, *, timeout_s=120):
        began = time.monotonic()
        worker = made.start_worker()
        made.until_quiet(timeout_s)
        took_s = time.monotonic() - began
        worker.kill()
        verdict = made.judge()
        report.keep(made.name, fault, kills, verdict, took_s)
        assert verdict.kept, f"{verdict}\n{worker.said()}"
        return verdict

    return finish
