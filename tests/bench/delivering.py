"""Delivery without letters, beside a bare http.client loop that posts the same bytes to the same process."""

import http.client
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from coordinator.bootstrap import SystemClock
from coordinator.channels.wire import Wire
from coordinator.domain.delivery import State
from coordinator.flow import deliver
from coordinator.flow.hand import Hand
from coordinator.flow.ports import Lookup, Taken
from coordinator.flow.runner import BATCH
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.bench.bodies import chart
from tests.bench.clinic import SENDERS, Clinic, clinic
from tests.bench.rows import Row, cpu_and_seconds
from tests.bench.sink import sink

MESSAGES, ROUNDS = 400, 3


class Poster:
    """A channel that makes one post and nothing else, by the product's HTTP way or by http.client as the floor does."""

    safe_to_repeat = False

    def __init__(self, kind: str, port: int, *, bare: bool = False) -> None:
        self.kind, self._port, self._bare = kind, port, bare
        self._wire = Wire(guarded_client(OutboundConfig(allow_loopback=True)), SystemClock())
        self._own = threading.local()
        self.first_bytes: dict[str, float] = {}
        """When the first byte of a message left, by message."""

    def send(self, package: Any, _endpoint: Any, *, deadline: datetime, about_to_send: Any) -> Taken:
        def leaving() -> None:
            about_to_send(None)
            self.first_bytes[package.message] = time.perf_counter()

        body = package.documents[0].body
        if self._bare:
            leaving()
            if not hasattr(self._own, "line"):
                self._own.line = http.client.HTTPConnection("127.0.0.1", self._port)
            post(self._own.line, body)
            return Taken(package.tag, proven=True, status=201)
        answer = self._wire.exchange(
            "POST", f"http://127.0.0.1:{self._port}/", deadline=deadline, body=body, writes=True, about_to_send=leaving
        )
        return Taken(package.tag, proven=True, status=answer.status, facts=answer.facts)

    def look_up(self, *_: Any, **__: Any) -> Lookup:
        return Lookup("unknown")


def post(line: http.client.HTTPConnection, body: bytes) -> None:
    """Post once and read the answer."""
    line.request("POST", "/", body)
    line.getresponse().read()


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    with sink() as (under_uvicorn, bare_asyncio):
        yield _row(under_uvicorn, "the product's own HTTP client", "a trivial uvicorn sink", bare=False)
        yield _row(bare_asyncio, "the product's own HTTP client", "a bare asyncio sink (for information)", bare=False)
        yield _row(under_uvicorn, "http.client in place of ours", "a trivial uvicorn sink (for information)", bare=True)


def _row(port: int, how: str, where: str, *, bare: bool) -> Row:
    ours, floor, mine_cpu, floor_cpu = [], [], [], []
    with clinic({"fhir-rest": Poster("fhir-rest", port, bare=bare)}) as made:
        line, body = http.client.HTTPConnection("127.0.0.1", port), chart().body
        for _ in range(ROUNDS):
            made.prepared(MESSAGES)
            cpu_s, took_s = cpu_and_seconds(lambda: [post(line, body) for _ in range(MESSAGES)])
            floor.append(MESSAGES / took_s)
            floor_cpu.append(cpu_s / MESSAGES * 1000)
            cpu_s, took_s = cpu_and_seconds(lambda made=made: send_all(made))
            ours.append(MESSAGES / took_s)
            mine_cpu.append(cpu_s / MESSAGES * 1000)
        sent = made.counts().get(State.ACKNOWLEDGED)
        if sent != ROUNDS * MESSAGES:
            raise RuntimeError(f"only {sent} of {ROUNDS * MESSAGES} were delivered")
    what = f"Delivery without letters, 65 KB each, by {how} to {where}, against a bare `http.client` loop to the same"
    target = None if "information" in where else 0.3
    return Row(what, ours, floor, "/s", target, True, cpu=(mine_cpu, floor_cpu))


def send_all(made: Clinic, senders: int = SENDERS) -> None:
    """Send everything that is due, as the embedded runner does: one thread claims, the others send."""
    hand, ended = Hand(made.parts, "bench", BATCH), threading.Event()

    def one_sender() -> None:
        while not ended.is_set():
            if (claimed := hand.take(0.02)) is not None:
                deliver.attempt(made.parts, claimed)
                hand.finished(claimed)

    threads = [threading.Thread(target=one_sender) for _ in range(senders)]
    for thread in threads:
        thread.start()
    while True:
        heard = made.parts.bell.heard("delivery")
        hand.fill()
        if not hand.unfinished():
            break
        made.parts.bell.wait(heard, 0.005, "delivery")
    ended.set()
    for thread in threads:
        thread.join()
