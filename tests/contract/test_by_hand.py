from datetime import timedelta

import pytest

from coordinator.channels.by_hand import ByHand
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from tests.contract.people import WallClock, a_package

ENDPOINT = Endpoint(id="ep-hand", kind="by-hand", address="front-desk")


def test_a_letter_by_hand_waits_to_be_printed_and_nothing_is_marked():
    marks = []
    deadline = WallClock().now() + timedelta(seconds=5)
    with pytest.raises(NeedsHuman) as caught:
        ByHand().send(a_package(), ENDPOINT, deadline=deadline, about_to_send=marks.append)
    assert caught.value.code == "hand.print"
    assert marks == []


def test_nobody_but_a_person_can_say_whether_it_was_handed_over():
    deadline = WallClock().now() + timedelta(seconds=5)
    assert ByHand().look_up(a_package(), ENDPOINT, None, deadline=deadline).verdict == "unknown"
