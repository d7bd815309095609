"""Notices of a HISP, fetched over IMAP: what became of each Direct message. Marked as seen only after our commit."""

import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from coordinator.channels.cutoff import Cutoff
from coordinator.channels.receipts.notice import read_notice
from coordinator.channels.smime import Agent
from coordinator.channels.smime_in import is_for
from coordinator.channels.tls import certificate_cause
from coordinator.domain.errors import NeedsHuman, Transient, lacks_means
from coordinator.flow.ports import Clock, ReceiptNews
from coordinator.observe.log import Log, write
from coordinator.trust import RevocationLists, Trust

MOST_AT_ONCE = 200
LARGEST_BYTES = 1 << 20
LONGEST_LINE = 1 << 24
UID = re.compile(rb"\bUID (\d+)")


@dataclass(frozen=True)
class ImapConfig:
    """The mailbox that the HISP puts notices into: IMAP4rev1 over TLS from the first byte."""

    host: str
    port: int
    username: str
    password: str
    folder: str = "INBOX"
    ca_file: str | None = None
    lists: RevocationLists | None = None
    timeout_s: float = 15.0
    total_s: float = 120.0
    """One round's limit; what is left comes in the next."""


class DirectNotices:
    """Fetches unseen notices and says what each means. Mail that is no notice stays unseen for people."""

    def __init__(self, config: ImapConfig, clock: Clock, agent: Agent | None = None) -> None:
        """`agent`: our own keys, where notices come encrypted to us and have to be signed by the recipient."""
        self._config = config
        self._clock = clock
        self._agent = agent
        self._trust = Trust(config.ca_file, lists=config.lists)
        self._passed: set[str] = set()
        """UIDs that are not looked at again: no notice (left unseen for people), or taken in and the mark was refused.

        Neither may stand in the way of the notices behind it. They count for one mailbox as `_numbered` says.
        """
        self._stumbled: set[str] = set()
        """UIDs at which a round ended, as the line broke there: looked at after all others."""
        self._numbered: str | None = None
        """The mailbox's UIDVALIDITY: under another one the same UID is another mail (RFC 3501, 2.3.1.1)."""

    def fetch(self) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        """Yield each unseen notice with the call that marks it seen. Raises Transient or NeedsHuman."""
        with Cutoff(self._config.total_s) as cutoff:
            yield from self._fetch(cutoff)

    def try_sign_in(self) -> str:
        """Return how much unread mail the mailbox holds; reads and marks nothing. Raises Transient or NeedsHuman."""
        with Cutoff(self._config.total_s) as cutoff:
            mailbox = self._open(cutoff)
            try:
                waiting = len(self._unseen(mailbox))
            except (imaplib.IMAP4.error, OSError) as fault:
                raise Transient("direct.later") from fault
            finally:
                _leave(mailbox)
        return f"{self._config.host} takes our sign-in; unread: {waiting}."

    def _fetch(self, cutoff: Cutoff) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        mailbox = self._open(cutoff)
        try:
            for uid in self._unseen(mailbox)[:MOST_AT_ONCE]:
                self._stumbled.add(uid)
                raw = self._message(mailbox, uid)
                self._stumbled.discard(uid)
                news = self._understood(raw) if raw is not None else None
                if news is not None:
                    yield news, self._marker(mailbox, uid)
                elif raw is not None:
                    self._passed.add(uid)
        except (imaplib.IMAP4.error, OSError) as fault:
            raise Transient("direct.later") from fault
        finally:
            _leave(mailbox)

    def _understood(self, raw: bytes) -> ReceiptNews | None:
        """Return what a mail says. One that trips the reading of it is left for people and stops no other."""
        try:
            return self._news(raw)
        except Exception as bug:
            if lacks_means(bug):
                raise
            write(Log.BUG, channel="direct", error_type=type(bug).__name__, job="notices")
            return None

    def _news(self, raw: bytes) -> ReceiptNews | None:
        """Return what a mail says. Where we are our own agent, only the recipient's own signature proves an arrival."""
        if self._agent is None:
            return read_notice(raw)
        opened = self._agent.open(raw, self._clock.now())
        if opened is None:
            plain = read_notice(raw)
            return plain if plain is not None and plain.verdict == "failed" else None
        news = read_notice(opened.content, outer=raw)
        if news is None or news.verdict == "failed":
            return news
        signer = opened.signer
        vouched = () if signer is None else tuple(one for one in news.about if is_for(signer, one))
        # For whom else the signer speaks proves nothing: the flow compares with whom the letter went to.
        return replace(news, about=vouched) if vouched else None

    def _open(self, cutoff: Cutoff) -> imaplib.IMAP4_SSL:
        one = self._config
        try:
            mailbox = _Watched(one.host, one.port, self._trust.context(one.host), cutoff, one.timeout_s)
        except ssl.SSLCertVerificationError as fault:
            raise NeedsHuman(certificate_cause(fault)) from fault
        except (imaplib.IMAP4.error, OSError) as fault:
            raise Transient("direct.later") from fault
        try:
            mailbox.login(one.username, one.password)
            status, _ = mailbox.select(one.folder)
        except (imaplib.IMAP4.abort, OSError) as fault:
            mailbox.shutdown()
            raise Transient("direct.later") from fault
        except (imaplib.IMAP4.error, UnicodeError):
            mailbox.shutdown()
            raise NeedsHuman("direct.sign-in") from None  # the text would carry the server's words
        if status != "OK":
            mailbox.shutdown()
            raise NeedsHuman("direct.sign-in")
        return mailbox

    def _unseen(self, mailbox: imaplib.IMAP4_SSL) -> list[str]:
        """Return the UIDs to look at, the oldest first; last the one at which the line broke."""
        numbered = str(mailbox.response("UIDVALIDITY")[1])
        if numbered != self._numbered:
            self._numbered, self._passed, self._stumbled = numbered, set(), set()
        status, found = mailbox.uid("SEARCH", "UNSEEN")
        if status != "OK":
            raise Transient("direct.later")
        lines = b" ".join(one for one in found if isinstance(one, bytes)).decode("ascii", "replace")
        uids = [one for one in lines.split() if one.isdigit()]
        self._passed &= set(uids)
        self._stumbled &= set(uids)
        return sorted((one for one in uids if one not in self._passed), key=self._stumbled.__contains__)

    def _message(self, mailbox: imaplib.IMAP4_SSL, uid: str) -> bytes | None:
        """Return the message's bytes (at most 1 MiB), not marking it as seen; None when the server has none for us."""
        try:
            status, parts = mailbox.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST_BYTES}>)")
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # it does not take the question about this one
            return None
        found = [one for one in parts if isinstance(one, tuple) and len(one) == 2] if status == "OK" else []
        return next((body for head, body in found if _is_of(head, uid)), None)

    def _marker(self, mailbox: imaplib.IMAP4_SSL, uid: str) -> Callable[[], None]:
        def mark() -> None:
            # A mark that fails costs nothing: the notice comes again under the same key.
            try:
                marked = mailbox.uid("STORE", uid, "+FLAGS", r"(\Seen)")[0] == "OK"
            except (imaplib.IMAP4.abort, OSError):
                return
            except imaplib.IMAP4.error:
                marked = False
            if not marked:
                self._passed.add(uid)

        return mark


def _leave(mailbox: imaplib.IMAP4_SSL) -> None:
    """Sign out, and close the line whether or not that was heard."""
    for last in (mailbox.logout, mailbox.shutdown):
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            last()


def _is_of(head: bytes, uid: str) -> bool:
    """Return whether the head of an answer to FETCH, such as b"7 (UID 9 BODY[]<0> {20}", is of this mail."""
    told = UID.search(head)
    return told is None or told.group(1).decode() == uid


class _Watched(imaplib.IMAP4_SSL):
    """An IMAP client whose socket the cutoff knows before the greeting is awaited; bounded in what it reads."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, cutoff: Cutoff, timeout_s: float) -> None:
        self._cutoff = cutoff
        super().__init__(host, port, ssl_context=tls, timeout=timeout_s)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        one: socket.socket = super()._create_socket(timeout)  # type: ignore[misc]
        self._cutoff.watch(one)
        return one

    def readline(self) -> bytes:
        # The library's own limit is that of a search with some 150 000 unread mails; then no notice would be read.
        line: bytes = self.file.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise self.abort("line too long")
        return line

    def read(self, size: int) -> bytes:
        if size > LARGEST_BYTES:
            raise self.abort("literal too long")
        return super().read(size)
