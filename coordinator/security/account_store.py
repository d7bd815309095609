"""What keeping accounts asks of a database. `coordinator.store.accounts` is the real one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from coordinator.domain.access import FailedSignIns, SignInLink, SourceCredential, StaffAccount, StaffRole, StaffSession


class AccountStore(Protocol):
    """Rows of accounts, sessions, links, failed sign-ins and source credentials. Each call is one transaction."""

    def add_account(self, account: StaffAccount) -> bool:
        """Keep a new account; return False when the name is taken."""
        ...

    def account(self, account_id: str) -> StaffAccount | None:
        """Return the account, or None."""
        ...

    def account_named(self, name: str) -> StaffAccount | None:
        """Return the account of that sign-in name, or None."""
        ...

    def accounts(self) -> Sequence[StaffAccount]:
        """Return all accounts by name."""
        ...

    def set_password_hash(self, account_id: str, password_hash: str) -> None:
        """Replace the password's hash."""
        ...

    def set_roles(self, account_id: str, roles: tuple[StaffRole, ...]) -> None:
        """Replace the roles."""
        ...

    def set_disabled(self, account_id: str, at: datetime | None) -> None:
        """Disable the account at that instant, or enable it again."""
        ...

    def add_session(self, session: StaffSession) -> None:
        """Keep a new session."""
        ...

    def session(self, token_key: str) -> StaffSession | None:
        """Return the session, or None."""
        ...

    def touch_session(self, token_key: str, at: datetime) -> None:
        """Note that the session was used."""
        ...

    def end_session(self, token_key: str) -> None:
        """Forget the session."""
        ...

    def end_sessions_of(self, account_id: str) -> None:
        """Forget every session of the account and every link that was made for it."""
        ...

    def add_link(self, link: SignInLink) -> None:
        """Keep a new sign-in link."""
        ...

    def use_link(self, token_key: str, at: datetime) -> str | None:
        """Use the link up and return its account's id; None when it is unknown, used or expired.

        Of two calls at the same time, one gets the account.
        """
        ...

    def failed(self, key: str) -> FailedSignIns | None:
        """Return the failed sign-ins counted under the key, or None."""
        ...

    def count_failure(self, key: str, at: datetime, *, forget_before: datetime) -> int:
        """Count one more failure and return the count, starting over when the last one is older than that."""
        ...

    def forget_failures(self, key: str) -> None:
        """Start over for this key."""
        ...

    def add_credential(self, credential: SourceCredential) -> None:
        """Keep a new source credential."""
        ...

    def credential(self, token_key: str) -> SourceCredential | None:
        """Return the credential with that token, or None."""
        ...

    def credentials(self) -> Sequence[SourceCredential]:
        """Return all credentials, by source, then oldest first."""
        ...

    def revoke_credential(self, credential_id: str, at: datetime) -> bool:
        """Revoke it; return False when there is none of that id in force."""
        ...

    def tidy(self, *, sessions_seen_before: datetime, links_expired_before: datetime, failed_before: datetime) -> None:
        """Delete what is over: idle sessions, expired links, old failures."""
        ...
