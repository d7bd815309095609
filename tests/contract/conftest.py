from pathlib import Path

import pytest

from coordinator.mapping.load import load
from coordinator.security.outbound import OutboundConfig, guarded_client

pytest.register_assert_rewrite("tests.contract.channel_suite")


@pytest.fixture(scope="module")
def http():
    """The product's own client, which may speak to pretend servers on this machine."""
    with guarded_client(OutboundConfig(allow_loopback=True)) as client:
        yield client


@pytest.fixture(scope="module")
def mappings():
    return load(Path(__file__).parents[2] / "mappings")
