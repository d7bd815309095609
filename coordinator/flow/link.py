"""The secure link: its token, the code that opens it, and the reader's short session.

The token is never stored and never drawn twice: it is the keyed hash of the
delivery and a generation, so a notice that is sent again carries the same link. A
link is closed the moment the release question says no (consent ended, superseded,
address suspended), because the question is asked at every look.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from coordinator.domain.delivery import ARRIVED_MAYBE, FINAL, MOVES, State
from coordinator.domain.errors import NeedsHuman, NotFound
from coordinator.domain.ids import stable_uuid
from coordinator.flow.addresses import known_endpoint
from coordinator.flow.ledger import Ledger, Transaction
from coordinator.flow.link_rows import AccessCode, LinkKeys, LinkRow
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Clock
from coordinator.flow.read_models import Actor
from coordinator.flow.releasing import ask_release
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.observe.log import Log, write

SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that is taken for a digit."""
PATH_SYMBOLS = 10
CODE_SYMBOLS = 8
"""40 bits behind five tries; OWASP ASVS 5.0, 6.5.2, asks for 20 bits with a limit on tries."""
READER = Actor("recipient", "letter-link")


class CodeHasher(Protocol):
    """Keeps access codes as argon2id."""

    def hash(self, password: str) -> str:
        """Return the hash to store."""
        ...

    def matches(self, password: str, kept: str | None) -> bool:
        """Return whether it is the code; takes as long when there is none."""
        ...


@dataclass(frozen=True)
class LinkPolicy:
    """The numbers of the secure link (delivery decision; the address brake follows the staff sign-in's)."""

    valid_for: timedelta = timedelta(days=14)
    tries: int = 5
    session: timedelta = timedelta(minutes=15)
    opens: int = 20
    address_tries: int = 20
    address_window: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class NoticeLink:
    """What a notice tells: the token for the fragment, the short path for browsers without scripts, and until when."""

    token: str
    path: str
    expires_at: datetime
    opened: bool


@dataclass(frozen=True)
class Opened:
    """A link that a right code has opened. `session` goes into the cookie and nowhere else."""

    session: str
    expires_at: datetime


class TooManyTries(Exception):
    """An address has tried too often; nothing was looked at. `wait` is the longest it takes to be heard again."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too many tries")
        self.wait = wait


def token_key(token: str) -> str:
    """Return the form in which a token of 256 bits is stored: SHA-256 in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def plain_code(typed: str) -> str:
    """Return an access code or path as it is compared: capitals, no blanks or hyphens, O read as 0, I and L as 1."""
    kept = "".join(sign for sign in typed.upper() if sign.isalnum())[:64]
    return kept.replace("O", "0").replace("I", "1").replace("L", "1")


def _may_be_a_code(typed: str) -> bool:
    """Return whether it has the form of a code. What has not opens nothing, and uses up no try.

    Mail scanners post the forms they find, empty or with words of their own.
    """
    code = plain_code(typed)
    return len(code) == CODE_SYMBOLS and all(sign in SYMBOLS for sign in code)


def spelled(number_hex: str, symbols: int) -> str:
    """Return that many symbols of base 32 from a hash in hex, the first bits first."""
    number = int(number_hex, 16) >> (len(number_hex) * 4 - symbols * 5)
    return "".join(SYMBOLS[(number >> (5 * place)) & 31] for place in reversed(range(symbols)))


class LinkBook:
    """What the channel needs: the link of a delivery, made when its first notice is about to go."""

    def __init__(self, ledger: Ledger, clock: Clock, policy: LinkPolicy | None = None) -> None:
        """Keep links in this ledger."""
        self._ledger = ledger
        self._clock = clock
        self._policy = policy or LinkPolicy()

    def issue(self, delivery_id: str, message_id: str, endpoint_id: str) -> NoticeLink:
        """Return the delivery's link, valid for its whole time from now; raise NeedsHuman without an access code.

        The same delivery has the same link, whatever became of earlier notices. Only
        after a lock it is another one, and the old one is dead.
        """
        now = self._clock.now()
        until = now + self._policy.valid_for
        with self._ledger.begin() as tx:
            if tx.access_code(endpoint_id) is None:
                # Without a code that went another way nobody could open it, or anybody could.
                raise NeedsHuman("link.no-code")
            row = tx.link(delivery_id, lock=True)
            if row is None:
                row = LinkRow(delivery_id, message_id, endpoint_id, 1, now, until)
                tx.add_link(row, _keys(tx, row))
            elif row.locked_at is not None:
                row = replace(row, generation=row.generation + 1, expires_at=until, failures=0, locked_at=None)
                tx.put_link(row, _keys(tx, row))
            elif row.opened_at is None:
                row = replace(row, expires_at=until)
                tx.put_link(row)
            return NoticeLink(_token(tx, row), _path(tx, row), row.expires_at, row.opened_at is not None)

    def has_code(self, endpoint_id: str) -> bool:
        """Return whether the endpoint has an access code."""
        with self._ledger.begin(write=False) as tx:
            return tx.access_code(endpoint_id) is not None

    def opened(self, delivery_id: str) -> bool:
        """Return whether the identified reader has opened the delivery's letter."""
        with self._ledger.begin(write=False) as tx:
            row = tx.link(delivery_id)
        return row is not None and row.opened_at is not None


def _token(tx: Transaction, row: LinkRow) -> str:
    return tx.key("letter-link-token", f"{row.delivery_id}|{row.generation}")


def _path(tx: Transaction, row: LinkRow) -> str:
    return spelled(tx.key("letter-link-path", f"{row.delivery_id}|{row.generation}"), PATH_SYMBOLS)


def _keys(tx: Transaction, row: LinkRow) -> LinkKeys:
    # The path is short, so a plain hash of it could be reversed; a keyed one cannot.
    return LinkKeys(token_key(_token(tx, row)), tx.key("letter-path", _path(tx, row)))


def set_access_code(parts: Parts, codes: CodeHasher, endpoint_id: str, *, actor: Actor) -> str:
    """Draw a new access code for an endpoint and return it, this once, for a telephone call, a fax or a printout.

    Raises NotFound for an endpoint that no provider has as a secure link.
    """
    now = parts.clock.now()
    drawn = hashlib.sha256(f"access-code|{parts.dice.token()}".encode()).hexdigest()
    code = spelled(drawn, CODE_SYMBOLS)
    kept = AccessCode(endpoint_id, codes.hash(code), now, actor.name)
    with parts.ledger.begin() as tx:
        if known_endpoint(tx, endpoint_id).kind != "secure-link":
            raise NotFound("endpoint")
        tx.put_access_code(kept)
        tx.audit(actor, "access code set", at=now, subject=endpoint_id)
    return f"{code[:4]}-{code[4:]}"


class LinkDoor:
    """Opens letters to readers who have the link and the code. Answers tell nobody why one did not open."""

    def __init__(self, parts: Parts, codes: CodeHasher, policy: LinkPolicy | None = None) -> None:
        """Work with these parts."""
        self._parts = parts
        self._codes = codes
        self.policy = policy or LinkPolicy()

    def open(self, *, token: str = "", path: str = "", code: str, address: str) -> Opened | None:
        """Return a session, or None for whatever reason; raise TooManyTries.

        `token` comes from the fragment, `path` from a browser without scripts;
        `address` is the far side's network address. Every try costs one code check
        and two transactions, whether the link is known or not.
        """
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            place = tx.key("letter-place", address)
            counted = tx.count_try(place, now, since=now - self.policy.address_window)
            heard = counted <= self.policy.address_tries and _may_be_a_code(code)
            row = self._counted(tx, token, path, now) if heard else None
            kept = None if row is None else tx.access_code(row.endpoint_id)
        if counted > self.policy.address_tries:
            write(Log.SIGN_IN_FAILED, code="letter-throttled")
            raise TooManyTries(self.policy.address_window)
        right = self._codes.matches(plain_code(code), None if kept is None else kept.code_hash)
        with self._parts.ledger.begin() as tx:
            if right:
                tx.forgive_try(place)  # before the link, as above: two clicks at once must not wait for each other
            found = self._admit(tx, row, now) if right and row is not None else None
            if found is None:
                self._refuse(tx, row, place, now, wrong=not right)
            return found

    def _counted(self, tx: Transaction, token: str, path: str, now: datetime) -> LinkRow | None:
        """Return the link, with this try counted before its code is looked at; None when no code opens it now."""
        path_key = tx.key("letter-path", plain_code(path)) if path and not token else None
        row = tx.link_by(token_key=token_key(token), path_key=path_key, lock=True)
        if row is None or row.locked_at is not None:
            return None
        counted = replace(row, failures=row.failures + 1)
        tx.put_link(counted)
        if row.failures < self.policy.tries:
            return counted
        # The last try is being looked at this very moment, as after a double click: it locks the link if it is wrong.
        # Where its process died, the link is locked a few tries later.
        if counted.failures >= 2 * self.policy.tries:
            _lock(tx, counted, now)
        return None

    def _admit(self, tx: Transaction, row: LinkRow, now: datetime) -> Opened | None:
        current = tx.link(row.delivery_id, lock=True)
        if current is None or current.generation != row.generation or current.locked_at is not None:
            return None
        seen = look(self._parts, tx, current, now)
        if seen is None or current.opens >= self.policy.opens:
            return None
        delivery, message = seen
        tx.put_link(replace(current, failures=0, opens=current.opens + 1, opened_at=current.opened_at or now))
        if State.ACKNOWLEDGED in MOVES[delivery.state]:
            tx.move_delivery(delivery.id, State.ACKNOWLEDGED, at=now)
        tx.add_receipt(self._parts.dice.uuid(), f"{delivery.id}|opened", delivery.id, "secure-link", "acknowledged",
                       None, now, b"")  # fmt: skip
        tx.audit(READER, "letter opened by link", at=now, patient_key=message.patient_key, subject=message.id)
        session = self._parts.dice.token()
        until = now + self.policy.session
        tx.add_link_session(token_key(session), delivery.id, now, until)
        write(Log.SIGN_IN, code="letter", delivery_id=delivery.id)
        return Opened(session, until)

    def _refuse(self, tx: Transaction, row: LinkRow | None, place: str, now: datetime, *, wrong: bool) -> None:
        write(Log.SIGN_IN_FAILED, code="letter")
        current = None if row is None else tx.link(row.delivery_id, lock=True)
        if row is None or current is None:
            tx.link(place)  # as many questions as for a link that exists
            return
        message = tx.message(current.message_id)
        patient_key = None if message is None else message.patient_key
        tx.audit(READER, "letter not opened", at=now, patient_key=patient_key, subject=current.message_id,
                 code="wrong-code" if wrong else "closed")  # fmt: skip
        if wrong and current.generation == row.generation and current.locked_at is None:
            if current.failures >= self.policy.tries:
                _lock(tx, current, now)
        elif not wrong:
            tx.put_link(replace(current, failures=max(0, current.failures - 1)))

    def fresh_nonce(self) -> str:
        """Return what marks one answer form that was read back."""
        return self._parts.dice.token()

    def tidy(self) -> None:
        """Delete sessions that are over and tries that no longer count; the runner calls it now and then."""
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            tx.tidy_links(sessions_over=now, tries_before=now - self.policy.address_window)


def _lock(tx: Transaction, row: LinkRow, now: datetime) -> None:
    """Lock the link and tell staff: the delivery is held, or a call is owed when it had been opened before."""
    tx.put_link(replace(row, locked_at=now))
    delivery = tx.delivery(row.delivery_id, lock=True)
    message = tx.message(row.message_id)
    tx.audit(READER, "link locked", at=now, patient_key=None if message is None else message.patient_key,
             subject=row.message_id, code="link.locked")  # fmt: skip
    if message is not None and (message.superseded_by is not None or message.state in {"superseded", "cancelled"}):
        return  # the letter behind it is nobody's any more
    if delivery is not None and State.HELD in MOVES[delivery.state]:
        tx.move_delivery(delivery.id, State.HELD, at=now, cause="link.locked")
    else:
        tx.add_task(stable_uuid("task", row.message_id, "locked"), row.message_id, "call", "link.locked", now, now)
    write(Log.DELIVERY_HELD, delivery_id=row.delivery_id, code="link.locked")


def look(parts: Parts, tx: Transaction, row: LinkRow, now: datetime) -> tuple[DeliveryRow, MessageRecord] | None:
    """Return the delivery and message behind a link that may be read at this moment, else None."""
    delivery, message = tx.delivery(row.delivery_id), tx.message(row.message_id)
    if delivery is None or message is None or row.locked_at is not None or row.expires_at <= now:
        return None
    if delivery.state in FINAL - {State.ACKNOWLEDGED}:
        return None
    every = list(tx.deliveries(message.id))
    newer = every[[one.id for one in every].index(delivery.id) + 1 :]
    if any(one.channel == "secure-link" and one.state in ARRIVED_MAYBE for one in newer):
        return None  # a fresh link has been sent in place of this one
    return (delivery, message) if ask_release(parts, tx, delivery, message, now).permits else None
