"""The table of HTTP answers: status -> who acts next and the cause. Data; one test row per status."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from coordinator.channels.wire import Answer
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.waits import wait_asked


class Verdict(NamedTuple):
    """Who acts next, and the stable cause code."""

    error: type[DeliveryError]
    code: str


FHIR_STATUS: Mapping[int, Verdict] = MappingProxyType(
    {
        400: Verdict(Permanent, "fhir.400"),
        401: Verdict(NeedsHuman, "fhir.401"),
        403: Verdict(NeedsHuman, "fhir.403"),
        404: Verdict(Permanent, "fhir.404"),
        405: Verdict(NeedsHuman, "fhir.405"),
        406: Verdict(NeedsHuman, "fhir.406"),
        408: Verdict(Transient, "fhir.408"),
        409: Verdict(InDoubt, "fhir.409"),
        410: Verdict(Permanent, "fhir.410"),
        412: Verdict(InDoubt, "fhir.412"),
        413: Verdict(Permanent, "fhir.413"),
        415: Verdict(Permanent, "fhir.415"),
        422: Verdict(Permanent, "fhir.422"),
        425: Verdict(Transient, "fhir.425"),
        429: Verdict(Transient, "fhir.429"),
        500: Verdict(InDoubt, "fhir.500"),
        502: Verdict(Transient, "fhir.502"),
        503: Verdict(Transient, "fhir.503"),
        504: Verdict(Transient, "fhir.504"),
    }
)
"""Answers to a write on a FHIR server. Source: the delivery decisions, "Answers"."""

FAX_STATUS: Mapping[int, Verdict] = MappingProxyType(
    {
        400: Verdict(Permanent, "fax.document"),
        401: Verdict(NeedsHuman, "fax.account"),
        402: Verdict(NeedsHuman, "fax.account"),
        403: Verdict(NeedsHuman, "fax.account"),
        404: Verdict(NeedsHuman, "fax.account"),
        408: Verdict(Transient, "fax.unavailable"),
        413: Verdict(Permanent, "fax.document"),
        415: Verdict(Permanent, "fax.document"),
        422: Verdict(NeedsHuman, "fax.unknown"),
        429: Verdict(Transient, "fax.unavailable"),
        500: Verdict(InDoubt, "fax.in-doubt"),
        502: Verdict(InDoubt, "fax.in-doubt"),
        503: Verdict(Transient, "fax.unavailable"),
        504: Verdict(InDoubt, "fax.in-doubt"),
    }
)
"""Answers of a fax gateway to a submission. A gateway doubles when asked twice, so 500, 502 and 504 are in doubt."""


NOTHING_DONE = frozenset({501, 505, 511})
"""Of the failures that a table does not have, those that say that nothing was done: the method or the version of HTTP
is not known there, or a network in between wants a sign-in."""
BEFORE_THE_SERVER = frozenset({408, 502, 504})
"""Answers that may be a gateway's, when the server behind it has stored what it was given."""

ODD: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {"fhir": ("fhir.redirect", "fhir.status", "fhir.asking"), "fax": ("fax.account", "fax.unknown", "fax.in-doubt")}
)
"""Per kind: the cause of a redirect, of a status that the table does not have, and of a read that would be in doubt."""


def error_for(
    answer: Answer,
    table: Mapping[int, Verdict],
    now: datetime,
    *,
    kind: Literal["fhir", "fax"],
    writes: bool = True,
    only_once: bool = True,
) -> DeliveryError:
    """Return the error for a status outside 2xx. A redirect is never followed; an unknown status is a person's.

    An unknown failure of the server counts as 500 (RFC 9110, section 15): behind a gateway's own number, such as 520
    or 524, the server may have stored it. A read leaves nothing in doubt: what would be InDoubt is Transient then.
    `only_once`: repeating the request doubles nothing. Where it might, a gateway's answer is InDoubt, not Transient.
    """
    if 300 <= answer.status < 400:
        return NeedsHuman(ODD[kind][0], detail=answer.body, status=answer.status)
    failed_there = answer.status >= 500 and answer.status not in NOTHING_DONE
    verdict = table.get(answer.status, table[500] if failed_there else Verdict(NeedsHuman, ODD[kind][1]))
    error, code = verdict
    if error is InDoubt and not writes:
        error, code = Transient, ODD[kind][2]
    if error is Transient and not only_once and answer.status in BEFORE_THE_SERVER:
        error = InDoubt
    if error is Transient:
        wish = wait_asked(answer.headers.get("retry-after", ""), now)
        free = answer.status in (429, 503) and wish is not None
        return Transient(code, detail=answer.body, status=answer.status, retry_after=wish, uses_attempt=not free)
    return error(code, detail=answer.body, status=answer.status)
