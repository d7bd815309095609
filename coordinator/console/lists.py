"""The pages that list: needs attention, all messages, refused events, help."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from coordinator.console import presenters, words
from coordinator.console.access import Person, Requires, posted
from coordinator.console.contracts import Service
from coordinator.console.rendering import Pages, mark_of
from coordinator.flow.read_models import MessageFilter

ATTENTION_ROWS = 200


def add_routes(router: APIRouter, service: Service, pages: Pages) -> None:
    """Add the listing pages."""

    @router.get("/")
    def attention(
        request: Request, person: Annotated[Person, Depends(Requires("help"))], done: str | None = None
    ) -> Response:
        """Show what needs a person; who has no business with messages goes to the help page."""
        if not person.may("attention"):
            return pages.page(request, "help.html", person)
        return attention_page(request, service, pages, person, done=done)

    @router.get("/pulse")
    def pulse(person: Annotated[Person, Depends(Requires("attention"))]) -> Response:
        """Return a mark that changes when any message moves, and the time, for pages that refresh themselves."""
        as_of = pages.time(pages.now(), seconds=True).striptags()
        return JSONResponse({"mark": mark_of(service.desk.overview()), "as_of": as_of})

    @router.get("/messages")
    def messages(request: Request, person: Annotated[Person, Depends(Requires("messages"))]) -> Response:
        """Show the list by state and channel. Names are looked for by post only."""
        asked = {key: value for key, value in request.query_params.items() if key not in ("text", "patient")}
        return _messages_page(request, service, pages, person, asked)

    @router.post("/messages")
    def search(
        request: Request,
        fields: Annotated[Mapping[str, str], Depends(posted)],
        person: Annotated[Person, Depends(Requires("messages"))],
    ) -> Response:
        """Show what was looked for by name, reference or patient."""
        return _messages_page(request, service, pages, person, fields)

    @router.get("/refused")
    def refused(request: Request, person: Annotated[Person, Depends(Requires("refusals"))]) -> Response:
        """Show the events that were refused, with every fault."""
        return pages.page(request, "refused.html", person, refusals=service.desk.refusals())

    @router.get("/help")
    def explain(request: Request, person: Annotated[Person, Depends(Requires("help"))]) -> Response:
        """Show what the states mean, per channel."""
        return pages.page(request, "help.html", person)


def attention_page(
    request: Request,
    service: Service,
    pages: Pages,
    person: Person,
    *,
    done: str | None = None,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    """Return the first page."""
    rows = service.desk.messages(MessageFilter(needs_attention=True, limit=ATTENTION_ROWS), person.actor)
    overview = service.desk.overview()
    calls = service.desk.calls(person.actor)
    others = sum(one.count for one in overview.unprepared) + overview.held_events
    others += len(overview.other_stations) + len(overview.standstills)
    return pages.page(
        request,
        "attention.html",
        person,
        status=status,
        overview=overview,
        calls=calls,
        moving=sum(count for state, count in overview.by_state if state in presenters.MOVING),
        held=service.desk.held_events(person.actor),
        groups=presenters.groups(rows),
        left_alone=pages.left_alone(),
        to_approve=pages.jobs_to_approve() if person.may("act") else (),
        shown=len(rows),
        stuck=max(overview.needs_attention - others, len(rows)),
        done=words.DONE.get(done or ""),
        wrong=wrong,
    )


def _messages_page(
    request: Request, service: Service, pages: Pages, person: Person, asked: Mapping[str, str]
) -> Response:
    wanted = presenters.wanted(asked)
    found = presenters.found(service.desk.messages(wanted, person.actor), wanted)
    return pages.page(request, "messages.html", person, found=found, overview=service.desk.overview())
