"""The book of entries in the database keeps the same rules as the one the channel tests use."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from coordinator.flow.ports import EntryRow
from coordinator.store import entry_part
from coordinator.store.entry_part import SqlEntryBook
from tests.contract.entries import MemoryEntries


@pytest.fixture(params=["database", "memory"])
def book(request, bench):
    if request.param == "memory":
        return MemoryEntries()
    return SqlEntryBook(bench.parts.ledger.engine, lambda: datetime(2026, 10, 14, tzinfo=UTC))


def only(book, entry="e1", endpoint="ep"):
    return book.known(endpoint, [entry]).get(entry)


def test_what_was_never_asked_is_not_known(book):
    assert book.known("ep", ["e1"]) == {}
    assert book.known("ep", []) == {}


def test_an_entry_is_asked_lands_and_keeps_its_place(book):
    book.asked("ep", "e1", "m1", "a" * 64)
    assert only(book) == EntryRow(None, None, "a" * 64)
    book.landed("ep", "e1", "Observation/1")
    assert only(book) == EntryRow("a" * 64, "Observation/1", None)
    assert only(book, endpoint="another") is None


def test_a_lost_correction_stays_asked_beside_what_has_landed(book):
    book.asked("ep", "e1", "m1", "a" * 64)
    book.landed("ep", "e1", "Observation/1")
    book.asked("ep", "e1", "m2", "b" * 64)
    assert only(book) == EntryRow("a" * 64, "Observation/1", "b" * 64)
    book.let_go("ep", "e1")
    assert only(book) == EntryRow("a" * 64, "Observation/1", None)


def test_what_surely_never_landed_leaves_no_trace(book):
    book.asked("ep", "e1", "m1", "a" * 64)
    book.let_go("ep", "e1")
    assert only(book) is None


def test_an_answer_without_a_place_keeps_the_place_that_is_known(book):
    book.asked("ep", "e1", "m1", "a" * 64)
    book.landed("ep", "e1", "Observation/1")
    book.asked("ep", "e1", "m2", "b" * 64)
    book.landed("ep", "e1", None)
    assert only(book) == EntryRow("b" * 64, "Observation/1", None)


def test_two_messages_that_ask_an_entry_for_the_first_time_at_once_both_go_on(bench, monkeypatch):
    now = datetime(2026, 10, 14, tzinfo=UTC)
    book, other = (SqlEntryBook(bench.parts.ledger.engine, lambda: now) for _ in range(2))
    seen = entry_part.transaction
    meanwhile = [lambda: other.asked("ep", "e1", "m2", "b" * 64)]

    @contextmanager
    def overtaken(engine, **more):
        # The other message asks between our look and our insert: as if our look had come first.
        if meanwhile:
            meanwhile.pop()()
            with seen(engine, **more) as db:
                execute = db.execute
                first = [True]

                def blind(statement, *rest):
                    if first and first.pop():
                        return SimpleNamespace(rowcount=0)
                    return execute(statement, *rest)

                yield SimpleNamespace(execute=blind)
        else:
            with seen(engine, **more) as db:
                yield db

    monkeypatch.setattr(entry_part, "transaction", overtaken)
    meanwhile_once = meanwhile[0]
    meanwhile[0] = lambda: (monkeypatch.setattr(entry_part, "transaction", seen), meanwhile_once())
    book.asked("ep", "e1", "m1", "a" * 64)
    assert only(book) == EntryRow(None, None, "a" * 64)
