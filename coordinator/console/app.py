"""The staff console: put together here, started by `create`. Its pages call the desk and nothing below it."""

from collections.abc import Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from coordinator.console import answers, gallery, lists, message, paper, recording, resends, sending, sign_in
from coordinator.console.access import Cookies, Denied, Forged, NotSignedIn, Public, TooMuch, check_routes, person_of
from coordinator.console.contracts import Service
from coordinator.console.rendering import STATIC, Pages
from coordinator.domain.errors import NotFound
from coordinator.security.edge import DATABASE_AWAY, PAGE_POLICY, LastCatch, SecurityHeaders


def _utc_now() -> datetime:
    return datetime.now(UTC)


def create() -> FastAPI:
    """Return the console around the configured service."""
    from coordinator.bootstrap import service  # noqa: PLC0415  (importing this module must start nothing)

    made = service()
    return build(
        made, letters=made.parts.workshop.letters, answers_service=made, sending_service=made, paper_service=made
    )


def build(
    service: Service,
    *,
    now: Callable[[], datetime] = _utc_now,
    letters: gallery.Letters | None = None,
    answers_service: answers.AnswersService | None = None,
    paper_service: paper.PaperService | None = None,
    sending_service: sending.SendingService | None = None,
) -> FastAPI:
    """Return the console around a service. `letters` shows the gallery; by default the shipped templates do.

    With `answers_service` there is also the page where recipients' answers are reviewed, with `sending_service`
    those of holds, of addresses and of sending many again.

    Raises ConfigurationError for an http address beyond loopback, and when a route
    says nothing about who may see it.
    """
    cookies = Cookies.at(service.settings.console_url, service.settings.environment)
    app = FastAPI(title="coordinator console", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.service = service
    app.state.cookies = cookies
    pages = Pages(service, now)
    sign_in.add_routes(app.router, service, pages, cookies)
    sign_in.add_account_routes(app.router, service, pages, cookies)
    lists.add_routes(app.router, service, pages)
    message.add_routes(app.router, service, pages)
    message.add_calls(app.router, service, pages)
    message.add_actions(app.router, service, pages)
    gallery.add_routes(app.router, pages, letters)
    if answers_service is not None:
        answers.add_routes(app.router, answers_service, pages)
        recording.add_routes(app.router, service, answers_service, pages)
    if paper_service is not None:
        paper.add_routes(app.router, service, paper_service, pages)
    if sending_service is not None:
        sending.add_routes(app.router, sending_service, pages)
        resends.add_recompose(app.router, sending_service, pages)
        resends.add_routes(app.router, sending_service, pages)
    _add_static(app.router, pages)
    check_routes(app)
    _add_handlers(app, pages)
    app.add_middleware(LastCatch, answer=_incident)
    # Under `no-referrer` a browser says `Origin: null` with a form of our own page.
    app.add_middleware(SecurityHeaders, policy=PAGE_POLICY, https=cookies.secure, referrer="same-origin")
    return app


def _add_static(router: APIRouter, pages: Pages) -> None:
    @router.get("/static/{version}/{name}", dependencies=[Depends(Public("styles and script, the same for everybody"))])
    def static(version: str, name: str) -> Response:
        """Return a static file; its address changes with its content."""
        if name not in STATIC:
            raise NotFound("file")
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(pages.files[name], media_type=STATIC[name], headers=kept)

    @router.get("/health/live", dependencies=[Depends(Public("says only that the process answers"))])
    def live() -> Response:
        """Return that the process answers."""
        return Response('{"live":true}', media_type="application/json")


def _add_handlers(app: FastAPI, pages: Pages) -> None:
    def error(request: Request, status: int, title: str, text: str) -> Response:
        try:
            return pages.page(request, "error.html", person_of(request), status=status, title=title, text=text)
        except DATABASE_AWAY as gone:
            return away(request, gone)

    @app.exception_handler(NotSignedIn)
    def not_signed_in(request: Request, wrong: NotSignedIn) -> Response:
        if request.method in ("GET", "HEAD"):
            return RedirectResponse(f"/sign-in?next={sign_in.safe_next(request.url.path)}", 303)
        text = "Your session has ended, so nothing was done. Sign in, then do it again."
        return error(request, 401, "Please sign in again", text)

    @app.exception_handler(Denied)
    def denied(request: Request, wrong: Denied) -> Response:
        text = "Your role does not include this page. An administrator of the clinic can change that."
        return error(request, 403, "Not for your role", text)

    @app.exception_handler(Forged)
    def forged(request: Request, wrong: Forged) -> Response:
        text = "The form was from another session or another site, so nothing was done. Open the page again and repeat."
        return error(request, 403, "Nothing was done", text)

    @app.exception_handler(TooMuch)
    def too_much(request: Request, wrong: TooMuch) -> Response:
        return error(request, 413, "Nothing was done", "The form held more than it can hold. Shorten the text.")

    @app.exception_handler(NotFound)
    def not_found(request: Request, wrong: NotFound) -> Response:
        return error(request, 404, "Not here", "There is nothing at this address, or it is over.")

    @app.exception_handler(HTTPException)
    def http(request: Request, wrong: HTTPException) -> Response:
        return error(request, wrong.status_code, "Not here", "There is nothing at this address.")

    @app.exception_handler(RequestValidationError)
    def parameters(request: Request, wrong: RequestValidationError) -> Response:
        if any(one["loc"][0] == "path" for one in wrong.errors()):
            return error(request, 404, "Not here", "There is nothing at this address.")
        return error(request, 422, "Not understood", "The address holds something that is not understood.")

    def away(request: Request, wrong: Exception) -> Response:
        answer = _plain(503, "Not reachable just now", "The database does not answer. Nothing was done. Try again.")
        answer.headers["Retry-After"] = "10"
        return answer

    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, away)


def _incident(incident: str) -> Response:
    text = f"Something failed on our side. Give the operator this number: {incident}. Look at the page again first."
    return _plain(500, "Something failed", text)


def _plain(status: int, title: str, text: str) -> Response:
    """Return a page that needs neither template nor database."""
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · coordinator</title>'
        f'<main><h1>{title}</h1><p>{text}</p><p><a href="/">To the first page</a></p></main></html>'
    )
    return HTMLResponse(page, status_code=status)
