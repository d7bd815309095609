"""Sending many messages again: draw up the list, look at it, start it, and watch what comes of each."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, cast, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from coordinator.console import words
from coordinator.console.access import Person, Requires, posted
from coordinator.console.rendering import Pages
from coordinator.console.sending import MAX_REASON, SendingService
from coordinator.domain.errors import Refused
from coordinator.domain.values import Code
from coordinator.flow.hold_rows import Selection
from coordinator.flow.resend_jobs import DEFAULT_PER_MINUTE, JobView, Verb
from coordinator.flow.second_person import may_approve

ITEMS = 100
Form = Annotated[Mapping[str, str], Depends(posted)]
Sender = Annotated[Person, Depends(Requires("act"))]


def add_routes(router: APIRouter, service: SendingService, pages: Pages) -> None:
    """Add the list of jobs, the page of one, and their forms."""

    @router.get("/resends")
    def listing(request: Request, person: Sender) -> Response:
        """Show the newest jobs, and the form for a new list."""
        return _listing(request, service, pages, person)

    @router.post("/resends")
    def plan(request: Request, fields: Form, person: Sender) -> Response:
        """Freeze a list and show it. Nothing is sent by this."""
        try:
            drawn = service.sending.plan_job(
                _selection(fields, pages),
                reason=fields.get("reason", "").strip()[:MAX_REASON],
                actor=person.actor,
                mode="recomposed" if fields.get("mode") == "recomposed" else "stored",
                per_minute=_rate(fields.get("per_minute", "")),
            )
        except Refused as refused:
            return _listing(request, service, pages, person, wrong=refused.reason, status=409, kept=fields)
        return RedirectResponse(f"/resends/{drawn.id}", 303)

    @router.get("/resends/{job_id}")
    def show(job_id: Code, request: Request, person: Sender, after: int = 0) -> Response:
        """Show one job and what came of each of its messages."""
        return _job_page(request, service, pages, person, job_id, after=max(after, 0))

    @router.post("/resends/{job_id}/{verb}")
    def move(job_id: Code, verb: str, request: Request, fields: Form, person: Sender) -> Response:
        """Start, approve, pause, continue or cancel."""
        if verb not in get_args(Verb):
            return _job_page(request, service, pages, person, job_id, wrong="That cannot be done.", status=422)
        try:
            service.sending.move_job(job_id, cast(Verb, verb), actor=person.actor)
        except Refused as refused:
            return _job_page(request, service, pages, person, job_id, wrong=refused.reason, status=409)
        return RedirectResponse(f"/resends/{job_id}", 303)


def add_recompose(router: APIRouter, service: SendingService, pages: Pages) -> None:
    """Add the page that shows what composing a message anew would change."""

    @router.get("/messages/{message_id}/recompose")
    def look(message_id: Code, request: Request, person: Sender) -> Response:
        """Show the difference between the stored letter and what the record says now."""
        return compared(request, person, message_id)

    def compared(request: Request, person: Person, message_id: str, wrong: str | None = None) -> Response:
        shown = None
        try:
            shown = service.sending.preview(message_id, person.actor)
        except Refused as refused:
            wrong = refused.reason
        status = 200 if wrong is None else 409
        return pages.page(
            request, "recompose.html", person, status=status, shown=shown, message_id=message_id, wrong=wrong
        )

    @router.post("/messages/{message_id}/recompose")
    def do(message_id: Code, request: Request, fields: Form, person: Sender) -> Response:
        """Put the newly composed version in the message's place."""
        try:
            name = service.sending.recompose(
                message_id,
                seen=fields.get("seen", "")[:64],
                reason=fields.get("reason", "").strip()[:MAX_REASON],
                token=f"{message_id}|{fields.get('seen', '')[:64]}",
                actor=person.actor,
            )
        except Refused as refused:
            return compared(request, person, message_id, refused.reason)
        return RedirectResponse(f"/messages/{name}?done=recompose", 303)


def _selection(fields: Mapping[str, str], pages: Pages) -> Selection:
    def named(name: str) -> str | None:
        return fields.get(name, "").strip()[:64] or None

    since = None
    if fields.get("since", "").strip():
        try:
            since = datetime.fromisoformat(fields["since"].strip())
        except ValueError:
            raise Refused("job.since", "The time is not understood. Choose it from the calendar.") from None
        if since.tzinfo is None:
            since = since.replace(tzinfo=pages.clinic()[1])
    return Selection(
        endpoint_id=named("endpoint"),
        provider_id=named("provider"),
        channel=named("channel"),
        cause=named("cause"),
        since=since,
        with_arrived=fields.get("with_arrived") == "1",
    )


def _rate(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else DEFAULT_PER_MINUTE


def _listing(
    request: Request,
    service: SendingService,
    pages: Pages,
    person: Person,
    *,
    wrong: str | None = None,
    status: int = 200,
    kept: Mapping[str, str] | None = None,
) -> Response:
    return pages.page(
        request,
        "resends.html",
        person,
        status=status,
        jobs=service.sending.jobs(),
        endpoints=[one for one in service.endpoints() if one.kind != "by-hand"],
        rate=DEFAULT_PER_MINUTE,
        kept=kept or {},
        wrong=wrong,
    )


def _job_page(
    request: Request,
    service: SendingService,
    pages: Pages,
    person: Person,
    job_id: str,
    *,
    after: int = 0,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    job = service.sending.job(job_id, person.actor, after=after, limit=ITEMS)
    return pages.page(
        request, "resend_job.html", person, status=status, job=job, wrong=wrong, job_words=words.JOB_STATES,
        moving=job.state == "running", may_approve=may_approve(job.made_by, job.started_by, person.actor),
        chosen=_chosen(job, service, pages),
    )  # fmt: skip


def _chosen(job: JobView, service: SendingService, pages: Pages) -> list[tuple[str, object]]:
    """Return what a list was drawn up from, in the words of the pages it was chosen on."""
    people = {one.provider_id: one.recipient for one in service.endpoints()}
    said: dict[str, Callable[[str], tuple[str, object]]] = {
        "endpoint_id": lambda value: ("address:", pages.names()(value)),
        "provider_id": lambda value: ("recipient:", people.get(value, value)),
        "channel": lambda value: ("channel:", words.CHANNELS.get(value, value)),
        "cause": lambda value: ("held or failed because:", job.cause_said.removesuffix(".") or value),
        "since": lambda value: ("since", pages.time(datetime.fromisoformat(value))),
    }
    return [said[name](str(value)) for name, value in job.selection.items() if name in said]
