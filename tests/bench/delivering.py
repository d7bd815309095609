"""Delivery without letters, beside a bare http.client loop that posts the same bytes; and accept to first byte."""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from coordinator.flow import deliver
from coordinator.flow.ports import Lookup, Taken
from coordinator.flow.prepare import prepare
from tests.bench.clinic import Clinic, clinic
from tests.bench.rows import Row, seconds
from tests.faults.simulation.workshop import cheap_composing

MESSAGES, ROUNDS = 40, 3
RATE, BURST = 50, 60


class Sink(BaseHTTPRequestHandler):
    """Answers 201 to everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Poster:
    """A channel that does what the floor does, one post on a kept connection, inside the product's transactions."""

    safe_to_repeat = False

    def __init__(self, kind: str, port: int) -> None:
        self.kind, self.line = kind, http.client.HTTPConnection("127.0.0.1", port)
        self.first_bytes: list[float] = []

    def send(self, package: Any, _endpoint: Any, *, deadline: Any, about_to_send: Any) -> Taken:
        about_to_send(None)
        self.first_bytes.append(time.perf_counter())
        post(self.line, package.documents[0].body)
        return Taken(package.tag, proven=True, status=201)

    def look_up(self, *_: Any, **__: Any) -> Lookup:
        return Lookup("unknown")


def post(line: http.client.HTTPConnection, body: bytes) -> None:
    """Post once and read the answer."""
    line.request("POST", "/", body)
    line.getresponse().read()


@contextmanager
def sink() -> Iterator[int]:
    """Yield the port of a loopback server that takes everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    with sink() as port:
        ours, floor = [], []
        poster = Poster("fhir-rest", port)
        with clinic({"fhir-rest": poster}) as made:
            for _ in range(ROUNDS):
                made.prepared(MESSAGES)
                body = _body(made)
                line = http.client.HTTPConnection("127.0.0.1", port)
                floor.append(
                    MESSAGES / seconds(lambda line=line, body=body: [post(line, body) for _ in range(MESSAGES)])
                )
                ours.append(MESSAGES / seconds(lambda made=made: _drain(made)))
        yield Row("Delivery without letters against a bare `http.client` loop", ours, floor, "/s", 0.3, True)
        yield _first_byte(port)


def _drain(made: Clinic) -> None:
    while claimed := deliver.claim(made.parts, "bench", 10):
        for one in claimed:
            deliver.attempt(made.parts, one)


def _body(made: Clinic) -> bytes:
    with made.store.begin(write=False) as tx:
        message = tx.in_state(("pending",), 1)[0].message_id  # type: ignore[arg-type]
        return tx.document(tx.documents(message)[0][0])[0].body  # type: ignore[index]


def _first_byte(port: int) -> Row:
    """Time from the accepted event to the first byte, at 50 events a second, one sender; the floor is the target."""
    poster = Poster("fhir-rest", port)
    with clinic({"fhir-rest": poster}) as made, cheap_composing():
        accepted = []
        began = time.perf_counter()
        for number in range(BURST):
            wait = began + number / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            event_ref = made.accept()
            accepted.append(time.perf_counter())
            prepare(made.parts, event_ref)
            _drain(made)
        took = [first - at for first, at in zip(poster.first_bytes, accepted, strict=False)]
    p95 = statistics.quantiles(took, n=20)[-1]
    what = f"Accept to first byte, p95 at {RATE}/s, SQLite, no letters (floor: 0.15 s)"
    return Row(what, [p95], [0.15], "s", 1.0, False)
