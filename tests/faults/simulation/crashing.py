"""The real store, with crash points around every writing transaction: before it begins, before and after its commit."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coordinator.store.ledger import Store, StoreTransaction

DRIVING = {"begin", "__enter__", "__exit__", "_begin", "inner", "_write_all", "_lead", "_once", "<lambda>", "write"} | {
    "again_if_undone"
}
"""Steps that only carry others out; the place is named after the first that is none of them."""


class CrashingLedger:
    """Implements flow.ledger.Ledger. `at_point(place)` may raise Crash; a place reads `mark:before-commit`."""

    def __init__(self, store: Store, at_point: Callable[[str], None]) -> None:
        self.store = store
        self._at_point = at_point

    @contextmanager
    def begin(self, *, write: bool = True) -> Iterator[StoreTransaction]:
        place = _caller()
        if write:
            self._at_point(f"{place}:before-begin")
        with self.store.begin(write=write) as tx:
            yield tx
            if write:
                self._at_point(f"{place}:before-commit")
        if write:
            self._at_point(f"{place}:after-commit")


def _caller() -> str:
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_name in DRIVING:
        frame = frame.f_back
    return "?" if frame is None else frame.f_code.co_name
