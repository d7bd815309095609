import pytest

from coordinator.flow.watch import WatchedFolder
from tests.unit.flow.watched import Desk


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def place(tmp_path, desk):
    return WatchedFolder(tmp_path, desk.submit)
