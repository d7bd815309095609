"""Direct in front of a real mail server, exim4, with certificates made by openssl."""

import email
import os
import smtplib
import ssl
import time
from datetime import UTC, datetime, timedelta
from email import policy
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.trust import RevocationLists
from tests.contract.people import CANARY, WallClock, a_package

pytestmark = pytest.mark.servers

ENDPOINT = Endpoint(id="ep-direct", kind="direct", address="l.angstrom@direct.northshore.example")
SENDER = "clinic@direct.lakeside.example"


class Edge:
    """The running exim: its three ports, its certificate and its maildir."""

    def __init__(self) -> None:
        named, folder = os.environ.get("COORDINATOR_TEST_SMTP"), os.environ.get("COORDINATOR_TEST_SMTP_DIR")
        if not named or not folder:
            pytest.fail("COORDINATOR_TEST_SMTP is not set: run .ci/servers, which starts exim")
        self.port = int(named.rpartition(":")[2])
        self.folder = Path(folder)

    def config(self, **changes):
        parts = {
            "host": "127.0.0.1",
            "port": self.port,
            "username": "clinic",
            "password": "sandbox-only",
            "from_address": SENDER,
            "ca_file": str(self.folder / "edge.pem"),
        }
        return SmtpConfig(**{**parts, **changes})

    def stored(self, message_id, within_s=10.0):
        """Return the delivered message of that id, as exim stored it, or None when it does not come."""
        ends = time.monotonic() + within_s
        while time.monotonic() < ends:
            for one in (self.folder / "maildir" / "new").glob("*"):
                message = email.message_from_bytes(one.read_bytes(), policy=policy.default)
                if message["Message-ID"] == message_id:
                    return message
            time.sleep(0.1)
        return None


@pytest.fixture(scope="module")
def edge():
    return Edge()


def soon():
    return WallClock().now() + timedelta(seconds=20)


def send(config, package, endpoint=ENDPOINT):
    marks = []
    taken = Direct(config, WallClock()).send(package, endpoint, deadline=soon(), about_to_send=marks.append)
    return taken, marks


def refused(config, endpoint=ENDPOINT):
    marks = []
    with pytest.raises(NeedsHuman) as caught:
        Direct(config, WallClock()).send(a_package(), endpoint, deadline=soon(), about_to_send=marks.append)
    assert marks == [], "nothing may have left"
    return caught.value.code


def test_a_letter_is_taken_over_tls_and_stored_whole_under_the_id_we_chose_before(edge):
    package = a_package()
    taken, marks = send(edge.config(), package)
    assert taken.far_side_ref == marks[0] == f"<{package.tag}@direct.lakeside.example>"
    assert not taken.proven
    assert taken.facts["tls"] in ("TLSv1.2", "TLSv1.3")
    message = edge.stored(marks[0])
    assert message is not None
    (pdf,) = [one for one in message.iter_attachments() if one.get_content_type() == "application/pdf"]
    assert pdf.get_content() == package.document("letter-pdf").body
    assert pdf.get_filename() == f"letter-{package.reference}.pdf"
    text = message.get_body().get_content().replace("\r\n", "\n")
    assert text == package.document("letter-text").body.decode()


def test_no_header_names_the_patient_and_a_delivery_notice_is_asked_for(edge):
    taken, _ = send(edge.config(), a_package())
    message = edge.stored(taken.far_side_ref)
    assert message["Subject"] == "Letter from Lakeside Interventional Psychiatry"
    assert CANARY not in str(message.items())
    assert message["Disposition-Notification-To"] == SENDER
    assert message["Disposition-Notification-Options"] == "X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true"
    received = " ".join(message.get_all("Received"))
    assert "esmtpsa" in received, "exim's own word for: over TLS, and signed in"


def test_exim_itself_refuses_mail_without_tls_and_without_sign_in(edge):
    with smtplib.SMTP("127.0.0.1", edge.port, timeout=10) as plain:
        plain.ehlo()
        assert plain.mail(SENDER)[0] == 550
        trust = ssl.create_default_context(cafile=str(edge.folder / "edge.pem"))
        plain.starttls(context=trust)
        plain.ehlo()
        assert plain.mail(SENDER)[0] == 550


def test_an_edge_that_offers_no_tls_gets_neither_name_nor_password(edge):
    assert refused(edge.config(port=edge.port + 1)) == "direct.no-tls"


def test_a_certificate_for_another_name_is_held(edge):
    assert refused(edge.config(port=edge.port + 2, ca_file=str(edge.folder / "wrong.pem"))) == "tls.name"


def test_a_certificate_of_nobody_we_trust_is_held(edge):
    assert refused(edge.config(ca_file=str(edge.folder / "wrong.pem"))) == "tls.untrusted"
    assert refused(edge.config(ca_file=None)) == "tls.untrusted"


@pytest.mark.parametrize("revoked", [True, False])
def test_a_revoked_certificate_of_the_edge_is_held(edge, tmp_path, revoked):
    certificate = x509.load_pem_x509_certificate((edge.folder / "edge.pem").read_bytes())
    key = load_pem_private_key((edge.folder / "edge.key").read_bytes(), None)
    now = datetime.now(UTC)
    made = x509.CertificateRevocationListBuilder().issuer_name(certificate.subject)
    made = made.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
    if revoked:
        one = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        made = made.add_revoked_certificate(one.revocation_date(now - timedelta(hours=1)).build())
    (tmp_path / "127.0.0.1.pem").write_bytes(made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    config = edge.config(lists=RevocationLists(tmp_path))
    if revoked:
        assert refused(config) == "tls.revoked"
    else:
        assert send(config, a_package())[1]


def test_a_wrong_password_is_held(edge):
    assert refused(edge.config(password="guessed")) == "direct.sign-in"


def test_an_address_that_the_edge_does_not_know_is_held(edge):
    nobody = Endpoint(id="e", kind="direct", address="nobody@direct.northshore.example")
    assert refused(edge.config(), nobody) == "direct.address"


def test_the_check_signs_in_and_leaves_no_mail_behind(edge):
    before = len(list((edge.folder / "maildir" / "new").glob("*")))
    seen = Direct(edge.config(), WallClock()).try_sign_in(soon())
    assert seen.startswith("127.0.0.1 speaks TLSv1.")
    assert len(list((edge.folder / "maildir" / "new").glob("*"))) == before
    with pytest.raises(NeedsHuman):
        Direct(edge.config(password="guessed"), WallClock()).try_sign_in(soon())
