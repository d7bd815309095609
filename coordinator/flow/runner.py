"""The loops that prepare and send: threads of the one embedded process, or of each of several worker processes."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from coordinator.flow.bell import Listener, News
from coordinator.flow.deliver import attempt
from coordinator.flow.hand import Hand
from coordinator.flow.heartbeat_rows import Work
from coordinator.flow.parts import Parts
from coordinator.flow.ports import ReceiptSource
from coordinator.flow.prepare import prepare_all
from coordinator.flow.sweep import sweep, take_back_leases
from coordinator.flow.track import fetch_receipts
from coordinator.observe.log import Log, write

PREPARE_AT_ONCE = 16
"""The most events that are prepared in one go."""
ONE_GO_S = 0.1
"""Processor time of one go at the longest: a letter does not wait for others, nor is it written from old knowledge.

Not the wall clock: where the machine is busy, larger goes are what helps.
"""
BATCH = 64
"""Deliveries claimed in one transaction."""
RESTS_S = 0.05
"""The longest rest between two goes among several processes. A go costs much the same for one and for many."""
LOOKS_UP_S = 1.0
"""How long a sender without work waits before it looks whether the runner has been stopped."""


@dataclass
class Runner:
    """Starts and stops the loops. `senders` threads deliver; one each claims, prepares, sweeps, fetches receipts.

    With `alone` off other processes work on the same database: it only prepares and sends, and
    takes nothing back at its start. Sweeping and receipts are then the tasks of the broker's clock.
    What it has prepared it sends itself; the others are told only of what is more than it takes at once.
    """

    parts: Parts
    sources: tuple[ReceiptSource, ...] = ()
    senders: int = 4
    idle_s: float = 0.5
    sweep_every_s: float = 2.0
    receipts_every_s: float = 5.0
    chores: tuple[Callable[[], None], ...] = ()
    """Done every `chores_every_s`: old sessions and used-up links, for one."""
    chores_every_s: float = 600.0
    before_sweep: Callable[[], object] = lambda: None
    """Asked before every sweep: whether the database is still the one we know."""
    name: str = "embedded"
    alone: bool = True
    a_sender_starts: Callable[[], None] = lambda: None
    """Called by each thread that sends, when it begins: where it is to run, for one."""
    beat: Callable[[Work], None] = lambda _work: None
    """Told of every round that went well: whoever looks sees that the loops go round."""
    others: tuple[Listener, ...] = ()
    """Told, with ids, when there was more due than one go takes."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _in_one_go: int = 1
    """How many events are prepared together: as many as took no longer than `ONE_GO_S` the last time."""
    _batch: int = field(init=False)
    _hand: Hand = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the hand that the senders take from."""
        # Among several processes none claims more than it can send at once: the others may be free.
        self._batch = BATCH if self.alone else min(BATCH, self.senders)
        self._hand = Hand(self.parts, f"{self.name}-send", self._batch)

    def start(self) -> None:
        """Run the loops until `stop`; where no other process can be alive, take back first what a dead one held."""
        if self.alone:
            take_back_leases(self.parts, everybody=True)
        self._loop("prepare", self._prepare_round, self.idle_s, "event", work="prepare")
        self._loop("claim", self._claim_round, self.idle_s, "delivery", work="claim")
        for number in range(self.senders):
            self._loop(f"send-{number}", self._send_round, 0.0, begins=self.a_sender_starts, work="send")
        if not self.alone:
            return
        self._loop("sweep", self._sweep_round, self.sweep_every_s, work="sweep")
        self._loop("receipts", self._receipt_round, self.receipts_every_s, work="receipts")
        if self.chores:
            self._loop("chores", self._chore_round, self.chores_every_s)

    def wake(self) -> None:
        """Say that there is something new, so that nobody waits out a pause."""
        self.parts.bell.wake()

    def stop(self, timeout_s: float = 70.0) -> None:
        """Finish what is under way, give back what was not begun, and end the loops.

        What takes longer than `timeout_s`, all threads together, is left: its leases end by themselves.
        """
        ends_s = time.monotonic() + timeout_s
        self._stop.set()
        self._hand.end()
        self.wake()
        for thread in self._threads:
            thread.join(max(0.0, ends_s - time.monotonic()))
        self._hand.give_back()

    def _loop(
        self,
        name: str,
        round_of_work: Callable[[str], int],
        pause_s: float,
        news: News | None = None,
        *,
        begins: Callable[[], None] = lambda: None,
        work: Work | None = None,
    ) -> None:
        """Do rounds until `stop`. After one that found nothing comes a pause, which such news ends."""
        worker = f"{self.name}-{name}"

        def run() -> None:
            try:
                begins()
            except Exception as bug:
                write(Log.BUG, worker=worker, error_type=type(bug).__name__)
            while not self._stop.is_set():
                heard, began_s = self.parts.bell.heard(news), time.monotonic()
                try:
                    done = round_of_work(worker)
                    if work is not None:
                        self.beat(work)
                except Exception as bug:
                    write(Log.BUG, worker=worker, error_type=type(bug).__name__)
                    done = 0
                if news is not None and not self.alone:
                    self._stop.wait(min(time.monotonic() - began_s, RESTS_S))
                if not done and not self._stop.is_set():
                    self.parts.bell.wait(heard, pause_s, news)

        thread = threading.Thread(target=run, name=worker, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _prepare_round(self, worker: str) -> int:
        began_s, now = time.thread_time(), self.parts.clock.now()
        with self.parts.ledger.begin() as tx:
            ids = tx.claim_inbox(worker, now, now + self.parts.policy.lease, self._in_one_go)
        if not ids:
            return 0
        prepare_all(self.parts, ids)
        each_s = (time.thread_time() - began_s) / len(ids)
        if len(ids) == PREPARE_AT_ONCE:
            self._tell_others("event", ids)
        self._in_one_go = max(1, min(PREPARE_AT_ONCE, int(ONE_GO_S / each_s), self._in_one_go * 2))
        return len(ids)

    def _claim_round(self, _worker: str) -> int:
        claimed = self._hand.fill()
        if len(claimed) == self._batch:
            self._tell_others("delivery", claimed)
        return 0

    def _tell_others(self, what: News, names: Sequence[str]) -> None:
        for tell in self.others:
            tell(what, names)

    def _send_round(self, _worker: str) -> int:
        claimed = self._hand.take(LOOKS_UP_S)
        if claimed is not None:
            try:
                attempt(self.parts, claimed)
            finally:
                self._hand.finished(claimed)
        return 1

    def _sweep_round(self, _worker: str) -> int:
        self.before_sweep()
        sweep(self.parts)
        return 0

    def _chore_round(self, _worker: str) -> int:
        for chore in self.chores:
            chore()
        return 0

    def _receipt_round(self, _worker: str) -> int:
        fetch_receipts(self.parts, self.sources)
        return 0
