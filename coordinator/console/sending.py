"""Sending as a whole: what is held or left alone, the look-through after a restore, and asking an address how it is."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from coordinator.console.access import Person, Requires, posted
from coordinator.console.rendering import Pages
from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.values import Code
from coordinator.flow.endpoint_checks import EndpointRow, Step
from coordinator.flow.hold_rows import EVERYTHING
from coordinator.flow.holds import LetGo
from coordinator.flow.read_models import Actor
from coordinator.flow.sending_desk import SendingDesk

MAX_REASON = 500
DONE: Mapping[str, str] = {
    "held": "It is held. What waits stays in view here and uses up no attempt.",
    "approved": "The address is in use. What was held for it goes once it is released.",
    "confirmed": "The name counts as theirs from now on.",
    "released": "It is released. What waited goes out now, the most pressing first.",
    "released-held": "It is released. Some or all of what waited behind it is held in another way too, and waits on.",
    "restored": "Everything is held, and the far sides are being asked what they have.",
    "ended": "Sending goes on. What nobody could say anything about stays in doubt, each for a person.",
    "ended-held": "The hold is over. Some or all of what waits is held by a person too, as shown here, and waits on; "
    "what nobody could say anything about stays in doubt, each for a person.",
}

Form = Annotated[Mapping[str, str], Depends(posted)]
Looker = Annotated[Person, Depends(Requires("sending"))]
Holder = Annotated[Person, Depends(Requires("hold"))]


class SendingService(Protocol):
    """The service as these pages see it."""

    @property
    def sending(self) -> SendingDesk:
        """Holds, jobs and composing anew."""
        ...

    def endpoints(self) -> Sequence[EndpointRow]:
        """Return every provider's endpoints."""
        ...

    def check_endpoint(self, endpoint_id: str, actor: Actor) -> Sequence[Step]:
        """Return what one endpoint's far side is like; raise NotFound."""
        ...

    def approve_address(self, endpoint_id: str, address: str, actor: Actor) -> None:
        """Put a changed address into use as a second person; raise Refused or NotFound."""
        ...

    def test_endpoint(self, endpoint_id: str, actor: Actor) -> Sequence[Step]:
        """Send the agreed test patient's message; raise NotFound or Refused."""
        ...


def add_routes(router: APIRouter, service: SendingService, pages: Pages) -> None:
    """Add the page of sending and its forms."""
    pages.show_holds(service.sending, service.endpoints)

    @router.get("/sending")
    def show(request: Request, person: Looker, done: str | None = None) -> Response:
        """Show what is held, what is left alone, and every address."""
        return _page(request, service, pages, person, done=DONE.get(done or ""))

    @router.post("/sending/hold")
    def hold(request: Request, fields: Form, person: Holder) -> Response:
        """Hold an address, a channel or everything."""
        scope, reason = fields.get("scope", "")[:128], fields.get("reason", "").strip()[:MAX_REASON]
        try:
            service.sending.hold(scope, reason=reason, actor=person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse("/sending?done=held", 303)

    @router.post("/sending/release")
    def release(request: Request, fields: Form, person: Holder) -> Response:
        """Let go what is held."""
        scope, reason = fields.get("scope", "")[:128], fields.get("reason", "").strip()[:MAX_REASON]
        try:
            gone = service.sending.let_go(scope, reason=reason, actor=person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        except NotFound:
            wrong = "It is not held any more: somebody was faster."
            return _page(request, service, pages, person, wrong=wrong, status=409)
        return RedirectResponse(f"/sending?done=released{_still(gone)}", 303)

    _add_restore(router, service, pages)
    _add_checks(router, service, pages)


def _still(gone: LetGo) -> str:
    return "-held" if gone.still_held else ""


def _add_restore(router: APIRouter, service: SendingService, pages: Pages) -> None:
    @router.post("/sending/restore")
    def restore(request: Request, fields: Form, person: Holder) -> Response:
        """Begin or end the hold after a database restore."""
        reason, verb = fields.get("reason", "").strip()[:MAX_REASON], fields.get("verb")
        try:
            if verb == "end":
                gone = service.sending.restore_off(reason=reason, actor=person.actor)
                return RedirectResponse(f"/sending?done=ended{_still(gone)}", 303)
            if len(reason) < 5:
                raise Refused("reason.missing", "Say which copy was restored, and why; it is kept with the record.")
            service.sending.restore_on(reason=reason, actor=person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        except NotFound:
            wrong = "The hold is over already: somebody was faster."
            return _page(request, service, pages, person, wrong=wrong, status=409)
        return RedirectResponse("/sending?done=restored", 303)


def _add_checks(router: APIRouter, service: SendingService, pages: Pages) -> None:
    @router.post("/sending/endpoints/{endpoint_id}/check")
    def check(endpoint_id: Code, request: Request, fields: Form, person: Holder) -> Response:
        """Ask the far side of one address whether it would take a message today."""
        steps = service.check_endpoint(endpoint_id, person.actor)
        return _page(request, service, pages, person, checked=endpoint_id, steps=steps)

    @router.post("/sending/endpoints/{endpoint_id}/approve")
    def approve(endpoint_id: Code, request: Request, fields: Form, person: Holder) -> Response:
        """Put a changed address into use, typed anew by another person than who entered it."""
        try:
            service.approve_address(endpoint_id, fields.get("address", "")[:300], person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse("/sending?done=approved", 303)

    @router.post("/sending/endpoints/{endpoint_id}/station")
    def station(endpoint_id: Code, request: Request, fields: Form, person: Holder) -> Response:
        """Let another machine's name count as the office's own, which the person has asked."""
        try:
            service.sending.confirm_station(endpoint_id, fields.get("station", "")[:100], person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse("/sending?done=confirmed", 303)

    @router.post("/sending/endpoints/{endpoint_id}/test")
    def test(endpoint_id: Code, request: Request, fields: Form, person: Holder) -> Response:
        """Send the message of the test patient that the partner agreed to."""
        try:
            steps = service.test_endpoint(endpoint_id, person.actor)
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return _page(request, service, pages, person, checked=endpoint_id, steps=steps)


def _page(
    request: Request,
    service: SendingService,
    pages: Pages,
    person: Person,
    *,
    done: str | None = None,
    wrong: str | None = None,
    status: int = 200,
    checked: str = "",
    steps: Sequence[Step] = (),
) -> Response:
    held = service.sending.holds()
    return pages.page(
        request,
        "sending.html",
        person,
        status=status,
        holds=held,
        held={one.scope: one for one in held},
        everything=EVERYTHING,
        restore=service.sending.restore(),
        left_alone={one.endpoint_id: one for one in service.sending.left_alone()},
        endpoints=[one for one in service.endpoints() if one.kind != "by-hand"],
        channels=sorted({one.kind for one in service.endpoints()} - {"by-hand"}),
        checked=checked,
        steps=steps,
        done=done,
        wrong=wrong,
    )
