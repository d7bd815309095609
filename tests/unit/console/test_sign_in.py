from types import SimpleNamespace

import pytest
from browser import Browser, words
from web_client import TestClient
from web_data import NOW
from web_fakes import PASSWORD, FakeService

from coordinator.console.app import build
from coordinator.console.sign_in import _address, safe_next
from coordinator.domain.errors import ConfigurationError


@pytest.fixture
def browser(client):
    return Browser(client)


def test_the_right_name_and_password_lead_to_the_first_page(browser):
    answer = browser.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Sender Person" in browser.get("/").text


def test_the_page_asked_for_comes_after_sign_in(browser):
    answer = browser.get("/messages/m-1")
    assert answer.headers["location"] == "/sign-in?next=/messages/m-1"
    assert browser.sign_in(target="/messages/m-1").headers["location"] == "/messages/m-1"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/messages/../x",
        "/sign-out",
        "javascript:x",
        "",
        "/x\n",
    ],
)
def test_sign_in_leads_to_no_other_place(browser, target):
    assert safe_next(target) == "/"
    assert browser.sign_in(target=target).headers["location"] == "/"


@pytest.mark.parametrize(("name", "password"), [("sender", "wrong"), ("nobody", PASSWORD), ("", ""), ("sender", "")])
def test_every_failed_sign_in_gets_the_same_words(browser, name, password):
    answer = browser.sign_in(name, password)
    assert answer.status_code == 401
    assert "The name or the password is not right." in words(answer)
    assert browser.get("/").status_code == 303


def test_guessing_is_slowed_down_and_says_for_how_long(service, browser):
    for _ in range(3):
        browser.sign_in(password="wrong")
    answer = browser.sign_in()
    assert answer.status_code == 429
    assert "Wait 2 seconds" in words(answer)
    service.clock.pass_by(seconds=2)
    assert browser.sign_in().status_code == 303


def test_the_typed_name_comes_back_escaped_and_the_password_never(browser):
    answer = browser.sign_in('"><script>alert(1)</script>', "a secret typed by mistake")
    assert "<script>alert" not in answer.text
    assert "a secret typed" not in answer.text


def test_the_session_cookie_is_new_at_each_sign_in_and_the_older_session_ends(service, browser):
    browser.sign_in()
    first = browser.client.cookies["coordinator_session"]
    with TestClient(browser.client.app, base_url="http://127.0.0.1:8081", follow_redirects=False) as other:
        other.cookies.set("coordinator_session", first)
        assert other.get("/").status_code == 200
    page = browser.get("/").text
    assert "Sender Person" in page
    token = browser.token()
    answer = browser.client.post("/sign-in", data={"csrf": token, "name": "viewer", "password": PASSWORD})
    assert answer.status_code == 303
    assert browser.client.cookies["coordinator_session"] != first
    assert service.accounts.signed_in(first) is None


def test_who_is_signed_in_is_not_asked_again(browser):
    browser.sign_in()
    assert browser.get("/sign-in").headers["location"] == "/"


def test_on_loopback_the_cookie_is_for_http_and_hidden_from_scripts(browser):
    cookie = browser.sign_in().headers.get_list("set-cookie")[0]
    assert cookie.startswith("coordinator_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie


def test_on_https_the_cookie_is_bound_to_host_and_https():
    service = FakeService(console_url="https://console.clinic.example", environment="production")
    service.accounts.add("mara", "Mara", ("sender",), PASSWORD)
    base = "https://console.clinic.example"
    with TestClient(build(service, now=lambda: NOW), base_url=base, follow_redirects=False) as client:
        browser = Browser(client)
        cookie = browser.sign_in("mara").headers.get_list("set-cookie")[0]
        assert cookie.startswith("__Host-coordinator=")
        assert "Secure" in cookie
        assert "Domain" not in cookie
        assert browser.get("/").headers["strict-transport-security"]


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("http://127.0.0.1:8081", "production"),
        ("http://console.clinic.example", "development"),
        ("http://10.0.0.5", "development"),
    ],
)
def test_plain_http_beyond_loopback_does_not_start(url, environment):
    with pytest.raises(ConfigurationError):
        build(FakeService(console_url=url, environment=environment))


def test_opening_a_link_shows_a_button_and_uses_nothing_up(service, browser):
    link = f"/sign-in/link/{service.accounts.make_link('sender')}"
    for _ in range(5):
        assert browser.get(link).status_code == 200
    answer = browser.post(link, page=link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "Sender Person" in browser.get("/").text


def test_a_link_used_twice_lets_nobody_in(service, browser):
    link = f"/sign-in/link/{service.accounts.make_link('sender')}"
    browser.post(link, page=link)
    browser.client.cookies.clear()
    answer = browser.post(link, page=link)
    assert answer.status_code == 401
    assert "used already or has expired" in words(answer)
    assert browser.get("/").status_code == 303


def test_a_link_that_never_was_looks_like_any_other(service, browser):
    real = browser.get(f"/sign-in/link/{service.accounts.make_link('sender')}")
    unreal = browser.get("/sign-in/link/never-made")
    assert words(real) == words(unreal)
    assert real.status_code == unreal.status_code == 200


def test_an_expired_link_lets_nobody_in(service, browser):
    link = f"/sign-in/link/{service.accounts.make_link('sender')}"
    service.clock.pass_by(minutes=10)
    assert browser.post(link, page=link).status_code == 401


def test_signing_out_ends_the_session_at_the_server(service, browser):
    browser.sign_in()
    token = browser.client.cookies["coordinator_session"]
    assert browser.post("/sign-out").headers["location"] == "/sign-in"
    assert service.accounts.signed_in(token) is None
    browser.client.cookies.set("coordinator_session", token)
    assert browser.get("/").status_code == 303


def test_signing_out_needs_a_post(browser):
    browser.sign_in()
    assert browser.get("/sign-out").status_code == 405
    assert browser.get("/").status_code == 200


def test_an_idle_session_ends_and_a_refreshing_page_does_not_keep_it(service, browser):
    browser.sign_in()
    for _ in range(14):
        service.clock.pass_by(minutes=1)
        assert browser.get("/", **{"X-Refresh": "1"}).status_code == 200
    service.clock.pass_by(minutes=1)
    assert browser.get("/", **{"X-Refresh": "1"}).status_code == 303


def test_a_person_disabled_meanwhile_is_out_at_the_next_click(service, browser):
    browser.sign_in()
    service.accounts.disable("sender")
    assert browser.get("/").status_code == 303


def test_a_person_changes_their_password_and_stays_signed_in_with_a_new_session(service, browser):
    browser.sign_in()
    before = browser.client.cookies["coordinator_session"]
    new = "granite otter velvet morning"
    answer = browser.post("/me/password", {"present": PASSWORD, "new": new, "again": new})
    assert answer.headers["location"] == "/me?done=password"
    assert "Your password was changed" in words(browser.get("/me?done=password"))
    assert browser.client.cookies["coordinator_session"] != before
    assert service.accounts.signed_in(before) is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"present": "wrong", "new": "granite otter velvet", "again": "granite otter velvet"}, "present password"),
        ({"present": PASSWORD, "new": "granite otter velvet", "again": "granite otter"}, "differ"),
        ({"present": PASSWORD, "new": "short", "again": "short"}, "at least 15"),
        ({"present": PASSWORD, "new": "passwordpassword", "again": "passwordpassword"}, "guessed"),
        ({}, "present password"),
    ],
)
def test_a_password_that_may_not_be_set_says_why(service, browser, fields, says):
    browser.sign_in()
    answer = browser.post("/me/password", fields)
    assert answer.status_code == 422
    assert says in words(answer)
    assert service.accounts.sign_in("sender", PASSWORD, address="elsewhere")


def test_who_forgot_a_password_sets_a_new_one_right_after_coming_by_link(service, browser):
    new = {"new": "granite otter velvet morning", "again": "granite otter velvet morning"}
    for minutes, status in ((10, 422), (9, 303)):
        browser.client.cookies.clear()
        link = f"/sign-in/link/{service.accounts.make_link('sender')}"
        browser.post(link, page=link)
        service.clock.pass_by(minutes=minutes)
        assert browser.post("/me/password", new).status_code == status
    assert service.accounts.sign_in("sender", new["new"], address="elsewhere")


def test_who_came_by_link_chooses_a_first_password_without_an_old_one(service, browser):
    service.accounts.add("newcomer", "New Comer", ("viewer",))
    link = f"/sign-in/link/{service.accounts.make_link('newcomer')}"
    browser.post(link, page=link)
    assert "Choose a password" in words(browser.get("/me"))
    new = "granite otter velvet morning"
    assert browser.post("/me/password", {"new": new, "again": new}).status_code == 303
    assert service.accounts.sign_in("newcomer", new, address="elsewhere")


@pytest.mark.parametrize(
    ("host", "shown"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("testclient", "testclient")],
)
def test_guessing_from_one_ipv6_line_counts_as_one_place(host, shown):
    request = SimpleNamespace(client=SimpleNamespace(host=host))
    assert _address(request) == shown
