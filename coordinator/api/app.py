"""The intake application: put together here, started by `create`. Thin: parse, call the flow, answer."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from coordinator.api import events, letters, messages, open_routes, registry, sending
from coordinator.api.access import check_routes
from coordinator.api.contracts import Service
from coordinator.api.problems import Problem, internal_problem, unavailable_problem
from coordinator.domain.errors import NotFound, Refused, StateConflict
from coordinator.security.edge import API_POLICY, DATABASE_AWAY, LastCatch, SecurityHeaders

NAMED = {
    "hold": "Nothing was done. GET /v1/holds says what is held, GET /v1/restore-hold whether that hold stands.",
    "endpoint": "Nothing was done. The id is the one in the registry: GET /v1/registry/providers/{id} has them.",
    "channel": "Nothing was done. The kinds of channel stand in the schema: GET /v1/schemas/registry.",
}
"""What a body names and is not there, and where it would be found: the address of the call itself is right."""


def create() -> FastAPI:
    """Return the application around the configured service."""
    from coordinator.bootstrap import service  # noqa: PLC0415  (importing this module must start nothing)

    made = service()
    return build(made, made, made)


def build(service: Service, letter_service: letters.LetterService | None = None,
          sending_service: sending.SendingService | None = None) -> FastAPI:  # fmt: skip
    """Return the application around a service, with the letter pages and holds where there is a service for them.

    Raises ConfigurationError when a route says nothing about access.
    """
    development = service.settings.environment == "development"
    app = FastAPI(
        title="coordinator intake",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if development else None,
    )
    app.state.service = service
    for part in (events, registry, messages, open_routes):
        part.add_routes(app.router, service)
    if letter_service is not None:
        letters.add_routes(app.router, letter_service)
    if sending_service is not None:
        sending.add_routes(app.router, sending_service)
    check_routes(app)
    _add_handlers(app)
    app.add_middleware(LastCatch, answer=internal_problem)
    app.add_middleware(SecurityHeaders, policy=API_POLICY, https=service.settings.public_url.startswith("https://"))
    return app


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, wrong: Problem) -> Response:
        return wrong.response()

    @app.exception_handler(NotFound)
    async def not_found(request: Request, wrong: NotFound) -> Response:
        what = str(wrong)
        if what in NAMED:
            return Problem(404, f"no-such-{what}", f"There is no such {what}.", NAMED[what]).response()
        return Problem(404, "not-found", "There is nothing at this address.").response()

    @app.exception_handler(Refused)
    async def refused(request: Request, wrong: Refused) -> Response:
        return Problem(409, wrong.code, "This may not be done now.", wrong.reason).response()

    @app.exception_handler(StateConflict)
    async def faster(request: Request, wrong: StateConflict) -> Response:
        detail = "Look at the message again: a person or the service itself moved it meanwhile. Nothing was done."
        return Problem(409, "moved-meanwhile", "Somebody else was faster.", detail).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, wrong: HTTPException) -> Response:
        titles = {404: "There is nothing at this address.", 405: "This address does not take that method."}
        title = titles.get(wrong.status_code, "The request could not be answered.")
        return Problem(wrong.status_code, "request", title, headers=wrong.headers).response()

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, wrong: RequestValidationError) -> Response:
        if any(one["loc"][0] == "path" for one in wrong.errors()):
            return Problem(404, "not-found", "There is nothing at this address.").response()
        faults = [("/" + "/".join(str(part) for part in one["loc"]), one["msg"], "") for one in wrong.errors()]
        return Problem(422, "parameters", "A parameter is not usable.", faults=faults).response()

    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _unavailable)


async def _unavailable(request: Request, wrong: Exception) -> Response:
    return unavailable_problem().response()
