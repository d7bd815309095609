"""SMART Backend Services in front of a token server nobody here wrote: npm oidc-provider, asked for private_key_jwt."""

import json
import shutil
import subprocess
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from coordinator.bootstrap import SystemDice
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.security.smart import ASSERTION_TYPE, SignIn, SmartConfig
from coordinator.security.smart_keys import SigningKey, jwks_document
from tests.contract.people import StillClock, WallClock
from tests.contract.scripted import ScriptedHttp, Step

HERE = Path(__file__).parent
SCOPE = "system/DocumentReference.crs system/Patient.rs"
EC_KEY = SigningKey("ec-1", ec.generate_private_key(ec.SECP384R1()))
RSA_KEY = SigningKey("rsa-1", rsa.generate_private_key(65537, 3072))

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(
        shutil.which("node") is None or not (HERE / "node_modules" / "oidc-provider").is_dir(),
        reason="NOT JUDGED BY OIDC-PROVIDER: run `npm ci --ignore-scripts` in tests/peers with Node 20",
    ),
]


class TokenServer:
    """The running token server, and the key set that it fetches from us."""

    def __init__(self, port, published):
        self.base = f"http://127.0.0.1:{port}"
        self.published = published
        self.http = guarded_client(OutboundConfig(allow_loopback=True))

    def sign_in(self, *keys, clock=None):
        return SignIn(self.http, SmartConfig(keys=keys), clock or WallClock(), SystemDice())

    def post(self, assertion):
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return httpx.post(f"{self.base}/token", data=form, timeout=10, trust_env=False)


@contextmanager
def token_server(*published, algorithms=("RS384", "ES384")):
    """Yield a token server that takes these algorithms and finds these keys at our address."""
    keys = list(published)

    def script(method, path, body):
        return Step(200, json.dumps(jwks_document(tuple(keys))).encode(), {"Content-Type": "application/json"})

    with ScriptedHttp(script) as ours:
        asked = {"jwks_uri": f"{ours.address}/.well-known/jwks.json", "algorithms": list(algorithms), "scope": SCOPE}
        process = subprocess.Popen(
            ["node", "token-server.mjs", json.dumps(asked)],
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            line = process.stdout.readline()
            assert line, "the token server did not start"
            one = TokenServer(json.loads(line)["port"], keys)
            with one.http:
                yield one
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


def endpoint(base, scope=SCOPE):
    auth = EndpointAuth(method="smart-backend-services", client_id="lakeside", scope=scope)
    return Endpoint(id="ep", kind="fhir-rest", address=f"{base}/fhir", auth=auth)


def token_from(server, *keys, clock=None, scope=SCOPE):
    now = (clock or WallClock()).now()
    return server.sign_in(*keys, clock=clock).authorization(
        endpoint(server.base, scope), renew=False, deadline=now + timedelta(seconds=20)
    )


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS384"), (EC_KEY, "ES384")])
def test_each_algorithm_of_ours_is_taken(key, algorithm):
    with token_server(key, algorithms=(algorithm,)) as server:
        assert token_from(server, key).startswith("Bearer ")


def test_the_key_is_chosen_by_what_the_server_says_it_takes():
    for algorithm in ("RS384", "ES384"):
        with token_server(EC_KEY, RSA_KEY, algorithms=(algorithm,)) as server:
            assert token_from(server, EC_KEY, RSA_KEY).startswith("Bearer ")


def test_an_assertion_is_taken_once_and_its_replay_is_refused():
    with token_server(EC_KEY) as server:
        assertion = server.sign_in(EC_KEY).assertion("lakeside", f"{server.base}/token", {})
        first, second = server.post(assertion), server.post(assertion)
        assert first.status_code == 200
        assert first.json()["token_type"].lower() == "bearer"
        assert second.status_code in (400, 401)
        assert second.json()["error"] == "invalid_client"


def test_every_token_is_fetched_with_a_fresh_assertion():
    with token_server(EC_KEY) as server:
        one = server.sign_in(EC_KEY)
        tokens = {
            one.authorization(endpoint(server.base), renew=True, deadline=WallClock().now() + timedelta(seconds=20))
            for _ in range(3)
        }
        assert len(tokens) == 3


def test_a_key_that_is_not_published_is_refused_and_a_person_is_told():
    stranger = SigningKey("ec-1", ec.generate_private_key(ec.SECP384R1()))
    with token_server(EC_KEY) as server, pytest.raises(NeedsHuman) as caught:
        token_from(server, stranger)
    assert caught.value.code == "token.refused"


def test_a_new_key_is_taken_once_it_stands_in_the_published_set_beside_the_old_one():
    new = SigningKey("ec-2", ec.generate_private_key(ec.SECP384R1()))
    with token_server(EC_KEY, new) as server:
        assert token_from(server, new).startswith("Bearer ")
        assert token_from(server, EC_KEY).startswith("Bearer ")


@pytest.mark.parametrize("minutes", [-60, -10, 10, 60])
def test_a_clock_that_is_wrong_is_refused_once_and_the_servers_own_time_is_taken(minutes):
    wrong = StillClock(WallClock().now() + timedelta(minutes=minutes))
    with token_server(EC_KEY) as server:
        now_s = int(wrong.now().timestamp())
        alone = server.sign_in(EC_KEY, clock=wrong).assertion("lakeside", f"{server.base}/token", {}, now_s=now_s)
        refused = server.post(alone).status_code in (400, 401)
        assert refused is (minutes < 0)  # oidc-provider looks at `exp`; that we are ahead of it, it does not mind
        assert token_from(server, EC_KEY, clock=wrong).startswith("Bearer ")


def test_a_token_with_fewer_permissions_than_asked_for_is_noticed():
    with token_server(EC_KEY) as server, pytest.raises(NeedsHuman) as caught:
        token_from(server, EC_KEY, scope=f"{SCOPE} system/Observation.crs")
    assert caught.value.code == "token.scope"


def test_an_assertion_for_another_server_is_refused():
    with token_server(EC_KEY) as server:
        elsewhere = server.sign_in(EC_KEY).assertion("lakeside", "https://elsewhere.example/token", {})
        answer = server.post(elsewhere)
        assert answer.status_code in (400, 401)
        assert jwt.decode(elsewhere, options={"verify_signature": False})["aud"] == "https://elsewhere.example/token"
