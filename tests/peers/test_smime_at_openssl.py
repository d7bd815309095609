"""What we sign and encrypt, read by another implementation: `openssl cms`."""

import base64
import datetime as dt
import email
import subprocess
from datetime import timedelta
from email import policy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.channels.smime import Agent, SmimeConfig
from coordinator.domain.errors import ConfigurationError, NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.sandbox.hisp import Hisp
from tests.contract.certificates import certified
from tests.contract.people import CANARY, WallClock, a_package

pytestmark = pytest.mark.servers

ENDPOINT = Endpoint(id="ep-direct", kind="direct", address="l.angstrom@direct.northshore.example")
SENDER = "clinic@direct.lakeside.example"
RSA = rsa.generate_private_key(65537, 2048)


def certify(folder, name, *alternatives, key=RSA, days=30):
    """Write NAME.pem and NAME.key, self-signed for these names, and return both paths."""
    now = dt.datetime.now(dt.UTC)
    return certified(
        folder, name, alternatives, key=key, begins=now - dt.timedelta(days=60), ends=now + dt.timedelta(days=days)
    )


@pytest.fixture
def ours(tmp_path):
    """Return our own configuration; the recipient's certificate and key stand in `recipients`."""
    recipients = tmp_path / "recipients"
    recipients.mkdir()
    certify(recipients, ENDPOINT.id, x509.RFC822Name(ENDPOINT.address))
    return SmimeConfig(*certify(tmp_path, "clinic", x509.RFC822Name(SENDER)), recipients)


def openssl(*arguments, message):
    command = ["openssl", "cms", *map(str, arguments)]
    done = subprocess.run(command, input=message, capture_output=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def opened(ours, message):
    """Return the message inside, decrypted with the recipient's key and verified against our certificate."""
    theirs = ours.recipients_dir / ENDPOINT.id
    code, signed, why = openssl("-decrypt", "-recip", f"{theirs}.pem", "-inkey", f"{theirs}.key", message=message)
    assert code == 0, why
    trust = ("-CAfile", ours.certificate_file, "-purpose", "any")
    code, inner, why = openssl("-verify", *trust, message=signed)
    assert code == 0, why
    return signed, inner


def test_openssl_decrypts_verifies_and_finds_the_very_message(ours):
    plain = b"Message-ID: <a@b>\r\nFrom: a@b\r\nSubject: Letter\r\nMIME-Version: 1.0\r\n\r\nDose 0.5 mg/kg\r\n.\r\n"
    sealed = Agent(ours).protect(plain, ENDPOINT, WallClock().now())
    _, inner = opened(ours, sealed)
    wrapped = email.message_from_bytes(inner, policy=policy.SMTP)
    assert wrapped.get_content_type() == "message/rfc822"
    assert inner.partition(b"\r\n\r\n")[2] == plain


def test_the_content_is_encrypted_with_aes_256_cbc_and_signed_with_sha_256(ours):
    sealed = Agent(ours).protect(b"Subject: x\r\n\r\ntext\r\n", ENDPOINT, WallClock().now())
    code, printed, why = openssl("-cmsout", "-print", message=sealed)
    assert code == 0, why
    assert b"aes-256-cbc" in printed
    assert b"rsaEncryption" in printed
    signed, _ = opened(ours, sealed)
    assert b"micalg=sha-256" in signed
    code, printed, why = openssl("-cmsout", "-print", message=signed)
    assert code == 0, why
    assert b"sha256" in printed
    assert b"sha1" not in printed.lower()


def test_nothing_private_is_readable_outside_the_envelope(ours):
    plain = f"Message-ID: <a@b>\r\nSubject: Letter\r\nX-Own: {CANARY}\r\n\r\n{CANARY}\r\n".encode()
    sealed = Agent(ours).protect(plain, ENDPOINT, WallClock().now())
    assert CANARY.encode() not in sealed
    assert b"X-Own" not in sealed
    outside = email.message_from_bytes(sealed, policy=policy.SMTP)
    assert (outside["Message-ID"], outside["Subject"]) == ("<a@b>", "Letter")
    assert outside.get_content_type() == "application/pkcs7-mime"


def test_a_tampered_signature_and_a_tampered_envelope_are_refused(ours):
    sealed = Agent(ours).protect(b"Subject: x\r\n\r\nDose 0.5 mg/kg\r\n", ENDPOINT, WallClock().now())
    signed, _ = opened(ours, sealed)
    changed = signed.replace(b"Dose 0.5", b"Dose 5.0")
    assert changed != signed
    code, _, why = openssl("-verify", "-CAfile", ours.certificate_file, "-purpose", "any", message=changed)
    assert code != 0
    assert "digest" in why or "verif" in why.lower()
    head, _, body = sealed.partition(b"\r\n\r\n")
    lines = body.split(b"\r\n")
    lines[3] = lines[3][::-1]
    theirs = ours.recipients_dir / ENDPOINT.id
    broken = head + b"\r\n\r\n" + b"\r\n".join(lines)
    code, out, _ = openssl("-decrypt", "-recip", f"{theirs}.pem", "-inkey", f"{theirs}.key", message=broken)
    assert code != 0 or b"Dose 0.5" not in out


def test_another_key_cannot_open_it(ours, tmp_path):
    stranger = certify(tmp_path, "stranger", x509.RFC822Name("x@y.example"), key=rsa.generate_private_key(65537, 2048))
    sealed = Agent(ours).protect(b"Subject: x\r\n\r\nDose 0.5 mg/kg\r\n", ENDPOINT, WallClock().now())
    code, out, _ = openssl("-decrypt", "-recip", stranger[0], "-inkey", stranger[1], message=sealed)
    assert code != 0 or b"Dose" not in out


def test_a_letter_goes_through_a_mail_server_signed_encrypted_and_whole(ours, tmp_path):
    hisp = Hisp(tmp_path / "hisp")
    hisp.start()
    try:
        config = SmtpConfig(
            "127.0.0.1", hisp.smtp_port, hisp.username, hisp.password, SENDER, str(hisp.ca_file), smime=ours
        )
        package = a_package()
        Direct(config, WallClock()).send(
            package, ENDPOINT, deadline=WallClock().now() + timedelta(seconds=10), about_to_send=lambda ref: None
        )
        stored = hisp.messages()[0][2]
    finally:
        hisp.stop()
    _, inner = opened(ours, stored)
    letter = email.message_from_bytes(inner, policy=policy.default).get_content()
    (pdf,) = [one for one in letter.iter_attachments() if one.get_content_type() == "application/pdf"]
    assert pdf.get_content() == package.document("letter-pdf").body


def test_without_a_good_certificate_of_the_recipient_nothing_is_sent(ours):
    agent, folder, now = Agent(ours), ours.recipients_dir, WallClock().now()
    address = x509.RFC822Name(ENDPOINT.address)

    def refused(endpoint=ENDPOINT):
        with pytest.raises(NeedsHuman) as caught:
            agent.protect(b"Subject: x\r\n\r\n", endpoint, now)
        assert caught.value.code == "direct.untrusted"

    refused(Endpoint(id="ep-other", kind="direct", address=ENDPOINT.address))
    certify(folder, ENDPOINT.id, address, days=-1)
    refused()
    certify(folder, ENDPOINT.id, x509.RFC822Name("somebody@else.example"))
    refused()
    certify(folder, ENDPOINT.id, address, key=ec.generate_private_key(ec.SECP256R1()))
    refused()
    (folder / f"{ENDPOINT.id}.pem").write_text("not a certificate")
    refused()
    certify(folder, ENDPOINT.id, x509.DNSName("direct.northshore.example"))
    assert agent.protect(b"Subject: x\r\n\r\n", ENDPOINT, now)


def test_our_own_key_has_to_be_rsa_and_belong_to_its_certificate(ours, tmp_path):
    other = certify(tmp_path, "other", x509.RFC822Name(SENDER), key=rsa.generate_private_key(65537, 2048))
    curve = certify(tmp_path, "curve", x509.RFC822Name(SENDER), key=ec.generate_private_key(ec.SECP256R1()))
    for certificate, key in ((ours.certificate_file, other[1]), curve):
        with pytest.raises(ConfigurationError):
            Agent(SmimeConfig(certificate, key, ours.recipients_dir))


def notice(kind="dispatched", about=ENDPOINT.address):
    from coordinator.sandbox.notices import mdn

    return mdn(kind, "<letter-1@direct.lakeside.example>", SENDER, about)


def from_openssl(ours, inner, *, signer=ENDPOINT.id, options=()):
    """Return the mail as another implementation makes it: signed by NAME of the recipients' folder, encrypted to us."""
    theirs = ours.recipients_dir / signer
    code, signed, why = openssl(
        "-sign", "-signer", f"{theirs}.pem", "-inkey", f"{theirs}.key", "-binary", "-crlfeol", *options, message=inner
    )
    assert code == 0, why
    return to_us(ours, signed)


def to_us(ours, inner, *options):
    code, sealed, why = openssl("-encrypt", "-aes256", "-binary", *options, ours.certificate_file, message=inner)
    assert code == 0, why
    return b"Message-ID: <notice-1@direct.northshore.example>\r\nFrom: x@y.example\r\n" + sealed


def news(ours, raw):
    from coordinator.channels.receipts.direct_mdn import DirectNotices, ImapConfig

    return DirectNotices(ImapConfig("imap.example", 993, "u", "p"), WallClock(), Agent(ours))._news(raw)


@pytest.mark.parametrize("options", [(), ("-nodetach",), ("-md", "sha512"), ("-keyopt", "rsa_padding_mode:pkcs1")])
def test_a_notice_that_the_recipient_signed_and_encrypted_to_us_is_believed(ours, options):
    found = news(ours, from_openssl(ours, notice(), options=options))
    assert (found.verdict, found.far_side_ref) == ("acknowledged", "<letter-1@direct.lakeside.example>")
    assert found.key == "direct:<notice-1@direct.northshore.example>"


@pytest.mark.parametrize("options", [(), ("-nodetach",), ("-stream",), ("-nodetach", "-stream")])
def test_a_notice_that_was_written_in_pieces_is_believed_too(ours, options):
    theirs = ours.recipients_dir / ENDPOINT.id
    code, signed, why = openssl(
        "-sign", "-signer", f"{theirs}.pem", "-inkey", f"{theirs}.key", "-binary", "-crlfeol", *options,
        message=notice() + b"X" * 20_000,
    )  # fmt: skip
    assert code == 0, why
    assert news(ours, to_us(ours, signed, "-stream")).verdict == "acknowledged"


def test_a_notice_encrypted_to_us_but_signed_by_nobody_proves_nothing(ours):
    assert news(ours, to_us(ours, notice())) is None
    assert news(ours, notice()) is None


def test_a_notice_signed_by_a_stranger_or_by_another_recipient_proves_nothing(ours, tmp_path):
    other = rsa.generate_private_key(65537, 2048)
    certify(ours.recipients_dir, "ep-other", x509.RFC822Name("z@direct.other.example"), key=other)
    assert news(ours, from_openssl(ours, notice(), signer="ep-other")) is None
    (ours.recipients_dir / "ep-other.pem").rename(tmp_path / "gone.pem")
    stranger = rsa.generate_private_key(65537, 2048)
    certify(ours.recipients_dir, "stranger", x509.RFC822Name(ENDPOINT.address), key=stranger)
    mail = from_openssl(ours, notice(), signer="stranger")
    (ours.recipients_dir / "stranger.pem").unlink()
    assert news(ours, mail) is None


def test_a_signed_notice_that_was_changed_afterwards_proves_nothing(ours):
    theirs = ours.recipients_dir / ENDPOINT.id
    code, signed, why = openssl(
        "-sign",
        "-signer",
        f"{theirs}.pem",
        "-inkey",
        f"{theirs}.key",
        "-binary",
        "-crlfeol",
        message=notice("processed"),
    )
    assert code == 0, why
    assert news(ours, to_us(ours, signed)).verdict == "processed"
    assert news(ours, to_us(ours, signed.replace(b";processed", b";dispatched"))) is None


def test_a_weak_digest_counts_as_no_signature(ours):
    assert news(ours, from_openssl(ours, notice(), options=("-md", "sha1"))) is None


def test_a_failure_is_heard_whoever_says_it_and_a_mail_for_somebody_else_is_left_alone(ours, tmp_path):
    assert news(ours, notice("failed")).verdict == "failed"
    assert news(ours, to_us(ours, notice("failed"))).verdict == "failed"
    stranger = rsa.generate_private_key(65537, 2048)
    elsewhere, _ = certify(tmp_path, "elsewhere", x509.RFC822Name("q@r.example"), key=stranger)
    code, sealed, why = openssl("-encrypt", "-aes256", elsewhere, message=notice())
    assert code == 0, why
    assert news(ours, sealed) is None


def test_what_comes_broken_harms_nobody(ours):
    for mail in (from_openssl(ours, notice()), to_us(ours, from_openssl(ours, notice()), "-stream")):
        for cut in range(200, len(mail), 997):
            assert news(ours, mail[:cut]) is None


@pytest.mark.parametrize("options", [("-des3",), ("-aes256", "-keyopt", "rsa_padding_mode:oaep")])
def test_a_mail_encrypted_in_another_way_than_direct_does_is_left_for_people(ours, options):
    code, sealed, why = openssl(
        "-encrypt", options[0], "-binary", "-recip", ours.certificate_file, *options[1:], message=notice("failed")
    )
    assert code == 0, why
    assert Agent(ours).open(sealed, WallClock().now()) is None


def test_a_signature_that_holds_nothing_is_none(ours):
    empty = base64.b64encode(bytes.fromhex("300d06092a864886f70d010702a000"))
    inner = (
        b'Content-Type: multipart/signed; boundary="z"\r\n\r\n--z\r\n'
        + notice()
        + b"\r\n--z\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + empty
        + b"\r\n--z--\r\n"
    )
    assert Agent(ours).open(to_us(ours, inner), WallClock().now()).signer is None


def test_a_known_signer_speaks_only_for_addresses_of_the_certificate(ours):
    about = notice().replace(
        b"Original-Message-ID:", b"Original-Recipient: rfc822; somebody@else.example\r\nOriginal-Message-ID:"
    )
    assert news(ours, from_openssl(ours, about)).about == (ENDPOINT.address,)
