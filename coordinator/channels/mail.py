"""The mail that carries a message's letters over Direct: headers without PHI, their text, their PDFs."""

from collections.abc import Sequence
from datetime import datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from coordinator.domain.errors import NeedsHuman, Permanent
from coordinator.flow.ports import Package

DISPATCH_WANTED = "X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true"
"""Asks the far HISP for the second notice too (Direct: Implementation Guide for Delivery Notification)."""

BETWEEN = f"\n{'=' * 72}\n\n"
"""Stands between the texts of two letters of one message."""
UNFOLDED = SMTP.clone(max_line_length=200)
"""Our headers are short enough for one line each; some mail software reads only the first line of a folded one."""


def message_id_for(tag: str, from_address: str) -> str:
    """Return the Message-ID, the same on every attempt of one delivery, such as "<tag@direct.example>"."""
    return f"<{plain(tag)}@{plain(from_address).rpartition('@')[2]}>"


def plain(value: str) -> str:
    """Return the header value unchanged; raise Permanent when a line break or control character hides in it."""
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
        raise Permanent("direct.refused")
    return value


def compose(
    package: Package, from_address: str, to_address: str, message_id: str, now: datetime, ccda: Sequence[bytes] = ()
) -> bytes:
    """Return the whole message with CRLF line ends. Attachment names are ASCII and carry only the reference code.

    Every letter of the message is in it. `ccda` holds the same letters, one each, for systems that take no bare
    PDF; they go beside.

    Raises NeedsHuman for an address that is none, and when no letter is stored.
    """
    letters = package.all("letter-pdf")
    if not letters:
        raise NeedsHuman("event.letter")
    message = EmailMessage(policy=UNFOLDED)
    message["Message-ID"] = message_id
    message["Date"] = format_datetime(now)
    message["From"] = _address(from_address)
    message["To"] = _address(to_address)
    message["Subject"] = plain(package.subject)
    message["Disposition-Notification-To"] = plain(from_address)
    message["Disposition-Notification-Options"] = DISPATCH_WANTED
    texts = [one.body.decode("utf-8") for one in package.all("letter-text")]
    copy = f"COPY OF {package.copy_of}\n\n" if package.copy_of else ""
    resent = "RESENT\n\n" if package.resent else ""
    message.set_content(f"{copy}{resent}{BETWEEN.join(texts)}", cte="base64")
    for number, pdf in enumerate(letters, 1):
        message.add_attachment(pdf.body, maintype="application", subtype="pdf", filename=_file(package, number, "pdf"))
    for number, body in enumerate(ccda, 1):
        message.add_attachment(body, maintype="application", subtype="xml", filename=_file(package, number, "xml"))
    return message.as_bytes()


def _address(text: str) -> Address:
    if not text.isascii():
        raise NeedsHuman("direct.address")  # a HISP's edge promises no SMTPUTF8
    try:
        return Address(addr_spec=plain(text))
    except (ValueError, IndexError, HeaderParseError) as fault:
        raise NeedsHuman("direct.address") from fault


def _file(package: Package, number: int, ending: str) -> str:
    """Return the name of an attachment: the reference, and a number from the second letter on."""
    further = f"-{number}" if number > 1 else ""
    return f"letter-{_ascii(package.reference)}{further}.{ending}"


def _ascii(text: str) -> str:
    return "".join(sign for sign in text if sign.isascii() and (sign.isalnum() or sign == "-"))
