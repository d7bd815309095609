"""Who may see which page: the session cookie, the permission each route names, and the guard against forged posts."""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI, HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from coordinator.domain.errors import ConfigurationError
from coordinator.flow.read_models import Actor
from coordinator.security.accounts import SignedIn
from coordinator.security.places import LOOPBACK
from coordinator.security.roles import Permission, may

if TYPE_CHECKING:
    from coordinator.console.contracts import Service

MAX_FORM_BYTES = 64 * 1024
MAX_FORM_FIELDS = 50
MAX_UPLOAD_BYTES = 9 * 1024 * 1024
"""A page of eight MiB, and what goes around it in a form."""


class NotSignedIn(Exception):
    """The page needs a person; nobody is signed in."""


class Denied(Exception):
    """The person may not do this."""


class Forged(Exception):
    """The form did not come from a page of ours, or from an older session."""


class TooMuch(Exception):
    """The form is longer than any of ours."""


@dataclass(frozen=True)
class Cookies:
    """The names of our cookies and whether they travel on https only."""

    session: str
    form: str
    secure: bool

    @classmethod
    def at(cls, console_url: str, environment: str) -> "Cookies":
        """Return the cookies for the console's address; raise ConfigurationError for http beyond loopback."""
        parts = urlsplit(console_url)
        if parts.scheme == "https":
            # __Host- binds the cookie to this very host, this path and https (ASVS 5.0, 3.3.1).
            return cls("__Host-coordinator", "__Host-coordinator-form", secure=True)
        if environment == "production" or parts.hostname not in LOOPBACK:
            raise ConfigurationError("the console's address must be https, but for development on loopback")
        return cls("coordinator_session", "coordinator_form", secure=False)


@dataclass(frozen=True)
class Person:
    """The signed-in person of this request."""

    signed_in: SignedIn

    @property
    def actor(self) -> Actor:
        """The person as the audit trail names them."""
        return Actor("staff", self.signed_in.account.name)

    @property
    def csrf(self) -> str:
        """The token that every form of this session carries."""
        return form_token(self.signed_in.token)

    def may(self, permission: Permission) -> bool:
        """Return whether one of the person's roles is granted the permission."""
        return may(self.signed_in.account.roles, permission)


class Requires:
    """A dependency that lets a person with the permission in, and returns who it is."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    def __call__(self, request: Request) -> Person:
        """Return the person; raise NotSignedIn or Denied."""
        person = person_of(request)
        if person is None:
            raise NotSignedIn
        if not person.may(self.permission):
            raise Denied
        return person


class Public:
    """A dependency that marks a route as open to everybody, and says why that is right."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self) -> None:
        """Let everybody in."""


def person_of(request: Request) -> Person | None:
    """Return who is signed in, or None. A page that refreshes itself does not keep the session alive."""
    state = request.app.state
    token = request.cookies.get(state.cookies.session)
    if not token or len(token) > 200:
        return None
    by_itself = request.headers.get("x-refresh") == "1"
    found = cast("Service", state.service).accounts.signed_in(token, touch=not by_itself)
    return None if found is None else Person(found)


async def posted(request: Request) -> Mapping[str, str]:
    """Return the fields of a form of ours; raise Forged or TooMuch.

    Checked are where the post comes from (Sec-Fetch-Site, else Origin) and the
    token, which is bound to the session, or before sign-in to the form's cookie.
    """
    _check_site(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Forged
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooMuch
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except ValueError:
        raise Forged from None
    fields = dict(pairs)
    await run_in_threadpool(_check_token, request, fields)
    request.state.typed = fields
    return fields


def _check_token(request: Request, fields: dict[str, str]) -> None:
    """Take the token out of the fields; raise Forged unless it is this session's."""
    cookies = request.app.state.cookies
    secret = request.cookies.get(cookies.session) if person_of(request) else None
    secret = secret or request.cookies.get(cookies.form, "")
    if not secret or not hmac.compare_digest(form_token(secret).encode(), fields.pop("csrf", "").encode()):
        raise Forged


@dataclass(frozen=True)
class Upload:
    """A form that carries at most one file."""

    fields: Mapping[str, str]
    media_type: str
    body: bytes
    """Empty when no file was chosen."""


async def posted_with_file(request: Request) -> Upload:
    """Return the fields and the one file of a form of ours; raise Forged or TooMuch. Guarded as `posted` is.

    The length has to be said beforehand, so that nothing larger than our limit is ever read.
    """
    _check_site(request)
    said = request.headers.get("content-length", "")
    if not said.isdigit():
        raise Forged
    if int(said) > MAX_UPLOAD_BYTES:
        raise TooMuch
    form = await _form(request)
    try:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        file = next((one for one in form.values() if isinstance(one, UploadFile)), None)
        body = b"" if file is None else await file.read()
        media_type = "" if file is None else (file.content_type or "").partition(";")[0].strip().lower()
    finally:
        await form.close()
    await run_in_threadpool(_check_token, request, fields)
    request.state.typed = fields
    return Upload(fields, media_type, body)


class _InMemory(MultiPartParser):
    """Keeps a file that is posted in memory to its last byte: on the disk it would lie there unencrypted."""

    spool_max_size = MAX_UPLOAD_BYTES


async def _form(request: Request) -> FormData:
    """Return what a form holds, whose length is within our limit already; raise Forged when it cannot be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind != "multipart/form-data":
            return await request.form(max_files=0, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FORM_BYTES)
        async with aclosing(request.stream()) as stream:
            parser = _InMemory(
                request.headers, stream, max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=MAX_FORM_BYTES
            )
            return await parser.parse()
    except (HTTPException, MultiPartException, ValueError):
        raise Forged from None


def form_token(secret: str) -> str:
    """Return the token for forms, which tells nothing of the cookie it is made from."""
    return hmac.new(secret.encode(), b"coordinator console form", hashlib.sha256).hexdigest()


def check_routes(app: FastAPI) -> None:
    """Raise ConfigurationError when a route says neither what it needs nor why it is open, or takes unguarded posts."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or len(list(gates(route.dependant))) != 1:
            raise ConfigurationError("a route of the console does not say who may see it")
        calls = [one.call for one in route.dependant.dependencies]
        if (route.methods or set()) - {"GET", "HEAD"} and not {posted, posted_with_file} & set(calls):
            raise ConfigurationError("a route of the console takes posts without the guard against forged ones")


def gates(dependant: Dependant) -> Iterator[Requires | Public]:
    """Yield what stands before a route."""
    for one in dependant.dependencies:
        if isinstance(one.call, Requires | Public):
            yield one.call
        yield from gates(one)


def _check_site(request: Request) -> None:
    site = request.headers.get("sec-fetch-site")
    if site == "same-origin":
        return
    if site not in (None, "none"):
        raise Forged
    origin = request.headers.get("origin")
    if origin is None:
        return
    ours = urlsplit(request.app.state.service.settings.console_url)
    came_from = urlsplit(origin)
    allowed = {ours.netloc, request.headers.get("host", "")} if ours.scheme == "http" else {ours.netloc}
    if came_from.scheme != ours.scheme or came_from.netloc not in allowed:
        raise Forged
