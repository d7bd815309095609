"""Word from a fax gateway: a signed callback is only a hint, so the status is read back; a poller needs no callback."""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from email import policy
from email.parser import BytesParser
from typing import Literal, Protocol
from urllib.parse import parse_qsl

import orjson

from coordinator.channels.fax_gateway import FaxGateway, FaxStatus
from coordinator.domain.errors import DeliveryError
from coordinator.flow.ports import Clock, ReceiptNews

READ_BACK_WITHIN = timedelta(seconds=20)
AWAY_AFTER = 3
"""So many faxes in a row that cannot be asked about mean that the gateway is away; other receipts must not wait."""


def signature(url: str, fields: Iterable[tuple[str, str]], files: Iterable[tuple[str, bytes]], token: str) -> str:
    """Return Phaxio's signature: HMAC-SHA1 in hex over URL, sorted fields, and sorted digests of the files.

    SHA-1 is the vendor's choice; as a keyed hash it still holds. Source: the vendor's published clients.
    """
    text = url + "".join(name + value for name, value in sorted(fields))
    text += "".join(
        name + digest
        for name, digest in sorted((name, hashlib.sha1(body).hexdigest()) for name, body in files)  # noqa: S324
    )
    return hmac.new(token.encode(), text.encode(), hashlib.sha1).hexdigest()


def parse_form(media_type: str, body: bytes) -> tuple[list[tuple[str, str]], list[tuple[str, bytes]]]:
    """Return (fields, files) of a multipart or URL-encoded form. Raises ValueError when it is neither."""
    kind = media_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True), []
    if kind != "multipart/form-data":
        raise ValueError("not a form")
    parsed = BytesParser(policy=policy.HTTP).parsebytes(f"Content-Type: {media_type}\r\n\r\n".encode() + body)
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, bytes]] = []
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise ValueError("a form part without a name")
        if part.get_filename() is not None:
            files.append((name, content))
        else:
            fields.append((name, content.decode("utf-8")))
    return fields, files


class TakesCallback(Protocol):
    """Reads one callback of a gateway."""

    def take(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiptNews | None:
        """Return what became of the fax, None while it is open; raise ValueError for what is no callback of theirs."""
        ...


class FaxCallback:
    """Takes in one callback of the gateway."""

    def __init__(self, gateway: FaxGateway, clock: Clock, *, token: str) -> None:
        """`token` is the gateway's callback token, which keys the signature."""
        self._gateway = gateway
        self._clock = clock
        self._token = token

    def take(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiptNews | None:
        """Return what became of the fax, read back from the gateway; None while it is still open or unknown there.

        `url` is the public address that the gateway was given; `headers` have names
        in lower case. Raises ValueError when the signature or the form is not right,
        and Transient or NeedsHuman when the gateway cannot be asked.
        """
        fields, files = parse_form(headers.get("content-type", ""), body)
        expected = signature(url, fields, files, self._token)
        given = headers.get("x-phaxio-signature", "").strip().lower()
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise ValueError("the signature is not the gateway's")
        fax_id = _fax_id(fields)
        status = self._gateway.status(fax_id, deadline=self._clock.now() + READ_BACK_WITHIN)
        return news_of(status) if status is not None else None


class UnsignedFaxCallback:
    """Takes in a callback of a vendor that signs none: it names a fax, and everything else is read back."""

    def __init__(self, gateway: FaxGateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock

    def take(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiptNews | None:
        """Return what became of the fax that the callback names, as the gateway itself says it.

        The secret address is what admits it; a forged one can make us ask, and no
        more. Raises ValueError when it names no fax, Transient or NeedsHuman when the
        gateway cannot be asked.
        """
        fax_id = named_fax(headers.get("content-type", ""), body)
        status = self._gateway.status(fax_id, deadline=self._clock.now() + READ_BACK_WITHIN)
        return news_of(status) if status is not None else None


ID_FIELDS = ("FaxDetailsID", "messageId", "id")
"""How SRFax, Documo and Sinch call a fax's id."""


def named_fax(media_type: str, body: bytes) -> str:
    """Return the id of the fax that a callback names: JSON or a form, at the top or under "fax" or "data"."""
    if media_type.split(";", maxsplit=1)[0].strip().lower() == "application/json":
        said: object = orjson.loads(body)
    else:
        said = dict(parse_form(media_type, body)[0])
    for inner in (_inside(said, "fax"), _inside(said, "data"), said):
        for name in ID_FIELDS:
            found = inner.get(name) if isinstance(inner, dict) else None
            if isinstance(found, str | int) and not isinstance(found, bool) and PLAIN_ID.fullmatch(str(found)):
                return str(found)
    raise ValueError("the callback names no fax")


PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _inside(said: object, name: str) -> object:
    """Return what stands under the name, unpacked where a form carries it as JSON text."""
    found = said.get(name) if isinstance(said, dict) else None
    if isinstance(found, str):
        try:
            return orjson.loads(found)
        except orjson.JSONDecodeError:
            return None
    return found


def _fax_id(fields: list[tuple[str, str]]) -> str:
    said = dict(fields)
    try:
        fax = orjson.loads(said["fax"])
        return str(fax["id"])
    except (KeyError, TypeError, orjson.JSONDecodeError) as fault:
        raise ValueError("the callback names no fax") from fault


def news_of(status: FaxStatus) -> ReceiptNews | None:
    """Return the receipt for a finished fax, None while it is open. The key makes callback and poller one."""
    if status.state == "open":
        return None
    key = f"fax:{status.fax_id}:{status.state}"
    if status.state == "sent" or status.failure is None:
        return ReceiptNews(
            key, "fax", status.fax_id, status.tag, "acknowledged", detail=status.detail, station=status.station
        )
    verdict: Literal["partial", "failed"] = "partial" if status.failure.code == "fax.partial" else "failed"
    return ReceiptNews(
        key, "fax", status.fax_id, status.tag, verdict, status.failure.code, status.failure.retry, status.detail
    )


class FaxPoller:
    """Asks for every open fax. Heals lost callbacks, and is the only source where there are none."""

    def __init__(self, gateway: FaxGateway, clock: Clock, open_faxes: Callable[[], Iterable[str]]) -> None:
        """`open_faxes` gives the gateway's ids of faxes that wait for their report."""
        self._gateway = gateway
        self._clock = clock
        self._open_faxes = open_faxes

    def fetch(self) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        """Yield news of finished faxes; one that cannot be asked for does not stop the rest.

        After several in a row the gateway itself is away, and the rest waits for the next round, which begins with
        other ones where there are many. Raises the first trouble at the end, so that an outage is seen.
        """
        trouble: DeliveryError | None = None
        in_a_row = 0
        for fax_id in self._in_turn():
            try:
                status = self._gateway.status(fax_id, deadline=self._clock.now() + READ_BACK_WITHIN)
            except DeliveryError as fault:
                trouble = trouble or fault
                in_a_row += 1
                if in_a_row == AWAY_AFTER:
                    break
                continue
            in_a_row = 0
            news = news_of(status) if status is not None else None
            if news is not None:
                yield news, _nothing_to_mark
        if trouble is not None:
            raise trouble

    def _in_turn(self) -> list[str]:
        """Return the open faxes, each time from another one on where there are many, so that none is always last."""
        ids = list(self._open_faxes())
        first = int(self._clock.now().timestamp()) % len(ids) if len(ids) > AWAY_AFTER else 0
        return ids[first:] + ids[:first]


def _nothing_to_mark() -> None:
    """Do nothing: the gateway keeps no list of what was read; the key makes the news once-only."""
