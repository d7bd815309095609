"""What a far side's headers say of time: its own instant, and how long it asks us to wait. Pure."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def instant_of(text: str) -> datetime | None:
    """Return the instant of an HTTP date (RFC 9110, 5.6.7), in UTC where it names no zone; None for anything else."""
    try:
        at = parsedate_to_datetime(text.strip())
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def wait_asked(text: str, now: datetime) -> timedelta | None:
    """Return the pause that a Retry-After header asks for, before any cap; None when it is absent, past or garbage.

    Reads both forms of RFC 9110 section 10.2.3: seconds, and an HTTP date.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))  # nine digits are 31 years: far past any cap, far from overflow
    at = instant_of(text)
    wait = None if at is None else at - now
    return wait if wait is not None and wait > timedelta(0) else None
