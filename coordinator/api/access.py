"""Who may call what: a bearer token per source system, with scopes. A route that names no scope does not start."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from coordinator.api.problems import Problem
from coordinator.domain.access import Scope
from coordinator.domain.errors import ConfigurationError
from coordinator.flow.read_models import Actor

if TYPE_CHECKING:
    from coordinator.api.contracts import Service

MAX_TOKEN_CHARACTERS = 200


class Requires:
    """A dependency that lets a source in whose token is in force and has the scope; returns it as the actor."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __call__(self, request: Request) -> Actor:
        """Return the source as an actor; raise Problem 401 or 403."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        service = cast("Service", request.app.state.service)
        if kind.lower() != "bearer" or not token or len(token) > MAX_TOKEN_CHARACTERS:
            raise _unknown()
        credential = service.accounts.sources.find(token)
        if credential is None:
            raise _unknown()
        if self.scope not in credential.scopes:
            raise Problem(
                403,
                "scope-missing",
                "This credential may not do that.",
                f"It needs the scope {self.scope}. The clinic's administrator issues credentials.",
            )
        return Actor("source", credential.source)


class Public:
    """A dependency that marks a route as open to everybody, and says why that is right."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self) -> None:
        """Let everybody in."""


def check_routes(app: FastAPI) -> None:
    """Raise ConfigurationError when a route says neither which scope it needs nor why it is open."""
    for route in app.routes:
        if app.openapi_url and getattr(route, "path", None) == app.openapi_url:
            continue
        if not isinstance(route, APIRoute) or len(list(_gates(route.dependant))) != 1:
            raise ConfigurationError("a route of the API does not say who may call it")


def _gates(dependant: Dependant) -> Iterator[Requires | Public]:
    for one in dependant.dependencies:
        if isinstance(one.call, Requires | Public):
            yield one.call
        yield from _gates(one)


def _unknown() -> Problem:
    return Problem(
        401,
        "credential-missing",
        "This call needs a credential that is in force.",
        "Send it as `Authorization: Bearer <token>`. The clinic's administrator issues credentials.",
        headers={"WWW-Authenticate": 'Bearer realm="coordinator"'},
    )
