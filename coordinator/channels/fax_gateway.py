"""Fax gateways: the small interface each adapter fills, and the adapter for the Phaxio v2 shape."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import quote

import httpx
import orjson

from coordinator.channels.answers import FAX_STATUS, error_for
from coordinator.channels.fax_calls import multipart, read_object
from coordinator.channels.fax_codes import FaxFailure, classify
from coordinator.channels.wire import Answer, Limits, Wire
from coordinator.domain.errors import InDoubt, NeedsHuman, Transient
from coordinator.flow.ports import Clock

SEARCHED_BACK = timedelta(days=90)
"""The gateway looks back one week unless told; "not there" must not mean "older than a week"."""


@dataclass(frozen=True)
class OutgoingFax:
    """One fax to one number (E.164 digits). `tag` is ours and the gateway can be asked for it later."""

    to_number: str
    content: bytes
    file_name: str
    tag: str
    media_type: str = "application/pdf"
    """application/pdf, or image/tiff for a gateway that wants the pages as the line carries them."""


@dataclass(frozen=True)
class FaxStatus:
    """What the gateway says of one fax. `failure` only when it failed."""

    fax_id: str
    state: Literal["open", "sent", "failed"]
    tag: str | None = None
    pages: int | None = None
    failure: FaxFailure | None = None
    detail: bytes = b""
    station: str | None = None
    """What the machine that answered called itself, of a fax that was sent; None where the gateway does not tell."""


def once_each(listed: Iterable[FaxStatus]) -> tuple[FaxStatus, ...]:
    """Return each fax once, as it was listed last: one that is queued between two pages moves another onto both."""
    return tuple({one.fax_id: one for one in listed}.values())


class FaxGateway(Protocol):
    """One vendor's fax service. Every method makes one call and raises the delivery errors."""

    @property
    def lists_waiting(self) -> bool:
        """Return whether its list has what it has queued from the first moment on: what is not in it is not there."""
        ...

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue the fax; return the gateway's id of it. `about_to_send` is called right before the request leaves."""
        ...

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of it, or None when the gateway knows no such fax."""
        ...

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax that carries our tag; an empty answer means that there surely is none."""
        ...

    def account(self, *, deadline: datetime) -> str:
        """Return what the account is like, in words for staff. Dials nothing; raises Transient or NeedsHuman."""
        ...


@dataclass(frozen=True)
class PhaxioConfig:
    """The account. `base_url` ends before "/v2"; `callback_url` is where the gateway reports to, if anywhere."""

    base_url: str
    api_key: str
    api_secret: str
    callback_url: str | None = None


class PhaxioGateway:
    """The Phaxio v2 shape: POST /v2/faxes, GET /v2/faxes/{id}, GET /v2/faxes?tag[delivery]=."""

    lists_waiting: bool = True

    def __init__(self, http: httpx.Client, config: PhaxioConfig, clock: Clock, limits: Limits | None = None) -> None:
        self._wire = Wire(http, clock, limits)
        self._config = config
        self._clock = clock
        pair = f"{config.api_key}:{config.api_secret}".encode()
        self._headers = {"Authorization": f"Basic {base64.b64encode(pair).decode()}", "Accept": "application/json"}

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue one fax for one number; see the protocol. An answer without an id leaves it in doubt."""
        fields = {"to": fax.to_number, "tag[delivery]": fax.tag}
        if self._config.callback_url:
            fields["callback_url"] = self._config.callback_url
        body, media_type = multipart(fields, "file", fax.file_name, fax.content, fax.tag, fax.media_type)
        answer = self._wire.exchange(
            "POST",
            f"{self._config.base_url}/v2/faxes",
            deadline=deadline,
            headers={**self._headers, "Content-Type": media_type},
            body=body,
            about_to_send=about_to_send,
            writes=True,
        )
        if not 200 <= answer.status < 300:
            raise error_for(answer, FAX_STATUS, self._clock.now(), kind="fax")
        said = read_object(answer)
        data = said.get("data") if said else None
        fax_id = data.get("id") if isinstance(data, dict) else None
        if said is None or said.get("success") is not True or not isinstance(fax_id, int | str):
            raise InDoubt("fax.in-doubt", detail=answer.body, status=answer.status)
        return str(fax_id), answer

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of one fax; see the protocol."""
        answer = self._get(f"/v2/faxes/{quote(fax_id, safe='')}", deadline)
        if answer.status == 404:
            return None
        data = self._data(answer)
        if not isinstance(data, dict):
            raise Transient("fax.in-doubt", detail=answer.body, status=answer.status)
        return _read_fax(data, answer.body)

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax with our tag, which is opaque and safe in a URL; NeedsHuman for a list of other faxes."""
        since = quote((self._clock.now() - SEARCHED_BACK).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        answer = self._get(
            f"/v2/faxes?direction=sent&created_after={since}&tag%5Bdelivery%5D={quote(tag, safe='')}", deadline
        )
        data = self._data(answer)
        if not isinstance(data, list):
            raise Transient("fax.in-doubt", detail=answer.body, status=answer.status)
        found = tuple(_read_fax(one, orjson.dumps(one)) for one in data if isinstance(one, dict))
        mine = tuple(one for one in found if one.tag == tag)
        if found and not mine:
            raise NeedsHuman("fax.in-doubt")  # it took no notice of the filter, so ours may be on another page
        return mine

    def account(self, *, deadline: datetime) -> str:
        """Return that the account answers: its newest sent fax is listed, and nothing of it is kept."""
        self._data(self._get("/v2/faxes?direction=sent&per_page=1", deadline))
        return "The account answers to our key."

    def _get(self, path: str, deadline: datetime) -> Answer:
        return self._wire.exchange("GET", f"{self._config.base_url}{path}", deadline=deadline, headers=self._headers)

    def _data(self, answer: Answer) -> object:
        if answer.status != 200:
            raise error_for(answer, FAX_STATUS, self._clock.now(), kind="fax", writes=False)
        said = read_object(answer)
        if said is None or said.get("success") is not True:
            raise Transient("fax.in-doubt", detail=answer.body, status=answer.status)
        return said.get("data")


def _read_fax(data: Mapping[str, Any], detail: bytes) -> FaxStatus:
    """Return the status of a fax object. Only "success" of fax and recipient alike is a proof."""
    listed = data.get("recipients")
    recipients = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    words = {str(data.get("status")), *(str(one.get("status")) for one in recipients)}
    tags = data.get("tags")
    tag = tags.get("delivery") if isinstance(tags, dict) else None
    pages = data.get("num_pages")
    state: Literal["open", "sent", "failed"] = "open"
    failure = None
    if words & {"failure", "partialsuccess", "canceled"}:
        numbers = (*(one.get("error_id") for one in recipients), data.get("error_id"))
        number = next((one for one in numbers if isinstance(one, int)), None)
        state, failure = "failed", classify(number, partial="partialsuccess" in words)
    elif words == {"success"}:
        state = "sent"
    return FaxStatus(
        fax_id=str(data.get("id")),
        state=state,
        tag=tag if isinstance(tag, str) else None,
        pages=pages if isinstance(pages, int) else None,
        failure=failure,
        detail=detail,
    )
