"""The bounded exchange over real sockets: certificates, redirects, limits."""

import datetime as dt
import ipaddress
import ssl
import time
from datetime import timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from coordinator.channels.wire import Limits, Wire, sort_fault
from coordinator.domain.errors import InDoubt, NeedsHuman, Transient
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.settings import Settings
from tests.contract.people import WallClock
from tests.contract.scripted import ScriptedHttp, Step, a_dead_port

pytestmark = pytest.mark.loopback
SECRET = b"everything about the patient"


def a_certificate(folder, name="127.0.0.1", *, days=(-1, 30)):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far side")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "k.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context, str(folder / "c.pem")


def post(address, *, ca_file=None, within_s=5.0, limits=None, marks=None):
    with guarded_client(OutboundConfig(allow_loopback=True, ca_file=ca_file)) as http:
        return Wire(http, WallClock(), limits).exchange(
            "POST",
            f"{address}/fhir",
            deadline=WallClock().now() + timedelta(seconds=within_s),
            body=SECRET,
            about_to_send=lambda: (marks if marks is not None else []).append(None),
            writes=True,
        )


def serving(step, tls=None):
    return ScriptedHttp(lambda method, path, body: step, tls)


def test_a_trusted_server_is_spoken_to_over_modern_tls(tmp_path):
    context, ca_file = a_certificate(tmp_path)
    with serving(Step(200, b"{}"), context) as far:
        answer = post(far.address, ca_file=ca_file)
    assert answer.facts["tls"] in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    ("name", "days", "trusted", "code"),
    [
        ("127.0.0.1", (-1, 30), False, "tls.untrusted"),
        ("127.0.0.1", (-60, -30), True, "tls.expired"),
        ("127.0.0.1", (10, 30), True, "tls.expired"),
        ("other.example", (-1, 30), True, "tls.name"),
        ("10.1.2.3", (-1, 30), True, "tls.name"),
    ],
)
def test_a_certificate_that_does_not_hold_stops_everything_before_a_byte_of_content(
    tmp_path, name, days, trusted, code
):
    context, ca_file = a_certificate(tmp_path, name, days=days)
    with serving(Step(200, b"{}"), context) as far:
        with pytest.raises(NeedsHuman) as caught:
            post(far.address, ca_file=ca_file if trusted else None)
        assert far.requests == []
    assert caught.value.code == code


def test_old_tls_is_not_spoken(tmp_path):
    context, ca_file = a_certificate(tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(Step(200, b"{}"), context) as far:
        with pytest.raises(Transient) as caught:
            post(far.address, ca_file=ca_file)
        assert far.requests == []
    assert caught.value.code == "tls.handshake"


def test_a_server_that_speaks_no_tls_gets_no_content():
    with serving(Step(200, b"{}")) as far:
        with pytest.raises(Transient) as caught:
            post(far.address.replace("http://", "https://"), within_s=1.0)
        assert all(SECRET not in body for _, _, _, body in far.requests)
    assert caught.value.code in ("tls.handshake", "net.timeout")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_ends_the_handshake_over_our_certificate_has_taken_nothing(tmp_path, version):
    context, ca_file = a_certificate(tmp_path)
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca_file)
    with serving(Step(200, b"{}"), context) as far:
        with pytest.raises(Transient) as caught:
            post(far.address, ca_file=ca_file)
        assert far.requests == []
    assert caught.value.code == "tls.handshake"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_handed_back_and_not_followed(status):
    with serving(Step(200)) as elsewhere, serving(Step(status, headers={"Location": elsewhere.address})) as far:
        assert post(far.address).status == status
        assert elsewhere.heads == []


def test_only_so_much_of_an_endless_answer_is_read():
    with serving(Step(201, act="endless-body")) as far:
        answer = post(far.address)
    assert (answer.whole, len(answer.body)) == (False, 1 << 20)


def test_too_many_headers_make_the_answer_unusable():
    headers = {f"X-{number}": "1" for number in range(101)}
    with serving(Step(201, b"{}", headers)) as far:
        assert post(far.address).whole is False


@pytest.mark.parametrize("act", ["hang", "drip-headers"])
def test_the_whole_exchange_ends_at_its_limit_whatever_the_far_side_does(act):
    began = time.monotonic()
    with serving(Step(200, b"{}", {f"X-{n}": "slow" for n in range(20)}, act)) as far, pytest.raises(InDoubt):
        post(far.address, within_s=60, limits=Limits(total_s=0.8))
    assert time.monotonic() - began < 2.5


def test_a_try_that_found_no_free_place_of_our_own_uses_no_attempt():
    fault = sort_fault(httpx.PoolTimeout("crowded"), after_first_byte=False)
    assert (type(fault), fault.uses_attempt) == (Transient, False)


def test_there_is_a_place_for_every_thread_that_sends():
    (most,) = (one.le for one in Settings.model_fields["senders"].metadata if hasattr(one, "le"))
    assert OutboundConfig().max_connections > most


def test_a_refused_connection_is_marked_but_nothing_left():
    marks = []
    with pytest.raises(Transient) as caught:
        post(f"http://127.0.0.1:{a_dead_port()}", marks=marks)
    assert (caught.value.code, len(marks)) == ("net.connect", 1)


@pytest.mark.parametrize(
    "address", ["https://", "nonsense", "file:///etc/passwd", "https://ehr..example", f"https://{'a' * 64}.example"]
)
def test_what_is_no_address_is_a_persons_matter(address):
    with pytest.raises(NeedsHuman) as caught:
        post(address)
    assert caught.value.code == "net.blocked"


def test_many_exchanges_share_a_connection_and_a_closed_one_is_replaced():
    with serving(Step(200, b"{}")) as far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        wire = Wire(http, WallClock())
        for _ in range(5):
            deadline = WallClock().now() + timedelta(seconds=5)
            assert wire.exchange("GET", f"{far.address}/metadata", deadline=deadline).status == 200
        assert len(far._open) == 1


class Chatty(ScriptedHttp):
    """Says more after its first answer than it was asked for."""

    def __init__(self, more):
        super().__init__(lambda method, path, body: Step(200, b"{}"))
        self.more = more

    def _play(self, one, step):
        answer = b"HTTP/1.1 200 Any\r\nContent-Length: 2\r\n\r\n{}"
        one.sendall(answer + (self.more if len(self.requests) == 1 else b""))
        return True


@pytest.mark.parametrize(
    "more",
    [
        b"HTTP/1.1 201 Any\r\nContent-Length: 0\r\nLocation: http://far/DocumentReference/old\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"\r\n",
        b"}",
    ],
)
def test_what_a_server_says_beyond_its_answer_is_never_taken_for_the_answer_to_the_next_request(more):
    with Chatty(more) as far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        wire, soon = Wire(http, WallClock()), WallClock().now() + timedelta(seconds=5)
        answers = [
            wire.exchange("POST", f"{far.address}/fhir", deadline=soon, body=SECRET, writes=True) for _ in range(3)
        ]
        assert [(one.status, one.body) for one in answers] == [(200, b"{}")] * 3
        assert len(far._open) == 2


class Stalling(ScriptedHttp):
    """Says for ever that the answer is about to come."""

    def _play(self, one, step):
        while not self._stopping.is_set():
            one.sendall(b"HTTP/1.1 103 Any\r\nLink: x\r\n\r\n" * 100)
        return False


def test_interim_answers_without_end_hold_nobody_beyond_the_limit():
    began = time.monotonic()
    with Stalling(lambda method, path, body: Step()) as far, pytest.raises(InDoubt) as caught:
        post(far.address, within_s=60, limits=Limits(total_s=0.5))
    assert caught.value.code == "net.timeout-after-send"
    assert time.monotonic() - began < 2.5


def test_a_cookie_of_the_far_side_is_not_kept_and_no_password_is_taken_from_an_address():
    seen = []

    def answer(method, path, body):
        return Step(200, b"{}", {"Set-Cookie": "who=1; Path=/"})

    with ScriptedHttp(answer) as far, guarded_client(OutboundConfig(allow_loopback=True)) as http:
        http._guarded, kept = Seeing(http._guarded, seen), http._guarded
        wire = Wire(http, WallClock())
        for address in (far.address, far.address.replace("http://", "http://name:word@")):
            deadline = WallClock().now() + timedelta(seconds=5)
            assert wire.exchange("GET", address, deadline=deadline).status == 200
        http._guarded = kept
    assert len(seen) == 2
    assert all("cookie" not in one and "authorization" not in one for one in seen)


class Seeing:
    """Keeps the headers of what goes through."""

    def __init__(self, inner, seen):
        self._inner, self._seen = inner, seen

    def handle_request(self, request):
        self._seen.append(request.headers)
        return self._inner.handle_request(request)
