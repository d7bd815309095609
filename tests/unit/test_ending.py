"""Asked to end: what the signals do to the web servers, and what they leave alone."""

import signal
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from coordinator.cli.ending import SIGNALS, listening


@contextmanager
def as_by_default(number):
    """A signal that whatever started the tests may have had ignored."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture
def server():
    return SimpleNamespace(should_exit=False, force_exit=False)


@pytest.mark.parametrize("number", SIGNALS)
def test_one_signal_asks_the_servers_to_end_and_lets_their_requests_finish(server, number):
    with as_by_default(number), listening() as ending:
        ending.servers.append(server)
        signal.raise_signal(number)
        assert (ending.asked, server.should_exit, server.force_exit) == (True, True, False)


def test_a_second_sigterm_hurries_nobody_and_a_further_ctrl_c_lets_requests_go(server):
    with as_by_default(signal.SIGINT), listening() as ending:
        ending.servers.append(server)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert not server.force_exit
        signal.raise_signal(signal.SIGINT)
        assert server.force_exit


def test_who_listened_before_listens_again_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with listening():
        pass
    assert [signal.getsignal(number) for number in SIGNALS] == before
