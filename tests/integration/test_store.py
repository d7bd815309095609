"""The database itself: the schema, the keys, and that old and new processes agree."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from coordinator.domain.errors import ConfigurationError
from coordinator.security.cipher import FieldCipher
from coordinator.store import accounts, migrate
from coordinator.store.engine import connect, transaction
from coordinator.store.key_check import check_keys
from coordinator.store.only_one import only_one
from coordinator.store.tables import METADATA

assert accounts


def test_the_migrations_make_exactly_the_tables_of_the_code(database_url):
    engine = connect(database_url)
    migrate.upgrade(engine)
    with transaction(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    assert migrate.is_current(engine)
    engine.dispose()


def test_migrating_twice_changes_nothing(database_url):
    engine = connect(database_url)
    migrate.upgrade(engine)
    migrate.upgrade(engine)
    assert migrate.is_current(engine)
    engine.dispose()


def test_another_key_file_stops_the_start(database_url):
    engine = connect(database_url)
    migrate.upgrade(engine)
    right, wrong = FieldCipher({"k1": b"r" * 32}, "k1"), FieldCipher({"k1": b"w" * 32}, "k1")
    check_keys(engine, right.key_checks())
    check_keys(engine, right.key_checks())
    with pytest.raises(ConfigurationError, match="field key"):
        check_keys(engine, wrong.key_checks())
    rotated = FieldCipher({"k1": b"r" * 32, "k2": b"n" * 32}, "k2")
    check_keys(engine, rotated.key_checks())
    with pytest.raises(ConfigurationError, match="field key"):
        check_keys(engine, right.key_checks())
    engine.dispose()


def test_two_embedded_processes_do_not_share_a_folder(tmp_path):
    with only_one(tmp_path), pytest.raises(ConfigurationError, match="another"), only_one(tmp_path):
        pytest.fail("two at once")
    with only_one(tmp_path):
        pass


def test_a_failed_transaction_leaves_nothing(bench):
    def fail_half_way():
        with bench.store.begin() as tx:
            tx.put_registry("clinic", "other", b"{}", by="test", at=bench.clock.now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with bench.store.begin(write=False) as tx:
        assert tx.registry_body("clinic", "other") is None


def test_an_event_that_a_dead_process_was_preparing_is_taken_up_at_the_next_start(bench):
    from datetime import timedelta

    from bench_parts import example

    from coordinator.flow.sweep import take_back_leases

    answer = bench.submit(example("dose-change.ketamine"))

    def claimed(worker):
        now = bench.clock.now()
        with bench.store.begin() as tx:
            return list(tx.claim_inbox(worker, now, now + timedelta(minutes=3), 5))

    assert claimed("dead") == [answer.event_ref]
    assert claimed("other") == []
    take_back_leases(bench.parts, everybody=True)
    assert claimed("next") == [answer.event_ref]
