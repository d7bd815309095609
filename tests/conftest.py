"""Sockets are off; a test marked `loopback` or `servers` may open them on this machine, and nowhere else."""

import pytest
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("loopback") or item.get_closest_marker("servers"):
        enable_socket()
        socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)
