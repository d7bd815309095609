"""Sockets are off; a test marked `loopback` or `servers` may open them on this machine, and nowhere else."""

import pytest
from pytest_socket import disable_socket, enable_socket, socket_allow_hosts


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("loopback") or item.get_closest_marker("servers"):
        enable_socket()
        socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    else:
        disable_socket(allow_unix_socket=True)


SHARED = {"peers": "peers", "faults": "broker", "e2e": "broker", "conformance": "conformance"}
"""Folders whose tests share one server, so that they stay on one worker: the mail server's box, the broker's queue.

pytest-xdist 3.8.0 sees no groups under pytest 9.2 (it writes a name that pytest no longer reads), so until it does, the
suites are shared out by file, and files of one folder may meet at a server.
"""

PROCESSES = ("test_kill_matrix.py", "test_outages.py", "test_disorder.py", "test_recipients.py")
"""Fault tests with processes and servers of their own, which they stop: they run by themselves (make faults)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = next((SHARED[part] for part in item.path.parts if part in SHARED), None)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        if "fax" in item.path.parts:
            item.add_marker(pytest.mark.fax)
        if item.path.parent.name == "faults" and item.path.name in PROCESSES:
            item.add_marker(pytest.mark.faults)
