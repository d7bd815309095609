"""Says that there is something to do, so that nobody waits out a pause. A ring that nobody hears loses nothing."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

News = Literal["event", "delivery"]
Listener = Callable[[News, Sequence[str]], None]


@dataclass
class Bell:
    """Wakes the loops of this process, and tells listeners, who may tell other processes."""

    listeners: list[Listener] = field(default_factory=list)
    """Called after each commit that made something due, with ids. They must neither wait nor raise."""
    _news: threading.Condition = field(default_factory=threading.Condition)
    _rung: Counter[News | None] = field(default_factory=Counter)

    def ring(self, what: News, names: Sequence[str]) -> None:
        """Tell everybody that these events are to be prepared, or these deliveries to be sent."""
        self.wake(what)
        for listener in self.listeners:
            listener(what, names)

    def wake(self, what: News | None = None) -> None:
        """Wake who waits in this process for that kind of news; without one, whoever waits."""
        with self._news:
            self._rung[what] += 1
            self._news.notify_all()

    def heard(self, what: News | None = None) -> int:
        """Return a mark for `wait`: what is rung from now on ends that wait, also when it is rung before."""
        return self._rung[None] + (self._rung[what] if what is not None else 0)

    def wait(self, heard: int, at_most_s: float, what: News | None = None) -> None:
        """Wait until the bell has rung for that kind (or for everybody) since `heard`, or the time is over."""
        with self._news:
            self._news.wait_for(lambda: self.heard(what) != heard, at_most_s)
