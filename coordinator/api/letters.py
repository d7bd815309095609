"""The letter pages for outside readers: code, letter, answer. Without a session a GET reveals and uses up nothing."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from coordinator.api.access import Public
from coordinator.api.bodies import read_body
from coordinator.api.letter_form import field_faults, fields_of, said_from
from coordinator.api.letter_pages import PAGE_HEADERS, STATIC, Pages, letter_headers
from coordinator.api.problems import Problem
from coordinator.domain.errors import Refused
from coordinator.flow.letter_reader import LetterReader, ReaderView
from coordinator.flow.link import LinkDoor, TooManyTries
from coordinator.flow.said import MISDIRECTED, Said
from coordinator.security.places import place

Place = Annotated[int, Path(ge=1, le=9)]
"""Which letter of a message, from 1."""
MAX_FORM_BYTES = 16 * 1024
MAX_FORM_FIELDS = 40
FORM = "application/x-www-form-urlencoded"
OPEN_PAGE = Depends(Public("shows a code box and nothing else, whoever asks"))
BY_SESSION = Depends(Public("the link's own session decides, and release is asked anew at every look"))


class WebSettings(Protocol):
    """What the letter pages need to know of the settings."""

    @property
    def public_url(self) -> str:
        """The address of these pages from outside."""
        ...

    @property
    def environment(self) -> Literal["development", "production"]:
        """Where this runs."""
        ...


class LetterService(Protocol):
    """The service as the letter pages see it."""

    @property
    def door(self) -> LinkDoor:
        """Opens letters."""
        ...

    @property
    def reader(self) -> LetterReader:
        """What a session may do."""
        ...

    @property
    def settings(self) -> WebSettings:
        """The settings."""
        ...


async def posted(request: Request) -> Mapping[str, str]:
    """Return the fields of a form of ours; raise Problem for a form of another site, too long, or of no known type."""
    if not await run_in_threadpool(_is_ours, request):
        raise Problem(403, "form-foreign", "The form came from another site, so nothing was done.")
    body = await read_body(request, limit=MAX_FORM_BYTES, types=(FORM,))
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="strict")
    except ValueError:
        raise Problem(400, "form-unreadable", "The form could not be read.") from None
    return dict(pairs)


Fields = Annotated[Mapping[str, str], Depends(posted)]


def add_routes(router: APIRouter, service: LetterService) -> None:
    """Add the letter pages."""
    pages = Pages(_instant)
    cookie = "__Host-letter" if service.settings.public_url.startswith("https://") else "letter"
    _add_door(router, service, pages, cookie)
    _add_letter(router, service, pages, cookie)
    _add_answers(router, service, pages, cookie)
    # Last, because its pattern would take every other address under /l.
    _add_short_path(router, pages)


def _add_door(router: APIRouter, service: LetterService, pages: Pages, cookie: str) -> None:
    @router.api_route("/l", methods=["GET", "HEAD"], dependencies=[OPEN_PAGE])
    def code_page() -> Response:
        """Return the page that takes the link's token from the fragment and asks for the code."""
        return pages.page("letter_code.html", token="", path="", wrong=None)

    @router.api_route("/l/static/{name}", methods=["GET", "HEAD"], dependencies=[Depends(Public("style and script"))])
    def static(name: str) -> Response:
        """Return a style sheet or script of these pages."""
        if name not in STATIC:
            raise Problem(404, "not-found", "There is nothing at this address.")
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(pages.files[name], media_type=STATIC[name], headers=headers)

    @router.post("/l/open", dependencies=[OPEN_PAGE])
    def open_letter(request: Request, fields: Fields) -> Response:
        """Open the letter for one who has the link and the code; say the same in every other case."""
        token, path = fields.get("token", "")[:200], fields.get("path", "")[:40]
        try:
            opened = service.door.open(
                token=token, path=path, code=fields.get("code", "")[:100], address=_address(request)
            )
        except TooManyTries as slow:
            headers = {"Retry-After": str(int(slow.wait.total_seconds()))}
            return pages.page("letter_code.html", 429, headers, token=token, path=path, wrong="throttled")
        if opened is None:
            return pages.page("letter_code.html", 403, token=token, path=path, wrong="refused")
        answer = RedirectResponse("/l/letter", 303, headers=PAGE_HEADERS)
        seconds = int(service.door.policy.session.total_seconds())
        answer.set_cookie(
            cookie, opened.session, max_age=seconds, path="/", secure=cookie.startswith("__Host-"),
            httponly=True, samesite="strict",
        )  # fmt: skip
        return answer

    @router.post("/l/leave", dependencies=[BY_SESSION])
    def leave(request: Request, fields: Fields) -> Response:
        """End the session."""
        service.reader.leave(request.cookies.get(cookie, ""))
        answer = pages.page("letter_over.html", why="left")
        answer.delete_cookie(cookie, path="/", secure=cookie.startswith("__Host-"), httponly=True, samesite="strict")
        return answer


def _add_letter(router: APIRouter, service: LetterService, pages: Pages, cookie: str) -> None:
    @router.api_route("/l/letter", methods=["GET", "HEAD"], dependencies=[BY_SESSION])
    def letter(request: Request) -> Response:
        """Return the letter's page with the answer form."""
        view = service.reader.view(request.cookies.get(cookie, ""))
        return _over(pages) if view is None else _letter_page(pages, view, {}, ())

    @router.api_route("/l/letter/{number}/body", methods=["GET", "HEAD"], dependencies=[BY_SESSION])
    def body(request: Request, number: Place) -> Response:
        """Return a stored letter for its frame on the letter's page. It can run nothing and load nothing."""
        found = service.reader.document(request.cookies.get(cookie, ""), "letter-html", number)
        if found is None:
            return _over(pages)
        return Response(found[1], media_type="text/html; charset=utf-8", headers=letter_headers())

    @router.api_route("/l/letter/{number}/pdf", methods=["GET", "HEAD"], dependencies=[BY_SESSION])
    def pdf(request: Request, number: Place) -> Response:
        """Return a stored PDF; its file name carries the reference and nothing else."""
        found = service.reader.document(request.cookies.get(cookie, ""), "letter-pdf", number)
        if found is None:
            return _over(pages)
        name = "".join(sign for sign in found[2] if sign.isascii() and (sign.isalnum() or sign == "-"))
        further = f"-{number}" if number > 1 else ""
        headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="letter-{name}{further}.pdf"'}
        return Response(found[1], media_type="application/pdf", headers=headers)


def _add_answers(router: APIRouter, service: LetterService, pages: Pages, cookie: str) -> None:
    @router.post("/l/answer", dependencies=[BY_SESSION])
    def check(request: Request, fields: Fields) -> Response:
        """Read the answer back, or the form again with what is missing. Nothing is stored yet."""
        session = request.cookies.get(cookie, "")
        view = service.reader.view(session)
        if view is None:
            return _over(pages)
        said, faults = said_from(fields, may_report_dose=view.may_report_dose)
        if said is None or (faults := field_faults(said, view.today)):
            return _letter_page(pages, view, fields, faults, status=422)
        text = said.model_dump_json(exclude_unset=True)
        nonce = service.door.fresh_nonce()
        mark = _mark(session, nonce, text)
        return pages.page("letter_confirm.html", view=view, said=said, text=text, nonce=nonce, mark=mark)

    @router.post("/l/answer/change", dependencies=[BY_SESSION])
    def change(request: Request, fields: Fields) -> Response:
        """Return the form again with the answer that was read back."""
        session = request.cookies.get(cookie, "")
        view, said = service.reader.view(session), _confirmed(session, fields)
        if view is None:
            return _over(pages)
        return _letter_page(pages, view, {} if said is None else fields_of(said), ())

    @router.post("/l/answer/confirm", dependencies=[BY_SESSION])
    def confirm(request: Request, fields: Fields) -> Response:
        """Store the answer that was read back: once, however often this is sent."""
        session = request.cookies.get(cookie, "")
        said = _confirmed(session, fields)
        try:
            stored = None if said is None else service.reader.answer(session, said, fields.get("nonce", ""))
        except Refused:
            stored = None
        if said is None or stored is None:
            return _over(pages)
        if said.kind in MISDIRECTED:
            return pages.page("letter_over.html", why="misdirected")
        return RedirectResponse("/l/letter", 303, headers=PAGE_HEADERS)


def _add_short_path(router: APIRouter, pages: Pages) -> None:
    @router.api_route("/l/{path}", methods=["GET", "HEAD"], dependencies=[OPEN_PAGE])
    def short_path(path: str) -> Response:
        """Return the code page of a short address, whether there is such a letter or not."""
        if len(path) > 20 or not all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in path):
            raise Problem(404, "not-found", "There is nothing at this address.")
        return pages.page("letter_code.html", token="", path=path, wrong=None)


def _letter_page(
    pages: Pages, view: ReaderView, fields: Mapping[str, str], faults: tuple[str, ...], *, status: int = 200
) -> Response:
    kept = {name: text[:700] for name, text in fields.items()}
    return pages.page("letter.html", status, view=view, fields=kept, faults=faults)


def _over(pages: Pages) -> Response:
    return pages.page("letter_over.html", 401, why="over")


def _mark(session: str, nonce: str, text: str) -> str:
    """Return what proves that this very answer was read back in this session."""
    return hmac.new(session.encode(), json.dumps([nonce, text]).encode(), hashlib.sha256).hexdigest()


def _confirmed(session: str, fields: Mapping[str, str]) -> Said | None:
    """Return the answer that was read back, or None when it is not the one, or of another session."""
    nonce, text, mark = fields.get("nonce", ""), fields.get("said", ""), fields.get("mark", "")
    if not session or not nonce or not hmac.compare_digest(_mark(session, nonce, text).encode(), mark.encode()):
        return None
    return Said.model_validate_json(text)


def _is_ours(request: Request) -> bool:
    """Return whether a post comes from our own page.

    The pages are sent with `no-referrer`, under which a browser says `Origin: null` with
    our own forms; so it is Sec-Fetch-Site that decides. A browser too old to send it is
    let in with an origin that is null or ours: the session cookie is SameSite=Strict,
    and an answer needs the mark of its session besides.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin in (None, "null"):
        return True
    ours = urlsplit(request.app.state.service.settings.public_url)
    return urlsplit(origin).netloc in {ours.netloc, request.headers.get("host", "")}


def _address(request: Request) -> str:
    return place(request.client.host if request.client else None)


def _instant(at: datetime, zone: str) -> str:
    """Return an instant in a zone, for people: "14 October 2026, 11:12 MST"."""
    here = at.astimezone(ZoneInfo(zone))
    return f"{here.day} {here:%B %Y, %H:%M %Z}"
