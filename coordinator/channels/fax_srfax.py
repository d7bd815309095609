"""SRFax: every call is a form posted to one address, with the account's password in it. Shapes as the vendor documents.

The vendor answers 200 to everything and says "Failed" inside.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
import orjson

from coordinator.channels.fax_calls import FORM, FaxCalls, read_object
from coordinator.channels.fax_codes import FaxFailure, classify_words
from coordinator.channels.fax_gateway import FaxStatus, OutgoingFax
from coordinator.channels.wire import Answer, Limits
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Transient
from coordinator.domain.station import read_station
from coordinator.flow.ports import Clock

PATH = "/SRF_SecWebSvc.php"
SEARCHED_BACK = timedelta(days=30)
ACCOUNT_WORDS = ("access", "password", "account", "suspended", "credit", "balance", "caller")
"""Words of a refusal that concern the account, not this fax."""


@dataclass(frozen=True)
class SrfaxConfig:
    """The account. `base_url` ends before the script; `caller_id` is our fax number, `sender_email` the account's."""

    base_url: str
    access_id: str
    password: str
    caller_id: str
    sender_email: str
    callback_url: str | None = None


class SrfaxGateway:
    """Implements FaxGateway. Our tag is too long for the vendor's account code, so its hash travels there."""

    lists_waiting: bool = False

    def __init__(self, http: httpx.Client, config: SrfaxConfig, clock: Clock, limits: Limits | None = None) -> None:
        self._calls = FaxCalls(http, clock, config.base_url, {}, limits)
        self._config = config

    def submit(self, fax: OutgoingFax, *, deadline: datetime, about_to_send: Callable[[], None]) -> tuple[str, Answer]:
        """Queue one fax for one number; see the protocol."""
        fields = {
            "sCallerID": self._config.caller_id.replace("-", "").removeprefix("+1"),
            "sSenderEmail": self._config.sender_email,
            "sFaxType": "SINGLE",
            "sToFaxNumber": fax.to_number.removeprefix("+"),
            "sRetries": "0",
            "sAccountCode": account_code(fax.tag),
            "sFileName_1": fax.file_name,
            "sFileContent_1": base64.b64encode(fax.content).decode("ascii"),
        }
        if self._config.callback_url:
            fields["sNotifyURL"] = self._config.callback_url
        answer = self._calls.submit(
            PATH, self._form("Queue_Fax", fields), FORM, deadline=deadline, about_to_send=about_to_send
        )
        said = read_object(answer)
        fax_id = str(said.get("Result", "")) if said else ""
        if said is not None and said.get("Status") == "Failed":
            raise _refused(fax_id, answer)
        if said is None or said.get("Status") != "Success" or not fax_id.isdigit():
            raise InDoubt("fax.in-doubt", detail=answer.body, status=answer.status)
        return fax_id, answer

    def status(self, fax_id: str, *, deadline: datetime) -> FaxStatus | None:
        """Return what became of one fax; see the protocol."""
        said, answer = self._ask("Get_FaxStatus", {"sFaxDetailsID": fax_id}, deadline)
        result = said.get("Result")
        if said.get("Status") != "Success":
            if "not found" in str(result).lower():
                return None
            raise _refused(str(result), answer)
        if not isinstance(result, dict):
            raise Transient("fax.in-doubt", detail=answer.body, status=answer.status)
        return _read_fax(result, fax_id, answer.body)

    def find(self, tag: str, *, deadline: datetime) -> tuple[FaxStatus, ...]:
        """Return every fax of the last month with our account code; raise NeedsHuman when there is none.

        The vendor does not say whether a fax that still waits is in its list, so "not
        there" proves nothing and a person decides.
        """
        now = self._calls.now()
        fields = {
            "sPeriod": "RANGE",
            "sStartDate": f"{now - SEARCHED_BACK:%Y%m%d}",
            "sEndDate": f"{now + timedelta(days=1):%Y%m%d}",
        }
        said, answer = self._ask("Get_Fax_Outbox", fields, deadline)
        if said.get("Status") != "Success":
            raise _refused(str(said.get("Result")), answer)
        result = said.get("Result")
        rows = [one for one in result if isinstance(one, dict)] if isinstance(result, list) else []
        mine = [one for one in rows if one.get("AccountCode") == account_code(tag)]
        if not mine:
            raise NeedsHuman("fax.in-doubt")
        return tuple(_read_fax(one, fax_id_of(one), orjson.dumps(one)) for one in mine)

    def account(self, *, deadline: datetime) -> str:
        """Return that the account answers; see the protocol."""
        said, answer = self._ask("Get_Fax_Usage", {}, deadline)
        if said.get("Status") != "Success":
            raise NeedsHuman("fax.account", status=answer.status)
        return "The account answers to our password."

    def _ask(self, action: str, fields: Mapping[str, str], deadline: datetime) -> tuple[dict[str, Any], Answer]:
        found = self._calls.read(PATH, deadline, self._form(action, fields))
        if found is None:
            raise NeedsHuman("fax.account", status=404)
        return found

    def _form(self, action: str, fields: Mapping[str, str]) -> bytes:
        own = {"action": action, "access_id": self._config.access_id, "access_pwd": self._config.password}
        return urlencode({**own, "sResponseFormat": "JSON", **fields}).encode()


def account_code(tag: str) -> str:
    """Return the tag as the vendor can carry it: 20 characters, the first 80 bits of its SHA-256."""
    return hashlib.sha256(tag.encode()).hexdigest()[:20]


def fax_id_of(row: Mapping[str, Any]) -> str:
    """Return the id of a listed fax: its own field, else what follows the bar in its file name."""
    named = row.get("FaxDetailsID")
    return str(named) if named is not None else str(row.get("FileName", "")).rpartition("|")[2]


def _refused(words: str, answer: Answer) -> DeliveryError:
    """Return what a refusal means: the account's, or a person's matter. The words themselves stay in the detail."""
    about_account = any(one in words.lower() for one in ACCOUNT_WORDS)
    return NeedsHuman("fax.account" if about_account else "fax.unknown", detail=answer.body, status=answer.status)


def _read_fax(row: Mapping[str, Any], fax_id: str, detail: bytes) -> FaxStatus:
    """Return the status. Only "Sent" is a proof, and only then the machine that answered was the one that took it."""
    word = str(row.get("SentStatus", "")).lower()
    pages = str(row.get("Pages", ""))
    state: Literal["open", "sent", "failed"] = "open"
    failure: FaxFailure | None = None
    if word == "sent":
        state = "sent"
    elif word == "failed":
        state, failure = "failed", classify_words(str(row.get("ErrorCode", "")))
    station = read_station(row.get("RemoteID")) if state == "sent" else None
    return FaxStatus(fax_id, state, None, int(pages) if pages.isdecimal() else None, failure, detail, station)
