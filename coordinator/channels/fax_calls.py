"""What every fax gateway's adapter does alike: one call, its answer sorted, a form with one file."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx
import orjson

from coordinator.channels.answers import FAX_STATUS, error_for
from coordinator.channels.wire import Answer, Limits, Wire
from coordinator.domain.errors import Transient
from coordinator.flow.ports import Clock


class FaxCalls:
    """Makes the calls of one gateway account. `headers` go with each of them and sign us in."""

    def __init__(
        self, http: httpx.Client, clock: Clock, base_url: str, headers: Mapping[str, str], limits: Limits | None = None
    ) -> None:
        self._wire = Wire(http, clock, limits)
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept": "application/json", **headers}

    def now(self) -> datetime:
        """Return this instant in UTC."""
        return self._wire.now()

    def submit(
        self, path: str, body: bytes, media_type: str, *, deadline: datetime, about_to_send: Callable[[], None]
    ) -> Answer:
        """Return the 2xx answer to a submission; raise as the answer table says, InDoubt once a byte has left."""
        answer = self._wire.exchange(
            "POST",
            f"{self._base_url}{path}",
            deadline=deadline,
            headers={**self._headers, "Content-Type": media_type},
            body=body,
            about_to_send=about_to_send,
            writes=True,
        )
        if not 200 <= answer.status < 300:
            raise error_for(answer, FAX_STATUS, self.now(), kind="fax")
        return answer

    def ask(self, path: str, deadline: datetime, form: bytes | None = None) -> Answer | None:
        """Return the 200 answer to a question, None for 404; raise Transient or NeedsHuman.

        `form` makes it a POST, for gateways that take even questions as forms.
        """
        media_type = {} if form is None else {"Content-Type": FORM}
        answer = self._wire.exchange(
            "GET" if form is None else "POST",
            f"{self._base_url}{path}",
            deadline=deadline,
            headers={**self._headers, **media_type},
            body=form or b"",
        )
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise error_for(answer, FAX_STATUS, self.now(), kind="fax", writes=False)
        return answer

    def read(self, path: str, deadline: datetime, form: bytes | None = None) -> tuple[dict[str, Any], Answer] | None:
        """Return (the JSON object, the answer), None for 404; raise Transient when it is no object."""
        answer = self.ask(path, deadline, form)
        if answer is None:
            return None
        said = read_object(answer)
        if said is None:
            raise Transient("fax.in-doubt", detail=answer.body, status=answer.status)
        return said, answer


FORM = "application/x-www-form-urlencoded"


def read_object(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object of an answer, or None when it is cut, not JSON, or something else."""
    if not answer.whole:
        return None
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) else None


def multipart(
    fields: Mapping[str, str], file_field: str, file_name: str, content: bytes, salt: str, kind: str = "application/pdf"
) -> tuple[bytes, str]:
    """Return the form and its media type. The boundary comes from the content, so equal faxes are equal bytes."""
    boundary = hashlib.sha256(content + salt.encode()).hexdigest()
    lines: list[bytes] = []
    for name, value in fields.items():
        lines += [
            f"--{boundary}".encode(),
            f'Content-Disposition: form-data; name="{name}"'.encode(),
            b"",
            value.encode(),
        ]
    lines += [
        f"--{boundary}".encode(),
        f'Content-Disposition: form-data; name="{file_field}"; filename="{file_name}"'.encode(),
        f"Content-Type: {kind}".encode(),
        b"",
        content,
        f"--{boundary}--".encode(),
        b"",
    ]
    return b"\r\n".join(lines), f"multipart/form-data; boundary={boundary}"
