"""Kept HTTP/1.1 connections, by far side: one is taken for each exchange and put back when its answer was read whole.

httpcore makes, speaks and judges each connection; only who gets which is decided here. Its
own pool looks at every connection of every far side before and after each request.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import httpcore

Open = Callable[[httpcore.Origin], httpcore.ConnectionInterface]
"""Makes a connection that is not connected yet."""
Place = tuple[bytes, bytes, int]
"""Scheme, host and port of a far side."""


class Lines:
    """At most `most` exchanges at the same time; what is idle is kept for `idle_s`."""

    def __init__(self, open_line: Open, most: int, idle_s: float) -> None:
        """Make connections with `open_line`, which lets them expire after `idle_s` too."""
        self._open = open_line
        self._free = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._idle: dict[Place, list[httpcore.ConnectionInterface]] = {}
        self._idle_s = idle_s
        self._tidied_s = time.monotonic()

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Return the answer as soon as its head is there; its stream must be closed. Raises httpcore's errors."""
        if not self._free.acquire(timeout=request.extensions["timeout"]["pool"]):
            raise httpcore.PoolTimeout
        line = None
        try:
            origin = request.url.origin
            place = (origin.scheme, origin.host, origin.port)
            line = self._take(place) or self._open(origin)
            answer = line.handle_request(request)
        except BaseException:
            if line is not None:
                line.close()
            self._free.release()
            raise
        assert isinstance(answer.stream, Iterable)  # noqa: S101
        answer.stream = _Body(answer.stream, lambda: self._put_back(place, line))
        return answer

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for lines in idle.values():
            for one in lines:
                one.close()

    def _take(self, place: Place) -> httpcore.ConnectionInterface | None:
        """Return an idle connection that the far side has not ended, the one used last; None where there is none."""
        while True:
            with self._lock:
                lines = self._idle.get(place)
                if not lines:
                    return None
                one = lines.pop()
            if not one.has_expired():
                return one
            one.close()

    def _put_back(self, place: Place, line: httpcore.ConnectionInterface) -> None:
        try:
            if not line.is_idle():
                line.close()  # its answer was not read to the end, or the far side ends it
                return
            with self._lock:
                self._idle.setdefault(place, []).append(line)
                old = self._old()
            for one in old:
                one.close()
        finally:
            self._free.release()

    def _old(self) -> list[httpcore.ConnectionInterface]:
        """Return the idle connections that have had their time, taken out; looks every `idle_s`."""
        now_s = time.monotonic()
        if now_s - self._tidied_s < self._idle_s:
            return []
        self._tidied_s = now_s
        old = [one for lines in self._idle.values() for one in lines if one.has_expired()]
        kept = {place: [one for one in lines if one not in old] for place, lines in self._idle.items()}
        self._idle = {place: lines for place, lines in kept.items() if lines}
        return old


class _Body:
    """An answer's body. Closing it, once, gives the connection back."""

    def __init__(self, inner: Iterable[bytes], given_back: Callable[[], None]) -> None:
        self._inner = inner
        self._given_back = given_back
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    def close(self) -> None:
        """Give the connection back."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._inner, "close", None)
            if close is not None:
                close()
        finally:
            self._given_back()
