"""Staff accounts: sign-in by password or one-time link, sessions, and the brake on guessing.

Answers are uniform: nobody learns from an answer, or from its timing, whether a
name exists, whether it has a password, or whether a link was ever real.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from coordinator.domain.access import STAFF_ROLES, SignInLink, StaffAccount, StaffRole, StaffSession
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.ports import Clock, Dice
from coordinator.observe.log import Log, write
from coordinator.security.account_store import AccountStore
from coordinator.security.credentials import SourceCredentials
from coordinator.security.passwords import Passwords, check_strength

LINK_VALID_FOR = timedelta(minutes=10)
"""OWASP ASVS 5.0, 6.5.5: an out-of-band secret lasts at most ten minutes."""
TOUCH_EVERY = timedelta(seconds=30)
"""How stale `seen_at` may be: one write per half minute, not per click."""
FREE_TRIES = 3
FREE_TRIES_PER_ADDRESS = 20
"""An office behind one address mistypes more often than one person."""
LONGEST_WAIT = timedelta(minutes=15)
FORGET_AFTER = timedelta(hours=1)


@dataclass(frozen=True)
class SignedIn:
    """A person with a session. `token` goes into the cookie and nowhere else."""

    account: StaffAccount
    session: StaffSession
    token: str


class SignInRefused(Exception):
    """Sign-in did not succeed; `wait` is how long no further try is looked at (zero: try again now)."""

    def __init__(self, wait: timedelta = timedelta(0)) -> None:
        super().__init__("sign-in refused")
        self.wait = wait


class Accounts:
    """Everything about who may come in. `sources` holds the credentials of source systems."""

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        dice: Dice,
        *,
        idle: timedelta = timedelta(minutes=15),
        longest: timedelta = timedelta(hours=12),
        passwords: Passwords | None = None,
    ) -> None:
        """Sessions end after `idle` without a click, and after `longest` in any case."""
        self._store = store
        self._clock = clock
        self._dice = dice
        self._idle = idle
        self._longest = longest
        self._passwords = passwords or Passwords()
        self.sources = SourceCredentials(store, clock, dice)

    def add(
        self,
        name: str,
        display_name: str,
        roles: tuple[StaffRole, ...],
        password: str | None = None,
        *,
        licence: str | None = None,
    ) -> StaffAccount:
        """Return the new account; raise Refused when the name is taken, WeakPassword for a weak password.

        A clinician needs a licence: it stands beside every review.
        """
        wanted = name.strip().casefold()
        if not wanted or len(wanted) > 64 or not wanted.isprintable() or not display_name.strip():
            raise Refused("account.name", "An account needs a sign-in name of at most 64 characters and a full name.")
        if not roles or not set(roles) <= set(STAFF_ROLES):
            raise Refused("account.roles", f"An account needs at least one role of {', '.join(STAFF_ROLES)}.")
        kept = (licence or "").strip() or None
        if kept is not None and (len(kept) > 64 or not kept.isprintable()):
            raise Refused("account.licence", "A licence has at most 64 printable characters.")
        if "clinician" in roles and kept is None:
            raise Refused("account.licence", "A clinician needs a licence, such as: MD 55012, Minnesota.")
        if password is not None:
            check_strength(password, name=wanted)
        account = StaffAccount(
            id=self._dice.uuid(),
            name=wanted,
            display_name=display_name.strip(),
            roles=roles,
            password_hash=None if password is None else self._passwords.hash(password),
            disabled_at=None,
            created_at=self._clock.now(),
            licence=kept,
        )
        if not self._store.add_account(account):
            raise Refused("account.exists", "There is an account of that name already.")
        return account

    def everybody(self) -> tuple[StaffAccount, ...]:
        """Return all accounts by name."""
        return tuple(self._store.accounts())

    def set_password(self, name: str, password: str) -> None:
        """Set a person's password and end their sessions; raise NotFound or WeakPassword."""
        account = self._named(name)
        check_strength(password, name=account.name)
        self._store.set_password_hash(account.id, self._passwords.hash(password))
        self._store.end_sessions_of(account.id)

    def set_roles(self, name: str, roles: tuple[StaffRole, ...]) -> None:
        """Change what a person may do, at once: their sessions end; raise NotFound or Refused."""
        account = self._named(name)
        if not roles or not set(roles) <= set(STAFF_ROLES):
            raise Refused("account.roles", f"An account needs at least one role of {', '.join(STAFF_ROLES)}.")
        if "clinician" in roles and account.licence is None:
            raise Refused("account.licence", "Add the clinician anew, with the licence; there is none on record.")
        self._store.set_roles(account.id, roles)
        self._store.end_sessions_of(account.id)

    def disable(self, name: str) -> None:
        """Shut a person out, at once; raise NotFound."""
        account = self._named(name)
        self._store.set_disabled(account.id, self._clock.now())
        self._store.end_sessions_of(account.id)

    def make_link(self, name: str, *, valid_for: timedelta = LINK_VALID_FOR) -> str:
        """Return the token of a link that signs this person in once; raise NotFound."""
        account = self._named(name)
        now, token = self._clock.now(), self._dice.token()
        self._store.add_link(SignInLink(token_key(token), account.id, now, now + valid_for))
        return token

    def sign_in(self, name: str, password: str, *, address: str) -> SignedIn:
        """Return a new session; raise SignInRefused. `address` is the far side's network address."""
        wanted = name.strip().casefold()[:64]
        if not wanted.isprintable():
            wanted = ""  # no account has such a name, and PostgreSQL takes no zero byte even in a question
        pair, place = _failure_key(wanted, address), _failure_key("", address)
        # Counted before the password is looked at, or a hundred tries at once would all be the first.
        self._brake(pair, FREE_TRIES)
        self._brake(place, FREE_TRIES_PER_ADDRESS)
        account = self._store.account_named(wanted)
        kept = account.password_hash if account is not None else None
        if not self._passwords.matches(password, kept) or account is None or account.disabled_at is not None:
            write(Log.SIGN_IN_FAILED, code="password")
            raise SignInRefused
        self._store.forget_failures(pair)
        self._store.forget_failures(place)
        if kept is not None and self._passwords.outdated(kept):
            self._store.set_password_hash(account.id, self._passwords.hash(password))
        return self._open(account, "password")

    def sign_in_by_link(self, token: str, *, address: str) -> SignedIn:
        """Return a new session and use the link up; raise SignInRefused."""
        place = _failure_key("", address)
        self._brake(place, FREE_TRIES_PER_ADDRESS)
        account_id = self._store.use_link(token_key(token), self._clock.now())
        account = self._store.account(account_id) if account_id else None
        if account is None or account.disabled_at is not None:
            write(Log.SIGN_IN_FAILED, code="link")
            raise SignInRefused
        self._store.forget_failures(place)
        return self._open(account, "link")

    def signed_in(self, token: str, *, touch: bool = True) -> SignedIn | None:
        """Return who this session token belongs to, or None once it is over for whatever reason.

        `touch` False is for a page that refreshes itself: that is not a person at work.
        """
        session = self._store.session(token_key(token))
        if session is None:
            return None
        now = self._clock.now()
        if now - session.seen_at >= self._idle or now - session.signed_in_at >= self._longest:
            self._store.end_session(session.token_key)
            return None
        account = self._store.account(session.account_id)
        if account is None or account.disabled_at is not None:
            return None
        if touch and now - session.seen_at >= TOUCH_EVERY:
            self._store.touch_session(session.token_key, now)
        return SignedIn(account, session, token)

    def sign_out(self, token: str) -> None:
        """End the session."""
        self._store.end_session(token_key(token))

    def is_password(self, account: StaffAccount, password: str) -> bool:
        """Return whether this is the person's present password, for a change of it."""
        return self._passwords.matches(password, account.password_hash)

    def needs_present_password(self, signed: SignedIn) -> bool:
        """Return whether a new password asks for the present one.

        Not of a person who has none, nor of one who just came in by a link: they may have forgotten it.
        """
        fresh = self._clock.now() - signed.session.signed_in_at < LINK_VALID_FOR
        return signed.account.password_hash is not None and not (signed.session.method == "link" and fresh)

    def tidy(self) -> None:
        """Delete what is over; the sweeper calls it now and then."""
        now = self._clock.now()
        self._store.tidy(
            sessions_seen_before=now - self._idle, links_expired_before=now, failed_before=now - FORGET_AFTER
        )

    def _named(self, name: str) -> StaffAccount:
        found = self._store.account_named(name.strip().casefold())
        if found is None:
            raise NotFound("account")
        return found

    def _open(self, account: StaffAccount, method: Literal["password", "link"]) -> SignedIn:
        now, token = self._clock.now(), self._dice.token()
        session = StaffSession(token_key(token), account.id, method, now, now)
        self._store.add_session(session)
        write(Log.SIGN_IN, code=method)
        return SignedIn(account, session, token)

    def _brake(self, key: str, free: int) -> None:
        """Count a try; raise SignInRefused with the wait that is left while the last failures are too fresh."""
        now = self._clock.now()
        before = self._store.failed(key)
        if before is not None and now - before.last_at <= FORGET_AFTER:
            left = before.last_at + wait_after(before.count, free) - now
            if left > timedelta(0):
                write(Log.SIGN_IN_FAILED, code="throttled")
                raise SignInRefused(left)
        self._store.count_failure(key, now, forget_before=now - FORGET_AFTER)


def wait_after(failures: int, free: int) -> timedelta:
    """Return how long to wait after that many failures: none for the free ones, then 2, 4, 8 s up to 15 min."""
    if failures < free:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - free + 1, 20)), LONGEST_WAIT)


def token_key(token: str) -> str:
    """Return the form in which a token of 256 random bits is stored: SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def _failure_key(name: str, address: str) -> str:
    return hashlib.sha256(f"{name}\x1f{address}".encode()).hexdigest()
