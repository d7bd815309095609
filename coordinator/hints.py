"""Tells the workers at once that something has become due. What is lost is made up for by the sweep."""

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

from coordinator.flow.bell import News

TASKS: dict[News, str] = {"event": "coordinator.prepare", "delivery": "coordinator.deliver"}
GAP_S = 0.025
"""Between two hints. Whoever gets one looks for everything that is due, so what becomes due meanwhile needs but one."""
BUSY_GAP_S = 0.06
"""Between two hints while several rows become due in each gap: workers that found something look again by themselves.

A hint costs the broker, the worker that gets it and whoever sends it about a millisecond each.
"""


class Hints:
    """Sends hints from a thread of its own, so that a broker that is slow or away never holds up an answer.

    A hint carries the id of one row that is due, and stands for all that became due since the last.
    """

    def __init__(self, broker_url: str) -> None:
        """Remember the broker; nothing is connected before the first hint."""
        self._url = broker_url
        self._news = threading.Condition()
        self._due: dict[News, str] = {}
        """One id of each kind, not hinted yet."""
        self._count = 0
        """Of how many rows we were told since the last hint."""
        self._thread: threading.Thread | None = None

    def tell(self, what: News, names: Sequence[str]) -> None:
        """Have it hinted; never waits for the broker, never raises."""
        if not names:
            return
        with self._news:
            self._due[what] = names[0]
            self._count += len(names)
            self._news.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="hints", daemon=True)
                self._thread.start()

    def _send(self) -> None:
        app = self._app()
        while True:
            with self._news:
                self._news.wait_for(lambda: self._due)
                due, self._due = self._due, {}
                count, self._count = self._count, 0
            for what, name in due.items():
                # Whatever is wrong with the broker, the row is in the database and the sweep will come.
                with contextlib.suppress(Exception):
                    app.send_task(TASKS[what], (name,), queue="coordinator", ignore_result=True, retry=False)
            time.sleep(BUSY_GAP_S if count > 1 else GAP_S)

    def _app(self) -> Any:  # noqa: ANN401  (Celery ships no types)
        from celery import Celery  # noqa: PLC0415  (slow to import, and only where there is a broker)

        app = Celery("coordinator-hints", broker=self._url, set_as_current=False)
        app.conf.update(broker_connection_timeout=2, broker_transport_options={"socket_connect_timeout": 2})
        if self._url.startswith(("amqp", "memory")):
            app.conf.broker_transport_options = {}
        return app
