"""A new field key: everything sealed before is sealed anew under it, stopped at any moment and taken up again."""

import pytest
import sqlalchemy as sa
from bench_parts import STAFF, example

from coordinator.domain.errors import Refused
from coordinator.security.cipher import FieldCipher
from coordinator.store.key_check import check_keys
from coordinator.store.ledger import Store
from coordinator.store.reseal import KeyDesk, sealed_columns

FIRST, SECOND, THIRD = {"k1": b"k" * 32}, {"k2": b"l" * 32}, {"k3": b"m" * 32}


@pytest.fixture
def told(bench):
    """A message with everything that can be sealed beside it: attempts, receipts, reasons, tasks, holds."""
    check_keys(bench.store.engine, bench.store.cipher.key_checks())
    sent = bench.told(example("session-outcome.bp-spike"))
    bench.submit({"id": "no event at all"})
    bench.send_due()
    delivery = bench.deliveries(sent["pr-psych"].id)[-1]
    bench.desk.resend(delivery.id, reason="the office asked for it", token="t-1", actor=STAFF)
    bench.change_patient(phone="+1-218-555-0178")
    return sent


def with_keys(bench, *lines, active):
    """The service started again with these lines in its key file."""
    ring = FieldCipher({name: key for line in lines for name, key in line.items()}, active)
    bench.store.cipher = ring
    check_keys(bench.store.engine, ring.key_checks())
    return KeyDesk(bench.store, ring, bench.clock)


def stored(bench):
    """Every sealed value there is."""
    with bench.store.engine.connect() as connection:
        return [value for table, columns in sealed_columns() for column in columns
                for value in connection.scalars(sa.select(column).where(column.is_not(None)))]  # fmt: skip


def read_all(bench, told):
    """What a person can read of the message, whatever key it is under."""
    detail = bench.desk.message(told["pr-psych"].id, STAFF)
    bodies = [bench.desk.document(one.id, STAFF)[1] for one in detail.documents]
    lines = [one.text for one in detail.timeline if "opened" not in one.text]
    return detail.row.patient_name, [one.resend_reason for one in detail.deliveries], bodies, lines


def test_everything_is_sealed_anew_and_reads_as_before(bench, told):
    before = read_all(bench, told)
    desk = with_keys(bench, FIRST, SECOND, active="k2")
    number = len(stored(bench))
    steps = list(desk.reseal(STAFF, rows=3))
    assert steps[-1].done == steps[-1].of == number
    assert all(value.startswith(b"\x01\x02k2") for value in stored(bench))
    assert read_all(bench, told) == before
    assert bench.broken() == []
    assert [(one.key_id, one.values > 0, one.looks_up) for one in desk.uses()] == [
        ("k1", False, True), ("k2", True, False)]  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_commit_it_goes_on_where_it_ended(bench, told, when, monkeypatch):
    """The process dies right before, or right after, the commit of every third step, again and again."""
    before = read_all(bench, told)
    desk = with_keys(bench, FIRST, SECOND, active="k2")
    begin, steps, deaths = Store.begin, [0], 0

    class Dead(BaseException):
        pass

    def dying(store, *, write=True):
        class Around:
            def __enter__(self):
                self.inner = begin(store, write=write)
                return self.inner.__enter__()

            def __exit__(self, *wrong):
                steps[0] += write
                dies = write and steps[0] % 3 == 0 and wrong[0] is None
                if dies and when == "before":
                    self.inner.__exit__(Dead, Dead(), None)
                kept = self.inner.__exit__(*wrong) if not (dies and when == "before") else None
                if dies:
                    raise Dead
                return kept

        return Around()

    for _ in range(200):
        with monkeypatch.context() as ill:
            ill.setattr(Store, "begin", dying)
            try:
                list(desk.reseal(STAFF, rows=4))
                break
            except Dead:
                deaths += 1
        assert read_all(bench, told) == before
    assert deaths > 3
    assert all(value.startswith(b"\x01\x02k2") for value in stored(bench))
    assert bench.broken() == []


def test_what_somebody_writes_meanwhile_is_left_as_they_wrote_it(bench, told):
    desk = with_keys(bench, FIRST, SECOND, active="k2")
    steps = desk.reseal(STAFF, rows=1)
    next(steps)
    bench.change_patient(phone="+1-218-555-0179")
    bench.told(example("dose-change.ketamine"))
    bench.send_due()
    list(steps)
    assert bench.broken() == []
    assert b"555-0179" in bench.registry.read("patients", example("clinic")["patients"][0]["id"], STAFF)
    assert all(value.startswith(b"\x01\x02k2") for value in stored(bench))


def test_a_key_goes_only_when_nothing_needs_it_and_the_start_then_asks_for_it_no_more(bench, told):
    desk = with_keys(bench, FIRST, SECOND, active="k2")
    bench.told(example("dose-change.ketamine"))
    desk = with_keys(bench, FIRST, SECOND, THIRD, active="k3")
    for needed in ("k1", "k2", "k3"):
        with pytest.raises(Refused, match=r"keys\.needed"):
            desk.forget(needed, STAFF)
    list(desk.reseal(STAFF))
    desk.forget("k2", STAFF)
    with pytest.raises(Refused, match=r"keys\.needed"):
        desk.forget("k1", STAFF)
    with pytest.raises(Refused, match=r"keys\.unknown"):
        desk.forget("k2", STAFF)
    with_keys(bench, FIRST, THIRD, active="k3")
    assert read_all(bench, told)[0]
    assert bench.broken() == []


def test_a_value_under_a_key_that_is_not_in_the_file_is_said_and_nothing_is_touched(bench, told):
    with_keys(bench, FIRST, SECOND, active="k2")
    bench.told(example("dose-change.ketamine"))
    before = stored(bench)
    ring = FieldCipher(FIRST, "k1")
    with pytest.raises(Refused, match=r"keys\.lost"):
        list(KeyDesk(bench.store, ring, bench.clock).reseal(STAFF))
    assert stored(bench) == before
