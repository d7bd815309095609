"""The whole service without its network: real planning, mapping, letters and store; scripted far sides."""

import os
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from bench_parts import Bench, shared_workshop  # noqa: E402  (found by the path above)


def _databases() -> list:
    return ["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]


@pytest.fixture(params=_databases())
def database_url(request, tmp_path):
    """Return the URL of an empty database: a fresh file, or a fresh schema of the PostgreSQL that .ci/run started."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'coordinator.sqlite'}"
        return
    import uuid

    import psycopg

    server = os.environ.get("COORDINATOR_TEST_POSTGRES")
    if not server:
        pytest.fail("COORDINATOR_TEST_POSTGRES is not set: run .ci/run, which starts PostgreSQL")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    url = server.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0]
    yield f"{url}/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def bench(database_url):
    made = Bench(database_url, shared_workshop())
    yield made
    made.close()
