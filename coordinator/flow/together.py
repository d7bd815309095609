"""Group commit: what several threads want to write at the same time goes into one durable transaction.

The first thread to come leads: it writes for everybody who is waiting by then, in one
transaction, and hands the lead to one who came later. Nobody returns before the commit that
holds their own write, so nothing is promised that is not on disk. A thread that is alone
writes alone, at once.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from coordinator.domain.errors import StateConflict, StoreAway
from coordinator.flow.ledger import Ledger, Transaction

T = TypeVar("T")
Known = TypeVar("Known")
ReadAhead = Callable[[Transaction, Sequence[Known]], None]
"""Reads for a whole group, in few questions, what its steps will ask; also tells one kind of write from another."""
TRIES = 5
PAUSE_S = 0.02
"""Before a transaction is asked again that the database undid; longer each time."""


def again_if_undone(act: Callable[[], T]) -> T:
    """Do it, and again where the database undid it for the sake of another transaction, `TRIES` times in all."""
    for number in range(1, TRIES):
        try:
            return act()
        except StoreAway as away:
            if not away.undone:
                raise
            time.sleep(PAUSE_S * number)
    return act()


class Overtaken(RuntimeError):
    """The thread that wrote for this one did not come to an end; nothing is known to be written."""


@dataclass(eq=False)
class _Wish:
    """What one thread wants written. It must look before it writes: after a StateConflict nothing of it may stay."""

    read_ahead: ReadAhead[Any]
    known: object
    ledger: Ledger
    act: Callable[[Transaction], object]
    gate: threading.Lock = field(default_factory=threading.Lock)
    result: object = None
    error: BaseException | None = None
    done: bool = False


class Together:
    """Folds writes of one kind, about different deliveries or events, into one transaction. One for each process."""

    def __init__(self, most: int = 64, rests_s: float = 0.0) -> None:
        """Fold at most that many. While several come at a time, rest after each transaction: as long as it took, but no
        longer than `rests_s`.

        A transaction costs much the same for one and for several, and who comes during the rest goes with the
        next. Whoever comes alone, one after the other, waits for nobody.
        """
        self._most, self._rests_s = most, rests_s
        self._rested_s = 0.0
        self._lock = threading.Lock()
        self._waiting: list[_Wish] = []
        self._led = False

    def write(self, ledger: Ledger, read_ahead: ReadAhead[Known], known: Known, act: Callable[[Transaction], T]) -> T:
        """Run `act` in a transaction, with others of its kind, and return its result once that is committed.

        `read_ahead` is called first, with what each of the group gave as `known`: what the act is about.
        Raises what `act` raised, or what the commit did. `act` may run twice: a fault in
        one of a group undoes the group, and then each is tried by itself. What the database
        undid for the sake of another transaction is asked again, `TRIES` times in all.
        """
        return again_if_undone(lambda: self._once(ledger, read_ahead, known, act))

    def _once(self, ledger: Ledger, read_ahead: ReadAhead[Known], known: Known, act: Callable[[Transaction], T]) -> T:
        mine = _Wish(read_ahead, known, ledger, act)
        mine.gate.acquire()
        with self._lock:
            self._waiting.append(mine)
            leads = not self._led
            self._led = True
        if not leads:
            mine.gate.acquire()  # opened when this one is done, or is to lead
        if not mine.done:
            self._lead(mine)
        if mine.error is not None:
            raise mine.error
        return cast("T", mine.result)

    def _lead(self, mine: _Wish) -> None:
        time.sleep(max(0.0, self._rested_s - time.monotonic()))
        began_s = time.monotonic()
        with self._lock:
            alike = [one for one in self._waiting if one.read_ahead is mine.read_ahead and one.ledger is mine.ledger]
            group = [mine, *(one for one in alike if one is not mine)][: self._most]
            written = set(group)
            self._waiting = [one for one in self._waiting if one not in written]
        try:
            _write_all(mine.ledger, group)
        except BaseException as end:
            for one in group:
                one.error = end if one is mine else Overtaken(type(end).__name__)
            raise
        finally:
            if len(group) > 1 or self._waiting:
                ended_s = time.monotonic()
                self._rested_s = ended_s + min(ended_s - began_s, self._rests_s)
            self._hand_on(mine, group)

    def _hand_on(self, mine: _Wish, group: list[_Wish]) -> None:
        for one in group:
            one.done = True
            if one is not mine:
                one.gate.release()
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            self._led = heir is not None
        if heir is not None:
            heir.gate.release()


def _write_all(ledger: Ledger, group: list[_Wish]) -> None:
    """Write for the whole group; a fault of one is found by writing for each alone. Raises only what ends a process.

    A database that is away is away for each of them: nobody asks it again.
    """
    acted = False
    try:
        with ledger.begin() as tx:
            group[0].read_ahead(tx, [one.known for one in group])
            for one in group:
                _act(one, tx)
            tx.write_kept_back()
            acted = True
    except Exception as fault:
        away = isinstance(fault, StoreAway) and not fault.undone
        if acted or away or len(group) == 1:
            for one in group:
                one.error = one.error or fault
            return
        for one in group:
            one.error = None
            _write_all(ledger, [one])


def _act(one: _Wish, tx: Transaction) -> None:
    try:
        one.result = one.act(tx)
    except StateConflict as refused:
        one.error = refused
