"""Taking back the tokens of a source system, with the evidence of it in the same transaction."""

import sqlalchemy as sa

from coordinator.domain.access import SourceCredential
from coordinator.domain.errors import Refused
from coordinator.flow.ports import Clock
from coordinator.flow.read_models import Actor
from coordinator.store.accounts import SqlAccountStore, source_credentials
from coordinator.store.ledger import Store

SHORT = 8
"""So many signs of a credential's id stand for it at a terminal."""


class SourceDesk:
    """What is done with the tokens that are in force. The tokens themselves are nowhere, only their hashes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def in_force(self, source: str | None = None) -> tuple[SourceCredential, ...]:
        """Return the credentials in force, of one source or of all, oldest first within each."""
        found = SqlAccountStore(self._store.engine).credentials()
        return tuple(one for one in found if one.revoked_at is None and source in (None, one.source))

    def revoke(self, source: str, actor: Actor, *, short: str | None = None) -> int:
        """Make every token of a source worthless at once, or the one whose id begins so; return how many.

        Raises Refused when there is none, or when several begin so.
        """
        ours = [one for one in self.in_force(source) if short is None or one.id.startswith(short)]
        if not ours or (short is not None and len(ours) > 1):
            which = "no such token" if short is not None and not ours else "no token"
            what = f"More than one token of {source} begins with {short}" if ours else f"{source} has {which} in force"
            raise Refused("source.token", f"{what}. Nothing was revoked; coordinator sources list shows them.")
        now, kept = self._clock.now(), source_credentials.c
        count = 0
        with self._store.begin() as tx:
            for one in ours:
                change = sa.update(source_credentials).where(kept.id == one.id, kept.revoked_at.is_(None))
                if tx.connection.execute(change.values(revoked_at=now)).rowcount == 1:
                    tx.audit(actor, "source token revoked", at=now, subject=one.id, code=one.source)
                    count += 1
        return count
