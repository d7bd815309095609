"""Every route, every role, and every way a post may be forged."""

import logging
import re

import pytest
from browser import Browser, words
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError
from web_data import some_questions

from coordinator.console.access import Public, Requires, check_routes, gates, posted
from coordinator.domain.errors import ConfigurationError
from coordinator.security.roles import GRANTS

OPEN = {
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/link/{token}"),
    ("POST", "/sign-in/link/{token}"),
    ("GET", "/static/{version}/{name}"),
    ("GET", "/health/live"),
}
ROLES = ("viewer", "sender", "clinician", "admin", "auditor")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def routes(app):
    for route in app.routes:
        assert isinstance(route, APIRoute)
        for method in route.methods:
            yield method, route.path, next(gates(route.dependant))


def at(path):
    return re.sub(r"\{.*?\}", "m-3", path)


@pytest.fixture
def browser(client):
    return Browser(client)


def test_every_route_says_who_may_see_it_and_only_these_are_open(client):
    found = list(routes(client.app))
    assert {(method, path) for method, path, one in found if isinstance(one, Public)} == OPEN
    assert len(found) > 18


def test_a_route_that_says_nothing_does_not_start():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/forgotten")(lambda: None)
    with pytest.raises(ConfigurationError):
        check_routes(app)


def test_a_post_without_the_guard_does_not_start():
    from fastapi import Depends

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.post("/unguarded", dependencies=[Depends(Public("a test"))])(lambda: None)
    with pytest.raises(ConfigurationError, match="forged"):
        check_routes(app)


def test_every_route_that_takes_posts_has_the_guard(client):
    for route in client.app.routes:
        if "POST" in route.methods:
            assert posted in [one.call for one in route.dependant.dependencies]


def test_nobody_gets_in_without_signing_in(service, client):
    for method, path, one in routes(client.app):
        if isinstance(one, Public):
            continue
        answer = client.request(method, at(path), headers=FORM)
        if method == "GET":
            assert (answer.status_code, answer.headers["location"][:8]) == (303, "/sign-in"), path
        else:
            assert answer.status_code in (401, 403), path
    assert service.desk.seen == []
    assert service.desk.done == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_what_is_granted_and_nothing_else(service, browser, role):
    browser.sign_in(role)
    token = browser.token()
    for method, path, one in routes(browser.client.app):
        if not isinstance(one, Requires) or path == "/sign-out":
            continue
        body = {"csrf": token, "reason": "x", "to": "x", "delivery": "d-3", "confirmed": "yes"}
        url = at(path.replace("{kind}/{audience}/{sample}", "L5/psychiatrist/bp-spike"))
        url = url.replace("documents/m-3", "documents/m-3-html")
        answer = browser.client.request(method, url, data=body if method == "POST" else None)
        if role in GRANTS[one.permission]:
            assert answer.status_code in (200, 303, 422), (path, answer.status_code)
        else:
            assert answer.status_code == 403, path
            assert "Not for your role" in words(answer)
    if role not in ("sender", "clinician"):
        assert service.desk.done == []
        assert not any(what[0] == "document" for what in service.desk.seen)


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_without_the_right_to_letters_no_clinical_word_is_shown(browser, role):
    browser.sign_in(role)
    answer = browser.get("/messages/m-1")
    assert answer.status_code == 200
    assert "184/112" not in answer.text
    assert "stimulant dose" not in answer.text
    assert "<iframe" not in answer.text
    assert "role sender" in words(answer)


def test_an_auditor_sees_no_message_and_no_link_to_one(browser):
    browser.sign_in("auditor")
    answer = browser.get("/")
    assert answer.status_code == 200
    assert "What the words mean" in words(answer)
    assert "/messages" not in re.findall(r'href="([^"]+)"', answer.text)


def test_a_post_without_its_token_does_nothing(service, browser):
    browser.sign_in()
    for fields in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}):
        answer = browser.client.post("/messages/m-3/cancel", data={"reason": "x", "delivery": "d-3", **fields})
        assert answer.status_code == 403
        assert "nothing was done" in words(answer)
    assert service.desk.done == []


def test_a_token_of_another_session_does_nothing(service, browser):
    browser.sign_in("viewer")
    other = browser.token()
    browser.post("/sign-out")
    browser.sign_in()
    fields = {"csrf": other, "reason": "x", "delivery": "d-3"}
    assert browser.client.post("/messages/m-3/cancel", data=fields).status_code == 403
    assert service.desk.done == []


def test_the_token_of_the_form_before_sign_in_does_nothing_afterwards(service, browser):
    before = browser.token("/sign-in")
    browser.sign_in()
    fields = {"csrf": before, "reason": "x", "delivery": "d-3"}
    assert browser.client.post("/messages/m-3/cancel", data=fields).status_code == 403
    assert service.desk.done == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:8081"},
        {"Sec-Fetch-Site": "none", "Origin": "http://127.0.0.1:9999"},
    ],
)
def test_a_post_from_another_site_does_nothing_even_with_the_token(service, browser, headers):
    browser.sign_in()
    answer = browser.post("/messages/m-3/cancel", {"reason": "x", "delivery": "d-3"}, **headers)
    assert answer.status_code == 403
    assert service.desk.done == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {"Origin": "http://127.0.0.1:8081"},
    ],
)
def test_a_post_from_our_own_page_is_taken(service, browser, headers):
    browser.sign_in()
    assert browser.post("/messages/m-3/cancel", {"reason": "x", "delivery": "d-3"}, **headers).status_code == 303
    assert len(service.desk.done) == 1


def test_sign_in_cannot_be_forged_either(client):
    fields = {"name": "sender", "password": "walnut ferry copper lantern"}
    assert client.post("/sign-in", data=fields).status_code == 403


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_only_plain_forms_are_taken(service, browser, kind):
    browser.sign_in()
    body = f"csrf={browser.token()}&reason=x&delivery=d-3".encode()
    answer = browser.client.post("/messages/m-3/cancel", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 403
    assert service.desk.done == []


def test_an_endless_form_is_cut_off(service, browser):
    browser.sign_in()
    answer = browser.post("/messages/m-3/cancel", {"reason": "x" * 70_000, "delivery": "d-3"})
    assert answer.status_code == 413
    assert service.desk.done == []


def test_a_form_with_too_many_fields_or_broken_text_is_refused(browser):
    browser.sign_in()
    token = browser.token()
    for body in (b"&".join(b"a%d=1" % n for n in range(80)), b"csrf=" + token.encode() + b"&reason=%ff"):
        assert browser.client.post("/messages", content=body, headers=FORM).status_code == 403


def test_a_session_that_ended_meanwhile_says_that_nothing_was_done(service, browser):
    browser.sign_in()
    token = browser.token()
    service.clock.pass_by(minutes=20)
    answer = browser.client.post("/messages/m-3/cancel", data={"csrf": token, "reason": "x", "delivery": "d-3"})
    assert answer.status_code in (401, 403)
    assert "nothing was done" in words(answer)
    assert service.desk.done == []


def test_every_page_carries_a_strict_policy_and_nothing_inline(service, browser):
    service.desk.held = some_questions()
    browser.sign_in()
    for url in ("/", "/messages", "/messages/m-1", "/refused", "/help", "/me", "/nowhere"):
        answer = browser.get(url)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        shown = answer.text.replace("https://ehr.northlake", "").replace("http://www.w3.org", "")
        assert not re.search(r"<style|<script>|\son\w+=|\sstyle=|javascript:|https?://", shown), url


def test_no_address_on_any_page_names_a_person(service, browser):
    service.desk.held = some_questions()
    browser.sign_in()
    for url in ("/", "/messages", "/messages/m-1"):
        for link in re.findall(r'(?:href|action|src)="([^"]+)"', browser.get(url).text):
            assert not re.search(r"Marlowe|Sk|P-100|1989|N%C3|text=", link), link


@pytest.mark.parametrize("url", ["/static/x/console.css", "/static/x/console.js", "/static/x/mark.svg"])
def test_static_files_are_served_to_everybody_and_may_be_kept(client, url):
    answer = client.get(url)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize("url", ["/static/x/app.py", "/static/x/..%2Fapp.py", "/static/../app.py"])
def test_nothing_else_is_served_as_a_file(client, url):
    assert client.get(url).status_code in (303, 404)


def test_a_database_that_is_away_says_so_in_plain_words(service, browser):
    browser.sign_in()
    service.desk.fail = OperationalError("select", {}, Exception("secret host"))
    answer = browser.get("/messages")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
    assert "Nothing was done" in answer.text
    assert "secret" not in answer.text


def test_a_fault_of_ours_shows_a_number_and_nothing_else(service, browser, caplog):
    browser.sign_in()
    service.desk.fail = RuntimeError("Ada Marlowe")
    with caplog.at_level(logging.ERROR, logger="coordinator"):
        answer = browser.get("/messages")
    assert answer.status_code == 500
    assert "Marlowe" not in answer.text + caplog.text
    assert caplog.records[-1].fields["code"] in answer.text
    assert answer.headers["content-security-policy"]


def test_an_error_page_without_a_database_says_so_too(service, browser, monkeypatch):
    browser.sign_in()
    service.desk.fail = OperationalError("select", {}, Exception("secret host"))
    assert browser.get("/nowhere").status_code == 503


@pytest.mark.parametrize("path", ["/messages/%00", "/messages/m-1/documents/%00", "/messages/" + "x" * 65])
def test_an_id_that_cannot_be_one_is_not_there(service, browser, path):
    browser.sign_in()
    assert browser.get(path).status_code == 404
    assert service.desk.seen == []
