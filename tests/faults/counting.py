"""A recipient that does nothing but count, and the channel that posts to it: for runs of very many messages.

`python -m tests.faults.counting FILE` serves until it is killed: it prints its port, and appends the name of every
message that is posted to it to FILE before it answers. GET says whether it holds a message.
"""

import asyncio
import http.client
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from coordinator.domain.errors import InDoubt, Transient
from coordinator.flow.ports import Lookup, Taken


class Counting(asyncio.Protocol):
    """One connection. Requests come one after the other, with a Content-Length or without a body."""

    held: ClassVar[Counter[bytes]] = Counter()
    out: ClassVar[Any] = None

    def connection_made(self, transport: Any) -> None:
        self.transport, self.rest = transport, b""

    def data_received(self, data: bytes) -> None:
        self.rest += data
        while b"\r\n\r\n" in self.rest:
            head, _, body = self.rest.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            method, path, _ = lines[0].split(b" ", 2)
            sizes = [int(one.split(b":")[1]) for one in lines[1:] if one.lower().startswith(b"content-length:")]
            size = sizes[0] if sizes else 0
            if len(body) < size:
                return
            self.rest = body[size:]
            name = path.strip(b"/")
            if method == b"POST":
                self.held[name] += 1
                self.out.write(name + b"\n")
                self.out.flush()
                status = b"201 Created"
            else:
                status = b"200 OK" if self.held[name] else b"404 Not Found"
            self.transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


class CountedChannel:
    """Implements flow.ports.Channel in front of `Counting`; one kept connection for each thread."""

    kind, safe_to_repeat = "fhir-rest", False

    def __init__(self, port: int) -> None:
        self._port, self._lines = port, threading.local()

    def send(
        self, package: Any, _endpoint: Any, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        about_to_send(None)
        status = self._ask("POST", package.message, package.documents[0].body)
        if status != 201:
            raise Transient("fhir.503", status=status)
        return Taken(package.message, proven=True, status=201)

    def look_up(self, package: Any, _endpoint: Any, _ref: str | None, *, deadline: datetime) -> Lookup:
        return Lookup("arrived-proven" if self._ask("GET", package.message, b"") == 200 else "absent")

    def _ask(self, method: str, name: str, body: bytes) -> int:
        line = getattr(self._lines, "one", None)
        if line is None:
            line = self._lines.one = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            line.request(method, f"/{name}", body)
            answer = line.getresponse()
            answer.read()
        except OSError:
            self._lines.one = None
            raise InDoubt("net.reset-after-send") from None
        return answer.status


async def serve(file: Path) -> None:
    """Serve until killed."""
    if file.exists():
        Counting.held.update(file.read_bytes().split())
    with file.open("ab") as Counting.out:
        server = await asyncio.get_running_loop().create_server(Counting, "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
