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

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def stable_uuid(*parts: str) -> str:
    """Return the same UUID (version 5) for the same parts, on any machine.

    Parts are joined with a unit separator, so ("a", "bc") and ("ab", "c") differ.
    """
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))


def letter_reference(source: str, event_id: str, recipient: str) -> str:
    """Return the code printed on a letter, such as "K7QF-2M9X-4T0B".

    It stays the same through every version and resend of the same letter, so that
    a reader on the telephone and a reply form name the same thing. Crockford's
    alphabet has no letter that can be mistaken for a digit.
    """
    digest = hashlib.sha256("\x1f".join(("letter", source, event_id, recipient)).encode()).digest()
    number = int.from_bytes(digest[:8], "big")
    code = "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(12)))
    return f"{code[:4]}-{code[4:8]}-{code[8:]}"
