"""The pretend recipients: strict where the real ones are strict, and honest about what they hold."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from coordinator.channels.fhir_rest import FhirRest
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.farm import Farm
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.security.smart_keys import SigningKey, jwks_document
from tests.contract.people import PATIENT, CountingDice, NoSignIn, WallClock, a_chart, a_package, document_reference

pytestmark = pytest.mark.loopback

KEYS = (
    SigningKey("ec-1", ec.generate_private_key(ec.SECP384R1())),
    SigningKey("rsa-1", rsa.generate_private_key(65537, 2048)),
)
DOCUMENT = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def ehr(tmp_path):
    one = Ehr(tmp_path)
    one.start()
    one.admit(PATIENT, "pr-psych")
    yield one
    one.stop()


def soon():
    return WallClock().now() + timedelta(seconds=8)


def smart_endpoint(ehr):
    auth = EndpointAuth(
        method="smart-backend-services", client_id="lakeside", scope="system/DocumentReference.crs system/Patient.rs"
    )
    return Endpoint(id="ep", kind="fhir-rest", address=ehr.address, auth=auth)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.alg)
def test_a_strict_token_server_takes_our_assertion_and_the_letter_arrives(ehr, http, key):
    ehr.trust("lakeside", jwks_document((key,)))
    sign_in = SignIn(http, SmartConfig(keys=(key,)), WallClock(), CountingDice())
    taken = FhirRest(http, sign_in, WallClock()).send(
        a_package(), smart_endpoint(ehr), deadline=soon(), about_to_send=lambda ref: None
    )
    assert taken.proven


def test_a_server_that_knows_us_lets_nobody_in_without_a_token(ehr, http):
    ehr.trust("lakeside", jwks_document(KEYS))
    assert http.post(f"{ehr.address}/DocumentReference", content=b"{}").status_code == 401
    assert http.get(f"{ehr.address}/DocumentReference").status_code == 401
    assert http.get(f"{ehr.address}/metadata").status_code == 200


def test_a_replayed_assertion_and_another_clients_key_are_refused(ehr, http):
    ehr.trust("lakeside", jwks_document(KEYS[:1]))
    sign_in = SignIn(http, SmartConfig(keys=KEYS), WallClock(), CountingDice())
    token_url = f"{ehr.address}/token"
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion": sign_in.assertion("lakeside", token_url, {}),
    }
    assert [http.post(token_url, data=form).status_code for _ in range(2)] == [200, 400]
    for client_id, url, metadata in (
        ("somebody-else", token_url, {}),
        ("lakeside", f"{token_url}/", {}),
        ("lakeside", token_url, {"token_endpoint_auth_signing_alg_values_supported": ["RS384"]}),
    ):
        form["client_assertion"] = sign_in.assertion(client_id, url, metadata)
        assert http.post(token_url, data=form).status_code == 400


def test_a_key_that_the_partner_does_not_know_is_a_persons_matter(ehr, http):
    ehr.trust("lakeside", jwks_document(KEYS[1:]))
    sign_in = SignIn(http, SmartConfig(keys=KEYS[:1]), WallClock(), CountingDice())
    with pytest.raises(NeedsHuman) as caught:
        FhirRest(http, sign_in, WallClock()).send(
            a_package(), smart_endpoint(ehr), deadline=soon(), about_to_send=lambda ref: None
        )
    assert caught.value.code == "token.refused"
    assert ehr.count() == 0


def test_a_token_that_the_server_forgot_is_renewed_once_without_anybody_noticing(ehr, http):
    ehr.trust("lakeside", jwks_document(KEYS))
    sign_in = SignIn(http, SmartConfig(keys=KEYS), WallClock(), CountingDice())
    channel, marks = FhirRest(http, sign_in, WallClock()), []
    channel.send(a_package(), smart_endpoint(ehr), deadline=soon(), about_to_send=marks.append)
    ehr.forget_tokens()
    assert channel.send(a_package(), smart_endpoint(ehr), deadline=soon(), about_to_send=marks.append).proven
    assert (len(marks), ehr.count()) == (2, 2)


def test_the_pretend_ehr_counts_one_message_once_and_shows_a_double(ehr, http):
    body = json.dumps(document_reference("m-1")).encode()
    for _ in range(2):
        assert http.post(f"{ehr.address}/DocumentReference", content=body, headers=DOCUMENT).status_code == 201
    assert (ehr.count(), ehr.duplicates()) == (1, ["urn:uuid:doc-m-1"])


def test_two_letters_of_one_message_are_no_double(ehr, http):
    for letter in ("a", "b"):
        resource = document_reference("m-1") | {"masterIdentifier": {"system": "s", "value": letter}}
        http.post(f"{ehr.address}/DocumentReference", content=json.dumps(resource).encode(), headers=DOCUMENT)
    assert ehr.duplicates() == []


def test_a_transaction_that_fails_anywhere_keeps_nothing(ehr, http):
    chart = a_chart("m-1")
    chart["entry"].append({"resource": {"resourceType": "Flag"}, "request": {"method": "DELETE", "url": "Flag/1"}})
    answer = http.post(ehr.address, content=json.dumps(chart).encode(), headers=DOCUMENT)
    assert (answer.status_code, ehr.resources("DocumentReference"), ehr.count()) == (400, [], 0)


def test_a_transaction_links_to_the_patient_who_was_there(ehr, http):
    answer = http.post(ehr.address, content=json.dumps(a_chart("m-1")).encode(), headers=DOCUMENT)
    assert [one["response"]["status"] for one in answer.json()["entry"]] == ["200 OK", "201 Created"]
    (patient,), (document,) = ehr.resources("Patient"), ehr.resources("DocumentReference")
    assert document["subject"]["reference"] == f"Patient/{patient['id']}"
    assert patient["birthDate"] == "1988-03-07"


def test_the_farm_finds_its_ports_and_its_content_again(tmp_path, http):
    with Farm(tmp_path) as farm:
        first = farm.addresses()
        body = json.dumps(document_reference("m-1")).encode()
        http.post(f"{farm.ehr.address}/DocumentReference", content=body, headers=DOCUMENT)
        assert farm.counts() == {"ehr": 1, "hisp": 0, "fax": 0}
    with Farm(tmp_path) as again:
        assert again.addresses() == first
        assert again.counts() == {"ehr": 1, "hisp": 0, "fax": 0}
        assert again.duplicates() == {"ehr": [], "hisp": [], "fax": []}


def test_many_threads_share_one_client_and_every_letter_arrives_once(ehr, http):
    channel = FhirRest(http, NoSignIn(), WallClock())
    place = Endpoint(id="ep", kind="fhir-rest", address=ehr.address)

    def send(_):
        return channel.send(a_package(), place, deadline=soon(), about_to_send=lambda ref: None).proven

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(send, range(40)))
    assert (ehr.count(), ehr.duplicates()) == (40, [])


CHILD = """
import sys, time
from pathlib import Path
from coordinator.sandbox.ehr import Ehr
one = Ehr(Path(sys.argv[1]))
one.start()
print(one.port, flush=True)
time.sleep(30)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with child:
        port = int(child.stdout.readline())
        for number in range(5):
            body = json.dumps(document_reference(f"m-{number}"))
            answer = httpx.post(f"http://127.0.0.1:{port}/fhir/DocumentReference", content=body, headers=DOCUMENT)
            assert answer.status_code == 201
        child.send_signal(signal.SIGKILL)
    again = Ehr(tmp_path)
    held = again.count()
    again.stop()
    assert held == 5
