"""What recipients answered: the page where a clinician reviews it, and where access codes for secure links are made."""

from collections.abc import Mapping
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from coordinator.console.access import Person, Requires, posted
from coordinator.console.rendering import Pages
from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.registry import Registry
from coordinator.domain.values import Code
from coordinator.flow.answers import AnswersDesk
from coordinator.flow.read_models import Actor

MAX_REASON = 500
DONE: Mapping[str, str] = {
    "accepted": "The answer was accepted. A reported dose is now one more statement in the patient's record.",
    "recorded": "The answer is recorded. It waits here for a clinician's review.",
    "still-open": "The answer is recorded. It does not tell the dose that is asked for, so the call stays owed.",
    "incident": "The incident is open, and the address carries nothing for anybody. Tell the privacy officer.",
    "closed": "The incident is closed.",
    "rejected": "The answer was rejected. It stays on record and changes nothing.",
}

Form = Annotated[Mapping[str, str], Depends(posted)]
Reader = Annotated[Person, Depends(Requires("letter"))]
Reviewer = Annotated[Person, Depends(Requires("review"))]


class WholeRegistry(Protocol):
    """As much of the registry as this page shows."""

    def whole(self) -> Registry | None:
        """Return clinic, staff and providers, without patients."""
        ...


class AnswersService(Protocol):
    """The service as this page sees it."""

    @property
    def answers(self) -> AnswersDesk:
        """What readers answered."""
        ...

    @property
    def registry(self) -> WholeRegistry:
        """The registry."""
        ...

    def new_access_code(self, endpoint_id: str, actor: Actor) -> str:
        """Return a new access code, shown this once; raise NotFound."""
        ...


def add_routes(router: APIRouter, service: AnswersService, pages: Pages) -> None:
    """Add the page and its two forms."""
    pages.environment.globals["has_answers"] = True

    @router.get("/answers")
    def show(request: Request, person: Reader, done: str | None = None) -> Response:
        """Show the answers that wait for review, and the open incidents."""
        return _page(request, service, pages, person, done=DONE.get(done or ""))

    @router.post("/answers/{answer_id}/review")
    def review(answer_id: Code, request: Request, fields: Form, person: Reviewer) -> Response:
        """Accept or reject one answer, with a reason."""
        accepted, reason = fields.get("accepted"), fields.get("reason", "").strip()
        if accepted not in ("yes", "no") or not reason or len(reason) > MAX_REASON:
            wrong = f"Choose accept or reject, and give a reason of at most {MAX_REASON} characters."
            return _page(request, service, pages, person, wrong=wrong, status=422)
        try:
            licence = person.signed_in.account.licence
            service.answers.review(
                answer_id, accepted=accepted == "yes", actor=person.actor, licence=licence, reason=reason
            )
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse(f"/answers?done={'accepted' if accepted == 'yes' else 'rejected'}", 303)

    @router.post("/incidents/{incident_id}/close")
    def close(incident_id: Code, request: Request, fields: Form, person: Annotated[Person, Depends(Requires("answer"))]
    ) -> Response:  # fmt: skip
        """Close an incident with what was found out."""
        found, right = fields.get("resolution", "").strip()[:MAX_REASON], fields.get("address")
        if right not in ("right", "wrong"):
            wrong = "Say whether the address is the right one after all, or not. Nothing was done."
            return _page(request, service, pages, person, wrong=wrong, status=422)
        try:
            service.answers.close_incident(
                incident_id, resolution=found, address_is_right=right == "right", actor=person.actor
            )
        except Refused as refused:
            return _page(request, service, pages, person, wrong=refused.reason, status=409)
        return RedirectResponse("/answers?done=closed", 303)

    @router.get("/answers/{answer_id}/evidence")
    def evidence(answer_id: Code, person: Reader) -> Response:
        """Return the page an answer was typed from."""
        media_type, body = service.answers.evidence(answer_id, person.actor)
        ending = media_type.rpartition("/")[2]
        headers = {"Content-Disposition": f'attachment; filename="reply-form.{ending}"'}
        return Response(body, media_type=media_type, headers=headers)

    @router.post("/access-codes")
    def access_code(request: Request, fields: Form, person: Annotated[Person, Depends(Requires("act"))]) -> Response:
        """Make a new access code for one recipient's link and show it this once."""
        endpoint = fields.get("endpoint", "")
        try:
            code = service.new_access_code(endpoint, person.actor)
        except NotFound:
            wrong = "There is no secure link of that name in the registry any more. Nothing was changed."
            return _page(request, service, pages, person, wrong=wrong, status=409)
        return _page(request, service, pages, person, code=code, endpoint=endpoint)


def _page(
    request: Request,
    service: AnswersService,
    pages: Pages,
    person: Person,
    *,
    done: str | None = None,
    wrong: str | None = None,
    code: str | None = None,
    endpoint: str = "",
    status: int = 200,
) -> Response:
    registry = service.registry.whole()
    links = [
        (one.id, who.name.full(), one.address)
        for who in (() if registry is None else registry.providers)
        for one in who.endpoints
        if one.kind == "secure-link"
    ]
    return pages.page(
        request, "answers.html", person, status=status, waiting_answers=service.answers.waiting(person.actor),
        incidents=service.answers.incidents(person.actor), links=links, code=code, endpoint=endpoint, done=done,
        wrong=wrong,
    )  # fmt: skip
