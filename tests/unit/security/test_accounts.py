import hashlib
from datetime import timedelta

import pytest
from account_fakes import CHEAP, CountingDice, HandClock, MemoryAccountStore, some_accounts

from coordinator.domain.errors import NotFound, Refused
from coordinator.security.accounts import SignInRefused, token_key, wait_after
from coordinator.security.passwords import MAX_CHARACTERS, Passwords, WeakPassword, check_strength
from coordinator.security.roles import GRANTS, may

PASSWORD = "walnut ferry copper lantern"


class House:
    def __init__(self):
        self.clock, self.store = HandClock(), MemoryAccountStore()
        self.accounts = some_accounts(self.store, self.clock, CountingDice())
        self.accounts.add("mara", "Mara Lindqvist", ("sender",), PASSWORD)

    def fail(self, name="mara", address="192.0.2.1", password="wrong", times=1):
        for _ in range(times):
            with pytest.raises(SignInRefused) as refused:
                self.accounts.sign_in(name, password, address=address)
        return refused.value.wait


@pytest.fixture
def house():
    return House()


def test_the_right_password_opens_a_session_that_only_its_token_finds(house):
    signed = house.accounts.sign_in(" Mara ", PASSWORD, address="192.0.2.1")
    assert signed.account.name == "mara"
    assert house.accounts.signed_in(signed.token).account.name == "mara"
    assert house.accounts.signed_in(signed.session.token_key) is None
    assert signed.token not in house.store.open
    assert signed.session.token_key == hashlib.sha256(signed.token.encode()).hexdigest() == token_key(signed.token)


def test_each_sign_in_is_another_session(house):
    tokens = {house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token for _ in range(3)}
    assert len(tokens) == 3


@pytest.mark.parametrize(
    ("name", "password"), [("mara", "wrong"), ("nobody", PASSWORD), ("", ""), ("ma\x00ra", PASSWORD)]
)
def test_every_refusal_is_the_same(house, name, password):
    assert house.fail(name, password=password) == timedelta(0)


def test_a_person_without_a_password_cannot_sign_in_with_one(house):
    house.accounts.add("link", "Only By Link", ("viewer",))
    house.fail("link", password="")
    house.fail("link", password="nobody's password, checked so that an unknown name takes as long")


def test_a_disabled_person_is_out_at_once(house):
    signed = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")
    link = house.accounts.make_link("mara")
    house.accounts.disable("mara")
    assert house.accounts.signed_in(signed.token) is None
    house.fail(password=PASSWORD)
    with pytest.raises(SignInRefused):
        house.accounts.sign_in_by_link(link, address="192.0.2.1")


def test_a_session_of_a_disabled_account_is_nobody_even_if_it_was_left_behind(house):
    signed = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")
    house.store.set_disabled(signed.account.id, house.clock.now())
    assert house.accounts.signed_in(signed.token) is None


def test_a_session_ends_after_a_quarter_of_an_hour_without_a_click(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    house.clock.pass_by(minutes=14, seconds=59)
    assert house.accounts.signed_in(token) is not None
    house.clock.pass_by(minutes=15)
    assert house.accounts.signed_in(token) is None
    house.clock.pass_by(minutes=-15)
    assert house.accounts.signed_in(token) is None


def test_a_page_that_refreshes_itself_does_not_keep_a_session_alive(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    for _ in range(14):
        house.clock.pass_by(minutes=1)
        assert house.accounts.signed_in(token, touch=False) is not None
    house.clock.pass_by(minutes=1)
    assert house.accounts.signed_in(token) is None


def test_a_session_ends_after_twelve_hours_in_any_case(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    for _ in range(71):
        house.clock.pass_by(minutes=10)
        assert house.accounts.signed_in(token) is not None
    house.clock.pass_by(minutes=10)
    assert house.accounts.signed_in(token) is None


def test_signing_out_ends_the_session(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    house.accounts.sign_out(token)
    assert house.accounts.signed_in(token) is None


def test_three_tries_are_free_and_then_each_costs_twice_the_last():
    waits = [wait_after(count, free=3).total_seconds() for count in range(1, 14)]
    assert waits == [0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert wait_after(10_000, free=3) == timedelta(minutes=15)


def test_guessing_is_braked_even_with_the_right_password(house):
    house.fail(times=3)
    assert house.fail(password=PASSWORD) == timedelta(seconds=2)
    house.clock.pass_by(seconds=2)
    assert house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").account.name == "mara"


def test_a_try_while_braked_does_not_count(house):
    house.fail(times=3)
    house.fail(times=50)
    house.clock.pass_by(seconds=2)
    assert house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")


def test_a_stranger_cannot_lock_a_person_out(house):
    house.fail(address="198.51.100.7", times=10)
    assert house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")


def test_unknown_names_are_braked_like_known_ones(house):
    assert house.fail("nobody", times=4) == timedelta(seconds=2)


def test_one_address_cannot_try_many_names(house):
    for number in range(20):
        house.fail(f"name-{number}")
    assert house.fail("another") > timedelta(0)


def test_a_success_forgives_the_failures_before_it(house):
    house.fail(times=2)
    house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")
    assert house.fail(times=2) == timedelta(0)


def test_failures_are_forgotten_after_an_hour(house):
    house.fail(times=4)
    house.clock.pass_by(hours=1, seconds=1)
    assert house.fail(times=3) == timedelta(0)


def test_a_link_signs_in_once(house):
    link = house.accounts.make_link("mara")
    assert house.accounts.sign_in_by_link(link, address="192.0.2.1").session.method == "link"
    with pytest.raises(SignInRefused):
        house.accounts.sign_in_by_link(link, address="192.0.2.1")


def test_a_link_lasts_ten_minutes_unless_said_otherwise(house):
    short, long = house.accounts.make_link("mara"), house.accounts.make_link("mara", valid_for=timedelta(hours=1))
    house.clock.pass_by(minutes=10)
    with pytest.raises(SignInRefused):
        house.accounts.sign_in_by_link(short, address="192.0.2.1")
    assert house.accounts.sign_in_by_link(long, address="192.0.2.1")


def test_guessing_links_is_braked(house):
    for _ in range(20):
        with pytest.raises(SignInRefused):
            house.accounts.sign_in_by_link("guess", address="192.0.2.1")
    with pytest.raises(SignInRefused) as refused:
        house.accounts.sign_in_by_link(house.accounts.make_link("mara"), address="192.0.2.1")
    assert refused.value.wait > timedelta(0)


def test_a_new_password_ends_every_session(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    house.accounts.set_password("mara", "granite otter velvet morning")
    assert house.accounts.signed_in(token) is None
    house.fail(password=PASSWORD)
    assert house.accounts.sign_in("mara", "granite otter velvet morning", address="192.0.2.1")


def test_a_change_of_role_ends_every_session(house):
    token = house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").token
    house.accounts.set_roles("mara", ("viewer",))
    assert house.accounts.signed_in(token) is None
    assert house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1").account.roles == ("viewer",)


def test_an_old_hash_is_renewed_at_sign_in(house):
    before = house.store.account_named("mara").password_hash
    stronger = some_accounts(house.store, house.clock, CountingDice())
    stronger._passwords = Passwords(memory_kib=128, passes=1)
    stronger.sign_in("mara", PASSWORD, address="192.0.2.1")
    assert house.store.account_named("mara").password_hash != before


def test_a_hash_of_today_is_left_alone(house):
    before = house.store.account_named("mara").password_hash
    house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")
    assert house.store.account_named("mara").password_hash == before


@pytest.mark.parametrize(
    ("name", "shown", "roles"),
    [
        ("", "X", ("viewer",)),
        ("x" * 65, "X", ("viewer",)),
        ("x", " ", ("viewer",)),
        ("x", "X", ()),
        ("x", "X", ("god",)),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(house, name, shown, roles):
    with pytest.raises(Refused):
        house.accounts.add(name, shown, roles)


def test_a_taken_name_is_refused_in_any_case_of_letters(house):
    with pytest.raises(Refused):
        house.accounts.add("MARA", "Another", ("viewer",))


@pytest.mark.parametrize("act", ["make_link", "disable"])
def test_acts_on_nobody_say_so(house, act):
    with pytest.raises(NotFound):
        getattr(house.accounts, act)("nobody")


def test_roles_that_do_not_exist_cannot_be_given(house):
    with pytest.raises(Refused):
        house.accounts.set_roles("mara", ("sender", "owner"))


def test_tidying_removes_what_is_over(house):
    house.accounts.sign_in("mara", PASSWORD, address="192.0.2.1")
    house.accounts.make_link("mara")
    house.fail()
    house.clock.pass_by(hours=2)
    house.accounts.tidy()
    assert (house.store.open, house.store.links, house.store.failures) == ({}, {}, {})


@pytest.mark.parametrize(
    "password",
    ["", "short", "fourteen chars", "passwordpassword", "a" * 20, "abababababababababab", "QwertyuiopAsdfgh",
     "correct horse battery staple", "p" * (MAX_CHARACTERS + 1), "long-sign-in-name", "long-sign-in-name123"],
)  # fmt: skip
def test_a_weak_password_is_refused_with_a_reason(password):
    with pytest.raises(WeakPassword, match=r"\w"):
        check_strength(password, name="long-sign-in-name")


@pytest.mark.parametrize(
    "password", [PASSWORD, "Tür-Öffner am Morgen", "x7#Kq9!mZ2@pL5v", "密码短语很长很长一二三四五六七"]
)
def test_a_long_uncommon_password_is_good(password):
    check_strength(password, name="mara")


def test_the_same_characters_typed_on_another_keyboard_match():
    kept = CHEAP.hash("Zoë walks at dawn")
    assert CHEAP.matches("Zoe\u0308 walks at dawn", kept)
    assert not CHEAP.matches("Zoe walks at dawn", kept)


def test_a_hash_is_argon2id_and_salted():
    first, second = CHEAP.hash(PASSWORD), CHEAP.hash(PASSWORD)
    assert first.startswith("$argon2id$")
    assert first != second


def test_a_damaged_hash_matches_nothing():
    assert not CHEAP.matches(PASSWORD, "$argon2id$broken")


def test_an_endless_password_is_not_even_hashed():
    assert not CHEAP.matches("x" * 1_000_000, CHEAP.hash(PASSWORD))


def test_the_work_of_a_hash_is_what_was_decided():
    assert "m=19456,t=2,p=1" in Passwords().hash(PASSWORD)


def test_nobody_may_do_anything_by_default():
    assert not any(may((), permission) for permission in GRANTS)


def test_only_senders_act_only_clinicians_review_and_both_read_letters():
    for permission in ("letter", "answer"):
        assert GRANTS[permission] == {"sender", "clinician"}
    assert GRANTS["act"] == {"sender"}
    assert GRANTS["review"] == {"clinician"}
    assert may(("auditor", "sender"), "act")
    assert not may(("auditor", "viewer", "admin", "clinician"), "act")
    assert not may(("auditor", "viewer", "admin", "sender"), "review")


def test_a_clinician_needs_a_licence_and_cannot_become_one_without(house):
    with pytest.raises(Refused, match=r"account\.licence"):
        house.accounts.add("doc", "Doc Tor", ("clinician",), PASSWORD)
    made = house.accounts.add("doc", "Doc Tor", ("clinician",), PASSWORD, licence=" MD 55012, Minnesota ")
    assert made.licence == "MD 55012, Minnesota"
    with pytest.raises(Refused, match=r"account\.licence"):
        house.accounts.set_roles("mara", ("sender", "clinician"))
    house.accounts.set_roles("doc", ("clinician", "sender"))


def test_a_source_credential_works_until_it_is_revoked(house):
    sources = house.accounts.sources
    made, token = sources.issue("ehr", ("events:write",))
    assert sources.find(token) == made
    assert token not in repr(house.store.keys)
    assert sources.find(made.token_key) is None
    assert sources.listing() == (made,)
    sources.revoke(made.id)
    assert sources.find(token) is None
    with pytest.raises(NotFound):
        sources.revoke(made.id)


@pytest.mark.parametrize(
    ("source", "scopes"), [("", ("events:write",)), ("a b", ("events:write",)), ("é", ("events:write",)), ("ehr", ()),
                           ("ehr", ("everything",)), ("x" * 65, ("events:write",))],
)  # fmt: skip
def test_a_credential_that_makes_no_sense_is_refused(house, source, scopes):
    with pytest.raises(Refused):
        house.accounts.sources.issue(source, scopes)
