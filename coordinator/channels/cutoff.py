"""A hard end for protocols whose libraries only know gaps: the socket is shut when the deadline comes."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self


class Cutoff:
    """Shuts the watched socket at the deadline, which ends any blocked read or write at once."""

    def __init__(self, after_s: float) -> None:
        self._timer = threading.Timer(after_s, self._cut)
        self._ends_s = time.monotonic() + after_s
        self._timer.daemon = True
        self._socket: socket.socket | None = None
        self.reached = False

    @property
    def left_s(self) -> float:
        """Return how long it is until the deadline, in seconds; a little more than nothing when it is over."""
        return max(self._ends_s - time.monotonic(), 0.1)

    def watch(self, one: socket.socket) -> None:
        """Watch this socket from now on (the TLS one replaces the plain one)."""
        self._socket = one

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.reached = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain socket's own shutdown: the TLS one would also drop its state under the reader's feet.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
