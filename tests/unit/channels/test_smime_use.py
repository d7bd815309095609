"""A certificate is used for what its own words allow, and while it is in force: theirs to encrypt to, ours to sign."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.channels.receipts.direct_mdn import DirectNotices, ImapConfig
from coordinator.channels.smime import Agent, SmimeConfig
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.sandbox.notices import mdn
from tests.contract.certificates import certified
from tests.contract.people import StillClock, a_package

NOW = StillClock().now()
DAY = dt.timedelta(days=1)
THEIRS, OURS = "l.angstrom@direct.northshore.example", "clinic@direct.lakeside.example"
ENDPOINT = Endpoint(id="ep-direct", kind="direct", address=THEIRS)
US = Endpoint(id="us", kind="direct", address=OURS)
KEYS = {name: rsa.generate_private_key(65537, 2048) for name in ("theirs", "ours")}
SMALL, CURVE = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP256R1())


def usage(*allowed):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in allowed for name in names})


def purposes(*these):
    return x509.ExtendedKeyUsage(these)


def certify(folder, name, address, *more, key, begins=NOW - 30 * DAY, ends=NOW + 300 * DAY):
    names = [x509.RFC822Name(address)]
    return certified(folder, name, names, *more, key=key, begins=begins, ends=ends)


@pytest.fixture
def both(tmp_path):
    """Return our side's configuration and theirs; each has the other's certificate among its recipients."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for one in (ours, theirs):
        one.mkdir()
    mine = SmimeConfig(*certify(tmp_path, "clinic", OURS, key=KEYS["ours"]), ours)
    (theirs / f"{US.id}.pem").write_bytes(mine.certificate_file.read_bytes())
    return mine, SmimeConfig(*certify(ours, ENDPOINT.id, THEIRS, key=KEYS["theirs"]), theirs)


USELESS = {
    "run out": ((), {"ends": NOW - DAY}),
    "not yet in force": ((), {"begins": NOW + DAY}),
    "for web servers": ((purposes(ExtendedKeyUsageOID.SERVER_AUTH),), {}),
    "unreadable": ((x509.UnrecognizedExtension(ExtensionOID.KEY_USAGE, b"\xff"),), {}),
    "for authorities": ((usage("key_cert_sign", "crl_sign"),), {}),
}


@pytest.mark.parametrize(
    ("more", "changes"),
    [*USELESS.values(), ((usage("digital_signature"),), {}), ((), {"key": SMALL}), ((), {"key": CURVE})],
    ids=[*USELESS, "for signing alone", "a small key", "a curve"],
)  # fmt: skip
def test_nothing_is_encrypted_to_a_certificate_that_is_not_for_it(both, more, changes):
    certify(both[0].recipients_dir, ENDPOINT.id, THEIRS, *more, **{"key": KEYS["theirs"], **changes})
    with pytest.raises(NeedsHuman, match=r"direct\.untrusted"):
        Agent(both[0]).protect(b"Subject: x\r\n\r\n", ENDPOINT, NOW)


@pytest.mark.parametrize(
    "more",
    [
        (),
        (usage("key_encipherment"),),
        (usage("digital_signature", "key_encipherment"), purposes(ExtendedKeyUsageOID.EMAIL_PROTECTION)),
        (purposes(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),),
    ],
)
def test_a_certificate_that_is_for_it_or_says_nothing_is_used(both, more):
    certify(both[0].recipients_dir, ENDPOINT.id, THEIRS, *more, key=KEYS["theirs"])
    assert Agent(both[0]).protect(b"Subject: x\r\n\r\n", ENDPOINT, NOW)


def notice_from(theirs):
    """Return the verdict on a notice that the far side's agent signed and encrypted to us."""
    return Agent(theirs).protect(mdn("dispatched", "<a@direct.lakeside.example>", OURS, THEIRS), US, NOW)


def believed(ours, raw):
    return DirectNotices(ImapConfig("imap.example", 993, "u", "p"), StillClock(), Agent(ours))._news(raw) is not None


def test_a_certificate_of_another_recipient_that_cannot_be_read_harms_no_notice(both):
    certify(both[0].recipients_dir, "ep-aaa", "q@r.example", *USELESS["unreadable"][0], key=KEYS["theirs"])
    (both[0].recipients_dir / "ep-aab.pem").write_text("not a certificate")
    assert believed(both[0], notice_from(both[1]))


def test_a_notice_wrapped_as_direct_wraps_a_mail_is_believed(both):
    assert believed(both[0], notice_from(both[1]))


@pytest.mark.parametrize(
    ("more", "changes"), [*USELESS.values(), ((usage("key_encipherment"),), {})], ids=[*USELESS, "for encrypting alone"]
)
def test_a_notice_signed_with_a_certificate_that_is_not_for_it_proves_nothing(both, more, changes):
    raw = notice_from(both[1])
    certify(both[0].recipients_dir, ENDPOINT.id, THEIRS, *more, key=KEYS["theirs"], **changes)
    assert not believed(both[0], raw)


@pytest.mark.parametrize(
    ("address", "more", "changes"),
    [
        *((OURS, *one) for one in USELESS.values()),
        (OURS, (usage("key_encipherment"),), {}),
        ("other@elsewhere.example", (), {}),
    ],
    ids=[*USELESS, "for encrypting alone", "of another address"],
)
def test_nothing_goes_out_under_a_certificate_of_ours_that_nobody_would_take(both, tmp_path, address, more, changes):
    files = certify(tmp_path, "useless", address, *more, key=KEYS["ours"], **changes)
    with pytest.raises(NeedsHuman, match=r"direct\.own-certificate"):
        writing_as(SmimeConfig(*files, both[0].recipients_dir)).try_certificate(ENDPOINT, NOW + DAY)
    with pytest.raises(NeedsHuman, match=r"direct\.own-certificate"):
        writing_as(SmimeConfig(*files, both[0].recipients_dir)).send(
            a_package(), ENDPOINT, deadline=NOW + DAY, about_to_send=lambda ref: None
        )
    assert "good until" in writing_as(both[0]).try_certificate(ENDPOINT, NOW + DAY)


def writing_as(smime):
    return Direct(SmtpConfig("127.0.0.1", 1, "u", "p", OURS, smime=smime), StillClock())
