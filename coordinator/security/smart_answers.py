"""Reading what a token server said. Pure."""

import codecs
from datetime import timedelta
from typing import Any

import orjson

from coordinator.domain.errors import NeedsHuman, Transient

DEFAULT_LIFE_S = 300


def token_refused(
    status: int, body: bytes, *, ever_worked: bool, wish: timedelta | None = None
) -> Transient | NeedsHuman:  # fmt: skip
    """Return what a refusal of the token endpoint means; `wish`: the pause it asks for.

    A bare 400 after a past success may be flaky rather than final, so it is tried
    again; before any success it is a fault of the set-up.
    """
    if status >= 500 or status in (408, 425, 429):
        free = status in (429, 503) and wish is not None
        return Transient(
            "token.unreachable", detail=body[:4096], status=status, retry_after=wish, uses_attempt=not free
        )  # fmt: skip
    if status == 400 and ever_worked:
        return Transient("token.refused", detail=body[:4096], status=status)
    return NeedsHuman("token.refused", detail=body[:4096], status=status)


def life_s(value: object) -> float:
    """Return the token's life in seconds; an absent, odd or non-positive one counts as the recommended 300."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(min(value, 86_400))
    return float(DEFAULT_LIFE_S)


def parsed_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an answer, None when it is none."""
    try:
        said = orjson.loads(body.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) else None


def is_untrusted(fault: BaseException | None) -> bool:
    """Return whether a certificate that cannot be trusted is behind a fault."""
    while fault is not None:
        if type(fault).__name__ == "SSLCertVerificationError":
            return True
        fault = fault.__cause__ or fault.__context__
    return False
