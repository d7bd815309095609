"""A small HTTP server for pretend recipients, able to misbehave: it owns its sockets, so it can drop them."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

Act = Literal["answer", "drop", "hang", "half-read", "store-then-drop", "store-then-answer"]


@dataclass(frozen=True)
class Request:
    """One request as it came in. Header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """One way to misbehave. `times` None means until told otherwise; `writes` only for requests that send content."""

    act: Act
    times: int | None = 1
    reply: Reply = field(default_factory=lambda: Reply(503))
    hang_s: float = 30.0
    writes: bool = False


class Faults:
    """The faults that wait, in order. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Misbehave so, after what already waits."""
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Behave well from now on."""
        with self._lock:
            self._waiting.clear()

    def take(self, *, is_write: bool) -> Fault | None:
        """Return the fault for this request, or None, counting it down."""
        with self._lock:
            for place, one in enumerate(self._waiting):
                if one.writes and not is_write:
                    continue
                if one.times is not None:
                    left = one.times - 1
                    self._waiting[place : place + 1] = [_with_times(one, left)] if left > 0 else []
                return one
        return None


def _with_times(fault: Fault, times: int) -> Fault:
    return Fault(fault.act, times, fault.reply, fault.hang_s, fault.writes)


Answerer = Callable[[Request], Reply]


class Web:
    """A loopback HTTP server in threads of this process."""

    def __init__(self, port: int, answer: Answerer, is_write: Callable[[str, str], bool]) -> None:
        """`answer` is called for each whole request; `is_write(method, path)` tells which requests carry content."""
        self.faults = Faults()
        self._answer = answer
        self._is_write = is_write
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 60

            def _handle(self) -> None:
                web.serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing: request lines are not for logs."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> None:
        """Take requests."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; open connections are closed."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(5)
        self._server.server_close()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, or misbehave as told."""
        split = urlsplit(handler.path)
        fault = self.faults.take(is_write=self._is_write(handler.command, split.path))
        length = int(handler.headers.get("Content-Length") or 0)
        if fault is not None and fault.act == "drop":
            return _drop(handler)
        if fault is not None and fault.act == "half-read":
            handler.rfile.read(length // 2)
            return _drop(handler)
        body = handler.rfile.read(length)
        if fault is not None and fault.act == "hang":
            time.sleep(fault.hang_s)
            return _drop(handler)
        if fault is not None and fault.act == "answer":
            return _reply(handler, fault.reply)
        request = Request(
            handler.command,
            split.path,
            dict(parse_qsl(split.query)),
            {name.lower(): value for name, value in handler.headers.items()},
            body,
        )
        reply = self._answer(request)
        if fault is not None and fault.act == "store-then-drop":
            return _drop(handler)
        return _reply(handler, fault.reply if fault is not None else reply)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if isinstance(request, socket.socket):
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a caller that hangs up is part of the play."""

    def server_close(self) -> None:
        """Close the listener and every open connection, as a server that goes away does."""
        super().server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _drop(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with contextlib.suppress(OSError):
        handler.connection.shutdown(socket.SHUT_RDWR)


def _reply(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(reply.body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(reply.body)
