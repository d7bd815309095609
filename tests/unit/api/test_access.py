import re

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from coordinator.api.access import Public, Requires, check_routes
from coordinator.api.app import build
from coordinator.domain.access import SCOPES
from coordinator.domain.errors import ConfigurationError

OPEN = {
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/health/work"),
    ("POST", "/v1/receipts/fax/{secret}"),
    ("GET", "/v1/schemas"),
    ("GET", "/v1/schemas/{name}"),
}


def gate(route: APIRoute):
    return next(one.call for one in route.dependant.dependencies if isinstance(one.call, Requires | Public))


def calls(app):
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods:
                yield method, route.path, gate(route)


def test_every_route_says_who_may_call_it_and_only_these_are_open(service):
    app = build(service)
    assert {(method, path) for method, path, one in calls(app) if isinstance(one, Public)} == OPEN
    assert len(list(calls(app))) > 15


def test_a_route_that_says_nothing_does_not_start():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/forgotten")(lambda: None)
    with pytest.raises(ConfigurationError):
        check_routes(app)


def test_a_router_that_hides_its_routes_does_not_start():
    app, router = FastAPI(openapi_url=None, docs_url=None, redoc_url=None), APIRouter()
    router.get("/forgotten")(lambda: None)
    app.include_router(router)
    with pytest.raises(ConfigurationError):
        check_routes(app)


def test_every_closed_route_refuses_callers_without_a_credential_and_without_its_scope(service, client, allowed):
    for method, path, one in calls(client.app):
        if isinstance(one, Public):
            continue
        url = re.sub(r"\{.*?\}", "x", path)
        answer = client.request(method, url)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
        others = [scope for scope in SCOPES if scope != one.scope]
        refused = client.request(method, url, headers=allowed(*others))
        assert refused.status_code == 403, path
        assert one.scope in refused.json()["detail"]
    assert service.desk.submitted == []
    assert service.registry.written == []
    assert service.desk.done == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer " + "x" * 5000])
def test_a_credential_that_is_none_gets_the_same_answer(client, header):
    answer = client.post("/v1/events", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:coordinator:problem:credential-missing"


def test_a_revoked_credential_is_worth_nothing(service, client, allowed):
    headers = allowed("messages:read")
    assert client.get("/v1/messages", headers=headers).status_code == 200
    service.accounts.sources.revoke(service.accounts.sources.listing()[0].id)
    assert client.get("/v1/messages", headers=headers).status_code == 401


def test_the_word_bearer_may_be_written_in_any_case(client, allowed):
    token = allowed("messages:read")["Authorization"].split()[1]
    assert client.get("/v1/messages", headers={"Authorization": f"bearer {token}"}).status_code == 200
