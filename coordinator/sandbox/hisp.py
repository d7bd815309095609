"""A pretend HISP: an SMTP edge with STARTTLS and sign-in, and a mailbox of notices served over IMAP."""

import asyncio
import hashlib
import re
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from coordinator.sandbox.certificate import loopback_certificate
from coordinator.sandbox.imap import Imap
from coordinator.sandbox.notices import Kind, mdn
from coordinator.sandbox.shelf import Shelf

SCHEMA = """
CREATE TABLE IF NOT EXISTS messages
  (n INTEGER PRIMARY KEY, message_id TEXT, sender TEXT, recipient TEXT, sha TEXT, body BLOB, at REAL);
CREATE TABLE IF NOT EXISTS notices
  (uid INTEGER PRIMARY KEY, message_id TEXT, kind TEXT, body BLOB, due REAL, seen INTEGER DEFAULT 0);
"""
Verb = Literal["MAIL", "RCPT", "DATA", "after"]


@dataclass
class HispBehaviour:
    """How it answers; may change at any time. `notices` follow each message taken, `notice_delay_s` apart."""

    notices: tuple[Kind, ...] = ("processed", "dispatched")
    notice_delay_s: float = 0.0
    refuse: tuple[Verb, str, int | None] | None = None
    """(verb, reply line, how many times or None): such as ("RCPT", "550 no such address", None)."""
    drop_after_dot: int = 0
    """How many times to take and keep the message, and hang up before the reply."""
    thinks_after_dot_s: float = 0.0
    """How long it looks at a message that it has taken, as a scanner does, before it replies."""


class Hisp:
    """The HISP. A message is in its file before 250 goes out."""

    def __init__(
        self,
        folder: Path,
        smtp_port: int = 0,
        imap_port: int = 0,
        *,
        username: str = "clinic",
        password: str = "sandbox-only",  # noqa: S107
    ) -> None:
        """Make the certificate and open the file; `start` opens the ports."""
        self._shelf = Shelf(folder / "hisp.sqlite", SCHEMA)
        certificate, key = loopback_certificate(folder)
        self.ca_file = certificate
        self.username, self.password = username, password
        self.behaviour = HispBehaviour()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(certificate, key)
        self._imap = Imap(imap_port, self._tls, self, self._may_sign_in)
        self._smtp = _Edge(self, smtp_port, self._tls)
        self._lock = threading.Lock()

    @property
    def smtp_port(self) -> int:
        """Return the edge's port."""
        return self._smtp.port

    @property
    def imap_port(self) -> int:
        """Return the mailbox's port."""
        return self._imap.port

    def start(self) -> None:
        """Take connections."""
        self._imap.start()
        self._smtp.start()

    def stop(self) -> None:
        """Take no more."""
        self._smtp.stop()
        self._imap.stop()
        self._shelf.close()

    def go_down(self, messages: int | None = None) -> None:
        """Refuse the next messages for now, or until told to come back."""
        self.behaviour.refuse = ("MAIL", "451 down for the moment", messages)

    def come_back(self) -> None:
        """Take messages again."""
        self.behaviour.refuse = None

    def count(self) -> int:
        """Return how many distinct messages it holds, by Message-ID."""
        return int(self._shelf.rows("SELECT count(DISTINCT message_id) FROM messages")[0][0])

    def duplicates(self) -> list[str]:
        """Return the Message-IDs that it was given more than once."""
        rows = self._shelf.rows("SELECT message_id FROM messages GROUP BY message_id HAVING count(*) > 1")
        return [str(row[0]) for row in rows]

    def messages(self) -> list[tuple[str, str, bytes]]:
        """Return (Message-ID, recipient, bytes) of every message taken, oldest first."""
        return [
            (str(row[0]), str(row[1]), bytes(row[2]))
            for row in self._shelf.rows("SELECT message_id, recipient, body FROM messages ORDER BY n")
        ]

    def number_anew(self) -> None:
        """Restore the mailbox, as a provider does: the same UIDs are other mails from now on."""
        self._imap.uid_validity += 1

    def break_at(self, uid: int | None) -> None:
        """Hang up whenever this mail is asked for, as a server does whose file of it is damaged."""
        self._imap.breaks_at = uid

    def refuse_marks(self) -> None:
        """Let nobody mark a mail as seen."""
        self._imap.marks = False

    def put_mail(self, body: bytes) -> None:
        """Put mail of any kind into the mailbox."""
        with self._shelf.keep() as db:
            db.execute("INSERT INTO notices (message_id, kind, body, due) VALUES ('', 'mail', ?, 0)", (body,))

    def put_notice(self, kind: Kind, message_id: str, *, delay_s: float = 0.0) -> None:
        """Put a notice about any Message-ID into the mailbox."""
        body = mdn(kind, message_id, "clinic@direct.example", "reader@direct.sandbox.example")
        with self._shelf.keep() as db:
            db.execute(
                "INSERT INTO notices (message_id, kind, body, due) VALUES (?,?,?,?)",
                (message_id, kind, body, time.time() + delay_s),
            )

    def take(self, sender: str, recipient: str, body: bytes) -> None:
        """Keep a message and its notices, in one transaction."""
        found = re.search(rb"(?im)^Message-ID:\s*(<[^>\r\n]+>)", body)
        message_id = found.group(1).decode("ascii", "replace") if found else hashlib.sha256(body).hexdigest()
        now, behaviour = time.time(), self.behaviour
        with self._shelf.keep() as db:
            db.execute(
                "INSERT INTO messages (message_id, sender, recipient, sha, body, at) VALUES (?,?,?,?,?,?)",
                (message_id, sender, recipient, hashlib.sha256(body).hexdigest(), body, now),
            )
            for place, kind in enumerate(behaviour.notices, start=1):
                db.execute(
                    "INSERT INTO notices (message_id, kind, body, due) VALUES (?,?,?,?)",
                    (
                        message_id,
                        kind,
                        mdn(kind, message_id, sender, recipient),
                        now + place * behaviour.notice_delay_s,
                    ),
                )

    def unseen(self) -> list[int]:
        """Return the UIDs of notices that are due and not seen."""
        rows = self._shelf.rows("SELECT uid FROM notices WHERE seen=0 AND due<=? ORDER BY uid", time.time())
        return [int(row[0]) for row in rows]

    def message(self, uid: int) -> bytes | None:
        """Return a notice's bytes, or None."""
        rows = self._shelf.rows("SELECT body FROM notices WHERE uid=?", uid)
        return bytes(rows[0][0]) if rows else None

    def mark_seen(self, uid: int) -> None:
        """Mark a notice as seen."""
        with self._shelf.keep() as db:
            db.execute("UPDATE notices SET seen=1 WHERE uid=?", (uid,))

    def refusal(self, verb: Verb) -> str | None:
        """Return the reply that refuses this verb now, or None."""
        with self._lock:
            refuse = self.behaviour.refuse
            if refuse is None or refuse[0] != verb:
                return None
            if refuse[2] is not None:
                left = refuse[2] - 1
                self.behaviour.refuse = (verb, refuse[1], left) if left > 0 else None
            return refuse[1]

    def drops_now(self) -> bool:
        """Return whether to hang up after the final dot this time."""
        with self._lock:
            drops = self.behaviour.drop_after_dot > 0
            self.behaviour.drop_after_dot -= int(drops)
            return drops

    def _may_sign_in(self, username: str, password: str) -> bool:
        return (username, password) == (self.username, self.password)

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:  # noqa: ANN401
        """Check a sign-in at the edge."""
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        good = self._may_sign_in(data.login.decode("utf-8", "replace"), data.password.decode("utf-8", "replace"))
        return AuthResult(success=good, handled=False)


class _Handler:
    """aiosmtpd's hooks."""

    def __init__(self, hisp: Hisp) -> None:
        self._hisp = hisp

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: ANN401
        refusal = self._hisp.refusal("MAIL")
        if refusal is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return refusal or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: ANN401
        refusal = self._hisp.refusal("RCPT")
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ANN401
        refusal = self._hisp.refusal("after") or self._hisp.refusal("DATA")
        if refusal is not None:
            return refusal
        for recipient in envelope.rcpt_tos:
            await asyncio.to_thread(self._hisp.take, envelope.mail_from, recipient, envelope.original_content)
        if self._hisp.drops_now():
            server.transport.abort()
        await asyncio.sleep(self._hisp.behaviour.thinks_after_dot_s)
        return "250 taken"


class _Edge:
    """The SMTP listener, on a loop in a thread of its own."""

    def __init__(self, hisp: Hisp, port: int, tls: ssl.SSLContext) -> None:
        self._hisp = hisp
        self._tls = tls
        self._handler = _Handler(hisp)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._protocols: weakref.WeakSet[SMTP] = weakref.WeakSet()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Take connections."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Take no more; open connections are closed."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        self._socket.close()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(self._protocol, sock=self._socket)

    async def _close(self) -> None:
        self._server.close()
        for protocol in list(self._protocols):
            if protocol.transport is not None:
                protocol.transport.close()
        others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _protocol(self) -> SMTP:
        """Return the protocol of one connection: STARTTLS first, then sign-in, then mail."""
        authenticate: Callable[..., AuthResult] = self._hisp.authenticate
        one = SMTP(
            self._handler,
            hostname="direct.sandbox.example",
            tls_context=self._tls,
            require_starttls=True,
            auth_required=True,
            auth_require_tls=True,
            authenticator=authenticate,
            ident="pretend HISP",
            loop=self._loop,
        )
        self._protocols.add(one)
        return one
