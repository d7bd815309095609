"""Holds and resend jobs over HTTP, with the verbs of the console and the command line. No names, no letters."""

from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from coordinator.api.access import Requires
from coordinator.api.bodies import MAX_ACTION_BYTES, parse, read_body, takes
from coordinator.api.messages import Reason
from coordinator.api.problems import Answer
from coordinator.domain.registry import EndpointKind
from coordinator.domain.values import Code, Record
from coordinator.flow.hold_rows import Selection
from coordinator.flow.holds import HoldView, LetGo
from coordinator.flow.read_models import Actor
from coordinator.flow.resend_jobs import DEFAULT_PER_MINUTE, FASTEST_PER_MINUTE, JobView, Verb
from coordinator.flow.sending_desk import SendingDesk

Reader = Annotated[Actor, Depends(Requires("messages:read"))]
Doer = Annotated[Actor, Depends(Requires("messages:act"))]
Scope = Annotated[str, StringConstraints(pattern=r"^(everything|(channel|endpoint):[A-Za-z0-9._\-]{1,64})$")]


class HoldBody(Record):
    """What is held or let go on, and why."""

    scope: Scope
    reason: Reason


class RestoreBody(Record):
    """Why everything is held after a restore, or why it may go on."""

    reason: Reason


class JobBody(Record):
    """Which messages are sent again, why, and how."""

    endpoint: Code | None = None
    recipient: Code | None = None
    channel: EndpointKind | None = None
    cause: Code | None = None
    since: AwareDatetime | None = None
    with_arrived: bool = False
    mode: Literal["stored", "recomposed"] = "stored"
    per_minute: Annotated[int, Field(ge=1, le=FASTEST_PER_MINUTE)] = DEFAULT_PER_MINUTE
    reason: Reason


class SendingService(Protocol):
    """The service as these routes see it."""

    @property
    def sending(self) -> SendingDesk:
        """Holds and jobs."""
        ...


def add_routes(router: APIRouter, service: SendingService) -> None:
    """Add the routes under /v1/holds, /v1/restore-hold and /v1/resend-jobs."""
    _add_holds(router, service)
    _add_jobs(router, service)


def _add_holds(router: APIRouter, service: SendingService) -> None:
    @router.get("/v1/holds")
    def listing(actor: Reader) -> Response:
        """Return what is held, by whom, why, since when, and how much waits behind it."""
        return Answer({"holds": [_hold(one) for one in service.sending.holds()]})

    @router.post("/v1/holds", openapi_extra=takes(HoldBody))
    async def place(request: Request, actor: Doer) -> Response:
        """Hold an address, a channel or everything."""
        said = parse(HoldBody, await read_body(request, limit=MAX_ACTION_BYTES))
        view = await run_in_threadpool(
            lambda: service.sending.hold(said.scope, reason=said.reason, actor=actor)
        )  # fmt: skip
        return Answer(_hold(view), 201)

    @router.post("/v1/holds/release", openapi_extra=takes(HoldBody))
    async def release(request: Request, actor: Doer) -> Response:
        """Let what is held go on."""
        said = parse(HoldBody, await read_body(request, limit=MAX_ACTION_BYTES))
        gone = await run_in_threadpool(
            lambda: service.sending.let_go(said.scope, reason=said.reason, actor=actor)
        )  # fmt: skip
        return Answer({"scope": said.scope, **_gone(gone)})

    @router.get("/v1/restore-hold")
    def restore(actor: Reader) -> Response:
        """Return where the look-through after a database restore stands."""
        view = service.sending.restore()
        held = None if view.hold is None else _hold(view.hold)
        counts = {"to_review": view.to_review, "arrived": view.arrived, "absent": view.absent, "unknown": view.unknown}
        return Answer({"hold": held, **counts})

    @router.post("/v1/restore-hold/{verb}", openapi_extra=takes(RestoreBody))
    async def move(verb: Literal["on", "off"], request: Request, actor: Doer) -> Response:
        """Begin or end the hold after a restore."""
        said = parse(RestoreBody, await read_body(request, limit=MAX_ACTION_BYTES))
        if verb == "on":
            await run_in_threadpool(lambda: service.sending.restore_on(reason=said.reason, actor=actor))
            return Answer({"outcome": "held"})
        gone = await run_in_threadpool(lambda: service.sending.restore_off(reason=said.reason, actor=actor))
        return Answer({"outcome": "released", **_gone(gone)})


def _add_jobs(router: APIRouter, service: SendingService) -> None:
    @router.get("/v1/resend-jobs")
    def listing(actor: Reader) -> Response:
        """Return the newest jobs."""
        return Answer({"jobs": [_job(one) for one in service.sending.jobs()]})

    @router.post("/v1/resend-jobs", openapi_extra=takes(JobBody))
    async def plan(request: Request, actor: Doer) -> Response:
        """Freeze a list: its count and a sample. Nothing is sent before it is started."""
        said = parse(JobBody, await read_body(request, limit=MAX_ACTION_BYTES))
        chosen = Selection(
            said.endpoint, said.recipient, said.channel, said.cause, said.since, said.with_arrived
        )  # fmt: skip
        view = await run_in_threadpool(
            lambda: service.sending.plan_job(
                chosen, reason=said.reason, actor=actor, mode=said.mode, per_minute=said.per_minute
            )
        )
        return Answer(_job(view), 201)

    @router.get("/v1/resend-jobs/{job_id}")
    def show(
        job_id: Code,
        actor: Reader,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Return how far a job is, with a page of its items; `next` goes into `after`."""
        return Answer(_job(service.sending.job(job_id, actor, after=after, limit=limit)))

    @router.post("/v1/resend-jobs/{job_id}/{verb}")
    def move(job_id: Code, verb: Verb, actor: Doer) -> Response:
        """Start, pause, continue or cancel a job. A large one waits for a person to approve it; see `next_step`."""
        return Answer(_job(service.sending.move_job(job_id, verb, actor=actor)))


def _hold(view: HoldView) -> dict[str, object]:
    return {
        "scope": view.scope, "kind": view.kind, "since": view.placed_at, "by": view.placed_by, "reason": view.reason,
        "waiting": view.waiting,
    }  # fmt: skip


def _gone(gone: LetGo) -> dict[str, object]:
    return {"released": gone.go_on, "still_held": gone.still_held, "behind": gone.behind}


def _job(view: JobView) -> dict[str, object]:
    return {
        "id": view.id,
        "state": view.state,
        "mode": view.mode,
        "selection": view.selection,
        "per_minute": view.per_minute,
        "made_at": view.made_at,
        "made_by": view.made_by,
        "started_at": view.started_at,
        "started_by": view.started_by,
        "ended_at": view.ended_at,
        "total": view.total,
        "waiting": view.waiting,
        "made": view.made,
        "refused": view.refused,
        "next_step": view.next_step,
        "items": [
            {
                "position": one.position,
                "message": None if one.message is None else one.message.id,
                "state": one.state,
                "why": one.why,
                "delivery": one.new_delivery_id,
                "delivery_state": one.new_state,
            }
            for one in view.items
        ],
        "next": view.next_after,
    }
