"""Signing in and out. A link is used up by a post only, as mail scanners open whatever they see."""

import math
import re
import secrets
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from coordinator.console.access import Cookies, Person, Public, Requires, person_of, posted
from coordinator.console.contracts import Service
from coordinator.console.rendering import Pages
from coordinator.security.accounts import SignedIn, SignInRefused
from coordinator.security.passwords import WeakPassword
from coordinator.security.places import place

Form = Annotated[Mapping[str, str], Depends(posted)]
_NEXT = re.compile(r"^/(messages(/[A-Za-z0-9-]{1,64})?|refused|help|me)?$")
DOOR = [Depends(Public("people sign in here"))]


def add_routes(router: APIRouter, service: Service, pages: Pages, cookies: Cookies) -> None:
    """Add the routes of signing in and out."""

    @router.get("/sign-in", dependencies=DOOR)
    def form(request: Request, next: str = "/") -> Response:  # noqa: A002  (the address says next)
        """Show the form."""
        if person_of(request) is not None:
            return RedirectResponse("/", 303)
        return _with_form_cookie(request, pages, "sign_in.html", next=safe_next(next), wrong=None, name="")

    @router.post("/sign-in", dependencies=DOOR)
    def sign_in(request: Request, fields: Form) -> Response:
        """Sign in by password."""
        name, target = fields.get("name", ""), safe_next(fields.get("next", "/"))
        try:
            signed = service.accounts.sign_in(name, fields.get("password", ""), address=_address(request))
        except SignInRefused as refused:
            status, wrong = _refusal(refused, "The name or the password is not right.")
            return pages.page(request, "sign_in.html", None, status=status, next=target, wrong=wrong, name=name[:64])
        return _come_in(request, service, cookies, signed, target)

    @router.get("/sign-in/link/{token}", dependencies=DOOR)
    def link(token: str, request: Request) -> Response:
        """Show the button. Says nothing about the link: neither whether it was ever real, nor whose."""
        return _with_form_cookie(request, pages, "link.html", action=f"/sign-in/link/{token}", wrong=None)

    @router.post("/sign-in/link/{token}", dependencies=DOOR)
    def use_link(token: str, request: Request, fields: Form) -> Response:
        """Sign in by the link and use it up."""
        try:
            signed = service.accounts.sign_in_by_link(token, address=_address(request))
        except SignInRefused as refused:
            status, wrong = _refusal(refused, "This link was used already or has expired. Ask for a new one.")
            return pages.page(request, "link.html", None, status=status, action=None, wrong=wrong)
        return _come_in(request, service, cookies, signed, "/")

    @router.post("/sign-out")
    def sign_out(
        request: Request, fields: Form, person: Annotated[Person, Depends(Requires("own-account"))]
    ) -> Response:
        """End the session."""
        service.accounts.sign_out(person.signed_in.token)
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(cookies.session, path="/", secure=cookies.secure, httponly=True, samesite="lax")
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer


def add_account_routes(router: APIRouter, service: Service, pages: Pages, cookies: Cookies) -> None:
    """Add the page about oneself."""

    @router.get("/me")
    def me(
        request: Request, person: Annotated[Person, Depends(Requires("own-account"))], done: str | None = None
    ) -> Response:
        """Show who is signed in, and the form for a new password."""
        asks = service.accounts.needs_present_password(person.signed_in)
        return pages.page(request, "me.html", person, wrong=None, done=done, asks=asks)

    @router.post("/me/password")
    def set_password(
        request: Request, fields: Form, person: Annotated[Person, Depends(Requires("own-account"))]
    ) -> Response:
        """Change one's own password, and rotate the session."""
        account = person.signed_in.account
        new = fields.get("new", "")
        wrong = None
        asks = service.accounts.needs_present_password(person.signed_in)
        if asks and not service.accounts.is_password(account, fields.get("present", "")):
            wrong = "The present password is not right."
        elif new != fields.get("again", ""):
            wrong = "The two new passwords differ."
        else:
            try:
                service.accounts.set_password(account.name, new)
            except WeakPassword as weak:
                wrong = str(weak)
        if wrong:
            return pages.page(request, "me.html", person, status=422, wrong=wrong, done=None, asks=asks)
        again = service.accounts.sign_in(account.name, new, address=_address(request))
        return _come_in(request, service, cookies, again, "/me?done=password")


def safe_next(wanted: str) -> str:
    """Return the address to go on to after sign-in: one of our own pages, else the first one."""
    return wanted if _NEXT.fullmatch(wanted) else "/"


def _with_form_cookie(request: Request, pages: Pages, template: str, **shown: str | None) -> Response:
    """Return a page with a form for people who are not signed in, and the cookie its token is bound to."""
    cookies: Cookies = request.app.state.cookies
    if not request.cookies.get(cookies.form):
        secret = secrets.token_urlsafe(32)
        request.cookies[cookies.form] = secret
        answer: Response = pages.page(request, template, None, status=200, **shown)
        answer.set_cookie(cookies.form, secret, path="/", secure=cookies.secure, httponly=True, samesite="lax")
        return answer
    return pages.page(request, template, None, status=200, **shown)


def _come_in(request: Request, service: Service, cookies: Cookies, signed: SignedIn, target: str) -> Response:
    """Return the way in, with a new session; an older one of this browser ends."""
    older = request.cookies.get(cookies.session)
    if older:
        service.accounts.sign_out(older)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(cookies.session, signed.token, path="/", secure=cookies.secure, httponly=True, samesite="lax")
    answer.delete_cookie(cookies.form, path="/", secure=cookies.secure, httponly=True, samesite="lax")
    return answer


def _refusal(refused: SignInRefused, text: str) -> tuple[int, str]:
    if refused.wait:
        seconds = math.ceil(refused.wait.total_seconds())
        return 429, f"Too many tries. Wait {seconds} seconds, then try again."
    return 401, text


def _address(request: Request) -> str:
    return place(request.client.host if request.client else None)
