"""Who gets which kept connection: one exchange at a time on each, one far side each, none that has ended."""

import httpcore
import pytest

from coordinator.security.lines import Lines


class Line:
    """A connection that answers at once. It is idle again only when the answer was read to its end."""

    def __init__(self, origin):
        self.origin, self.idle, self.ended, self.closed, self.asked = origin, False, False, 0, 0
        self.fault = None

    def handle_request(self, request):
        assert not self.idle or not self.ended
        self.idle = False
        self.asked += 1
        if self.fault:
            raise self.fault
        return httpcore.Response(200, content=self._body())

    def _body(self):
        yield b"all"
        yield b" of it"
        self.idle = True

    def is_idle(self):
        return self.idle

    def has_expired(self):
        return self.ended

    def close(self):
        self.closed += 1


class Town:
    def __init__(self, most=3, idle_s=60.0):
        self.made = []
        self.lines = Lines(self._open, most, idle_s)

    def _open(self, origin):
        self.made.append(Line(origin))
        return self.made[-1]

    def ask(self, address="https://one.example/", **_):
        return self.lines.handle_request(httpcore.Request("GET", address, extensions={"timeout": {"pool": 0.01}}))


def whole(answer):
    text = b"".join(answer.iter_stream())
    answer.close()
    return text


def test_a_connection_is_used_again_once_its_answer_was_read():
    town = Town()
    assert whole(town.ask()) == b"all of it"
    assert whole(town.ask()) == b"all of it"
    assert [one.asked for one in town.made] == [2]


def test_a_connection_whose_answer_was_not_read_to_its_end_is_never_used_again():
    town = Town()
    town.ask().close()
    whole(town.ask())
    assert [(one.asked, one.closed) for one in town.made] == [(1, 1), (1, 0)]


def test_two_exchanges_at_the_same_time_have_two_connections():
    town = Town()
    first, second = town.ask(), town.ask()
    assert len(town.made) == 2
    whole(first), whole(second)


@pytest.mark.parametrize("other", ["https://two.example/", "http://one.example/", "https://one.example:8443/"])
def test_a_connection_serves_no_other_far_side(other):
    town = Town()
    whole(town.ask("https://one.example/"))
    whole(town.ask(other))
    assert [one.asked for one in town.made] == [1, 1]


def test_a_connection_that_the_far_side_has_ended_is_closed_and_another_is_made():
    town = Town()
    whole(town.ask())
    town.made[0].ended = True
    whole(town.ask())
    assert [(one.asked, one.closed) for one in town.made] == [(1, 1), (1, 0)]


def test_no_more_than_so_many_at_the_same_time_and_a_place_is_given_back_once():
    town = Town(most=2)
    first = town.ask()
    town.ask()
    with pytest.raises(httpcore.PoolTimeout):
        town.ask()
    whole(first)
    first.close()
    town.ask()
    with pytest.raises(httpcore.PoolTimeout):
        town.ask()


def test_a_connection_that_failed_is_closed_and_its_place_is_free_again():
    town = Town(most=1)
    whole(town.ask())
    town.made[0].fault = httpcore.ReadError()
    with pytest.raises(httpcore.ReadError):
        town.ask()
    whole(town.ask())
    assert [(one.asked, one.closed) for one in town.made] == [(2, 1), (1, 0)]


def test_what_stays_idle_too_long_is_closed_when_another_far_side_is_asked():
    town = Town(idle_s=0.0)
    whole(town.ask("https://one.example/"))
    town.made[0].ended = True
    whole(town.ask("https://two.example/"))
    assert town.made[0].closed == 1


def test_closing_closes_what_is_idle():
    town = Town()
    whole(town.ask())
    town.lines.close()
    assert town.made[0].closed == 1
