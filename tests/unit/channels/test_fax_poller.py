import pytest

from coordinator.channels.fax_gateway import FaxStatus
from coordinator.channels.receipts.fax_callback import AWAY_AFTER, FaxPoller
from coordinator.domain.errors import Transient
from tests.contract.people import StillClock

IDS = [str(number) for number in range(50)]


class Gateway:
    """Knows every fax as sent, but for those that it cannot be asked about."""

    def __init__(self, *mute):
        self.mute = mute
        self.asked = []

    def status(self, fax_id, *, deadline):
        self.asked.append(fax_id)
        if fax_id in self.mute:
            raise Transient("fax.unavailable")
        return FaxStatus(fax_id, "sent")


def told(poller):
    found = []
    with pytest.raises(Transient):
        found.extend(news.far_side_ref for news, _ in poller.fetch())
    return found


def test_a_gateway_that_is_away_is_given_up_after_a_few_so_that_other_receipts_do_not_wait():
    gateway = Gateway(*IDS)
    assert told(FaxPoller(gateway, StillClock(), lambda: IDS)) == []
    assert len(gateway.asked) == AWAY_AFTER


def test_a_fax_that_cannot_be_asked_about_now_and_then_stops_nobody():
    mute = IDS[::3]
    found = told(FaxPoller(Gateway(*mute), StillClock(), lambda: IDS))
    assert sorted(found) == sorted(set(IDS) - set(mute))


def test_a_few_that_can_never_be_asked_about_do_not_hide_the_others_for_ever():
    clock = StillClock()
    poller = FaxPoller(Gateway(*IDS[:AWAY_AFTER]), clock, lambda: IDS)
    found = set()
    for _ in range(len(IDS)):
        found.update(told(poller))
        clock.pass_by(seconds=1)
    assert found == set(IDS[AWAY_AFTER:])
