"""The far side of the benchmarks, in a process of its own: takes every post whole and answers 201.

    python -m tests.bench.sink CERTIFICATE KEY      (prints its three ports, and ends when its input ends)

Floor and product post to the same process. Two ports are a trivial application under uvicorn
(with h11, as this project has it installed): what the floor is defined by, over TLS as every far
side is spoken to, and in the clear. The third one is one asyncio protocol that does next to
nothing, for those who want to see the client alone.
"""

import asyncio
import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from coordinator.sandbox.certificate import loopback_certificate

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


async def trivial(_scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body; answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Taking(asyncio.Protocol):
    """Reads requests with a Content-Length, one after the other, and answers each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.head, self.left = b"", 0

    def data_received(self, data: bytes) -> None:
        while data:
            if self.left:
                taken = min(self.left, len(data))
                self.left, data = self.left - taken, data[taken:]
                if not self.left:
                    self.answer()
                continue
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.head[:end].lower().split(b"\r\n")
            data, self.head = self.head[end + 4 :], b""
            self.left = next((int(one[15:]) for one in lines if one.startswith(b"content-length:")), 0)
            if not self.left:
                self.answer()

    def answer(self) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]


async def main(certificate: str, key: str) -> None:
    """Serve the three ports until the input ends."""
    loop = asyncio.get_running_loop()
    secured = {"ssl_certfile": certificate, "ssl_keyfile": key}
    with socket.create_server(("127.0.0.1", 0)) as tls, socket.create_server(("127.0.0.1", 0)) as plain:
        served = [loop.create_task(_under_uvicorn(place, **more)) for place, more in ((tls, secured), (plain, {}))]
        bare = await loop.create_server(Taking, "127.0.0.1", 0)
        sys.stdout.write(" ".join(str(one.getsockname()[1]) for one in (tls, plain, bare.sockets[0])) + "\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        for one in served:
            one.cancel()


async def _under_uvicorn(place: socket.socket, **more: Any) -> None:
    config = uvicorn.Config(
        trivial,
        log_level="critical",
        access_log=False,
        lifespan="off",
        http="h11",
        timeout_keep_alive=600,  # the floor's one connection waits while ours is measured
        **more,
    )
    await uvicorn.Server(config)._serve([place])


@dataclass(frozen=True)
class Sink:
    """The ports of the sink process."""

    tls: int
    """uvicorn over TLS."""
    plain: int
    """uvicorn in the clear."""
    bare: int
    """The bare asyncio protocol, in the clear."""
    ca_file: str
    """Who vouches for the TLS port's certificate."""


@contextlib.contextmanager
def sink() -> Iterator[Sink]:
    """Yield the sink process's ports; it ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = loopback_certificate(Path(folder))
        command = [sys.executable, "-m", "tests.bench.sink", str(certificate), str(key)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            tls, plain, bare = map(int, process.stdout.readline().split())
            try:
                yield Sink(tls, plain, bare, str(certificate))
            finally:
                process.stdin.close()


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main(*sys.argv[1:]))
