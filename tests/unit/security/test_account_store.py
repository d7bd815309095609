"""One suite that both stores of accounts pass: the one in memory, and the database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from account_fakes import MemoryAccountStore

from coordinator.domain.access import SignInLink, SourceCredential, StaffAccount, StaffSession
from coordinator.security.account_store import AccountStore
from coordinator.store.accounts import SqlAccountStore, failed_sign_ins
from coordinator.store.engine import connect, transaction
from coordinator.store.tables import METADATA

NOW = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


@pytest.fixture(params=["memory", "database"])
def store(request, tmp_path) -> AccountStore:
    if request.param == "memory":
        yield MemoryAccountStore()
        return
    engine = connect(f"sqlite:///{tmp_path / 'accounts.sqlite'}")
    METADATA.create_all(engine)
    yield SqlAccountStore(engine)
    engine.dispose()


def an_account(name="mara", **changes) -> StaffAccount:
    values = {
        "id": f"id-{name}", "name": name, "display_name": "Mara Lindqvist", "roles": ("sender", "admin"),
        "password_hash": None, "disabled_at": None, "created_at": NOW,
    }  # fmt: skip
    return StaffAccount(**{**values, **changes})


def a_session(key="s1", account="id-mara", seen_at=NOW) -> StaffSession:
    return StaffSession(key, account, "password", NOW, seen_at)


def test_reading_an_account_waits_for_no_writer(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'accounts.sqlite'}")
    METADATA.create_all(engine)
    store = SqlAccountStore(engine)
    store.add_account(an_account())
    try:
        with transaction(engine) as writer:
            writer.execute(sa.insert(failed_sign_ins).values(key="k", count=1, last_at=NOW))
            assert store.account_named("mara") == an_account()
            assert store.session("s1") is None
    finally:
        engine.dispose()


def test_two_people_with_one_link_are_one_too_many(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'accounts.sqlite'}")
    METADATA.create_all(engine)
    store = SqlAccountStore(engine)
    store.add_account(an_account())
    store.add_link(SignInLink("l", "id-mara", NOW, minutes(10)))
    try:
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda _: store.use_link("l", NOW), range(16)))
            counts = list(pool.map(lambda _: store.count_failure("k", NOW, forget_before=minutes(-60)), range(16)))
    finally:
        engine.dispose()
    assert sorted(got, key=str) == [None] * 15 + ["id-mara"]
    assert sorted(counts) == list(range(1, 17))


def test_an_account_comes_back_as_it_was_kept(store):
    account = an_account(password_hash="$argon2id$x", disabled_at=minutes(1))
    assert store.add_account(account)
    assert store.account("id-mara") == account
    assert store.account_named("mara") == account
    assert store.account("nobody") is None
    assert store.account_named("nobody") is None


def test_a_name_is_kept_once(store):
    assert store.add_account(an_account())
    assert not store.add_account(an_account(id="other"))
    assert [one.id for one in store.accounts()] == ["id-mara"]


def test_accounts_are_listed_by_name(store):
    for name in ("zoe", "ada", "mara"):
        store.add_account(an_account(name))
    assert [one.name for one in store.accounts()] == ["ada", "mara", "zoe"]


def test_password_roles_and_disabling_change_one_account_only(store):
    for name in ("mara", "ada"):
        store.add_account(an_account(name))
    store.set_password_hash("id-mara", "new")
    store.set_roles("id-mara", ("viewer",))
    store.set_disabled("id-mara", NOW)
    assert store.account("id-mara") == an_account(password_hash="new", roles=("viewer",), disabled_at=NOW)
    store.set_disabled("id-mara", None)
    assert store.account("id-mara").disabled_at is None
    assert store.account("id-ada") == an_account("ada")


def test_a_session_is_kept_touched_and_ended(store):
    store.add_account(an_account())
    store.add_session(a_session())
    store.touch_session("s1", minutes(5))
    assert store.session("s1") == a_session(seen_at=minutes(5))
    store.end_session("s1")
    assert store.session("s1") is None


def test_ending_an_accounts_sessions_ends_its_links_and_nobody_elses(store):
    for name in ("mara", "ada"):
        store.add_account(an_account(name))
        store.add_session(a_session(f"s-{name}", f"id-{name}"))
        store.add_link(SignInLink(f"l-{name}", f"id-{name}", NOW, minutes(10)))
    store.end_sessions_of("id-mara")
    assert store.session("s-mara") is None
    assert store.use_link("l-mara", NOW) is None
    assert store.session("s-ada") is not None
    assert store.use_link("l-ada", NOW) == "id-ada"


def test_a_link_is_used_up_by_its_first_use(store):
    store.add_account(an_account())
    store.add_link(SignInLink("l", "id-mara", NOW, minutes(10)))
    assert store.use_link("l", minutes(9)) == "id-mara"
    assert store.use_link("l", minutes(9)) is None


def test_a_link_is_worth_nothing_from_the_moment_it_expires(store):
    store.add_account(an_account())
    store.add_link(SignInLink("l", "id-mara", NOW, minutes(10)))
    assert store.use_link("l", minutes(10)) is None
    assert store.use_link("unknown", NOW) is None


def test_failures_add_up_and_are_forgotten(store):
    hour = timedelta(hours=1)
    assert [store.count_failure("k", minutes(at), forget_before=minutes(at) - hour) for at in (0, 1, 2)] == [1, 2, 3]
    found = store.failed("k")
    assert (found.count, found.last_at) == (3, minutes(2))
    assert store.count_failure("k", minutes(63), forget_before=minutes(3)) == 1
    store.forget_failures("k")
    assert store.failed("k") is None


def test_a_credential_is_found_by_its_token_and_revoked_once(store):
    made = SourceCredential("c1", "ehr", "key", ("events:write", "messages:read"), NOW, None)
    store.add_credential(made)
    assert store.credential("key") == made
    assert store.credential("other") is None
    assert store.revoke_credential("c1", minutes(1))
    assert not store.revoke_credential("c1", minutes(2))
    assert not store.revoke_credential("c9", minutes(2))
    assert store.credential("key").revoked_at == minutes(1)
    assert [one.id for one in store.credentials()] == ["c1"]


def test_tidying_deletes_what_is_over_and_nothing_else(store):
    store.add_account(an_account())
    store.add_session(a_session("old", seen_at=minutes(-30)))
    store.add_session(a_session("new", seen_at=minutes(-1)))
    store.add_link(SignInLink("old", "id-mara", minutes(-30), minutes(-20)))
    store.add_link(SignInLink("new", "id-mara", NOW, minutes(10)))
    for key, at in (("old", minutes(-90)), ("new", NOW)):
        store.count_failure(key, at, forget_before=at)
    store.tidy(sessions_seen_before=minutes(-15), links_expired_before=NOW, failed_before=minutes(-60))
    assert store.session("old") is None
    assert store.session("new") is not None
    assert store.use_link("new", NOW) == "id-mara"
    assert store.failed("old") is None
    assert store.failed("new") is not None
