"""Intake: events in, one or many, and where an event stands."""

import io
from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from coordinator.api.access import Requires
from coordinator.api.bodies import (
    JSON,
    MAX_ACTION_BYTES,
    MAX_BATCH_BYTES,
    MAX_EVENT_BYTES,
    NDJSON,
    media_type,
    parse,
    read_body,
    takes,
    takes_schema,
    too_large,
)
from coordinator.api.contracts import Service
from coordinator.api.problems import (
    RECORDED_STATUS,
    Answer,
    Problem,
    fault_list,
    question_list,
    recorded_body,
    recorded_problem,
)
from coordinator.api.shapes import message_line
from coordinator.domain.errors import NotFound
from coordinator.domain.values import Code, Record
from coordinator.flow.read_models import Actor, Recorded
from coordinator.planning.json_stream import read_lines
from coordinator.security.edge import DATABASE_AWAY

MAX_BATCH_EVENTS = 1000


class AnswerBody(Record):
    """The answer to the questions of a held event."""

    confirmed: bool
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


def add_routes(router: APIRouter, service: Service) -> None:
    """Add the routes under /v1/events."""

    @router.post("/v1/events", openapi_extra=takes_schema("session-outcome", "dose-change", lines=True))
    async def submit(request: Request, actor: Annotated[Actor, Depends(Requires("events:write"))]) -> Response:
        """Take in one event, a JSON array of events, or one event a line."""
        body = await read_body(request, limit=MAX_BATCH_BYTES, types=(JSON, NDJSON))
        if media_type(request) == NDJSON or body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            return await run_in_threadpool(_submit_many, service, actor.name, body)
        if len(body) > MAX_EVENT_BYTES:
            raise too_large(MAX_EVENT_BYTES)
        return _single(await run_in_threadpool(service.desk.submit, actor.name, body))

    @router.get("/v1/events/{event_ref}")
    def look(event_ref: Code, actor: Annotated[Actor, Depends(Requires("events:write"))]) -> Response:
        """Return where an event of this source stands, with its messages (no PHI)."""
        view = service.desk.event(event_ref, actor)
        if view.source != actor.name:
            raise NotFound("event")
        return Answer(
            {
                "event_ref": view.event_ref,
                "event_id": view.event_id,
                "event_version": view.event_version,
                "event_type": view.event_type,
                "state": view.state,
                "cause": view.cause,
                "next_step": view.next_step,
                "received_at": view.received_at,
                "questions": question_list(view.questions),
                "messages": [message_line(row) for row in view.messages],
            }
        )

    @router.post("/v1/events/{event_ref}/answer", openapi_extra=takes(AnswerBody))
    async def answer(
        event_ref: Code, request: Request, actor: Annotated[Actor, Depends(Requires("messages:act"))]
    ) -> Response:
        """Answer the questions of a held event."""
        said = parse(AnswerBody, await read_body(request, limit=MAX_ACTION_BYTES))

        def act() -> None:
            if service.desk.event(event_ref, actor).source != actor.name:
                raise NotFound("event")
            service.desk.answer(event_ref, confirmed=said.confirmed, reason=said.reason, actor=actor)

        await run_in_threadpool(act)
        return Answer({"event_ref": event_ref, "confirmed": said.confirmed})


def _single(recorded: Recorded) -> Response:
    if recorded.outcome in ("conflict", "refused"):
        raise recorded_problem(recorded)
    look_at = f"/v1/events/{recorded.event_ref}"
    return Answer(recorded_body(recorded), RECORDED_STATUS[recorded.outcome], {"Location": look_at})


def _submit_many(service: Service, source: str, body: bytes) -> Response:
    """Return each event's own answer; one event's fault holds up no other.

    `index` counts from 0; `line` is where the event starts in the body, from 1.
    """
    items: list[dict[str, object]] = []
    counts: Counter[str] = Counter()
    stopped: dict[str, object] = {}
    for index, (line, text) in enumerate(read_lines(io.BytesIO(body))):
        if index == MAX_BATCH_EVENTS:
            stopped = _stopped(index, line, f"More than {MAX_BATCH_EVENTS} events in one call; the rest was not read.")
            break
        try:
            recorded = service.desk.submit(source, text)
        except DATABASE_AWAY:
            if not items:
                raise
            stopped = _stopped(index, line, "The database does not answer; the rest was not recorded.")
            break
        counts[recorded.outcome] += 1
        items.append({"index": index, "line": line, **_item(recorded)})
    if not items:
        raise Problem(
            422, "no-events", "The body holds no event.", faults=[("", "There is nothing here.", "Send an event.")]
        )
    return Answer({"summary": {"events": len(items), **counts}, **stopped, "items": items}, 207)


def _stopped(index: int, line: int, message: str) -> dict[str, object]:
    fix = "Send the rest, from this line on, in another call. What is sent twice is recorded once."
    return {"stopped": {"index": index, "line": line, "message": message, "fix": fix}}


def _item(recorded: Recorded) -> dict[str, object]:
    if recorded.outcome in ("conflict", "refused"):
        problem = recorded_problem(recorded)
        return {
            "status": problem.status,
            "outcome": recorded.outcome,
            "event_id": recorded.event_id,
            "event_version": recorded.event_version,
            "title": problem.title,
            "faults": fault_list(recorded.faults),
        }
    return {"status": RECORDED_STATUS[recorded.outcome], **recorded_body(recorded)}
