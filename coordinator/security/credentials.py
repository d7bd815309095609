"""Credentials of source systems: bearer tokens of 256 random bits, kept as their SHA-256."""

import hashlib
import hmac

from coordinator.domain.access import SCOPES, Scope, SourceCredential
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.ports import Clock, Dice
from coordinator.security.account_store import AccountStore


class SourceCredentials:
    """Issues, finds and revokes what source systems show with every call."""

    def __init__(self, store: AccountStore, clock: Clock, dice: Dice) -> None:
        self._store = store
        self._clock = clock
        self._dice = dice

    def issue(self, source: str, scopes: tuple[Scope, ...]) -> tuple[SourceCredential, str]:
        """Return a new credential and its token, which is shown this once; raise Refused."""
        if not source or len(source) > 64 or not source.isascii() or not source.isprintable() or " " in source:
            raise Refused("source.name", "A source needs a name of at most 64 letters, digits and signs, no blanks.")
        if not scopes or not set(scopes) <= set(SCOPES):
            raise Refused("source.scopes", f"A credential needs at least one scope of {', '.join(SCOPES)}.")
        token = self._dice.token()
        credential = SourceCredential(
            id=self._dice.uuid(),
            source=source,
            token_key=hashlib.sha256(token.encode()).hexdigest(),
            scopes=scopes,
            created_at=self._clock.now(),
            revoked_at=None,
        )
        self._store.add_credential(credential)
        return credential, token

    def find(self, token: str) -> SourceCredential | None:
        """Return the credential in force that has this token, or None."""
        key = hashlib.sha256(token.encode()).hexdigest()
        found = self._store.credential(key)
        if found is None or found.revoked_at is not None or not hmac.compare_digest(found.token_key, key):
            return None
        return found

    def listing(self) -> tuple[SourceCredential, ...]:
        """Return all credentials, revoked ones too. Their tokens cannot be shown again."""
        return tuple(self._store.credentials())

    def revoke(self, credential_id: str) -> None:
        """Make the credential worthless at once; raise NotFound."""
        if not self._store.revoke_credential(credential_id, self._clock.now()):
            raise NotFound("credential")
