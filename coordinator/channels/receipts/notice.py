"""What a delivery notice says: an MDN (RFC 8098) or a DSN (RFC 3464), in the mail's own report and nowhere else."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from email import policy
from email.message import Message
from email.parser import BytesParser
from types import MappingProxyType
from typing import Literal, NamedTuple

from coordinator.flow.ports import ReceiptNews

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
TRIPS = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What the library of mails raises over mails that are broken in some ways, or nested a thousandfold."""
BARE_ID = re.compile(r"[^<>\s@]+@[^<>\s@]+")
ADDRESS = re.compile(r"[^\s<>\",:;@]+@[^\s<>\",:;@]+")
LONGEST_ADDRESS = 320
"""64 characters, the sign, and 255 (RFC 5321, 4.5.3.1)."""
COMMENT = re.compile(r"\([^()]*\)")
MOST_COMMENTS = 10
HEADER = re.compile(rb"[!-9;-~]{1,100}:")
LONGEST_FIELD = 16_384
LONGEST_KIND = 2048
"""Of a field that says what a part is: the library reads its parameters in a time that grows with their square."""
MDN_TYPES = ("message/disposition-notification", "message/global-disposition-notification")
DSN_TYPES = ("message/delivery-status", "message/global-delivery-status")


def read_notice(raw: bytes, *, outer: bytes | None = None) -> ReceiptNews | None:
    """Return what a notice says, or None when the mail is no notice that can be read. `outer`: what it came inside.

    The key is the notice's own Message-ID, else the hash of its bytes. Whether the
    original Message-ID is one of ours is the flow's question, and whether it speaks of
    whom the letter went to. Only the mail's own report is read: a notice that somebody
    forwards, or that lies in a returned letter, says nothing here.
    """
    try:
        return _read(raw, outer)
    except TRIPS:
        return None


def _read(raw: bytes, outer: bytes | None) -> ReceiptNews | None:
    whole = _parsed(raw)
    # Direct signs a mail as a whole, and may hand it over so.
    mail = _inside(whole) if whole.get_content_type() == "message/rfc822" else whole
    reports = [one for one in _own_parts(mail) if one.get_content_type() == "multipart/report"]
    said = [found for one in reports if (found := _mdn(one) or _dsn(one)) is not None]
    if not said:
        return None
    meaning, original, about = next((one for one in said if one[0].verdict == "failed"), said[0])
    around = whole if outer is None else _parsed(outer)
    own = MESSAGE_ID.search(str(around.get("Message-ID", ""))) or MESSAGE_ID.search(str(mail.get("Message-ID", "")))
    key = own.group() if own else hashlib.sha256(raw).hexdigest()
    return ReceiptNews(f"direct:{key}", "direct", original, None, *meaning, raw, about=about)


def _parsed(raw: bytes) -> Message:
    """Return the mail; raise ValueError for one with a field so long that reading it would hold everything else up."""
    _refuse_long_fields(raw)
    # The old policy gives headers as they stand: the newer one raises on some that are merely odd.
    return BytesParser(policy=policy.compat32).parsebytes(raw)


def _refuse_long_fields(raw: bytes) -> None:
    """Raise ValueError when a field of a header or a report, unfolded, is longer than any that people or servers write.

    A field is any line that looks like one, with the lines that continue it: what lies in a coded part is looked at
    when that is decoded.
    """
    length, most = 0, LONGEST_FIELD
    for line in raw.splitlines():
        if HEADER.match(line):
            length, most = len(line), LONGEST_KIND if line[:8].lower() == b"content-" else LONGEST_FIELD
        elif length and line[:1] in (b" ", b"\t"):
            length += len(line)
        else:
            length = 0
        if length > most:
            raise ValueError("a field is too long")


def _own_parts(mail: Message) -> Iterator[Message]:
    """Yield the mail and the parts of it that are its own words, not those of a mail enclosed in it."""
    yield mail
    if mail.get_content_maintype() == "multipart":
        for part in _children(mail):
            yield from _own_parts(part)


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _inside(part: Message) -> Message:
    """Return the mail that a message/rfc822 part encloses."""
    return next(iter(_children(part)), part)


def _mdn(report: Message) -> tuple[Meaning, str, tuple[str, ...]] | None:
    """Return what an MDN says. Of several dispositions a failure counts."""
    said: list[tuple[Meaning, str, tuple[str, ...]]] = []
    for fields in _fields(report, MDN_TYPES):
        meaning = _disposition(str(fields.get("Disposition", "")))
        original = _message_id(fields, "Original-Message-ID")
        if meaning is not None and original is not None:
            said.append((meaning, original, _addresses(fields)))
    return next((one for one in said if one[0].verdict == "failed"), next(iter(said), None))


def _disposition(text: str) -> Meaning | None:
    """Return the meaning of such as "automatic-action/MDN-sent-automatically; processed/error"."""
    kind, _, modifier = _bare(text).rstrip("; \t\r\n").rpartition(";")[2].partition("/")
    meaning = DISPOSITIONS.get(kind.strip())
    if meaning is not None and ("error" in modifier or "failure" in modifier):
        return DISPOSITIONS["failed"]
    return meaning


def _bare(text: str) -> str:
    """Return a field in small letters without its comments, which may stand in one another."""
    for _ in range(MOST_COMMENTS):
        shorter = COMMENT.sub("", text)
        if shorter == text:
            break
        text = shorter
    return text.lower()


def _message_id(fields: Message, name: str) -> str | None:
    """Return the Message-ID in a field, within its brackets; some systems leave them out."""
    text = str(fields.get(name, ""))
    found = MESSAGE_ID.search(text)
    if found:
        return found.group()
    return f"<{text.strip()}>" if BARE_ID.fullmatch(text.strip()) else None


def _addresses(fields: Message) -> tuple[str, ...]:
    """Return of whom a block speaks: the final recipient, then the one it was first meant for."""
    named = [COMMENT.sub("", str(fields.get(name, ""))) for name in ("Final-Recipient", "Original-Recipient")]
    plain = [one.rpartition(";")[2].strip()[: LONGEST_ADDRESS + 2] for one in named]
    return tuple(dict.fromkeys(found.group() for one in plain if (found := ADDRESS.search(one))))


def _dsn(report: Message) -> tuple[Meaning, str, tuple[str, ...]] | None:
    blocks = _fields(report, DSN_TYPES)
    actions = [_bare(str(one.get("Action", ""))).strip() for one in blocks if one.get("Action")]
    meanings = [ACTIONS[one] for one in actions if one in ACTIONS]
    original = _original_of_dsn(report, blocks)
    if not meanings or original is None:
        return None
    worst = next((one for one in meanings if one.verdict == "failed"), meanings[0])
    return worst, original, tuple(dict.fromkeys(one for block in blocks for one in _addresses(block)))


def _original_of_dsn(report: Message, blocks: list[Message]) -> str | None:
    """Return the Message-ID of the mail the DSN speaks of: a Direct field, else the returned message's own header."""
    for one in blocks:
        for name in ("X-Original-Message-ID", "Original-Message-ID"):
            named = _message_id(one, name)
            if named:
                return named
    for part in _children(report):
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            found = _returned_id(part)
            if found:
                return found
    return _message_id(report, "In-Reply-To")


def _returned_id(part: Message) -> str | None:
    head = _inside(part) if _children(part) else _parsed(_content(part).lstrip())
    return _message_id(head, "Message-ID")


def _fields(report: Message, media_types: Collection[str]) -> list[Message]:
    """Return the header blocks of the report's part of one of those types. Empty lines may stand before the first."""
    blocks: list[Message] = []
    for part in _children(report):
        if part.get_content_type() in media_types:
            for one in _children(part) or [part]:
                blocks += [one] if one is not part and one.keys() else []
                blocks += [
                    _parsed(rest) for rest in _content(one).replace(b"\r\n", b"\n").strip().split(b"\n\n") if rest
                ]
    return blocks


def _content(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
