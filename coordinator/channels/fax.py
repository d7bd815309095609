"""Fax through a gateway: one recipient per fax, the gateway's own retries off. One try; the report comes later."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pypdfium2

from coordinator.channels.fax_gateway import FaxGateway, FaxStatus, OutgoingFax
from coordinator.channels.fax_tiff import fax_pages
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Clock, Lookup, Package, Taken
from coordinator.letters.pdf import join

REPORT_WITHIN_S = 3600
"""A gateway dials within minutes; after an hour without a report a person looks (the poller asks long before)."""


class Fax:
    """Hands the fax form of the letter to a gateway."""

    kind: ClassVar[str] = "fax"
    safe_to_repeat: ClassVar[bool] = False

    def __init__(self, gateway: FaxGateway, clock: Clock, *, settle_s: float = 30, tiff: bool = False) -> None:
        """`settle_s`: how long the gateway may need until a queued fax shows up in a search by tag.

        `tiff`: whether this gateway is given the pages as a fax line carries them, in place of the PDF.
        """
        self._tiff = tiff
        self._gateway = gateway
        self._clock = clock
        self._settle = timedelta(seconds=settle_s)
        self._asked_since: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return Taken once the gateway queued it; see the port."""
        pages = _pages(package)
        number = _digits(endpoint.address)
        if self._tiff:
            outgoing = OutgoingFax(number, fax_pages(pages), "letter.tif", package.tag, "image/tiff")
        else:
            outgoing = OutgoingFax(number, pages, "letter.pdf", package.tag)
        try:
            fax_id, answer = self._gateway.submit(
                outgoing, deadline=deadline, about_to_send=lambda: about_to_send(None)
            )
        except (Transient, InDoubt) as fault:
            raise _of_the_gateway(fault) from None
        return Taken(
            far_side_ref=fax_id,
            proven=False,
            detail=answer.body,
            status=answer.status,
            expect_receipt_within_s=REPORT_WITHIN_S,
            facts=answer.facts,
        )

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return what the gateway holds: by its own id when we have it, else by our tag.

        One that failed is asked about under the tag too: another try may have been made since. Nothing under the tag,
        or only failed ones, count as such only after the settle time since we first asked; until then Transient. Two
        that did not fail are a person's matter, and a fax whose id the gateway has forgotten may have been anything.
        """
        known = None if far_side_ref is None else self._gateway.status(far_side_ref, deadline=deadline)
        if known is not None and known.state != "failed":
            return _verdict(known)
        found = self._gateway.find(package.tag, deadline=deadline)
        arrived = [one for one in found if one.state != "failed"]
        if len(arrived) > 1:
            raise NeedsHuman("fax.unknown")
        if arrived:
            return _verdict(arrived[0])
        if known is not None:
            return _verdict(known)
        if far_side_ref is not None:
            return Lookup("unknown")
        self._wait_until_settled(f"{package.tag} {package.attempt}")
        if not self._gateway.lists_waiting and len(found) < package.attempt:
            raise NeedsHuman("fax.in-doubt")  # those of earlier tries, and this one may wait there unseen
        return _of_failed(found)

    def try_number(self, endpoint: Endpoint) -> str:
        """Return that the address is a number that can be dialled; raise NeedsHuman when it is not."""
        return f"{len(_digits(endpoint.address)) - 1} digits with a country code."

    def try_account(self, deadline: datetime) -> str:
        """Return what the gateway says of our account. Dials nothing."""
        try:
            return self._gateway.account(deadline=deadline)
        except Transient as fault:
            raise _of_the_gateway(fault) from None

    def _wait_until_settled(self, tag: str) -> None:
        """Raise Transient until the settle time of this very try is over: another one that is lost has its own."""
        now = self._clock.now()
        with self._lock:
            left = self._asked_since.setdefault(tag, now) + self._settle - now
            if left <= timedelta(0):
                del self._asked_since[tag]
        if left > timedelta(0):
            raise Transient("fax.in-doubt", retry_after=left, uses_attempt=False)


def _pages(package: Package) -> bytes:
    """Return one PDF of every letter of the message: the fax forms where there are any, else the letters.

    Raises NeedsHuman when no letter is stored, and Permanent when one of several cannot be read.
    """
    bodies = [one.body for one in package.all("fax-pdf") or package.all("letter-pdf")]
    if not bodies:
        raise NeedsHuman("event.letter")
    first, *others = bodies
    if not others:
        return first
    try:
        return join(first, *others)
    except pypdfium2.PdfiumError as fault:
        raise Permanent("fax.document") from fault


def _verdict(status: FaxStatus) -> Lookup:
    if status.state == "sent":
        return Lookup("arrived-proven", status.fax_id, detail=status.detail, station=status.station)
    if status.state == "failed" and status.failure is not None:
        failure = status.failure
        return Lookup("failed", status.fax_id, failure.code, retry=failure.retry, detail=status.detail)
    return Lookup("arrived", far_side_ref=status.fax_id, detail=status.detail)


def _of_failed(found: Sequence[FaxStatus]) -> Lookup:
    """Return what failed faxes under one tag come to. Which of several was the last try's, nobody can tell."""
    if not found:
        return Lookup("absent")
    if len(found) > 1 and not all(one.failure is not None and one.failure.retry for one in found):
        raise NeedsHuman("fax.unknown")
    return _verdict(found[0])


def _of_the_gateway(fault: Transient | InDoubt) -> Transient | InDoubt:
    """Return a fault of the line in the gateway's words: it is our own provider's server, not the recipient's."""
    if not fault.code.startswith(("net.", "tls.")):
        return fault
    if isinstance(fault, InDoubt):
        return InDoubt("fax.in-doubt", detail=fault.detail, status=fault.status)
    return Transient(
        "fax.unavailable", detail=fault.detail, status=fault.status, retry_after=fault.retry_after,
        uses_attempt=fault.uses_attempt,
    )  # fmt: skip


def _digits(address: str) -> str:
    """Return the E.164 number without the hyphens that people read; raise NeedsHuman for anything else."""
    number = address.replace("-", "")
    if not (number.startswith("+") and number[1:].isascii() and number[1:].isdigit() and 8 <= len(number) <= 16):
        raise NeedsHuman("fax.number")
    return number
