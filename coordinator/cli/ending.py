"""How a process of the service ends: at SIGTERM, Ctrl-C or SIGHUP, whenever that comes, and in order."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import uvicorn

from coordinator.flow.runner import Runner
from coordinator.observe.log import Log, write

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REQUESTS_END_WITHIN_S = 5
"""How long a request that is under way may take once the service ends.

With the 60 s of a send it stays below the 75 s after which a supervisor kills.
"""


@dataclass
class Ending:
    """Whether the process was asked to end. The servers are told; whatever else works has to ask.

    Nothing is raised where the signal comes. That may be anywhere, and libraries have places where
    an exception is swallowed: the process would go on, and be deaf from then on.
    """

    ignored: frozenset[int] = frozenset()
    asked: bool = False
    servers: list[uvicorn.Server] = field(default_factory=list)

    def listen(self) -> None:
        """Take the signals, from whoever has them now. What the process was started to ignore (`nohup`) it ignores."""
        for number in SIGNALS:
            if number not in self.ignored:
                signal.signal(number, self._ask)

    def hand_over(self) -> None:
        """Leave the signals to whoever has taken SIGTERM by now, and repeat the one that has come before.

        Celery takes SIGHUP too, to start itself anew; it cannot, as part of this program.
        """
        ignored = signal.SIGHUP in self.ignored
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.getsignal(signal.SIGTERM))
        if self.asked:
            signal.raise_signal(signal.SIGTERM)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        insists = self.asked and number == signal.SIGINT
        self.asked = True
        for server in self.servers:
            server.should_exit = True
            server.force_exit |= insists


@contextmanager
def listening() -> Iterator[Ending]:
    """Have the signals only ask the process to end, until this block is left."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ending = Ending(frozenset(number for number, handler in before.items() if handler is signal.SIG_IGN))
    ending.listen()
    try:
        yield ending
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def working(runner: Runner, ending: Ending) -> Iterator[None]:
    """Let the runner work; at the end, however it comes, finish what is on the wire and give back the rest."""
    try:
        runner.start()
        yield
    finally:
        ending.listen()  # a further signal does not cut short what the first one began
        write(Log.SERVICE_STOPPING)
        runner.stop()


class Server(uvicorn.Server):
    """A web server that leaves the signals to `Ending`. Its own way has it send them again, and only once it is up."""

    def __init__(self, config: uvicorn.Config, is_up: Callable[[], None]) -> None:
        """`is_up` is called once callers are answered."""
        super().__init__(config)
        self._is_up = is_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        self._is_up()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield
