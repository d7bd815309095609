"""The two letters that staff print themselves: the patient's own copy, and the one to a wrong reader."""

from collections.abc import Callable, Mapping
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from coordinator.console.access import Person, Requires, posted
from coordinator.console.contracts import Service
from coordinator.console.message import message_page
from coordinator.console.rendering import Pages
from coordinator.domain.errors import Refused
from coordinator.domain.values import Code
from coordinator.flow.read_models import Actor


class Paper(Protocol):
    """As much of the paper desk as the console needs."""

    def patient_copy(self, message_id: str, *, language: str | None, actor: Actor) -> bytes:
        """Return the patient's copy as PDF; raise NotFound or Refused."""
        ...

    def to_wrong_reader(self, message_id: str, *, actor: Actor) -> bytes:
        """Return the letter to a wrong reader as PDF; raise NotFound or Refused."""
        ...


class PaperService(Protocol):
    """The service, as far as it prints."""

    @property
    def paper(self) -> Paper:
        """What staff print."""
        ...


Form = Annotated[Mapping[str, str], Depends(posted)]
Reader = Annotated[Person, Depends(Requires("letter"))]


def add_routes(router: APIRouter, service: Service, printing: PaperService, pages: Pages) -> None:
    """Add the two buttons of a message. Each makes something and is audited, so each is a post."""
    pages.environment.globals["has_paper"] = True

    @router.post("/messages/{message_id}/patient-copy")
    def patient_copy(message_id: Code, request: Request, fields: Form, person: Reader) -> Response:
        """Show the patient's own copy, ready to print."""
        language = fields.get("language") or None

        def make() -> bytes:
            return printing.paper.patient_copy(message_id, language=language, actor=person.actor)

        return _shown(request, service, pages, person, message_id, make, "patient-copy")

    @router.post("/messages/{message_id}/wrong-reader")
    def wrong_reader(message_id: Code, request: Request, fields: Form, person: Reader) -> Response:
        """Show the letter that asks a wrong reader to destroy one, ready to print."""

        def make() -> bytes:
            return printing.paper.to_wrong_reader(message_id, actor=person.actor)

        return _shown(request, service, pages, person, message_id, make, "wrong-reader")


def _shown(
    request: Request,
    service: Service,
    pages: Pages,
    person: Person,
    message_id: str,
    make: Callable[[], bytes],
    name: str,
) -> Response:
    try:
        made = make()
    except Refused as refused:
        return message_page(request, service, pages, person, message_id, wrong=refused.reason, status=409)
    headers = {
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Content-Disposition": f'inline; filename="{name}.pdf"',
        "Cache-Control": "no-store",
    }
    return Response(made, media_type="application/pdf", headers=headers)
