"""The FHIR channel's TLS in front of `openssl s_server`: run-out, self-signed and misnamed certificates are held."""

import datetime as dt
import ipaddress
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from coordinator.channels.fhir_rest import FhirRest
from coordinator.channels.receipts.direct_mdn import DirectNotices, ImapConfig
from coordinator.channels.wire import Wire
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint, EndpointAuth
from coordinator.security.outbound import OutboundConfig, guarded_client
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.trust import RevocationLists
from tests.contract.people import NoSignIn, WallClock, a_package
from tests.contract.scripted import a_dead_port

pytestmark = pytest.mark.servers
DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority made for one test, and the certificates that it signs."""

    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        own = self._builder(self.name, self.key, -DAY, 30 * DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(own.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name, *, start=-DAY, end=30 * DAY, host=None, own_signed=False):
        """Return (certificate file, key file) for 127.0.0.1, or for `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName(host)] if host else [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = self._builder(subject, key, start, end, issuer=subject if own_signed else self.name)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(key if own_signed else self.key, hashes.SHA256())
        certificate, private = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, private

    def revokes(self, host, *certificates, start=-DAY, end=7 * DAY, signed_by=None):
        """Write the list of revoked certificates of this authority for a server; return the folder of the lists."""
        now, folder = dt.datetime.now(dt.UTC), self.folder / "lists"
        folder.mkdir(exist_ok=True)
        made = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        made = made.last_update(now + start).next_update(now + end)
        for file in certificates:
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            made = made.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY).build()
            )
        signed = made.sign(signed_by or self.key, hashes.SHA256())
        (folder / f"{host}.pem").write_bytes(signed.public_bytes(Encoding.PEM))
        return folder

    def _builder(self, subject, key, start, end, issuer=None):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + start)
            .not_valid_after(now + end)
        )


@contextmanager
def s_server(certificate, key, *options):
    """Yield the port of `openssl s_server` with that certificate; it answers GET with a page of its own."""
    port = a_dead_port()
    process = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-www", *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def what_happens(port, **config):
    """Return the cause code with which a letter to that server ends; nothing may have been marked as sent."""
    endpoint = Endpoint(id="ep", kind="fhir-rest", address=f"https://127.0.0.1:{port}/fhir")
    marks = []
    with guarded_client(OutboundConfig(allow_loopback=True, **config)) as http:
        channel = FhirRest(http, NoSignIn(), WallClock())
        with pytest.raises((NeedsHuman, Transient)) as caught:
            channel.send(
                a_package(), endpoint, deadline=WallClock().now() + timedelta(seconds=15), about_to_send=marks.append
            )
    assert marks == []
    return type(caught.value), caught.value.code


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def test_a_certificate_of_a_trusted_authority_is_taken(authority):
    with s_server(*authority.issue("good")) as port:
        with guarded_client(OutboundConfig(allow_loopback=True, ca_file=str(authority.file))) as http:
            deadline = WallClock().now() + timedelta(seconds=10)
            answer = Wire(http, WallClock()).exchange("GET", f"https://127.0.0.1:{port}/", deadline=deadline)
        assert (answer.status, answer.facts["tls"]) == (200, "TLSv1.3")
        assert what_happens(port, ca_file=str(authority.file)) == (NeedsHuman, "fhir.not-fhir")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"start": -30 * DAY, "end": -DAY}, "tls.expired"),
        ({"start": DAY}, "tls.expired"),
        ({"own_signed": True}, "tls.untrusted"),
        ({"host": "elsewhere.example"}, "tls.name"),
    ],
    ids=["run out", "not valid yet", "self-signed", "another name"],
)
def test_a_bad_certificate_is_held_for_a_person_and_nothing_leaves(authority, how, code):
    with s_server(*authority.issue("bad", **how)) as port:
        assert what_happens(port, ca_file=str(authority.file)) == (NeedsHuman, code)


def test_an_authority_of_our_own_choice_stands_beside_those_of_the_system(authority, tmp_path, monkeypatch):
    public = Authority(tmp_path, "public")
    monkeypatch.setenv("SSL_CERT_FILE", str(public.file))  # as the system's own authorities
    for one in (authority, public):
        with s_server(*one.issue(f"server-of-{one.file.stem}")) as port:
            assert what_happens(port, ca_file=str(authority.file)) == GOOD


GOOD = (NeedsHuman, "fhir.not-fhir")
"""How a letter to `openssl s_server` ends whose certificate was taken: its page is no FHIR."""
HERE = "127.0.0.1"


def test_a_revoked_certificate_is_held_and_the_same_authoritys_others_are_taken(authority):
    revoked, other = authority.issue("revoked"), authority.issue("other")
    lists = RevocationLists(authority.revokes(HERE, revoked[0]))
    with s_server(*revoked) as port:
        assert what_happens(port, ca_file=str(authority.file), lists=lists) == (NeedsHuman, "tls.revoked")
        assert what_happens(port, ca_file=str(authority.file)) == GOOD, "nobody is asked without a list"
    with s_server(*other) as port:
        assert what_happens(port, ca_file=str(authority.file), lists=lists) == GOOD
        whole = RevocationLists(lists.folder, whole_chain=True)
        assert what_happens(port, ca_file=str(authority.file), lists=whole) == GOOD


@pytest.mark.parametrize("how", ["run out", "not valid yet", "another authority's", "signed by a stranger", "no list"])
def test_a_list_that_says_nothing_about_the_certificate_holds_everything(authority, tmp_path, how):
    stranger = Authority(tmp_path, "stranger")
    if how == "no list":
        folder = authority.revokes(HERE)
        (folder / f"{HERE}.pem").write_text("what is this", "ascii")
    elif how == "another authority's":
        folder = stranger.revokes(HERE)
    else:
        more = {
            "run out": {"start": -9 * DAY, "end": -DAY},
            "not valid yet": {"start": DAY},
            "signed by a stranger": {"signed_by": stranger.key},
        }[how]
        folder = authority.revokes(HERE, **more)
    with s_server(*authority.issue("good")) as port:
        lists = RevocationLists(folder)
        assert what_happens(port, ca_file=str(authority.file), lists=lists) == (NeedsHuman, "tls.crl")


def test_a_list_is_one_servers_and_a_renewed_one_counts_at_once(authority):
    certificate = authority.issue("good")
    lists = RevocationLists(authority.revokes("elsewhere.example", certificate[0]))
    config = OutboundConfig(allow_loopback=True, ca_file=str(authority.file), lists=lists)
    with s_server(*certificate) as port, guarded_client(config) as http:
        channel = FhirRest(http, NoSignIn(), WallClock())
        endpoint = Endpoint(id="ep", kind="fhir-rest", address=f"https://127.0.0.1:{port}/fhir")

        def ends():
            deadline = WallClock().now() + timedelta(seconds=15)
            with pytest.raises(NeedsHuman) as caught:
                channel.send(a_package(), endpoint, deadline=deadline, about_to_send=lambda _: None)
            return caught.value.code

        assert ends() == "fhir.not-fhir"
        authority.revokes(HERE, start=-9 * DAY, end=-DAY)
        assert ends() == "tls.crl"
        authority.revokes(HERE)
        assert ends() == "fhir.not-fhir"
        authority.revokes(HERE, certificate[0])
        assert ends() == "tls.revoked"


def test_the_mailbox_of_the_notices_is_checked_by_the_same_lists(authority):
    certificate = authority.issue("mail")
    lists = RevocationLists(authority.revokes(HERE, certificate[0]))
    with s_server(*certificate) as port:
        config = ImapConfig(HERE, port, "u", "p", ca_file=str(authority.file), lists=lists, timeout_s=5)
        with pytest.raises(NeedsHuman) as caught:
            list(DirectNotices(config, WallClock()).fetch())
    assert caught.value.code == "tls.revoked"


def test_an_authority_that_we_do_not_trust_is_held(authority, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    with s_server(*stranger.issue("theirs")) as port:
        assert what_happens(port, ca_file=str(authority.file)) == (NeedsHuman, "tls.untrusted")


def test_tls_older_than_1_2_is_not_spoken(authority):
    with s_server(*authority.issue("old"), "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0") as port:
        assert what_happens(port, ca_file=str(authority.file)) == (Transient, "tls.handshake")


def test_each_endpoint_is_shown_its_own_certificate_and_no_other(authority, tmp_path):
    stranger = Authority(tmp_path, "other-authority")
    authority.issue("ours")[0].rename(tmp_path / "ours.crt")
    stranger.issue("theirs")[0].rename(tmp_path / "theirs.crt")
    asks = ("-Verify", "2", "-verify_return_error", "-CAfile", authority.file)
    config = SmartConfig(secrets_dir=tmp_path)
    client = guarded_client(OutboundConfig(allow_loopback=True, ca_file=str(authority.file)))
    with s_server(*authority.issue("strict"), *asks) as port, client as http:
        channel = FhirRest(http, SignIn(http, config, WallClock(), None), WallClock())

        def told(certificate, method="mtls"):
            auth = EndpointAuth(method=method, certificate=certificate)
            address = f"https://127.0.0.1:{port}/fhir"
            endpoint = Endpoint(id="ep", kind="fhir-rest", address=address, auth=auth)
            deadline = WallClock().now() + timedelta(seconds=15)
            with pytest.raises((NeedsHuman, Transient)) as caught:
                channel.send(a_package(), endpoint, deadline=deadline, about_to_send=lambda _: None)
            return type(caught.value), caught.value.code

        # The server's own page is no FHIR: it let us in.
        assert told("ours") == (NeedsHuman, "fhir.not-fhir")
        assert told("theirs")[0] is Transient
        assert told("ours") == (NeedsHuman, "fhir.not-fhir")
        assert told("ours", method="none") == (NeedsHuman, "fhir.not-fhir")
        assert told(None, method="none")[0] is Transient
        assert told("lost") == (NeedsHuman, "token.key")
        assert told(None) == (NeedsHuman, "token.key")


def test_a_server_that_wants_our_certificate_gets_it_and_refuses_us_without(authority):
    ours = authority.issue("clinic")
    asks = ("-Verify", "2", "-verify_return_error", "-CAfile", authority.file)
    with s_server(*authority.issue("strict"), *asks) as port:
        with_it = what_happens(port, ca_file=str(authority.file), client_cert=(str(ours[0]), str(ours[1])))
        assert with_it == (NeedsHuman, "fhir.not-fhir")
        assert what_happens(port, ca_file=str(authority.file))[0] is Transient
