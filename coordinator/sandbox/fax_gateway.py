"""A pretend fax gateway in the Phaxio v2 shape. Like a real one, it sends twice when asked twice, and it counts."""

import base64
import contextlib
import hashlib
import http.client
import threading
import time
import uuid
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from coordinator.sandbox.callback_signature import sign
from coordinator.sandbox.shelf import Shelf
from coordinator.sandbox.web import Fault, Faults, Reply, Request, Web

SCHEMA = """
CREATE TABLE IF NOT EXISTS faxes
  (id INTEGER PRIMARY KEY, tag TEXT, number TEXT, sha TEXT, bytes INTEGER, outcome TEXT, at REAL, done_at REAL,
   callback TEXT);
CREATE TABLE IF NOT EXISTS scripts (number TEXT PRIMARY KEY, outcomes TEXT);
"""
Outcome = Literal["success", "busy", "no-answer", "training", "human", "changed", "refused", "document", "partial"]
ERROR_ID: dict[Outcome, int] = {
    "busy": 17,
    "no-answer": 16,
    "training": 8,
    "human": 19,
    "changed": 73,
    "refused": 50,
    "document": 57,
    "partial": 12,
}


@dataclass
class GatewayBehaviour:
    """How it works. `dial_s` is the time from queueing to the end of the call."""

    dial_s: float = 0.2
    callbacks: bool = True
    callback_token: str = "sandbox-callback-token"  # noqa: S105


class FaxGateway:
    """The gateway. A fax is in its file before its id goes out."""

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        api_key: str = "sandbox",
        api_secret: str = "sandbox-only",  # noqa: S107
    ) -> None:
        self._shelf = Shelf(folder / "fax.sqlite", SCHEMA)
        self._web = Web(port, self._answer, lambda method, path: method == "POST")
        self.api_key, self.api_secret = api_key, api_secret
        self.behaviour = GatewayBehaviour()
        self._stopping = threading.Event()

    @property
    def port(self) -> int:
        """Return the port."""
        return self._web.port

    @property
    def base_url(self) -> str:
        """Return the address that ends before "/v2"."""
        return f"http://127.0.0.1:{self._web.port}"

    @property
    def faults(self) -> Faults:
        """Return the faults that wait."""
        return self._web.faults

    def start(self) -> None:
        """Take requests."""
        self._web.start()

    def stop(self) -> None:
        """Take no more."""
        self._stopping.set()
        self._web.stop()
        self._shelf.close()

    def go_down(self, requests: int | None = None) -> None:
        """Answer 503 to the next requests, or until told to come back."""
        self._web.faults.add(Fault("answer", requests))

    def come_back(self) -> None:
        """Behave well again."""
        self._web.faults.clear()

    def misbehave(self, fault: Fault) -> None:
        """Misbehave so, after what already waits."""
        self._web.faults.add(fault)

    def script(self, number: str, *outcomes: Outcome) -> None:
        """Let calls to this number (E.164, hyphens allowed) end so, in turn; the last one stays."""
        with self._shelf.keep() as db:
            db.execute("REPLACE INTO scripts VALUES (?,?)", (_plain(number), ",".join(outcomes)))

    def count(self) -> int:
        """Return how many distinct faxes (by our tag) were transmitted in full."""
        return int(
            self._shelf.rows(
                "SELECT count(DISTINCT tag) FROM faxes WHERE outcome='success' AND done_at<=?", time.time()
            )[0][0]
        )

    def duplicates(self) -> list[str]:
        """Return the tags under which more than one fax was transmitted."""
        rows = self._shelf.rows("SELECT tag FROM faxes WHERE outcome='success' GROUP BY tag HAVING count(*) > 1")
        return [str(row[0]) for row in rows]

    def faxes(self) -> list[tuple[str, str, str]]:
        """Return (tag, number, outcome) of every fax it was asked for, oldest first."""
        return [
            (str(row[0]), str(row[1]), str(row[2]))
            for row in self._shelf.rows("SELECT tag, number, outcome FROM faxes ORDER BY id")
        ]

    def _answer(self, request: Request) -> Reply:
        if not self._is_signed_in(request):
            return _said(401, success=False, message="not signed in")
        parts = request.path.strip("/").split("/")
        if parts[:2] != ["v2", "faxes"]:
            return _said(404, success=False, message="no such place")
        if request.method == "POST" and len(parts) == 2:
            return self._queue(request)
        if request.method == "GET" and len(parts) == 2:
            tag = request.query.get("tag[delivery]")
            query = f"{_SELECT} WHERE tag=? ORDER BY id DESC" if tag else f"{_SELECT} ORDER BY id DESC LIMIT 50"
            found = self._shelf.rows(query, *([tag] if tag else []))
            return _said(200, success=True, message="found", data=[self._fax(row) for row in found])
        found = self._shelf.rows(f"{_SELECT} WHERE id=?", parts[2])
        if not found:
            return _said(404, success=False, message="no such fax")
        return _said(200, success=True, message="found", data=self._fax(found[0]))

    def _queue(self, request: Request) -> Reply:
        fields, files = _form(request)
        number = _plain(fields.get("to", ""))
        if not files or not number.startswith("+") or not number[1:].isdigit():
            return _said(422, success=False, message="number or file missing")
        content, now = files[0], time.time()
        callback = fields.get("callback_url")
        with self._shelf.keep() as db:
            cursor = db.execute(
                "INSERT INTO faxes (tag, number, sha, bytes, outcome, at, done_at, callback) VALUES (?,?,?,?,?,?,?,?)",
                (
                    fields.get("tag[delivery]", ""),
                    number,
                    hashlib.sha256(content).hexdigest(),
                    len(content),
                    _next_outcome(db, number),
                    now,
                    now + self.behaviour.dial_s,
                    callback,
                ),
            )
            fax_id = int(cursor.lastrowid or 0)
        if callback and self.behaviour.callbacks:
            threading.Thread(target=self._call_back, args=(fax_id, callback), daemon=True).start()
        return _said(200, success=True, message="Fax queued for sending", data={"id": fax_id})

    def _fax(self, row: tuple[Any, ...]) -> dict[str, Any]:
        fax_id, tag, number, outcome, done_at = row
        done = time.time() >= done_at
        status = "queued"
        if done:
            status = {"success": "success", "partial": "partialsuccess"}.get(outcome, "failure")
        error = {"error_id": ERROR_ID[outcome], "error_type": "lineError"} if done and outcome != "success" else {}
        recipient = {"phone_number": number, "status": status, "retry_count": 0, **error}
        return {
            "id": fax_id,
            "direction": "sent",
            "status": status,
            "num_pages": 2,
            "tags": {"delivery": tag},
            "recipients": [recipient],
            **error,
        }

    def _call_back(self, fax_id: int, url: str) -> None:
        if self._stopping.wait(self.behaviour.dial_s + 0.05):
            return
        with contextlib.suppress(OSError, http.client.HTTPException, LookupError):
            row = self._shelf.rows(f"{_SELECT} WHERE id=?", fax_id)[0]
            fields = [("fax", orjson.dumps(self._fax(row)).decode()), ("direction", "sent"), ("is_test", "false")]
            post_callback(url, fields, self.behaviour.callback_token)

    def _is_signed_in(self, request: Request) -> bool:
        pair = base64.b64encode(f"{self.api_key}:{self.api_secret}".encode()).decode()
        return request.headers.get("authorization") == f"Basic {pair}"


_SELECT = "SELECT id, tag, number, outcome, done_at FROM faxes"


def post_callback(url: str, fields: list[tuple[str, str]], token: str) -> int:
    """Post a signed multipart callback, as the gateway does; return the status."""
    boundary = uuid.uuid4().hex
    lines = [
        line
        for name, value in fields
        for line in (f"--{boundary}", f'Content-Disposition: form-data; name="{name}"', "", value)
    ]
    body = "\r\n".join([*lines, f"--{boundary}--", ""]).encode()
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname or "127.0.0.1", split.port or 80, timeout=5)
    try:
        connection.request(
            "POST",
            split.path,
            body,
            {
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "X-Phaxio-Signature": sign(url, fields, token),
            },
        )
        return connection.getresponse().status
    finally:
        connection.close()


def _next_outcome(db: Any, number: str) -> str:  # noqa: ANN401
    """Return how this call ends, and move the number's script on."""
    row = db.execute("SELECT outcomes FROM scripts WHERE number=?", (number,)).fetchone()
    if row is None:
        return "success"
    first, _, rest = str(row[0]).partition(",")
    if rest:
        db.execute("UPDATE scripts SET outcomes=? WHERE number=?", (rest, number))
    return first


def _form(request: Request) -> tuple[dict[str, str], list[bytes]]:
    head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    parsed = BytesParser(policy=policy.HTTP).parsebytes(head + request.body)
    fields: dict[str, str] = {}
    files: list[bytes] = []
    for part in parsed.iter_parts():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if not isinstance(content, bytes):
            continue
        if part.get_filename() is not None:
            files.append(content)
        else:
            fields[str(name)] = content.decode("utf-8")
    return fields, files


def _plain(number: str) -> str:
    return number.replace("-", "").replace(" ", "")


def _said(status: int, **said: object) -> Reply:
    return Reply(status, orjson.dumps(said), {"Content-Type": "application/json"})
