"""What is open to everybody: health, the published schemas, and the far sides' callbacks."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from coordinator.api.access import Public
from coordinator.api.bodies import MAX_CALLBACK_BYTES, read_body
from coordinator.api.contracts import Service
from coordinator.api.problems import Answer, Problem
from coordinator.domain.errors import NotFound
from coordinator.planning.schemas import schemas as planned_schemas

KEYS_KEPT_S = 3600
"""A partner may keep our key set for an hour, so a new key is known everywhere an hour after it is published."""


@cache
def published() -> Mapping[str, dict[str, Any]]:
    """Return every published schema by its name; made once, as anybody may ask for them."""
    return planned_schemas()


def add_routes(router: APIRouter, service: Service) -> None:
    """Add health, schema and receipt routes."""

    @router.get("/health/live", dependencies=[Depends(Public("says only that the process answers"))])
    def live() -> Response:
        """Return that the process answers."""
        return Answer({"live": True})

    @router.get("/health/ready", dependencies=[Depends(Public("says only whether work can be done"))])
    def ready() -> Response:
        """Return 200 when events can be recorded, else 503."""
        found = service.health()
        is_ready = found.get("ready") is True
        return Answer({**found, "ready": is_ready}, 200 if is_ready else 503, {} if is_ready else {"Retry-After": "10"})

    @router.get("/health/work", dependencies=[Depends(Public("says only which kinds of work stand still"))])
    def work() -> Response:
        """Return 200 when letters are written and sent, clocks run and receipts are fetched, else 503 with what is not.

        For whoever watches the service; a load balancer asks `ready`, for events are taken in all the same.
        """
        standing = list(service.standstills())
        return Answer({"working": not standing, "standing_still": standing}, 503 if standing else 200)

    @router.post(
        "/v1/receipts/fax/{secret}",
        dependencies=[Depends(Public("a gateway signs in by the secret address, and its word is only a hint"))],
    )
    async def fax(request: Request, _secret: Annotated[str, Path(alias="secret")]) -> Response:
        """Take in a fax gateway's callback."""
        body = await read_body(request, limit=MAX_CALLBACK_BYTES, types=())
        # The gateway signs the address it was given, which a proxy in front may have changed on the way.
        path = request.scope.get("raw_path", b"").decode("latin-1")
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"{service.settings.public_url.rstrip('/')}{path}{query}"
        if not await run_in_threadpool(service.receipts.fax, body, dict(request.headers), url):
            raise NotFound("receipt address")
        return Response(status_code=204)

    @router.get("/.well-known/jwks.json", dependencies=[Depends(Public("public keys are for everybody"))])
    def keys() -> Response:
        """Return our public signing keys, which partners' token servers fetch without signing in."""
        return Answer(service.jwks(), 200, {"Cache-Control": f"public, max-age={KEYS_KEPT_S}"})

    @router.get("/v1/schemas", dependencies=[Depends(Public("the contract is published"))])
    def schemas() -> Response:
        """Return the names of the published schemas."""
        return Answer({"schemas": [f"/v1/schemas/{name}" for name in sorted(published())]})

    @router.get("/v1/schemas/{name}", dependencies=[Depends(Public("the contract is published"))])
    def schema(name: str) -> Response:
        """Return one JSON Schema."""
        found = published().get(name)
        if found is None:
            raise Problem(404, "not-found", "There is no such schema.", "See /v1/schemas.")
        return Answer(found, media_type="application/schema+json")
