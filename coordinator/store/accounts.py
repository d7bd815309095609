"""Accounts, sessions, sign-in links and source credentials in the database. Tokens stand here only as hashes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from coordinator.domain.access import (
    FailedSignIns,
    Scope,
    SignInLink,
    SourceCredential,
    StaffAccount,
    StaffRole,
    StaffSession,
)
from coordinator.store.engine import transaction
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant

staff_accounts = sa.Table(
    "staff_accounts",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("name", WORD, nullable=False, unique=True),
    sa.Column("display_name", sa.String(200), nullable=False),
    sa.Column("roles", sa.String(64), nullable=False),
    sa.Column("password_hash", sa.String(200)),
    sa.Column("disabled_at", UtcInstant),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("licence", WORD),
)

staff_sessions = sa.Table(
    "staff_sessions",
    METADATA,
    sa.Column("token_key", ID, primary_key=True),
    sa.Column("account_id", ID, sa.ForeignKey("staff_accounts.id"), nullable=False),
    sa.Column("method", WORD, nullable=False),
    sa.Column("signed_in_at", UtcInstant, nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.Index("ix_staff_sessions_account", "account_id"),
)

sign_in_links = sa.Table(
    "sign_in_links",
    METADATA,
    sa.Column("token_key", ID, primary_key=True),
    sa.Column("account_id", ID, sa.ForeignKey("staff_accounts.id"), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("expires_at", UtcInstant, nullable=False),
    sa.Column("used_at", UtcInstant),
)

failed_sign_ins = sa.Table(
    "failed_sign_ins",
    METADATA,
    sa.Column("key", ID, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("last_at", UtcInstant, nullable=False),
)

source_credentials = sa.Table(
    "source_credentials",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("source", WORD, nullable=False),
    sa.Column("token_key", ID, nullable=False, unique=True),
    sa.Column("scopes", sa.String(200), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("revoked_at", UtcInstant),
)


class SqlAccountStore:
    """Keeps accounts in the service's database; each call is one short transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add_account(self, account: StaffAccount) -> bool:
        """Keep a new account; return False when the name is taken."""
        values = {**vars(account), "roles": " ".join(account.roles)}
        try:
            self._write(sa.insert(staff_accounts).values(**values))
        except IntegrityError:
            return False
        return True

    def account(self, account_id: str) -> StaffAccount | None:
        """Return the account, or None."""
        found = self._read(sa.select(staff_accounts).where(staff_accounts.c.id == account_id))
        return _account(found[0]) if found else None

    def account_named(self, name: str) -> StaffAccount | None:
        """Return the account of that sign-in name, or None."""
        found = self._read(sa.select(staff_accounts).where(staff_accounts.c.name == name))
        return _account(found[0]) if found else None

    def accounts(self) -> Sequence[StaffAccount]:
        """Return all accounts by name."""
        return [_account(row) for row in self._read(sa.select(staff_accounts).order_by(staff_accounts.c.name))]

    def set_password_hash(self, account_id: str, password_hash: str) -> None:
        """Replace the password's hash."""
        self._change_account(account_id, password_hash=password_hash)

    def set_roles(self, account_id: str, roles: tuple[StaffRole, ...]) -> None:
        """Replace the roles."""
        self._change_account(account_id, roles=" ".join(roles))

    def set_disabled(self, account_id: str, at: datetime | None) -> None:
        """Disable the account at that instant, or enable it again."""
        self._change_account(account_id, disabled_at=at)

    def add_session(self, session: StaffSession) -> None:
        """Keep a new session."""
        self._write(sa.insert(staff_sessions).values(**vars(session)))

    def session(self, token_key: str) -> StaffSession | None:
        """Return the session, or None."""
        found = self._read(sa.select(staff_sessions).where(staff_sessions.c.token_key == token_key))
        return StaffSession(**found[0]) if found else None

    def touch_session(self, token_key: str, at: datetime) -> None:
        """Note that the session was used."""
        self._write(sa.update(staff_sessions).where(staff_sessions.c.token_key == token_key).values(seen_at=at))

    def end_session(self, token_key: str) -> None:
        """Forget the session."""
        self._write(sa.delete(staff_sessions).where(staff_sessions.c.token_key == token_key))

    def end_sessions_of(self, account_id: str) -> None:
        """Forget every session of the account and every link that was made for it."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(staff_sessions).where(staff_sessions.c.account_id == account_id))
            connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.account_id == account_id))

    def add_link(self, link: SignInLink) -> None:
        """Keep a new sign-in link."""
        self._write(sa.insert(sign_in_links).values(**vars(link)))

    def use_link(self, token_key: str, at: datetime) -> str | None:
        """Use the link up and return its account's id; None when it is unknown, used or expired."""
        open_link = (
            sign_in_links.c.token_key == token_key,
            sign_in_links.c.used_at.is_(None),
            sign_in_links.c.expires_at > at,
        )
        with transaction(self._engine) as connection:
            # The update decides who was first; reading before it would let two in.
            if connection.execute(sa.update(sign_in_links).where(*open_link).values(used_at=at)).rowcount != 1:
                return None
            chosen = sa.select(sign_in_links.c.account_id).where(sign_in_links.c.token_key == token_key)
            return cast(str, connection.execute(chosen).scalar_one())

    def failed(self, key: str) -> FailedSignIns | None:
        """Return the failed sign-ins counted under the key, or None."""
        found = self._read(sa.select(failed_sign_ins).where(failed_sign_ins.c.key == key))
        return FailedSignIns(**found[0]) if found else None

    def count_failure(self, key: str, at: datetime, *, forget_before: datetime) -> int:
        """Count one more failure and return the count, starting over when the last one is older than that."""
        kept = failed_sign_ins.c
        more = (
            sa.update(failed_sign_ins)
            .where(kept.key == key)
            .values(count=sa.case((kept.last_at < forget_before, 1), else_=kept.count + 1), last_at=at)
        )
        for _ in range(2):
            with transaction(self._engine) as connection:
                if connection.execute(more).rowcount == 1:
                    return cast(int, connection.execute(sa.select(kept.count).where(kept.key == key)).scalar_one())
            try:
                self._write(sa.insert(failed_sign_ins).values(key=key, count=1, last_at=at))
            except IntegrityError:
                continue  # somebody else wrote the first row meanwhile: count on top of it
            return 1
        raise RuntimeError("a failed sign-in could not be counted")

    def forget_failures(self, key: str) -> None:
        """Start over for this key."""
        self._write(sa.delete(failed_sign_ins).where(failed_sign_ins.c.key == key))

    def add_credential(self, credential: SourceCredential) -> None:
        """Keep a new source credential."""
        values = {**vars(credential), "scopes": " ".join(credential.scopes)}
        self._write(sa.insert(source_credentials).values(**values))

    def credential(self, token_key: str) -> SourceCredential | None:
        """Return the credential with that token, or None."""
        found = self._read(sa.select(source_credentials).where(source_credentials.c.token_key == token_key))
        return _credential(found[0]) if found else None

    def credentials(self) -> Sequence[SourceCredential]:
        """Return all credentials, by source, then oldest first."""
        kept = source_credentials.c
        wanted = sa.select(source_credentials).order_by(kept.source, kept.created_at, kept.id)
        return [_credential(row) for row in self._read(wanted)]

    def revoke_credential(self, credential_id: str, at: datetime) -> bool:
        """Revoke it; return False when there is none of that id in force."""
        kept = source_credentials.c
        change = sa.update(source_credentials).where(kept.id == credential_id, kept.revoked_at.is_(None))
        return self._write(change.values(revoked_at=at)) == 1

    def tidy(self, *, sessions_seen_before: datetime, links_expired_before: datetime, failed_before: datetime) -> None:
        """Delete what is over: idle sessions, expired links, old failures."""
        with transaction(self._engine) as connection:
            connection.execute(sa.delete(staff_sessions).where(staff_sessions.c.seen_at < sessions_seen_before))
            connection.execute(sa.delete(sign_in_links).where(sign_in_links.c.expires_at < links_expired_before))
            connection.execute(sa.delete(failed_sign_ins).where(failed_sign_ins.c.last_at < failed_before))

    def _change_account(self, account_id: str, **values: object) -> None:
        self._write(sa.update(staff_accounts).where(staff_accounts.c.id == account_id).values(**values))

    def _read(self, wanted: sa.Select[Any]) -> list[dict[str, Any]]:
        with transaction(self._engine, write=False) as connection:
            return [dict(row) for row in connection.execute(wanted).mappings()]

    def _write(self, change: sa.Insert | sa.Update | sa.Delete) -> int:
        with transaction(self._engine) as connection:
            return connection.execute(change).rowcount


def _account(row: dict[str, Any]) -> StaffAccount:
    return StaffAccount(**{**row, "roles": cast(tuple[StaffRole, ...], tuple(row["roles"].split()))})


def _credential(row: dict[str, Any]) -> SourceCredential:
    return SourceCredential(**{**row, "scopes": cast(tuple[Scope, ...], tuple(row["scopes"].split()))})
