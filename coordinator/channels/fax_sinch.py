"""Sinch Fax v3: POST and GET /v3/projects/{project}/faxes. Shapes as the vendor documents them."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson

from coordinator.channels.fax_calls import FaxCalls, read_object
from coordinator.channels.fax_codes import FaxFailure, classify
from coordinator.channels.fax_gateway import FaxStatus, OutgoingFax, once_each
from coordinator.channels.wire import Answer, Limits
from coordinator.domain.errors import InDoubt, NeedsHuman, Transient
from coordinator.flow.ports import Clock

LABEL = "delivery"
PAGE = 100
MOST_PAGES = 10
SEARCHED_BACK = timedelta(days=30)

FILE_TYPES: Mapping[str, str] = {"application/pdf": "PDF", "image/tiff": "TIF"}


@dataclass(frozen=True)
class SinchConfig:
    """The project and its access key. `base_url` ends before "/v3"; `from_number` is ours, or the service's default."""

    base_url: str
    project: str
    key_id: str
    key_secret: str
    from_number: str = ""
    callback_url: str | None = None


class SinchGateway:
    """Implements FaxGateway. Our tag travels in the vendor's `labels`; its own retries are off."""

    lists_waiting: bool = True

    def __init__(self, http: httpx.Client, config: SinchConfig, clock: Clock, limits: Limits | None = None) -> None:
        pair = base64.b64encode(f"{config.key_id}:{config.key_secret}".encode()).decode()
        self._calls = FaxCalls(http, clock, config.base_url, {"Authorization": f"Basic {pair}"}, limits)
        self._place = f"/v3/projects/{quote(config.project, safe='')}/faxes"
        self._config = config

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue one fax for one number; see the protocol. An answer without an id leaves it in doubt."""
        asked: dict[str, Any] = {
            "to": fax.to_number,
            "files": [{"file": base64.b64encode(fax.content).decode("ascii"), "fileType": FILE_TYPES[fax.media_type]}],
            "labels": {LABEL: fax.tag},
            "maxRetries": 0,
        }
        if self._config.from_number:
            asked["from"] = self._config.from_number
        if self._config.callback_url:
            asked |= {"callbackUrl": self._config.callback_url, "callbackUrlContentType": "application/json"}
        body = orjson.dumps(asked)
        answer = self._calls.submit(
            self._place, body, "application/json", deadline=deadline, about_to_send=about_to_send
        )
        fax_id = _one(answer).get("id")
        if not isinstance(fax_id, str) or not fax_id:
            raise InDoubt("fax.in-doubt", detail=answer.body, status=answer.status)
        return fax_id, answer

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of one fax; see the protocol."""
        found = self._calls.read(f"{self._place}/{quote(fax_id, safe='')}", deadline)
        return None if found is None else _read_fax(found[0], found[1].body)

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax of the last month with our label; raise NeedsHuman when there are too many to look through.

        The vendor documents no filter by label, so the list is read page by page.
        """
        since = quote((self._calls.now() - SEARCHED_BACK).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        hits: list[FaxStatus] = []
        for page in range(1, MOST_PAGES + 1):
            query = f"direction=OUTBOUND&createTime%3E={since}&pageSize={PAGE}&page={page}"
            rows, pages = self._rows(f"{self._place}?{query}", deadline)
            hits += [one for one in (_read_fax(row, orjson.dumps(row)) for row in rows) if one.tag == tag]
            if page >= pages if pages is not None else len(rows) < PAGE:
                return once_each(hits)
            if not rows:
                break
        if any(one.state != "failed" for one in hits):
            return once_each(hits)  # of failed ones the rest of the list may hold a later one
        raise NeedsHuman("fax.in-doubt")

    def account(self, *, deadline: datetime) -> str:
        """Return that the project answers; see the protocol."""
        if self._calls.read(f"{self._place}?pageSize=1", deadline) is None:
            raise NeedsHuman("fax.account", status=404)
        found = self._calls.read(f"{self._place.removesuffix('/faxes')}/services", deadline)
        listed = found[0].get("services") if found is not None else None
        services = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        if all(one.get("saveOutboundFaxDocuments") is False for one in services):
            return "The project answers to our key."
        return (
            "The project answers to our key. It keeps a copy of every fax we send: switch saveOutboundFaxDocuments off "
            "in its service."
        )

    def _rows(self, path: str, deadline: datetime) -> tuple[list[dict[str, Any]], int | None]:
        """Return one page of the list, and how many there are where the vendor says so; the first has the number 1."""
        found = self._calls.read(path, deadline)
        rows = None if found is None else found[0].get("faxes")
        if found is None or not isinstance(rows, list):
            raise Transient("fax.in-doubt")
        pages = found[0].get("totalPages")
        return [one for one in rows if isinstance(one, dict)], pages if isinstance(pages, int) else None


def _one(answer: Answer) -> dict[str, Any]:
    """Return the fax of the answer, which is an object, or a list of one where the vendor answers per recipient."""
    if not answer.whole:
        return {}
    said = read_object(answer)
    if said is not None:
        return said
    try:
        listed = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return listed[0] if isinstance(listed, list) and len(listed) == 1 and isinstance(listed[0], dict) else {}


def _read_fax(fax: Mapping[str, Any], detail: bytes) -> FaxStatus:
    """Return the status. Only COMPLETED with every page is a proof; FAILURE carries the number that Phaxio used too."""
    word = str(fax.get("status", "")).upper()
    labels = fax.get("labels")
    tag = labels.get(LABEL) if isinstance(labels, dict) else None
    pages, sent = _whole(fax.get("numberOfPages")), _whole(fax.get("pagesSentSuccessfully"))
    is_short = sent is not None and pages is not None and sent < pages
    state: Literal["open", "sent", "failed"] = "open"
    failure: FaxFailure | None = None
    if word == "COMPLETED" and not is_short:
        state = "sent"
    elif word in ("COMPLETED", "FAILURE"):
        # The number is in errorCode; early versions of the interface called it errorId and had words in errorCode.
        number = next((one for one in map(_whole, (fax.get("errorCode"), fax.get("errorId"))) if one is not None), None)
        partial = word == "COMPLETED" or (sent is not None and sent > 0)
        state, failure = "failed", classify(number, partial=partial, kind=fax.get("errorType"))
    return FaxStatus(str(fax.get("id")), state, tag if isinstance(tag, str) else None, pages, failure, detail)


def _whole(found: object) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None
