import json
import ssl
import threading
import time
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from coordinator.domain.errors import ConfigurationError, NeedsHuman, Transient
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.security.smart_keys import SigningKey, jwks_document, load_key
from coordinator.security.smart_scopes import missing_scopes
from coordinator.trust import Trust
from tests.contract.people import CountingDice, StillClock
from tests.contract.test_wire import a_certificate

BASE = "https://ehr.example/tenant/fhir"
TOKEN_URL = "https://ehr.example/tenant/token"
SCOPE = "system/DocumentReference.crs system/Patient.rs"
EC_KEY = SigningKey("ec-1", ec.generate_private_key(ec.SECP384R1()))
RSA_KEY = SigningKey("rsa-1", rsa.generate_private_key(65537, 2048))


class TokenServer:
    """A scripted authorization server; `answers` are played in turn, the last one stays."""

    def __init__(self, *answers, metadata=None):
        self.answers = list(answers)
        self.metadata = {"token_endpoint": TOKEN_URL, **(metadata or {})}
        self.forms, self.discoveries = [], 0

    def __call__(self, request):
        if request.url.path.endswith("/.well-known/smart-configuration"):
            self.discoveries += 1
            return streamed(httpx.Response(200, json=self.metadata))
        self.forms.append(dict(httpx.QueryParams(request.content.decode())))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return streamed(answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer))


def streamed(answer):
    """The answer as it comes off the wire: not read yet."""
    return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


class Ticks:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


def granted(token="t-1", **more):
    return {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": SCOPE, **more}


def endpoint(method="smart-backend-services", **auth):
    known = {"client_id": "lakeside", "scope": SCOPE, **auth}
    return Endpoint(id="ep", kind="fhir-rest", address=BASE, auth=EndpointAuth(method=method, **known))


class Desk:
    """A sign-in with its server, clock and ticks."""

    def __init__(self, *answers, keys=(EC_KEY,), metadata=None, **config):
        self.server = TokenServer(*answers, metadata=metadata)
        self.clock, self.ticks = StillClock(), Ticks()
        http = httpx.Client(transport=httpx.MockTransport(self.server))
        self.sign_in = SignIn(http, SmartConfig(keys=keys, **config), self.clock, CountingDice(), self.ticks)

    def header(self, *, renew=False, refused=None, at=None):
        deadline = self.clock.now() + timedelta(seconds=20)
        return self.sign_in.authorization(at or endpoint(), renew=renew, refused=refused, deadline=deadline)


def claims_of(form, key):
    return jwt.decode(
        form["client_assertion"],
        key.private.public_key(),
        algorithms=[key.alg],
        audience=TOKEN_URL,
        options={"verify_exp": False, "verify_iat": False},
    )


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY])
def test_the_assertion_is_what_smart_asks_for(key):
    desk = Desk(granted(), keys=(key,))
    assert desk.header() == "Bearer t-1"
    form = desk.server.forms[0]
    header, claims = jwt.get_unverified_header(form["client_assertion"]), claims_of(form, key)
    assert header == {"alg": key.alg, "kid": key.kid, "typ": "JWT"}
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("lakeside", "lakeside", TOKEN_URL)
    assert 0 < claims["exp"] - claims["iat"] <= 240
    assert claims["iat"] == int(desk.clock.now().timestamp())
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert form["scope"] == SCOPE


def test_a_thousand_assertions_never_share_a_jti():
    desk = Desk(granted())
    seen = {
        jwt.decode(desk.sign_in.assertion("c", TOKEN_URL, {}), options={"verify_signature": False})["jti"]
        for _ in range(1_000)
    }
    assert len(seen) == 1_000


@pytest.mark.parametrize(
    ("supported", "kid"),
    [(["RS384"], "rsa-1"), (["ES384"], "ec-1"), (["RS384", "ES384"], "ec-1"), (None, "ec-1"), ([], "ec-1")],
)
def test_the_algorithm_is_chosen_from_what_the_server_takes(supported, kid):
    metadata = {"token_endpoint_auth_signing_alg_values_supported": supported}
    desk = Desk(granted(), keys=(EC_KEY, RSA_KEY), metadata=metadata)
    desk.header()
    assert jwt.get_unverified_header(desk.server.forms[0]["client_assertion"])["kid"] == kid


def test_a_server_that_takes_none_of_our_keys_is_a_persons_matter():
    desk = Desk(granted(), metadata={"token_endpoint_auth_signing_alg_values_supported": ["RS256"]})
    with pytest.raises(NeedsHuman) as caught:
        desk.header()
    assert caught.value.code == "token.key"
    assert desk.server.forms == []


def test_our_key_set_holds_public_values_only_and_every_kid_once():
    document = jwks_document((EC_KEY, RSA_KEY))
    assert [set(one) for one in document["keys"]] == [
        {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"},
        {"kty", "n", "e", "kid", "alg", "use", "key_ops"},
    ]
    for one, key in zip(document["keys"], (EC_KEY, RSA_KEY), strict=True):
        text = jwt.encode({"a": 1}, key.private, algorithm=key.alg)
        assert jwt.decode(text, jwt.PyJWK(one).key, algorithms=[key.alg]) == {"a": 1}
    with pytest.raises(ConfigurationError):
        jwks_document((EC_KEY, SigningKey("ec-1", RSA_KEY.private)))


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (ec.generate_private_key(ec.SECP384R1()), True),
        (rsa.generate_private_key(65537, 2048), True),
        (ec.generate_private_key(ec.SECP256R1()), False),
        (rsa.generate_private_key(65537, 1024), False),
    ],
)
def test_only_keys_that_smart_allows_are_loaded(tmp_path, key, good):
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    if good:
        assert load_key("k", file).kid == "k"
    else:
        with pytest.raises(ConfigurationError):
            load_key("k", file)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no key",
        EC_KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        EC_KEY.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")),
    ],
)
def test_a_key_file_without_a_key_that_can_be_read_is_told_as_that(tmp_path, pem):
    file = tmp_path / "key.pem"
    file.write_bytes(pem)
    with pytest.raises(ConfigurationError):
        load_key("k", file)


def test_a_certificate_of_ours_whose_key_has_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path):
    a_certificate(tmp_path)
    key = load_pem_private_key((tmp_path / "k.pem").read_bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    (tmp_path / "k.pem").write_bytes(locked)
    with pytest.raises(ssl.SSLError):
        Trust(certificate=(str(tmp_path / "c.pem"), str(tmp_path / "k.pem")))


def test_a_token_is_kept_until_a_minute_before_its_end():
    desk = Desk(granted("t-1"), granted("t-2"))
    assert desk.header() == desk.header() == "Bearer t-1"
    desk.ticks.now_s += 239
    assert desk.header() == "Bearer t-1"
    desk.ticks.now_s += 2
    assert desk.header() == "Bearer t-2"
    assert desk.server.discoveries == 1


@pytest.mark.parametrize(
    ("expires_in", "life_s"), [(5, 4), ("600", 540), (None, 240), ("soon", 240), (-1, 240), (True, 240)]
)
def test_odd_lives_of_tokens_still_work(expires_in, life_s):
    desk = Desk(granted("t-1", expires_in=expires_in), granted("t-2"))
    desk.header()
    desk.ticks.now_s += life_s - 0.5
    assert desk.header() == "Bearer t-1"
    desk.ticks.now_s += 1
    assert desk.header() == "Bearer t-2"


def test_a_refused_token_is_dropped_and_a_fresh_assertion_is_signed():
    desk = Desk(granted("t-1"), granted("t-2"))
    desk.header()
    assert desk.header(renew=True) == "Bearer t-2"
    first, second = (claims_of(form, EC_KEY)["jti"] for form in desk.server.forms)
    assert first != second


def test_a_token_that_came_in_the_refused_ones_place_is_not_renewed_once_more():
    desk = Desk(granted("t-1"), granted("t-2"), granted("t-3"))
    old = desk.header()
    assert [desk.header(renew=True, refused=old) for _ in range(3)] == ["Bearer t-2"] * 3
    assert desk.header(renew=True, refused="Bearer t-2") == "Bearer t-3"


@pytest.mark.parametrize(
    ("wish", "pause_s"),
    [("120", 120), ("Wed, 14 Oct 2026 15:02:00 GMT", 120), ("5", 30), ("-5", 30), ("soon", 30), ("", 30)],
)
def test_a_pause_that_the_token_server_asks_for_is_kept(wish, pause_s):
    desk = Desk(httpx.Response(429, headers={"Retry-After": wish}), granted())
    with pytest.raises(Transient):
        desk.header()
    desk.ticks.now_s += pause_s - 1
    with pytest.raises(Transient) as caught:
        desk.header()
    assert caught.value.retry_after == timedelta(seconds=1)
    desk.ticks.now_s += 2
    assert desk.header() == "Bearer t-1"


def test_a_token_server_that_writes_a_byte_order_mark_is_understood():
    body = b"\xef\xbb\xbf" + json.dumps(granted()).encode()
    assert Desk(httpx.Response(200, content=body)).header() == "Bearer t-1"


def test_many_waiting_messages_make_one_token_call():
    desk = Desk(granted())
    answer = desk.server.answers[0]

    def slow(request):
        if request.url.path.endswith("/token"):
            time.sleep(0.05)
        return TokenServer.__call__(desk.server, request)

    desk.server.answers = [answer]
    desk.sign_in._http = httpx.Client(transport=httpx.MockTransport(slow))
    got = []
    threads = [threading.Thread(target=lambda: got.append(desk.header())) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert got == ["Bearer t-1"] * 20
    assert len(desk.server.forms) == 1


def test_a_refusal_is_not_asked_again_for_half_a_minute():
    desk = Desk(httpx.Response(400, json={"error": "invalid_client"}), granted())
    for _ in range(50):
        with pytest.raises(NeedsHuman) as caught:
            desk.header()
        assert caught.value.code == "token.refused"
    assert len(desk.server.forms) == 1
    desk.ticks.now_s += 31
    assert desk.header() == "Bearer t-1"


def test_a_400_after_a_success_may_pass_and_is_tried_again():
    desk = Desk(granted("t-1"), httpx.Response(400), granted("t-2"))
    desk.header()
    with pytest.raises(Transient) as caught:
        desk.header(renew=True)
    assert caught.value.code == "token.refused"
    with pytest.raises(Transient) as caught:
        desk.header()
    assert caught.value.retry_after == timedelta(seconds=30)
    assert caught.value.uses_attempt is False
    desk.ticks.now_s += 31
    assert desk.header() == "Bearer t-2"
    assert desk.server.discoveries == 2


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (httpx.Response(500), Transient, "token.unreachable"),
        (httpx.Response(503), Transient, "token.unreachable"),
        (httpx.Response(429), Transient, "token.unreachable"),
        (httpx.Response(401), NeedsHuman, "token.refused"),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), NeedsHuman, "token.refused"),
        (httpx.ReadTimeout("x"), Transient, "token.unreachable"),
        (httpx.ConnectError("x"), Transient, "token.unreachable"),
        (httpx.Response(200, text="<html>"), Transient, "token.malformed"),
        ({"token_type": "bearer"}, Transient, "token.malformed"),
        ({"access_token": "t", "token_type": "mac"}, Transient, "token.malformed"),
        (granted(scope="system/Patient.rs"), NeedsHuman, "token.scope"),
        (granted(scope="system/DocumentReference.rs system/Patient.rs"), NeedsHuman, "token.scope"),
    ],
)
def test_what_the_token_server_may_say_instead(answer, kind, code):
    with pytest.raises(kind) as caught:
        Desk(answer).header()
    assert caught.value.code == code


@pytest.mark.parametrize(
    "moved",
    [
        "https://auth.elsewhere.example/token",
        "http://ehr.example/tenant/token",
        "https://ehr.example.evil.example/token",
        "https://ehr.example@evil.example/token",
        "/tenant/token",
        "https://[nonsense/token",
        "https://ehr.example:port/token",
        "https://ehr.example/\x00",
    ],
)
def test_a_token_endpoint_on_another_host_needs_an_administrators_word(moved):
    desk = Desk(granted(), metadata={"token_endpoint": moved})
    with pytest.raises(NeedsHuman) as caught:
        desk.header()
    assert caught.value.code == "token.discovery"
    assert desk.server.forms == []


def test_where_the_token_endpoint_is_is_read_anew_once_the_server_has_mended_it():
    desk = Desk(granted(), metadata={"token_endpoint": "https://auth.elsewhere.example/token"})
    with pytest.raises(NeedsHuman):
        desk.header()
    desk.server.metadata["token_endpoint"] = TOKEN_URL
    desk.ticks.now_s += 31
    assert desk.header() == "Bearer t-1"


def test_an_approved_token_host_is_used():
    desk = Desk(
        granted(),
        metadata={"token_endpoint": "https://auth.ehr.example/token"},
        token_hosts={"ep": frozenset({"auth.ehr.example"})},
    )
    assert desk.header() == "Bearer t-1"


@pytest.mark.parametrize(
    ("asked", "given", "missing"),
    [
        ("api https://ehr.example/.default", "https://ehr.example/.default api", ()),
        ("api", "system/*.*", ("api",)),
        ("system/DocumentReference.c", "system/DocumentReference.cruds", ()),
        ("system/DocumentReference.c", "system/*.*", ()),
        ("system/DocumentReference.write", "system/DocumentReference.cud", ()),
        ("system/DocumentReference.crs", "system/DocumentReference.c system/DocumentReference.rs", ()),
        ("system/DocumentReference.c", "system/DocumentReference.rs", ("system/DocumentReference.c",)),
        ("system/DocumentReference.c", "user/DocumentReference.c", ("system/DocumentReference.c",)),
        ("system/DocumentReference.c", "system/DocumentReference.c?category=x", ("system/DocumentReference.c",)),
        ("system/DocumentReference.c?category=x", "system/DocumentReference.c?category=x", ()),
        ("system/Patient.rs", "", ("system/Patient.rs",)),
    ],
)
def test_a_narrower_grant_is_noticed(asked, given, missing):
    assert missing_scopes(asked, given) == missing


def test_bearer_and_basic_come_from_secret_files(tmp_path: Path):
    (tmp_path / "ehr-token").write_text("s3cret\n")
    desk = Desk(granted(), secrets_dir=tmp_path)
    assert desk.header(at=endpoint("bearer", secret="ehr-token")) == "Bearer s3cret"
    assert desk.header(at=endpoint("basic", secret="ehr-token")) == "Basic bGFrZXNpZGU6czNjcmV0"
    assert desk.header(at=endpoint("none")) is None
    assert desk.header(at=Endpoint(id="e", kind="fhir-rest", address=BASE)) is None
    with pytest.raises(NeedsHuman) as caught:
        desk.header(at=endpoint("bearer", secret="other"))
    assert caught.value.code == "token.key"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_secret_file_without_a_secret_is_a_persons_matter(tmp_path: Path, content):
    (tmp_path / "ehr-token").write_bytes(content)
    with pytest.raises(NeedsHuman) as caught:
        Desk(granted(), secrets_dir=tmp_path).header(at=endpoint("bearer", secret="ehr-token"))
    assert caught.value.code == "token.key"


def test_mutual_tls_is_held_until_our_certificate_is_set_up():
    with pytest.raises(NeedsHuman) as caught:
        Desk(granted()).header(at=endpoint("mtls"))
    assert caught.value.code == "token.key"
    assert Desk(granted(), mutual_tls=True).header(at=endpoint("mtls")) is None


def test_a_secret_may_not_lie_outside_its_folder(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "outside").write_text("x")
    desk = Desk(granted(), secrets_dir=tmp_path / "in")
    sneaky = endpoint("bearer").model_copy(
        update={"auth": EndpointAuth.model_construct(method="bearer", secret="../outside", client_id=None, scope=None)}
    )
    with pytest.raises(NeedsHuman):
        desk.header(at=sneaky)


def test_no_refusal_carries_a_token_or_an_assertion():
    desk = Desk(httpx.Response(400, content=json.dumps({"error": "bad"}).encode()))
    with pytest.raises(NeedsHuman) as caught:
        desk.header()
    assert str(caught.value) == "token.refused"
    assert caught.value.__cause__ is None


def dated(desk, minutes, status=400):
    at = desk.clock.now() + timedelta(minutes=minutes)
    return httpx.Response(status, json={"error": "invalid_client"}, headers={"Date": format_datetime(at, usegmt=True)})


@pytest.mark.parametrize("minutes", [-60, -2, 2, 24 * 60])
def test_an_assertion_that_another_clock_refuses_is_made_once_more_by_that_clock(minutes):
    desk = Desk(None)
    desk.server.answers = [dated(desk, minutes), granted()]
    assert desk.header() == "Bearer t-1"
    first, second = (claims_of(form, EC_KEY) for form in desk.server.forms)
    assert second["iat"] - first["iat"] == minutes * 60
    assert second["exp"] - second["iat"] <= 240
    assert first["jti"] != second["jti"]


@pytest.mark.parametrize("minutes", [0, 0.5, -0.5])
def test_a_refusal_by_a_clock_that_agrees_is_a_refusal(minutes):
    desk = Desk(None)
    desk.server.answers = [dated(desk, minutes)]
    with pytest.raises(NeedsHuman):
        desk.header()
    assert len(desk.server.forms) == 1


def test_another_clock_excuses_one_refusal_and_no_second():
    desk = Desk(None)
    desk.server.answers = [dated(desk, 60)]
    with pytest.raises(NeedsHuman) as caught:
        desk.header()
    assert (caught.value.code, len(desk.server.forms)) == ("token.refused", 2)
