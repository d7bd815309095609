"""Documo (mFax): POST /v1/faxes, GET /v1/fax/{id}/info, GET /v1/fax/history. Shapes as the vendor documents them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson

from coordinator.channels.fax_calls import FaxCalls, multipart, read_object
from coordinator.channels.fax_codes import PARTIAL, FaxFailure, classify_words
from coordinator.channels.fax_gateway import FaxStatus, OutgoingFax, once_each
from coordinator.channels.wire import Answer, Limits
from coordinator.domain.errors import InDoubt, NeedsHuman, Transient
from coordinator.flow.ports import Clock

PAGE = 50
MOST_PAGES = 20
"""A thousand faxes back: what is not among them cannot be told from what was never sent."""
SEARCHED_BACK = timedelta(days=30)
OPEN = frozenset({"processing", "transmitting", "scheduled"})


@dataclass(frozen=True)
class DocumoConfig:
    """The account. `base_url` ends before "/v1". Callbacks are set in the vendor's console, not per fax."""

    base_url: str
    api_key: str


class DocumoGateway:
    """Implements FaxGateway. Our tag travels in the vendor's `tags`."""

    lists_waiting: bool = True

    def __init__(self, http: httpx.Client, config: DocumoConfig, clock: Clock, limits: Limits | None = None) -> None:
        # The vendor's own scheme: the word Basic and the bare key.
        self._calls = FaxCalls(http, clock, config.base_url, {"Authorization": f"Basic {config.api_key}"}, limits)

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue one fax for one number; see the protocol. An answer without an id leaves it in doubt."""
        fields = {"faxNumber": fax.to_number.removeprefix("+"), "coverPage": "false", "tags": fax.tag}
        body, media_type = multipart(fields, "attachments", fax.file_name, fax.content, fax.tag, fax.media_type)
        answer = self._calls.submit("/v1/faxes", body, media_type, deadline=deadline, about_to_send=about_to_send)
        said = read_object(answer)
        fax_id = said.get("messageId") if said else None
        if not isinstance(fax_id, str) or not fax_id:
            raise InDoubt("fax.in-doubt", detail=answer.body, status=answer.status)
        return fax_id, answer

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of one fax; see the protocol."""
        found = self._calls.read(f"/v1/fax/{quote(fax_id, safe='')}/info", deadline)
        return None if found is None else _read_fax(found[0], found[1].body)

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax of the last month with our tag; raise NeedsHuman when there are too many to look through."""
        since = quote((self._calls.now() - SEARCHED_BACK).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        hits: list[FaxStatus] = []
        read = 0
        for _ in range(MOST_PAGES):
            query = f"direction=outbound&status=all&include=tags&fromDate={since}&limit={PAGE}&offset={read}"
            rows, count = self._rows(f"/v1/fax/history?{query}", deadline)
            read += len(rows)
            hits += [_read_fax(one, orjson.dumps(one)) for one in rows if tag in _tags(one)]
            if read >= count if count is not None else len(rows) < PAGE:
                return once_each(hits)
            if not rows:
                break
        if any(one.state != "failed" for one in hits):
            return once_each(hits)  # of failed ones the rest of the list may hold a later one
        raise NeedsHuman("fax.in-doubt")

    def account(self, *, deadline: datetime) -> str:
        """Return that the account answers; see the protocol."""
        if self._calls.read("/v1/me", deadline) is None:
            raise NeedsHuman("fax.account", status=404)
        return "The account answers to our key."

    def _rows(self, path: str, deadline: datetime) -> tuple[list[dict[str, Any]], int | None]:
        """Return one page of the list, and how many faxes there are in all where the vendor says so."""
        found = self._calls.read(path, deadline)
        rows = None if found is None else found[0].get("rows")
        if found is None or not isinstance(rows, list):
            raise Transient("fax.in-doubt")
        count = found[0].get("count")
        return [one for one in rows if isinstance(one, dict)], count if isinstance(count, int) else None


def _tags(fax: Mapping[str, Any]) -> list[str]:
    """Return the names of a fax's tags, which come as plain words or as objects with a name."""
    tags = fax.get("tags")
    listed = tags if isinstance(tags, list) else [tags]
    return [str(one.get("name")) if isinstance(one, dict) else str(one) for one in listed]


def _read_fax(fax: Mapping[str, Any], detail: bytes) -> FaxStatus:
    """Return the status. Only "success" with every page is a proof."""
    word = str(fax.get("status", "")).lower()
    pages, wanted = fax.get("pagesComplete"), fax.get("pagesCount")
    sent = pages if isinstance(pages, int) else None
    is_short = sent is not None and isinstance(wanted, int) and sent < wanted
    state: Literal["open", "sent", "failed"] = "open"
    failure: FaxFailure | None = None
    if word == "success" and not is_short:
        state = "sent"
    elif word in OPEN:
        state = "open"
    elif word in ("success", "failed", "cancelled"):
        partial = is_short and (word == "success" or sent != 0)
        state, failure = "failed", PARTIAL if partial else classify_words(str(fax.get("resultInfo", "")))
    return FaxStatus(str(fax.get("messageId")), state, None, sent, failure, detail)
