"""Who may call what: a bearer token per source system, with scopes. A route that names no scope does not start."""

import re
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
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
"""A parameter's name that is repeated in an answer; whatever else somebody wrote there is not."""


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
        _refuse_unknown_parameters(request)
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


def _refuse_unknown_parameters(request: Request) -> None:
    """Raise Problem 422 for a parameter that nobody reads: a misspelt filter would quietly find everything."""
    route = request.scope["route"]
    taken = [one.alias for one in route.dependant.query_params] if isinstance(route, APIRoute) else []
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in taken]
    if not unknown:
        return
    fix = f"This address takes {', '.join(sorted(taken))}." if taken else "This address takes no parameters."
    if {"patient", "text"} & set(unknown):
        fix += " People are looked for in a body: POST /v1/messages/search."
    faults = [(f"/query/{name}" if NAME.fullmatch(name) else "/query", "There is no such parameter.", fix)
              for name in unknown]  # fmt: skip
    raise Problem(422, "parameters", "A parameter is not usable.", faults=faults)


def _unknown() -> Problem:
    return Problem(
        401,
        "credential-missing",
        "This call needs a credential that is in force.",
        "Send it as `Authorization: Bearer <token>`. The clinic's administrator issues credentials.",
        headers={"WWW-Authenticate": 'Bearer realm="coordinator"'},
    )
