"""A store of accounts in memory, a clock that is set by hand, and dice that never fall alike."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from coordinator.domain.access import FailedSignIns, SignInLink, SourceCredential, StaffAccount, StaffSession
from coordinator.security.accounts import Accounts
from coordinator.security.passwords import Passwords

CHEAP = Passwords(memory_kib=64, passes=1)


class HandClock:
    def __init__(self, at: datetime = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def pass_by(self, **span: float) -> None:
        self.at += timedelta(**span)


class CountingDice:
    def __init__(self) -> None:
        self.count = 0

    def jitter(self) -> float:
        return 1.0

    def token(self) -> str:
        self.count += 1
        return f"token-{self.count:038d}"

    def uuid(self) -> str:
        self.count += 1
        return f"id-{self.count}"


class MemoryAccountStore:
    def __init__(self) -> None:
        self.people: dict[str, StaffAccount] = {}
        self.open: dict[str, StaffSession] = {}
        self.links: dict[str, SignInLink] = {}
        self.failures: dict[str, FailedSignIns] = {}
        self.keys: dict[str, SourceCredential] = {}

    def add_account(self, account):
        if self.account_named(account.name):
            return False
        self.people[account.id] = account
        return True

    def account(self, account_id):
        return self.people.get(account_id)

    def account_named(self, name):
        return next((one for one in self.people.values() if one.name == name), None)

    def accounts(self):
        return sorted(self.people.values(), key=lambda one: one.name)

    def set_password_hash(self, account_id, password_hash):
        self.people[account_id] = replace(self.people[account_id], password_hash=password_hash)

    def set_roles(self, account_id, roles):
        self.people[account_id] = replace(self.people[account_id], roles=roles)

    def set_disabled(self, account_id, at):
        self.people[account_id] = replace(self.people[account_id], disabled_at=at)

    def add_session(self, session):
        self.open[session.token_key] = session

    def session(self, token_key):
        return self.open.get(token_key)

    def touch_session(self, token_key, at):
        self.open[token_key] = replace(self.open[token_key], seen_at=at)

    def end_session(self, token_key):
        self.open.pop(token_key, None)

    def end_sessions_of(self, account_id):
        self.open = {key: one for key, one in self.open.items() if one.account_id != account_id}
        self.links = {key: one for key, one in self.links.items() if one.account_id != account_id}

    def add_link(self, link):
        self.links[link.token_key] = link

    def use_link(self, token_key, at):
        link = self.links.get(token_key)
        if link is None or link.expires_at <= at:
            return None
        return self.links.pop(token_key).account_id

    def failed(self, key):
        return self.failures.get(key)

    def count_failure(self, key, at, *, forget_before):
        before = self.failures.get(key)
        count = before.count + 1 if before and before.last_at >= forget_before else 1
        self.failures[key] = FailedSignIns(key, count, at)
        return count

    def forget_failures(self, key):
        self.failures.pop(key, None)

    def add_credential(self, credential):
        self.keys[credential.id] = credential

    def credential(self, token_key):
        return next((one for one in self.keys.values() if one.token_key == token_key), None)

    def credentials(self):
        return sorted(self.keys.values(), key=lambda one: (one.source, one.created_at, one.id))

    def revoke_credential(self, credential_id, at):
        found = self.keys.get(credential_id)
        if found is None or found.revoked_at is not None:
            return False
        self.keys[credential_id] = replace(found, revoked_at=at)
        return True

    def tidy(self, *, sessions_seen_before, links_expired_before, failed_before):
        self.open = {key: one for key, one in self.open.items() if one.seen_at >= sessions_seen_before}
        self.links = {key: one for key, one in self.links.items() if one.expires_at >= links_expired_before}
        self.failures = {key: one for key, one in self.failures.items() if one.last_at >= failed_before}


def some_accounts(store=None, clock=None, dice=None) -> Accounts:
    return Accounts(store or MemoryAccountStore(), clock or HandClock(), dice or CountingDice(), passwords=CHEAP)
