"""Healthy endpoints beside one that is dead and one that is slow: how much longer their messages take."""

import threading
import time
from collections.abc import Iterator
from typing import Any

from coordinator.cores import one_core
from coordinator.domain.errors import Transient
from coordinator.flow.parts import Policy
from coordinator.flow.ports import Lookup, Taken
from coordinator.flow.runner import Runner
from tests.bench.clinic import SENDERS, clinic
from tests.bench.rows import Row

OFFICES, EACH, ROUNDS = 10, 20, 5
DEAD, SLOW = "office-8", "office-9"
ANSWERS_S, SLOW_S, DEAD_S = 0.05, 5.0, 5.0
"""How long a healthy one, the slow one and the dead one keep a line; the dead one then is a failed connection."""


class Town:
    """A channel to ten offices. `healthy_done` is set once all messages of the eight healthy ones have arrived."""

    kind, safe_to_repeat = "fhir-rest", False

    def __init__(self, *, ill: bool) -> None:
        self._ill, self._lock, self._left = ill, threading.Lock(), EACH * (OFFICES - 2)
        self.healthy_done = threading.Event()

    def send(self, package: Any, endpoint: Any, *, deadline: Any, about_to_send: Any) -> Taken:
        if self._ill and endpoint.id == DEAD:
            time.sleep(DEAD_S)
            raise Transient("net.connect")
        about_to_send(None)
        time.sleep(SLOW_S if self._ill and endpoint.id == SLOW else ANSWERS_S)
        if endpoint.id not in (DEAD, SLOW):
            with self._lock:
                self._left -= 1
                if not self._left:
                    self.healthy_done.set()
        return Taken(package.tag, proven=True, status=201)

    def look_up(self, *_: Any, **__: Any) -> Lookup:
        return Lookup("unknown")


def measure() -> Iterator[Row]:
    """Yield the row of this part."""
    both = [(_took(ill=False), _took(ill=True)) for _ in range(ROUNDS)]
    what = f"Time of {EACH} messages to each of 8 healthy endpoints, beside one dead and one slow, against ten healthy"
    yield Row(what, [ill for _, ill in both], [well for well, _ in both], "s", 1.2, False)


def _took(*, ill: bool) -> float:
    town = Town(ill=ill)
    with clinic({"fhir-rest": town}, per_endpoint=Policy().per_endpoint, offices=OFFICES) as made:
        made.prepared(EACH * OFFICES)
        runner = Runner(made.parts, senders=SENDERS, a_sender_starts=one_core())
        began = time.perf_counter()
        runner.start()
        town.healthy_done.wait(120)
        took = time.perf_counter() - began
        runner.stop()
        return took
