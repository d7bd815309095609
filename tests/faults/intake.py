"""A clinic system that posts events to the real intake over HTTP, as a careful one does: until it has its 2xx."""

import json
import socket
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any, Self

import httpx


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class Poster:
    """Posts one event after another in a thread of its own; each is posted again until it was answered 2xx."""

    def __init__(self, made: Any, *, every_s: float) -> None:
        self.made, self.every_s = made, every_s
        self.statuses: Counter[int | str] = Counter()
        self.retry_after = 0
        """How many refusals said when to come again."""
        self.port = free_port()
        _, token = made.service.accounts.sources.issue(f"ehr-{self.port}", ("events:write",))
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=60,
            trust_env=False,
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def serve(self, **more: str) -> Any:
        """Start the service's intake, and return its process once it answers."""
        process = self.made.start("serve", "--port", str(self.port), "--console-port", str(free_port()), **more)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if self._http.get("/health/ready").status_code < 500:
                    return process
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"the intake did not start: {process.said()}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(90)
        self._http.close()

    def _run(self) -> None:
        while not self._end.is_set():
            event = self.made.event()
            body = json.dumps(event).encode()
            # Whoever has begun an event ends it, or the count of what was promised would not be known.
            for _ in range(20_000):
                if self._post(event, body):
                    break
                time.sleep(0.3)
            self._end.wait(self.every_s)

    def _post(self, event: dict[str, Any], body: bytes) -> bool:
        try:
            answer = self._http.post("/v1/events", content=body)
        except httpx.TransportError as fault:
            self.statuses[type(fault).__name__] += 1
            return False
        self.statuses[answer.status_code] += 1
        self.retry_after += "retry-after" in answer.headers
        if answer.is_success:
            self.made.accepted.append((event["id"], event["version"]))
        return answer.is_success
