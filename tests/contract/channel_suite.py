"""What every channel keeps, whatever it speaks. A channel's own test class says how its far side misbehaves."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, StateConflict, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Channel, Package, Taken
from tests.contract.people import CANARY, WallClock

CLASSES: dict[str, type[DeliveryError]] = {
    "transient": Transient,
    "permanent": Permanent,
    "needs-human": NeedsHuman,
    "in-doubt": InDoubt,
}


@dataclass
class Scene:
    """A channel with a far side. `content_seen()` is how much of the message's content has reached it."""

    channel: Channel
    endpoint: Endpoint
    package: Package
    content_seen: Any
    marks: list[str | None] = field(default_factory=list)
    seen_at_mark: list[int] = field(default_factory=list)

    def about_to_send(self, ref: str | None) -> None:
        self.marks.append(ref)
        self.seen_at_mark.append(self.content_seen())

    def send(self, within_s: float = 8.0) -> Taken:
        deadline = WallClock().now() + timedelta(seconds=within_s)
        return self.channel.send(self.package, self.endpoint, deadline=deadline, about_to_send=self.about_to_send)


class ChannelSuite:
    """Subclass it, and say in `scene` how each fault is played. `refusals`: (fault, class, cause) rows."""

    refusals: tuple[tuple[str, str, str], ...] = ()
    away = "net.connect"
    """The cause when nobody takes the connection; another one where that is our own provider's server."""

    @contextmanager
    def scene(self, fault: str = "") -> Iterator[Scene]:
        """Yield a scene whose far side plays the fault: "" for none, "refused-connection", "break-before", ..."""
        raise NotImplementedError
        yield

    def two_letters(self, package: Package) -> Package:
        """Return the message with two letters in it, as this channel is given such a one."""
        raise NotImplementedError

    def letters_at(self, scene: Scene) -> int:
        """Return how many letters the far side has been given."""
        raise NotImplementedError

    def refused(self, fault: str, scene: Scene, within_s: float = 8.0) -> DeliveryError:
        with pytest.raises(DeliveryError) as caught:
            scene.send(within_s)
        return caught.value

    def test_it_names_the_kind_of_endpoint_it_speaks_to(self):
        with self.scene() as scene:
            assert scene.channel.kind == scene.endpoint.kind
            assert scene.channel.safe_to_repeat is False

    def test_a_good_send_is_taken_and_marked_once_before_the_first_byte(self):
        with self.scene() as scene:
            taken = scene.send()
            assert isinstance(taken, Taken)
            assert taken.far_side_ref
            assert len(scene.marks) == 1
            assert scene.seen_at_mark == [0]
            assert scene.content_seen() > 0

    def test_every_letter_of_a_message_is_given_to_the_far_side_under_one_mark(self):
        with self.scene() as scene:
            scene.package = self.two_letters(scene.package)
            assert scene.send().far_side_ref
            assert self.letters_at(scene) == 2
            assert len(scene.marks) == 1
            assert scene.seen_at_mark == [0]

    def test_a_conflict_at_the_mark_stops_the_send(self):
        with self.scene() as scene:

            def conflict(ref):
                raise StateConflict("somebody withdrew it")

            deadline = WallClock().now() + timedelta(seconds=8)
            with pytest.raises(StateConflict):
                scene.channel.send(scene.package, scene.endpoint, deadline=deadline, about_to_send=conflict)
            time.sleep(0.05)
            assert scene.content_seen() == 0

    def test_every_refusal_has_its_class_and_cause(self):
        assert self.refusals
        for fault, kind, code in self.refusals:
            with self.scene(fault) as scene:
                error = self.refused(fault, scene)
                assert (fault, type(error), error.code) == (fault, CLASSES[kind], code)
                assert len(scene.marks) <= 1

    def test_a_refused_connection_is_tried_again_and_nothing_was_sent(self):
        with self.scene("refused-connection") as scene:
            error = self.refused("refused-connection", scene)
            assert (type(error), error.code) == (Transient, self.away)

    def test_a_break_after_the_content_left_is_in_doubt(self):
        with self.scene("break-after") as scene:
            error = self.refused("break-after", scene)
            assert type(error) is InDoubt
            assert len(scene.marks) == 1

    def test_silence_after_the_content_left_is_in_doubt_and_ends_at_the_deadline(self):
        with self.scene("silence-after") as scene:
            began = time.monotonic()
            error = self.refused("silence-after", scene, within_s=1.0)
            assert type(error) is InDoubt
            assert time.monotonic() - began < 2.5

    def test_a_byte_now_and_then_buys_no_time_past_the_deadline(self):
        with self.scene("drip") as scene:
            began = time.monotonic()
            error = self.refused("drip", scene, within_s=1.0)
            assert isinstance(error, InDoubt | Transient)
            assert time.monotonic() - began < 2.5

    def test_nothing_is_sent_once_the_deadline_has_passed(self):
        with self.scene() as scene:
            error = self.refused("", scene, within_s=-1.0)
            assert type(error) is Transient
            assert scene.marks == []
            assert scene.content_seen() == 0

    def test_no_error_and_no_log_line_carries_what_is_private(self, caplog):
        caplog.set_level(logging.DEBUG)
        logging.getLogger("httpcore").setLevel(logging.CRITICAL)
        logging.getLogger("httpx").setLevel(logging.CRITICAL)
        faults = ["refused-connection", "break-after", *(fault for fault, _, _ in self.refusals)]
        for fault in faults:
            with self.scene(fault) as scene:
                error = self.refused(fault, scene)
                chain, seen = error, set()
                while chain is not None and id(chain) not in seen:
                    seen.add(id(chain))
                    assert CANARY not in str(chain) + repr(chain.args)
                    chain = chain.__cause__
        assert CANARY not in caplog.text
