"""The bytes of a connection: every wait ends with the deadline, and a request leaves in as few pieces as can be."""

import socket
import ssl
from collections.abc import Callable

import httpcore

Left = Callable[[float | None], float]
"""(the timeout asked for) -> the seconds that may be waited: no more than is left of the whole, at its end 0."""
LEAST_S = 0.001
"""What connecting and TLS get when the whole is over: for a socket 0 would mean not to wait for its answer at all."""


class EndingStream(httpcore.NetworkStream):
    """A stream whose every wait is cut to what is left of the whole: a byte every few seconds buys no time.

    The head of a request leaves together with the first of its body, as one segment or one record of TLS, not as two.
    Connecting, TLS and closing are httpcore's; reading and writing are done here, on its socket: to set a timeout is
    a call of the system, and each such call may hand Python's one lock to another thread, so it is set when it changes.
    """

    def __init__(self, inner: httpcore.NetworkStream, left: Left) -> None:
        """Read and write on the socket of `inner`, which is connected."""
        self._inner = inner
        self._left = left
        self._socket: socket.socket = inner.get_extra_info("socket")
        self._waits_s = self._socket.gettimeout()
        self._head = b""
        """The first that was written of a request, until more of it is written, or nothing more comes."""
        self._begins = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, b"" at the end. Raises httpcore's ReadTimeout and ReadError."""
        if self._head:
            self.write(b"", timeout)
        self._begins = True
        try:
            self._wait_at_most(timeout)
            return self._socket.recv(max_bytes)
        except TimeoutError as late:
            raise httpcore.ReadTimeout(late) from late
        except OSError as broken:
            raise httpcore.ReadError(broken) from broken

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send it whole, or keep it for what follows. Raises httpcore's WriteTimeout and WriteError."""
        if self._begins:
            self._begins, self._head = False, buffer
            return
        rest, self._head = memoryview(self._head + buffer), b""
        try:
            while rest:
                self._wait_at_most(timeout)
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as late:
            raise httpcore.WriteTimeout(late) from late
        except OSError as broken:
            raise httpcore.WriteError(broken) from broken

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the stream within TLS. Raises httpcore's ConnectTimeout and ConnectError."""
        within_s = max(LEAST_S, self._left(timeout))
        return EndingStream(self._inner.start_tls(ssl_context, server_hostname, within_s), self._left)

    def get_extra_info(self, info: str) -> object:
        """Return what httpcore knows of the connection."""
        return self._inner.get_extra_info(info)

    def _wait_at_most(self, timeout: float | None) -> None:
        """Set how long the next wait may be. Raises TimeoutError once the whole is over: what is there is not read on.

        Else a far side that always has something more to say (interim answers without end) would never let us go.
        """
        waits_s = self._left(timeout)
        if waits_s <= 0:
            raise TimeoutError
        if waits_s != self._waits_s:
            self._socket.settimeout(waits_s)
            self._waits_s = waits_s
