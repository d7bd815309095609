"""The far side of the benchmarks, in a process of its own: takes every post whole and answers 201, by one event loop.

    python -m tests.bench.sink      (prints its port, and ends when its input ends)

Floor and product post to the same process.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


class Taking(asyncio.Protocol):
    """Reads requests with a Content-Length, one after the other, and answers each. `wait_s` makes it slow."""

    wait_s = 0.0

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
        if self.wait_s:
            asyncio.get_running_loop().call_later(self.wait_s, self.transport.write, ANSWER)
        else:
            self.transport.write(ANSWER)  # type: ignore[attr-defined]


class Slow(Taking):
    """Answers after two seconds."""

    wait_s = 2.0


async def main() -> None:
    """Serve a quick and a slow port until the input ends."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in (Taking, Slow)]
    sys.stdout.write(" ".join(str(one.sockets[0].getsockname()[1]) for one in servers) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


@contextlib.contextmanager
def sink() -> Iterator[tuple[int, int]]:
    """Yield (quick port, slow port) of a sink process that ends with the block."""
    command = [sys.executable, "-m", "tests.bench.sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        quick, slow = map(int, process.stdout.readline().split())
        try:
            yield quick, slow
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(main())
