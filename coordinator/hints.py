"""Tells the workers at once what has become due. A hint carries an id; one that is lost is made up for by the sweep."""

import contextlib
import queue
import threading
from collections.abc import Sequence
from typing import Any

from coordinator.flow.bell import News

TASKS: dict[News, str] = {"event": "coordinator.prepare", "delivery": "coordinator.deliver"}
MOST_WAITING = 1_000
"""More than that says that the broker is away; the sweep finds what is not hinted."""


class Hints:
    """Sends hints from a thread of its own, so that a broker that is slow or away never holds up an answer."""

    def __init__(self, broker_url: str) -> None:
        """Remember the broker; nothing is connected before the first hint."""
        self._url = broker_url
        self._waiting: queue.Queue[tuple[str, str]] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self, what: News, names: Sequence[str]) -> None:
        """Hand the hints over; never waits, never raises."""
        if not names:
            return
        with contextlib.suppress(queue.Full):
            for name in names:
                self._waiting.put_nowait((TASKS[what], name))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="hints", daemon=True)
                self._thread.start()

    def _send(self) -> None:
        app = self._app()
        while True:
            task, name = self._waiting.get()
            # Whatever is wrong with the broker, the row is in the database and the sweep will come.
            with contextlib.suppress(Exception):
                app.send_task(task, (name,), queue="coordinator", ignore_result=True, retry=False)

    def _app(self) -> Any:  # noqa: ANN401  (Celery ships no types)
        from celery import Celery  # noqa: PLC0415  (slow to import, and only where there is a broker)

        app = Celery("coordinator-hints", broker=self._url, set_as_current=False)
        app.conf.update(broker_connection_timeout=2, broker_transport_options={"socket_connect_timeout": 2})
        if self._url.startswith(("amqp", "memory")):
            app.conf.broker_transport_options = {}
        return app
