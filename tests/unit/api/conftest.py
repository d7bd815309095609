import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1]
sys.path[:0] = [str(UNIT / "console"), str(UNIT / "security")]


@pytest.fixture
def service():
    from web_fakes import FakeService

    return FakeService()


@pytest.fixture
def client(service):
    from web_client import TestClient

    from coordinator.api.app import build

    with TestClient(build(service), follow_redirects=False) as made:
        yield made


@pytest.fixture
def allowed(service):
    """Return headers that let the source `ehr` do what the scopes say."""

    def headers(*scopes, source="ehr"):
        token = service.accounts.sources.issue(source, scopes)[1]
        return {"Authorization": f"Bearer {token}"}

    return headers
