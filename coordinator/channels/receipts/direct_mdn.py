"""Notices of a HISP, fetched over IMAP: what became of each Direct message. Marked as seen only after our commit."""

import contextlib
import hashlib
import imaplib
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email import policy
from email.message import Message
from email.parser import BytesParser
from types import MappingProxyType
from typing import Literal, NamedTuple

from coordinator.channels.cutoff import Cutoff
from coordinator.channels.smime import Agent
from coordinator.channels.smime_in import Opened, is_for
from coordinator.channels.tls import certificate_cause
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.flow.ports import ReceiptNews
from coordinator.trust import RevocationLists, Trust

Verdict = Literal["processed", "acknowledged", "failed", "partial"]


class Meaning(NamedTuple):
    """What a disposition or an action says of the delivery."""

    verdict: Verdict
    code: str | None
    retry: bool = False


DISPOSITIONS: Mapping[str, Meaning] = MappingProxyType(
    {
        "processed": Meaning("processed", None),
        "dispatched": Meaning("acknowledged", None),
        "displayed": Meaning("acknowledged", None),
        "failed": Meaning("failed", "direct.failed"),
        "denied": Meaning("failed", "direct.failed"),
        "deleted": Meaning("failed", "direct.failed"),
    }
)
"""Disposition type of an MDN (RFC 8098, and Direct's Delivery Notification): processed alone is not delivery."""

ACTIONS: Mapping[str, Meaning] = MappingProxyType(
    {
        "failed": Meaning("failed", "direct.failed"),
        "delivered": Meaning("processed", None),
        "relayed": Meaning("processed", None),
        "expanded": Meaning("processed", None),
    }
)
"""Action of a DSN (RFC 3464). "delayed" says nothing new; a DSN never proves dispatch."""

MESSAGE_ID = re.compile(r"<[^<>\s@]+@[^<>\s@]+>")
MOST_AT_ONCE = 200
LARGEST_BYTES = 1 << 20


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

    def __init__(self, config: ImapConfig, agent: Agent | None = None) -> None:
        """`agent`: our own keys, where notices come encrypted to us and have to be signed by the recipient."""
        self._config = config
        self._agent = agent
        self._trust = Trust(config.ca_file, lists=config.lists)
        self._no_notices: set[str] = set()
        """UIDs of mail that is no notice: left unseen for people, and never in the way of the notices behind it."""

    def fetch(self) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        """Yield each unseen notice with the call that marks it seen. Raises Transient or NeedsHuman."""
        with Cutoff(self._config.total_s) as cutoff:
            yield from self._fetch(cutoff)

    def try_sign_in(self) -> str:
        """Return how much unread mail the mailbox holds; reads and marks nothing. Raises Transient or NeedsHuman."""
        with Cutoff(self._config.total_s) as cutoff:
            mailbox = self._open()
            cutoff.watch(mailbox.socket())
            try:
                waiting = len(self._unseen(mailbox))
            except (imaplib.IMAP4.error, OSError) as fault:
                raise Transient("direct.later") from fault
            finally:
                with contextlib.suppress(imaplib.IMAP4.error, OSError):
                    mailbox.logout()
        return f"{self._config.host} takes our sign-in; unread: {waiting}."

    def _fetch(self, cutoff: Cutoff) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        mailbox = self._open()
        cutoff.watch(mailbox.socket())
        try:
            for uid in self._unseen(mailbox):
                raw = self._message(mailbox, uid)
                news = self._news(raw) if raw is not None else None
                if news is not None:
                    yield news, _marker(mailbox, uid)
                elif raw is not None:
                    self._no_notices.add(uid)
        except (imaplib.IMAP4.error, OSError) as fault:
            raise Transient("direct.later") from fault
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                mailbox.logout()

    def _news(self, raw: bytes) -> ReceiptNews | None:
        """Return what a mail says. Where we are our own agent, only the recipient's own signature proves an arrival."""
        if self._agent is None:
            return read_notice(raw)
        opened = self._agent.open(raw)
        if opened is None:
            plain = read_notice(raw)
            return plain if plain is not None and plain.verdict == "failed" else None
        news = read_notice(opened.content, outer=raw)
        if news is None or news.verdict == "failed":
            return news
        return news if opened.signer is not None and _speaks_for(opened) else None

    def _open(self) -> imaplib.IMAP4_SSL:
        one = self._config
        try:
            mailbox = imaplib.IMAP4_SSL(
                one.host, one.port, ssl_context=self._trust.context(one.host), timeout=one.timeout_s
            )
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
        status, found = mailbox.uid("SEARCH", "UNSEEN")
        if status != "OK" or not found or not isinstance(found[0], bytes):
            return []
        uids = [one.decode("ascii", "replace") for one in found[0].split()]
        return [one for one in uids if one.isdigit() and one not in self._no_notices][:MOST_AT_ONCE]

    def _message(self, mailbox: imaplib.IMAP4_SSL, uid: str) -> bytes | None:
        """Return the message's bytes (at most 1 MiB), not marking it as seen."""
        status, parts = mailbox.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST_BYTES}>)")
        if status != "OK":
            return None
        return next((one[1] for one in parts if isinstance(one, tuple) and len(one) == 2), None)


def _marker(mailbox: imaplib.IMAP4_SSL, uid: str) -> Callable[[], None]:
    def mark() -> None:
        # A mark that fails costs nothing: the notice comes again under the same key.
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            mailbox.uid("STORE", uid, "+FLAGS", r"(\Seen)")

    return mark


def _speaks_for(opened: Opened) -> bool:
    """Return whether the signer is the recipient that the notice names: another one's word proves nothing."""
    message = BytesParser(policy=policy.default).parsebytes(opened.content)
    named = [str(one.get("Final-Recipient", "")) for one in _fields(message, "message/disposition-notification")]
    addresses = [one.rpartition(";")[2].strip() for one in named if one]
    signer = opened.signer
    return signer is not None and bool(addresses) and all(is_for(signer, one) for one in addresses)


def read_notice(raw: bytes, *, outer: bytes | None = None) -> ReceiptNews | None:
    """Return what a notice says, or None when the mail is no notice that can be read. `outer`: what it came inside.

    The key is the notice's own Message-ID, else the hash of its bytes. Whether the
    original Message-ID is one of ours is the flow's question.
    """
    message = BytesParser(policy=policy.default).parsebytes(raw)
    meaning, original = _mdn(message) or _dsn(message) or (None, None)
    if meaning is None or original is None:
        return None
    around = message if outer is None else BytesParser(policy=policy.default).parsebytes(outer, headersonly=True)
    own = MESSAGE_ID.search(str(around.get("Message-ID", ""))) or MESSAGE_ID.search(str(message.get("Message-ID", "")))
    key = own.group() if own else hashlib.sha256(raw).hexdigest()
    return ReceiptNews(f"direct:{key}", "direct", original, None, *meaning, raw)


def _mdn(message: Message) -> tuple[Meaning, str] | None:
    for fields in _fields(message, "message/disposition-notification"):
        disposition = str(fields.get("Disposition", "")).lower()
        kind = disposition.rpartition(";")[2].split("/")[0].strip()
        modifier = disposition.rpartition("/")[2] if "/" in disposition.rpartition(";")[2] else ""
        original = MESSAGE_ID.search(str(fields.get("Original-Message-ID", "")))
        meaning = DISPOSITIONS.get(kind)
        if meaning is None or original is None:
            continue
        if "error" in modifier or "failure" in modifier:
            meaning = Meaning("failed", "direct.failed")
        return meaning, original.group()
    return None


def _dsn(message: Message) -> tuple[Meaning, str] | None:
    blocks = _fields(message, "message/delivery-status")
    actions = [str(one.get("Action", "")).strip().lower() for one in blocks if one.get("Action")]
    meanings = [ACTIONS[one] for one in actions if one in ACTIONS]
    original = _original_of_dsn(message, blocks)
    if not meanings or original is None:
        return None
    worst = next((one for one in meanings if one.verdict == "failed"), meanings[0])
    return worst, original


def _original_of_dsn(message: Message, blocks: list[Message]) -> str | None:
    """Return the Message-ID of the mail the DSN speaks of: a Direct field, else the returned message's own header."""
    for one in blocks:
        for name in ("X-Original-Message-ID", "Original-Message-ID"):
            named = MESSAGE_ID.search(str(one.get(name, "")))
            if named:
                return named.group()
    for part in message.walk():
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers") and part is not message:
            found = _returned_id(part)
            if found:
                return found
    named = MESSAGE_ID.search(str(message.get("In-Reply-To", "")))
    return named.group() if named else None


def _returned_id(part: Message) -> str | None:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        named = MESSAGE_ID.search(str(payload[0].get("Message-ID", "")))
    else:
        text = payload if isinstance(payload, str) else ""
        named = MESSAGE_ID.search(next((one for one in text.splitlines() if one.lower().startswith("message-id:")), ""))
    return named.group() if named else None


def _fields(message: Message, media_type: str) -> list[Message]:
    """Return the header blocks of the report part of that type."""
    blocks: list[Message] = []
    for part in message.walk():
        if part.get_content_type() != media_type:
            continue
        payload = part.get_payload()
        if isinstance(payload, list):
            blocks += [one for one in payload if isinstance(one, Message)]
        else:
            content = part.get_payload(decode=True)
            text = content if isinstance(content, bytes) else b""
            blocks += [
                BytesParser(policy=policy.default).parsebytes(one, headersonly=True) for one in text.split(b"\n\n")
            ]
    return blocks
