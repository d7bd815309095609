"""The registry over HTTP: clinic, staff, providers, patients, one at a time or as one file."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from coordinator.api.access import Requires
from coordinator.api.bodies import MAX_EVENT_BYTES, MAX_REGISTRY_BYTES, read_body, takes_schema
from coordinator.api.contracts import RegistryKind, RegistryWritten, Service
from coordinator.api.problems import Answer, Fault, Problem
from coordinator.domain.values import Code
from coordinator.flow.read_models import Actor
from coordinator.planning.faults import Unreadable
from coordinator.planning.strict_json import read_json

Writer = Annotated[Actor, Depends(Requires("registry:write"))]


def add_routes(router: APIRouter, service: Service) -> None:
    """Add the routes under /v1/registry."""

    @router.put("/v1/registry", openapi_extra=takes_schema("registry"))
    async def put_whole(request: Request, actor: Writer) -> Response:
        """Store everything a registry file holds, or nothing of it."""
        body = await read_body(request, limit=MAX_REGISTRY_BYTES)
        return _written(await run_in_threadpool(service.registry.write_whole, body, actor))

    @router.get("/v1/registry/clinic")
    def get_clinic(actor: Writer) -> Response:
        """Return the clinic."""
        return _entity(service.registry.read("clinic", None, actor))

    @router.put("/v1/registry/clinic", openapi_extra=takes_schema("registry"))
    async def put_clinic(request: Request, actor: Writer) -> Response:
        """Store the clinic."""
        body = await _read_entity(request)
        return _written(await run_in_threadpool(service.registry.write, "clinic", None, body, actor))

    for kind in ("staff", "providers", "patients"):
        _add_kind(router, service, kind)


def _add_kind(router: APIRouter, service: Service, kind: RegistryKind) -> None:
    @router.get(f"/v1/registry/{kind}/{{key}}", name=f"get-{kind}")
    def get_one(key: Code, actor: Writer) -> Response:
        """Return one entity."""
        return _entity(service.registry.read(kind, key, actor))

    @router.put(f"/v1/registry/{kind}/{{key}}", name=f"put-{kind}", openapi_extra=takes_schema("registry"))
    async def put_one(key: Code, request: Request, actor: Writer) -> Response:
        """Store one entity whole."""
        body = await _read_entity(request)
        return _written(await run_in_threadpool(service.registry.write, kind, key, body, actor))


async def _read_entity(request: Request) -> bytes:
    """Return the body of one entity; raise Problem 422 where strict JSON would have lost or changed something of it."""
    body = await read_body(request, limit=MAX_EVENT_BYTES)
    try:
        read_json(body)
    except Unreadable as wrong:
        raise _refused([(one.pointer, one.message, one.fix) for one in wrong.faults]) from None
    return body


def _entity(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _written(written: RegistryWritten) -> Response:
    if written.outcome == "refused":
        raise _refused(written.faults)
    return Answer({"outcome": written.outcome}, 201 if written.outcome == "created" else 200)


def _refused(faults: Sequence[Fault]) -> Problem:
    return Problem(
        422,
        "registry-refused",
        "The registry entry was refused; nothing of it was kept.",
        "Every fault is listed. Correct them all and send it again.",
        faults=faults,
    )
