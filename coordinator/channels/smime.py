"""S/MIME for those who run their own Direct agent: sign, then encrypt. A HISP's edge needs none of this.

RFC 8551 (multipart/signed, enveloped-data) and the Direct Project's Applicability Statement: SHA-256
signatures, AES-256-CBC content, RSA recipients, the whole message inside as message/rfc822.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs7 import (
    PKCS7EnvelopeBuilder,
    PKCS7Options,
    PKCS7SignatureBuilder,
)

from coordinator.channels.smime_in import Opened, certificates_in, is_for, open_mail
from coordinator.channels.smime_revoked import refuse_revoked
from coordinator.channels.smime_use import LEAST_BITS, may_encrypt_to, may_sign
from coordinator.domain.errors import ConfigurationError, NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.trust import RevocationLists

OUTER = frozenset({"message-id", "date", "from", "to", "subject"})
"""Headers that stay readable outside the envelope: they carry no PHI."""
LINE = 64


@dataclass(frozen=True)
class SmimeConfig:
    """Our certificate and key (PEM), and the folder of recipients' certificates: one `<endpoint id>.pem` each."""

    certificate_file: Path
    key_file: Path
    recipients_dir: Path
    lists: RevocationLists | None = None
    """Where lists of revoked certificates are kept: the one of a recipient is named after the domain of the address."""


class Agent:
    """Signs and encrypts whole messages."""

    def __init__(self, config: SmimeConfig) -> None:
        """Read our own key once; raise ConfigurationError when it cannot be used."""
        self._certificate = _read_certificate(config.certificate_file)
        key = load_pem_private_key(config.key_file.read_bytes(), password=None)
        if self._certificate is None or not isinstance(key, rsa.RSAPrivateKey) or key.key_size < LEAST_BITS:
            raise ConfigurationError(f"the S/MIME key has to be RSA of {LEAST_BITS} bits or more, with its certificate")
        if key.public_key() != self._certificate.public_key():
            raise ConfigurationError("the S/MIME key and its certificate do not belong together")
        self._key = key
        self._recipients_dir = config.recipients_dir
        self._lists = config.lists

    def protect(self, message: bytes, endpoint: Endpoint, now: datetime) -> bytes:
        """Return the message signed and then encrypted to the endpoint's certificate, with CRLF line ends.

        Raises NeedsHuman when there is no certificate for the address, not a good one, or a revoked one.
        """
        recipient = self._recipient(endpoint, now)
        inner = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" + message
        sealed = (
            PKCS7EnvelopeBuilder()
            .set_data(self._signed(inner))
            .set_content_encryption_algorithm(AES256)  # the library's own default is AES-128
            .add_recipient(recipient)
            .encrypt(Encoding.DER, [PKCS7Options.Binary])
        )
        fields = re.split(rb"\r\n(?![ \t])", message.partition(b"\r\n\r\n")[0])
        lines = [one for one in fields if one.partition(b":")[0].decode("ascii").lower() in OUTER]
        lines += [
            b"MIME-Version: 1.0",
            b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="smime.p7m"',
            b"",
            _base64(sealed),
        ]
        return b"\r\n".join(lines)

    def open(self, raw: bytes, now: datetime) -> Opened | None:
        """Return what an incoming mail holds and which recipient signed it; None when it is not encrypted to us."""
        if self._certificate is None:
            return None
        known = [one for one in certificates_in(self._recipients_dir) if may_sign(one, now)]
        return open_mail(raw, self._certificate, self._key, known)

    def refuse_own(self, sender: str, now: datetime) -> None:
        """Raise NeedsHuman when nobody would take our signature: run out, not for signing, or not this sender's."""
        mine = self._certificate
        if mine is None or not may_sign(mine, now) or not is_for(mine, sender):
            raise NeedsHuman("direct.own-certificate")

    def good_until(self, endpoint: Endpoint, now: datetime) -> datetime:
        """Return when the recipient's certificate ends; raise NeedsHuman when it cannot be used today."""
        return self._recipient(endpoint, now).not_valid_after_utc

    def _signed(self, entity: bytes) -> bytes:
        """Return multipart/signed over the very bytes of the entity."""
        if self._certificate is None:
            raise ConfigurationError("no S/MIME certificate")
        signature = (
            PKCS7SignatureBuilder()
            .set_data(entity)
            .add_signer(self._certificate, self._key, hashes.SHA256())
            .sign(Encoding.DER, [PKCS7Options.DetachedSignature, PKCS7Options.Binary])
        )
        boundary = b"signed-" + hashlib.sha256(signature).hexdigest()[:32].encode()
        head = (
            b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n boundary="'
            + boundary
            + b'"'
        )
        part = [
            b'Content-Type: application/pkcs7-signature; name="smime.p7s"',
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="smime.p7s"',
            b"",
            _base64(signature),
        ]
        edge = b"--" + boundary
        return b"\r\n".join([head, b"", edge, entity, edge, *part, edge + b"--", b""])

    def _recipient(self, endpoint: Endpoint, now: datetime) -> x509.Certificate:
        file = self._recipients_dir / f"{endpoint.id}.pem"
        certificate = _read_certificate(file)
        if certificate is None or not may_encrypt_to(certificate, now) or not is_for(certificate, endpoint.address):
            raise NeedsHuman("direct.untrusted")
        lists = None if self._lists is None else self._lists.of(endpoint.address.rpartition("@")[2])
        if lists is not None:
            refuse_revoked(certificate, file, lists, now)
        return certificate


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _base64(content: bytes) -> bytes:
    text = base64.b64encode(content)
    return b"\r\n".join(text[start : start + LINE] for start in range(0, len(text), LINE)) + b"\r\n"
