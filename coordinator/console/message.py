"""One message: the page, its documents, and the buttons. A button calls the desk and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from coordinator.console import presenters, words
from coordinator.console.access import Person, Requires, posted
from coordinator.console.contracts import Service
from coordinator.console.lists import attention_page
from coordinator.console.rendering import Pages
from coordinator.domain.errors import NotFound, Refused, StateConflict
from coordinator.domain.values import Code
from coordinator.flow.desk import Desk

Form = Annotated[Mapping[str, str], Depends(posted)]
Sender = Annotated[Person, Depends(Requires("act"))]
MAX_REASON = 500
MAX_WHEN = 40
WHEN = "hand.when"
"""How the codes begin of what is wrong with the time of a hand-over; it is said beside that field."""
FASTER = "Somebody else, or the service itself, was faster. This page shows where it stands now."
LETTER_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"
)
"""A letter is shown without any right: no script, no form, no other address, styles of its own only."""


@dataclass(frozen=True)
class Kept:
    """What a person had typed for an act that was not done, so that it need not be typed again."""

    action: str = ""
    said: str = ""
    when: str = ""
    wrong_when: str = ""
    """What is wrong with `when`; empty when nothing is."""


NOTHING = Kept()
INLINE = {"text/html", "text/plain", "application/pdf"}


def add_routes(router: APIRouter, service: Service, pages: Pages) -> None:
    """Add the page of one message, its documents and the answer to a held event."""

    @router.get("/messages/{message_id}")
    def show(
        message_id: Code,
        request: Request,
        person: Annotated[Person, Depends(Requires("messages"))],
        done: str | None = None,
    ) -> Response:
        """Show one message."""
        return message_page(request, service, pages, person, message_id, done=done)

    @router.get("/messages/{message_id}/documents/{document_id}")
    def document(
        message_id: Code, document_id: Code, person: Annotated[Person, Depends(Requires("letter"))]
    ) -> Response:
        """Return one stored document, the very bytes."""
        detail = service.desk.message(message_id, person.actor)
        if all(one.id != document_id for one in detail.documents):
            raise NotFound("document")
        media_type, body, _ = service.desk.document(document_id, person.actor)
        return _document(media_type, body, document_id)

    @router.post("/events/{event_ref}/answer")
    def answer(
        event_ref: Code, request: Request, fields: Form, person: Annotated[Person, Depends(Requires("answer"))]
    ) -> Response:
        """Answer the questions of a held event."""
        confirmed, reason = fields.get("confirmed"), fields.get("reason", "").strip()
        if confirmed not in ("yes", "no") or not reason or len(reason) > MAX_REASON:
            wrong = f"Say how you know, in at most {MAX_REASON} characters, and choose one of the two answers."
            return attention_page(request, service, pages, person, wrong=wrong, status=422)
        try:
            service.desk.answer(event_ref, confirmed=confirmed == "yes", reason=reason, actor=person.actor)
        except Refused as refused:
            return attention_page(request, service, pages, person, wrong=refused.reason, status=409)
        except StateConflict:
            return attention_page(request, service, pages, person, wrong=FASTER, status=409)
        return RedirectResponse("/?done=confirmed" if confirmed == "yes" else "/?done=not-confirmed", 303)


def add_calls(router: APIRouter, service: Service, pages: Pages) -> None:
    """Add the form that records a telephone call."""

    @router.post("/calls/{task_id}/done")
    def call_done(
        task_id: Code, request: Request, fields: Form, person: Annotated[Person, Depends(Requires("answer"))]
    ) -> Response:
        """Record who was reached and what was agreed."""
        note = fields.get("note", "").strip()
        if not note or len(note) > MAX_REASON:
            wrong = f"Say who was reached and what was agreed, in at most {MAX_REASON} characters."
            return attention_page(request, service, pages, person, wrong=wrong, status=422)
        try:
            service.desk.call_done(task_id, note=note, actor=person.actor)
        except Refused as refused:
            return attention_page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse("/?done=call", 303)


def add_actions(router: APIRouter, service: Service, pages: Pages) -> None:
    """Add the buttons of one message."""

    @router.post("/messages/{message_id}/resend")
    def resend(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Send the stored letter again, as a new delivery."""

        def act(desk: Desk, delivery: str, said: str) -> None:
            desk.resend(delivery, reason=said, token=fields.get("token", ""), actor=person.actor)

        return _act(request, service, pages, person, message_id, fields, act, verb="resend")

    @router.post("/messages/{message_id}/next")
    def by_next(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Send by the next address of the route, in place of the one that failed or waits."""

        def act(desk: Desk, delivery: str, said: str) -> None:
            desk.send_by_next(delivery, reason=said, token=fields.get("token", ""), actor=person.actor)

        return _act(request, service, pages, person, message_id, fields, act, verb="next")

    @router.post("/messages/{message_id}/release")
    def release(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Let a held delivery go on, or settle one in doubt as not arrived."""

        def act(desk: Desk, delivery: str, said: str) -> None:
            desk.release(delivery, reason=said, token=fields.get("token", ""), actor=person.actor)

        return _act(request, service, pages, person, message_id, fields, act, verb="release")

    @router.post("/messages/{message_id}/cancel")
    def cancel(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Withdraw a message of which nothing has left."""

        def act(desk: Desk, delivery: str, said: str) -> None:
            desk.cancel(message_id, reason=said, actor=person.actor)

        return _act(request, service, pages, person, message_id, fields, act, verb="cancel")

    @router.post("/messages/{message_id}/handover")
    def handover(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Record that the printed letter was handed over."""

        def act(desk: Desk, delivery: str, said: str) -> None:
            at = presenters.handed_over_at(fields.get("when", "").strip(), pages.clinic()[1])
            desk.record_handover(delivery, to=said, at=at, actor=person.actor)

        return _act(request, service, pages, person, message_id, fields, act, verb="handover", field="to")


def _act(
    request: Request,
    service: Service,
    pages: Pages,
    person: Person,
    message_id: str,
    fields: Mapping[str, str],
    act: Callable[[Desk, str, str], None],
    *,
    verb: str,
    field: str = "reason",
) -> Response:
    """Do one thing with one delivery of this message, and show the message again, or why it was not done."""
    said = fields.get(field, "").strip()
    detail = service.desk.message(message_id, person.actor)
    delivery = fields.get("delivery", "")
    if all(one.id != delivery for one in detail.deliveries):
        raise NotFound("delivery")
    status, wrong, wrong_when = 409, FASTER, ""
    if not said or len(said) > MAX_REASON:
        asked = "Say why" if field == "reason" else "Say who took it"
        status, wrong = 422, f"{asked}, in at most {MAX_REASON} characters. Nothing was done."
    else:
        try:
            act(service.desk, delivery, said)
        except Refused as refused:
            wrong = refused.reason
            if refused.code.startswith(WHEN):
                status, wrong_when = 422, wrong
        except StateConflict:
            pass
        else:
            return RedirectResponse(f"/messages/{message_id}?done={verb}", 303)
    kept = Kept(verb, said[:MAX_REASON], fields.get("when", "")[:MAX_WHEN], wrong_when)
    return message_page(request, service, pages, person, message_id, wrong=wrong, status=status, kept=kept)


def message_page(
    request: Request,
    service: Service,
    pages: Pages,
    person: Person,
    message_id: str,
    *,
    done: str | None = None,
    wrong: str | None = None,
    status: int = 200,
    kept: Kept = NOTHING,
) -> Response:
    """Return the page of one message, with what was done to it or why it was not."""
    detail = service.desk.message(message_id, person.actor)
    letters = presenters.letters_of(detail) if person.may("letter") else []
    shown = [
        (one, service.desk.document(one.id, person.actor)[1].decode("utf-8", "replace"))
        if one.role == "letter-text"
        else (one, None)
        for one in letters
    ]
    current = presenters.newest(detail)
    return pages.page(
        request,
        "message.html",
        person,
        status=status,
        detail=detail,
        row=detail.row,
        current=current,
        earlier=[one for one in reversed(detail.deliveries) if one is not current],
        actions=presenters.actions(current, allowed=person.may("act")) if current else (),
        history=presenters.history(detail.timeline),
        looks=presenters.looks(detail.timeline),
        reached=presenters.reached(detail),
        to_print=presenters.to_print(detail, current),
        letters=shown,
        documents=presenters.document_names(detail.documents, words.DOCUMENTS),
        moving=detail.row.state in presenters.MOVING,
        done=words.done(done, current),
        wrong=wrong,
        kept=kept,
    )


def _document(media_type: str, body: bytes, document_id: str) -> Response:
    kind = media_type.partition(";")[0]
    shown = "inline" if kind in INLINE else "attachment"
    ending = {"text/html": "html", "text/plain": "txt", "application/pdf": "pdf"}.get(kind, "json")
    # A browser's own PDF reader does not start under `sandbox`; a PDF is shown by itself, where it has no rights.
    policy = "default-src 'none'; frame-ancestors 'self'" if kind == "application/pdf" else LETTER_POLICY
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "SAMEORIGIN",
        "Content-Disposition": f'{shown}; filename="{document_id}.{ending}"',
    }
    return Response(body, media_type=media_type, headers=headers)
