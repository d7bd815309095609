"""Typed identifiers, and the stable names derived from them.

Ids made here are opaque: they are never derived from patient data and are safe
in logs, URLs and broker messages.
"""

import hashlib
import uuid
from typing import NewType

EventRef = NewType("EventRef", str)
"""Our own id of one received event version (an inbox row)."""
MessageId = NewType("MessageId", str)
DocumentId = NewType("DocumentId", str)
DeliveryId = NewType("DeliveryId", str)
AttemptId = NewType("AttemptId", str)
EndpointId = NewType("EndpointId", str)
ProviderId = NewType("ProviderId", str)

NAMESPACE = uuid.UUID("6f1d6e0a-7f0b-5c3e-9a39-0a1f5f6f9d21")
"""Fixed name space of every identifier that must come out the same on a second run."""

_REFERENCE_DIGITS, _REFERENCE_GROUP = 18, 6
"""Sixteen digits that name the letter and two that check them."""


def stable_uuid(*parts: str) -> str:
    """Return the same UUID (version 5) for the same parts, on any machine.

    Parts are joined with a unit separator, so ("a", "bc") and ("ab", "c") differ.
    """
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def letter_reference(source: str, event_id: str, recipient: str) -> str:
    """Return the code printed on a letter, such as "482155-037719-042604".

    It stays the same through every version and resend of the same letter, so that
    a reader on the telephone and a reply form name the same thing. Digits only,
    because a page of the coarsest fax gives them back and mixes letters up; the
    last two check the others (ISO/IEC 7064, MOD 97-10), so that one wrong digit,
    or two that changed places, are noticed.
    """
    digest = hashlib.sha256("\x1f".join(("letter", source, event_id, recipient)).encode()).digest()
    number = int.from_bytes(digest[:12], "big") % 10 ** (_REFERENCE_DIGITS - 2)
    return _in_groups(f"{number:0{_REFERENCE_DIGITS - 2}d}{98 - number * 100 % 97:02d}")


def reference_of(text: str) -> str | None:
    """Return the reference that somebody typed, with its hyphens; None when it is none or a digit is wrong."""
    digits = _digits(text)
    if len(digits) != _REFERENCE_DIGITS or int(digits) % 97 != 1:
        return None
    return _in_groups(digits)


def is_mistyped_reference(text: str) -> bool:
    """Return whether the text is nearly a reference: its digits, one more or fewer at most, but not checking out."""
    return abs(len(_digits(text)) - _REFERENCE_DIGITS) <= 1 and reference_of(text) is None


def _digits(text: str) -> str:
    """Return the digits of a text of digits, hyphens and spaces; nothing when there is anything else in it."""
    bare = "".join(sign for sign in text if not sign.isspace() and sign not in "-‐‑–")
    return bare if bare.isascii() and bare.isdigit() else ""


def _in_groups(digits: str) -> str:
    return "-".join(digits[at : at + _REFERENCE_GROUP] for at in range(0, len(digits), _REFERENCE_GROUP))
