"""Messages over HTTP, with the same verbs as the console and the command line."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from coordinator.api.access import Requires
from coordinator.api.bodies import MAX_ACTION_BYTES, parse, read_body, takes
from coordinator.api.contracts import Service
from coordinator.api.problems import Answer, Problem
from coordinator.api.shapes import message_line, message_whole
from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound
from coordinator.domain.registry import EndpointKind
from coordinator.domain.values import Code, Instant, Record
from coordinator.flow.presenting import what_comes
from coordinator.flow.read_models import Actor, MessageDetail, MessageFilter

Reader = Annotated[Actor, Depends(Requires("messages:read"))]
Doer = Annotated[Actor, Depends(Requires("messages:act"))]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
MAX_PAGE = 200


class Search(Record):
    """What to look for. `patient` and `text` may name people, so they travel in a body, never in a URL."""

    state: State | None = None
    needs_attention: bool = False
    provider: Code | None = None
    channel: EndpointKind | None = None
    patient: Code | None = None
    text: Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)] | None = None
    before: Code | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50

    def wanted(self) -> MessageFilter:
        """Return it as the desk takes it."""
        return MessageFilter(
            state=self.state,
            needs_attention=self.needs_attention,
            provider_id=self.provider,
            channel=self.channel,
            patient=self.patient,
            text=self.text,
            before_id=self.before,
            limit=self.limit,
        )


class ResendBody(Record):
    """Why a message is sent again or let go on, and which of its deliveries (the newest by default)."""

    reason: Reason
    delivery: Code | None = None


class CancelBody(Record):
    """Why a message is withdrawn."""

    reason: Reason


class HandoverBody(Record):
    """Who took the printed letter, and when (an instant with its offset; now by default)."""

    to: Reason
    at: Instant | None = None
    delivery: Code | None = None


def add_routes(router: APIRouter, service: Service) -> None:
    """Add the routes under /v1/messages."""

    @router.get("/v1/messages")
    def listing(
        actor: Reader,
        state: State | None = None,
        needs_attention: bool = False,
        provider: Code | None = None,
        channel: EndpointKind | None = None,
        before: Code | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    ) -> Response:
        """Return a page of messages, newest first; `next` goes into `before` for the next page."""
        search = Search(
            state=state,
            needs_attention=needs_attention,
            provider=provider,
            channel=channel,
            before=before,
            limit=limit,
        )
        return _page(service, search, actor)

    @router.post("/v1/messages/search", openapi_extra=takes(Search))
    async def search(request: Request, actor: Reader) -> Response:
        """Return a page of messages found by patient or text."""
        wanted = parse(Search, await read_body(request, limit=MAX_ACTION_BYTES))
        return await run_in_threadpool(_page, service, wanted, actor)

    @router.get("/v1/messages/{message_id}")
    def show(message_id: Code, actor: Reader) -> Response:
        """Return one message with its deliveries and attempts."""
        return Answer(message_whole(service.desk.message(message_id, actor)))

    @router.post("/v1/messages/{message_id}/resend", openapi_extra=takes(ResendBody))
    async def resend(message_id: Code, request: Request, actor: Doer) -> Response:
        """Send the stored letter again as a new delivery. The same Idempotency-Key twice sends once."""
        said = parse(ResendBody, await read_body(request, limit=MAX_ACTION_BYTES))
        return await run_in_threadpool(_resend, service, message_id, said, _key(request), actor)

    @router.post("/v1/messages/{message_id}/release", openapi_extra=takes(ResendBody))
    async def release(message_id: Code, request: Request, actor: Doer) -> Response:
        """Let a held delivery go on, or settle one in doubt as not arrived."""
        said = parse(ResendBody, await read_body(request, limit=MAX_ACTION_BYTES))
        return await run_in_threadpool(_release, service, message_id, said, _key(request), actor)

    @router.post("/v1/messages/{message_id}/handover", openapi_extra=takes(HandoverBody))
    async def handover(message_id: Code, request: Request, actor: Doer) -> Response:
        """Record that the printed letter was handed over, which proves it."""
        said = parse(HandoverBody, await read_body(request, limit=MAX_ACTION_BYTES))
        return await run_in_threadpool(_handover, service, message_id, said, actor)

    @router.post("/v1/messages/{message_id}/cancel", openapi_extra=takes(CancelBody))
    async def cancel(message_id: Code, request: Request, actor: Doer) -> Response:
        """Withdraw a message of which nothing has left."""
        said = parse(CancelBody, await read_body(request, limit=MAX_ACTION_BYTES))
        await run_in_threadpool(lambda: service.desk.cancel(message_id, reason=said.reason, actor=actor))
        return Answer({"id": message_id, "outcome": "cancelled"})


def _page(service: Service, search: Search, actor: Actor) -> Response:
    rows = service.desk.messages(search.wanted(), actor)
    after = rows[-1].id if len(rows) >= search.limit else None
    return Answer({"messages": [message_line(row) for row in rows], "next": after})


def _resend(service: Service, message_id: str, said: ResendBody, key: str | None, actor: Actor) -> Response:
    detail = service.desk.message(message_id, actor)
    delivery = _delivery_of(detail, said.delivery)
    token = _token(detail, key, actor)
    made = service.desk.resend(delivery, reason=said.reason, token=token, actor=actor)
    return Answer({"id": message_id, "resend_of": delivery, **_stands(service, message_id, made, actor)}, 202)


def _release(service: Service, message_id: str, said: ResendBody, key: str | None, actor: Actor) -> Response:
    detail = service.desk.message(message_id, actor)
    delivery = _delivery_of(detail, said.delivery)
    service.desk.release(delivery, reason=said.reason, token=_token(detail, key, actor), actor=actor)
    return Answer({"id": message_id, **_stands(service, message_id, delivery, actor), "outcome": "released"})


def _stands(service: Service, message_id: str, delivery: str, actor: Actor) -> dict[str, object]:
    """Return a delivery that was just made or let go on with where it stands: it may not go out at all.

    What was withheld goes on as another delivery: then that one is meant.
    """
    detail = service.desk.message(message_id, actor)
    views = {one.id: one for one in detail.deliveries}
    view = views[delivery]
    view = views[detail.row.delivery_id] if view.state == State.CANCELLED else view
    stands = {"state": view.state, "waits_behind": view.waits_behind, "what_comes": what_comes(view)}
    return {"delivery": view.id, **stands}


def _handover(service: Service, message_id: str, said: HandoverBody, actor: Actor) -> Response:
    delivery = _delivery_of(service.desk.message(message_id, actor), said.delivery)
    service.desk.record_handover(delivery, to=said.to, at=said.at, actor=actor)
    return Answer({"id": message_id, "delivery": delivery, "outcome": "handed-over"})


def _key(request: Request) -> str | None:
    """Return the caller's own key for this act, or None; raise Problem for one that is not usable."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 200 and key.isascii() and key.isprintable()):
        raise Problem(400, "idempotency-key", "The Idempotency-Key is not usable.", "Use 1 to 200 ASCII signs.")
    return key


def _token(detail: MessageDetail, key: str | None, actor: Actor) -> str:
    """Return what makes the act happen once: the caller's key within this message, else the desk's own."""
    return detail.action_token if key is None else f"{actor.name}|{detail.row.id}|{key}"


def _delivery_of(detail: MessageDetail, wanted: str | None) -> str:
    delivery = wanted or detail.row.delivery_id
    if all(one.id != delivery for one in detail.deliveries):
        raise NotFound("delivery")
    return delivery
