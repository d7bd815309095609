"""Delivery without letters, beside a bare http.client loop that posts the same bytes to the same process."""

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from coordinator.bootstrap import SystemClock
from coordinator.channels.wire import Wire
from coordinator.cores import one_core
from coordinator.domain.delivery import State
from coordinator.flow import deliver
from coordinator.flow.hand import Hand
from coordinator.flow.ports import Lookup, Taken
from coordinator.flow.runner import BATCH
from coordinator.heap import keep_what_is_loaded
from coordinator.security.outbound import OutboundConfig, guarded_client
from tests.bench.bodies import chart
from tests.bench.clinic import SENDERS, Clinic, clinic
from tests.bench.rows import Row, cpu_and_seconds
from tests.bench.sink import sink

MESSAGES, ROUNDS = 400, 7


class Poster:
    """A channel that makes one post and nothing else, by the product's HTTP way or by http.client as the floor does."""

    safe_to_repeat = False

    def __init__(self, kind: str, port: int, *, bare: bool = False, ca_file: str | None = None) -> None:
        self.kind, self._port, self._bare = kind, port, bare
        self._address = f"http{'s' if ca_file else ''}://127.0.0.1:{port}/"
        self._wire = Wire(guarded_client(OutboundConfig(allow_loopback=True, ca_file=ca_file)), SystemClock())
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
                self._own.line = bare_line(self._port)
            post(self._own.line, body)
            return Taken(package.tag, proven=True, status=201)
        answer = self._wire.exchange(
            "POST", self._address, deadline=deadline, body=body, writes=True, about_to_send=leaving
        )
        return Taken(package.tag, proven=True, status=answer.status, facts=answer.facts)

    def look_up(self, *_: Any, **__: Any) -> Lookup:
        return Lookup("unknown")


def bare_line(port: int, ca_file: str | None = None) -> http.client.HTTPConnection:
    """Return the floor's connection, over TLS where an authority is given."""
    if ca_file is None:
        return http.client.HTTPConnection("127.0.0.1", port)
    return http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context(cafile=ca_file))


def post(line: http.client.HTTPConnection, body: bytes) -> None:
    """Post once and read the answer."""
    line.request("POST", "/", body)
    line.getresponse().read()


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    our_own, for_information = "the product's own HTTP client", " (for information)"
    with sink() as far:
        yield _row(far.tls, our_own, "a trivial uvicorn sink over TLS", ca_file=far.ca_file)
        yield _row(far.plain, our_own, "the same in the clear" + for_information)
        yield _row(far.bare, our_own, "a bare asyncio sink in the clear" + for_information)
        yield _row(far.plain, "http.client in place of ours", "a trivial uvicorn sink in the clear" + for_information,
                   bare=True)  # fmt: skip


def _row(port: int, how: str, where: str, *, bare: bool = False, ca_file: str | None = None) -> Row:
    ours, floor, mine_cpu, floor_cpu, stay = [], [], [], [], one_core()
    with clinic({"fhir-rest": Poster("fhir-rest", port, bare=bare, ca_file=ca_file)}) as made:
        line, body = bare_line(port, ca_file), chart().body
        keep_what_is_loaded()  # as `serve` does
        for _ in range(ROUNDS):
            made.prepared(MESSAGES)
            cpu_s, took_s = cpu_and_seconds(lambda: [post(line, body) for _ in range(MESSAGES)])
            floor.append(MESSAGES / took_s)
            floor_cpu.append(cpu_s / MESSAGES * 1000)
            cpu_s, took_s = cpu_and_seconds(lambda made=made: send_all(made, stay))
            ours.append(MESSAGES / took_s)
            mine_cpu.append(cpu_s / MESSAGES * 1000)
        sent = made.counts().get(State.ACKNOWLEDGED)
        if sent != ROUNDS * MESSAGES:
            raise RuntimeError(f"only {sent} of {ROUNDS * MESSAGES} were delivered")
    what = f"Delivery without letters, 65 KB each, by {how} to {where}, against a bare `http.client` loop to the same"
    target = None if "information" in where else 0.3
    return Row(what, ours, floor, "/s", target, True, cpu=(mine_cpu, floor_cpu))


def send_all(made: Clinic, stay: Callable[[], None], senders: int = SENDERS) -> None:
    """Send everything that is due, as the embedded runner does: one thread claims, the others send on one core."""
    hand, ended = Hand(made.parts, "bench", BATCH), threading.Event()

    def claimer() -> None:
        while True:
            heard = made.parts.bell.heard("delivery")
            hand.fill()
            if not hand.unfinished():
                ended.set()
                return
            made.parts.bell.wait(heard, 0.005, "delivery")

    def one_sender() -> None:
        stay()
        while not ended.is_set():
            if (claimed := hand.take(0.02)) is not None:
                deliver.attempt(made.parts, claimed)
                hand.finished(claimed)

    threads = [threading.Thread(target=one) for one in (claimer, *[one_sender] * senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
