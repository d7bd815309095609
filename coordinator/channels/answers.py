"""The table of HTTP answers: status -> who acts next and the cause. Data; one test row per status."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from coordinator.channels.wire import Answer, retry_after
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, Transient


class Verdict(NamedTuple):
    """Who acts next, and the stable cause code."""

    error: type[DeliveryError]
    code: str


FHIR_STATUS: Mapping[int, Verdict] = MappingProxyType(
    {
        400: Verdict(Permanent, "fhir.content-refused"),
        401: Verdict(NeedsHuman, "fhir.sign-in-refused"),
        403: Verdict(NeedsHuman, "fhir.not-permitted"),
        404: Verdict(Permanent, "fhir.not-there"),
        408: Verdict(Transient, "fhir.busy"),
        409: Verdict(InDoubt, "fhir.conflict"),
        410: Verdict(Permanent, "fhir.not-there"),
        412: Verdict(InDoubt, "fhir.conflict"),
        413: Verdict(Permanent, "fhir.too-large"),
        415: Verdict(Permanent, "fhir.format-refused"),
        422: Verdict(Permanent, "fhir.content-refused"),
        425: Verdict(Transient, "fhir.busy"),
        429: Verdict(Transient, "fhir.too-many"),
        500: Verdict(InDoubt, "fhir.server-failed"),
        502: Verdict(Transient, "fhir.busy"),
        503: Verdict(Transient, "fhir.busy"),
        504: Verdict(Transient, "fhir.busy"),
    }
)
"""Answers to a write on a FHIR server. Source: the delivery decisions, "Answers"."""

FAX_STATUS: Mapping[int, Verdict] = MappingProxyType(
    {
        400: Verdict(Permanent, "fax.request-refused"),
        401: Verdict(NeedsHuman, "fax.account"),
        402: Verdict(NeedsHuman, "fax.account"),
        403: Verdict(NeedsHuman, "fax.account"),
        404: Verdict(NeedsHuman, "fax.gateway-set-up"),
        408: Verdict(Transient, "fax.gateway-busy"),
        413: Verdict(Permanent, "fax.document"),
        415: Verdict(Permanent, "fax.document"),
        422: Verdict(NeedsHuman, "fax.number-refused"),
        429: Verdict(Transient, "fax.gateway-busy"),
        500: Verdict(InDoubt, "fax.gateway-failed"),
        502: Verdict(InDoubt, "fax.gateway-failed"),
        503: Verdict(Transient, "fax.gateway-busy"),
        504: Verdict(InDoubt, "fax.gateway-failed"),
    }
)
"""Answers of a fax gateway to a submission. A gateway doubles when asked twice, so 500, 502 and 504 are in doubt."""


def error_for(
    answer: Answer, table: Mapping[int, Verdict], now: datetime, *, kind: str, writes: bool = True
) -> DeliveryError:
    """Return the error for a status outside 2xx. A redirect is never followed; an unknown status is a person's.

    A read cannot leave anything in doubt: what would be InDoubt is Transient then.
    """
    if 300 <= answer.status < 400:
        return NeedsHuman(f"{kind}.redirected", detail=answer.body, status=answer.status)
    verdict = table.get(answer.status, Verdict(NeedsHuman, f"{kind}.unknown-answer"))
    error, code = verdict
    if error is Transient or (error is InDoubt and not writes):
        wish = retry_after(answer, now)
        free = answer.status in (429, 503) and wish is not None
        return Transient(code, detail=answer.body, status=answer.status, retry_after=wish, uses_attempt=not free)
    return error(code, detail=answer.body, status=answer.status)
