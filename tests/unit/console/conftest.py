import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "security")]


@pytest.fixture
def service():
    from web_fakes import PASSWORD, FakeService

    made = FakeService()
    for name in ("viewer", "sender", "clinician", "admin", "auditor"):
        licence = "MD 55012" if name == "clinician" else None
        made.accounts.add(name, f"{name.title()} Person", (name,), PASSWORD, licence=licence)
    return made


@pytest.fixture
def client(service):
    from web_client import TestClient
    from web_data import NOW

    from coordinator.console.app import build

    app = build(service, now=lambda: NOW)
    with TestClient(app, base_url="http://127.0.0.1:8081", follow_redirects=False) as made:
        yield made
