"""The clock of workers at scale: the server's time, carried on by a steady clock."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from coordinator.store.clock import ASK_EVERY_S, DatabaseClock

SERVER = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WRONG = SERVER - timedelta(days=3)


class Server:
    """Stands for the engine: answers with its time, or is away."""

    def __init__(self):
        self.time, self.away, self.asked = SERVER, False, 0

    def connect(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def execute(self, _query):
        self.asked += 1
        if self.away:
            raise sa.exc.OperationalError("", {}, Exception())
        return self

    def scalar_one(self):
        return self.time


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def steady():
    class Steady:
        value = 1000.0

        def __call__(self):
            return self.value

    return Steady()


def test_it_tells_the_servers_time_whatever_the_machine_says(server, steady):
    clock = DatabaseClock(server, steady=steady, machine=lambda: WRONG)
    assert clock.now() == SERVER


def test_between_two_answers_the_steady_clock_carries_on_and_the_server_is_left_alone(server, steady):
    clock = DatabaseClock(server, steady=steady, machine=lambda: WRONG)
    clock.now()
    steady.value += ASK_EVERY_S - 1
    assert clock.now() == SERVER + timedelta(seconds=ASK_EVERY_S - 1)
    assert server.asked == 1


def test_a_server_that_was_set_is_followed_at_the_next_answer(server, steady):
    clock = DatabaseClock(server, steady=steady, machine=lambda: WRONG)
    clock.now()
    server.time += timedelta(hours=1)
    steady.value += ASK_EVERY_S
    assert clock.now() == SERVER + timedelta(hours=1)


def test_while_the_server_is_away_time_goes_on_and_the_server_is_not_stormed(server, steady):
    clock = DatabaseClock(server, steady=steady, machine=lambda: WRONG)
    clock.now()
    server.away = True
    steady.value += 60
    for _ in range(50):
        assert clock.now() == SERVER + timedelta(seconds=60)
    assert server.asked == 2


def test_a_server_that_never_answered_leaves_the_machines_clock(server, steady):
    server.away = True
    assert DatabaseClock(server, steady=steady, machine=lambda: WRONG).now() == WRONG
