"""No mail is encrypted to a revoked certificate, where a list is kept; a list that proves nothing holds it too."""

import datetime as dt
import itertools
from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from coordinator.channels.smime import Agent, SmimeConfig
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.trust import RevocationLists

NOW = dt.datetime(2026, 10, 16, 15, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ENDPOINT = Endpoint(id="ep-direct", kind="direct", address="l.angstrom@Direct.northshore.example")
KEY, AUTHORITY_KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(3))
SERIALS = itertools.count(1)


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certify(name, issuer, issuer_key, *alternatives, key=KEY):
    builder = x509.CertificateBuilder(
        named(issuer), named(name), key.public_key(), next(SERIALS), NOW - 30 * DAY, NOW + 300 * DAY
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def listed(*revoked, issuer="authority", key=AUTHORITY_KEY, ends=NOW + DAY):
    builder = x509.CertificateRevocationListBuilder(named(issuer), NOW - DAY, ends)
    for one in revoked:
        gone = x509.RevokedCertificateBuilder(one.serial_number, NOW - DAY).build()
        builder = builder.add_revoked_certificate(gone)
    return pem(builder.sign(key, hashes.SHA256()))


def pem(one):
    return one.public_bytes(Encoding.PEM)


@dataclass
class Mail:
    agent: Agent
    theirs: x509.Certificate
    authority: x509.Certificate
    list_file: object

    def protect(self):
        return self.agent.protect(b"Subject: Letter\r\n\r\nDose 0.5 mg/kg\r\n", ENDPOINT, NOW)

    def held_as(self):
        with pytest.raises(NeedsHuman) as caught:
            self.protect()
        with pytest.raises(NeedsHuman, match=caught.value.code):
            self.agent.good_until(ENDPOINT, NOW)
        return caught.value.code


@pytest.fixture
def mail(tmp_path):
    """Return an agent, a recipient whose certificate an authority issued, and where that authority's list is kept."""
    folders = {name: tmp_path / name for name in ("recipients", "lists")}
    for one in folders.values():
        one.mkdir()
    authority = certify("authority", "authority", AUTHORITY_KEY, key=AUTHORITY_KEY)
    theirs = certify("angstrom", "authority", AUTHORITY_KEY, x509.DNSName("direct.northshore.example"))
    (folders["recipients"] / f"{ENDPOINT.id}.pem").write_bytes(pem(theirs))
    ours = tmp_path / "ours.pem"
    ours.write_bytes(pem(certify("clinic", "clinic", KEY)))
    key = tmp_path / "ours.key"
    key.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    config = SmimeConfig(ours, key, folders["recipients"], RevocationLists(folders["lists"]))
    return Mail(Agent(config), theirs, authority, folders["lists"] / "direct.northshore.example.pem")


def test_a_revoked_certificate_holds_the_message(mail):
    mail.list_file.write_bytes(pem(mail.authority) + listed(mail.theirs))
    assert mail.held_as() == "direct.revoked"


def test_one_that_is_not_on_the_list_is_encrypted_to(mail):
    another = certify("other", "authority", AUTHORITY_KEY)
    mail.list_file.write_bytes(pem(mail.authority) + listed(another))
    assert b"pkcs7-mime" in mail.protect()


def test_where_nobody_keeps_a_list_nobody_is_asked(mail):
    assert b"pkcs7-mime" in mail.protect()


def test_a_renewed_list_counts_at_the_next_message(mail):
    mail.list_file.write_bytes(pem(mail.authority) + listed())
    mail.protect()
    mail.list_file.write_bytes(pem(mail.authority) + listed(mail.theirs))
    assert mail.held_as() == "direct.revoked"


def test_the_authoritys_certificate_may_stand_behind_the_recipients_own(mail, tmp_path):
    (tmp_path / "recipients" / f"{ENDPOINT.id}.pem").write_bytes(pem(mail.theirs) + pem(mail.authority))
    mail.list_file.write_bytes(listed(mail.theirs))
    assert mail.held_as() == "direct.revoked"


def test_of_several_lists_the_authoritys_own_counts(mail):
    foreign = listed(issuer="elsewhere", key=OTHER_KEY)
    mail.list_file.write_bytes(foreign + pem(mail.authority) + listed(mail.theirs))
    assert mail.held_as() == "direct.revoked"


@pytest.mark.parametrize(
    "what", ["run out", "forged", "another's", "no authority", "no list", "nothing that is a list"]
)
def test_a_list_that_proves_nothing_holds_the_message_for_the_administrator(mail, what):
    authority = pem(mail.authority)
    content = {
        "run out": authority + listed(ends=NOW - DAY / 2),
        "forged": authority + listed(key=OTHER_KEY),
        "another's": authority + listed(issuer="elsewhere", key=OTHER_KEY),
        "no authority": listed(),
        "no list": authority,
        "nothing that is a list": authority + b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    }[what]
    mail.list_file.write_bytes(content)
    assert mail.held_as() == "direct.crl"


def test_an_authority_of_the_same_name_is_not_the_authority(mail):
    false = replace(mail, authority=certify("authority", "authority", OTHER_KEY, key=OTHER_KEY)).authority
    mail.list_file.write_bytes(pem(false) + listed(key=OTHER_KEY))
    assert mail.held_as() == "direct.crl"


@pytest.mark.parametrize(
    "scope",
    [
        x509.DeltaCRLIndicator(3),
        x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
        x509.IssuingDistributionPoint(None, None, False, False, None, False, True),
        x509.IssuingDistributionPoint(
            None, None, False, False, frozenset({x509.ReasonFlags.key_compromise}), False, False
        ),
    ],
    ids=["what changed alone", "authorities alone", "attributes alone", "some reasons alone"],
)
def test_a_list_that_speaks_of_a_part_only_proves_nothing(mail, scope):
    builder = x509.CertificateRevocationListBuilder(named("authority"), NOW - DAY, NOW + DAY)
    part = builder.add_extension(scope, critical=True).sign(AUTHORITY_KEY, hashes.SHA256())
    mail.list_file.write_bytes(pem(part) + pem(mail.authority))
    assert mail.held_as() == "direct.crl"
    mail.list_file.write_bytes(pem(part) + listed() + pem(mail.authority))
    mail.protect()
