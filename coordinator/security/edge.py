"""What stands around both web applications: headers on every answer, and one last catch for faults of ours.

Nothing of an unexpected exception reaches the outside or the log but its type.
"""

import secrets
from collections.abc import Callable, Mapping

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coordinator.observe.log import Log, write

DATABASE_AWAY: tuple[type[Exception], ...] = (OperationalError, InterfaceError, PoolTimeout)
"""What SQLAlchemy raises while the database cannot be reached or has no connection left."""

COMMON_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HSTS = "max-age=63072000; includeSubDomains"
"""Two years; OWASP ASVS 5.0, 3.4.1, asks for one at least."""


class SecurityHeaders:
    """Adds the headers that an answer does not set itself. `https` adds Strict-Transport-Security."""

    def __init__(self, app: ASGIApp, *, policy: str, https: bool, referrer: str = "no-referrer") -> None:
        self._app = app
        self._headers = {**COMMON_HEADERS, "Content-Security-Policy": policy, "Referrer-Policy": referrer}
        if https:
            self._headers["Strict-Transport-Security"] = HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on and complete the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LastCatch:
    """Answers an unexpected exception with an incident number, and logs its type under that number."""

    def __init__(self, app: ASGIApp, *, answer: Callable[[str], Response]) -> None:
        """`answer` makes the page or problem for an incident number."""
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; never let an exception out to the server, which would print it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watching(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watching)
        except Exception as fault:
            incident = secrets.token_hex(6)
            write(Log.REQUEST_FAILED, code=incident, error_type=type(fault).__name__)
            if not started:
                await self._answer(incident)(scope, receive, send)
