"""Incoming S/MIME for those who run their own Direct agent: decrypt what is ours, believe only whom we know.

RFC 8551 and RFC 5652. A notice proves an arrival, so one that is not signed by the recipient's own certificate, as it
lies in the recipients' folder, proves nothing: anybody can write a mail to us. `cryptography` decrypts; reading who
signed takes the few fields of SignedData that are named here, and whatever does not fit them is no signature.
"""

import email
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import policy
from email.message import Message
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization.pkcs7 import pkcs7_decrypt_der

from coordinator.channels.smime_ber import (
    OCTETS,
    OID,
    SEQUENCE,
    SET,
    Unreadable,
    children,
    definite,
    element,
    enveloped,
)

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
DIGESTS = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}
"""SHA-1 is not among them: a signature over it counts as none."""
ATTRIBUTES = 0xA0


@dataclass(frozen=True)
class Opened:
    """What was inside, and the certificate that signed it (None: nobody we know)."""

    content: bytes
    signer: x509.Certificate | None


def open_mail(
    raw: bytes, certificate: x509.Certificate, key: rsa.RSAPrivateKey, known: Iterable[x509.Certificate]
) -> Opened | None:
    """Return what an encrypted mail holds and who of the known signed it; None when it is not encrypted to us."""
    outer = email.message_from_bytes(raw, policy=policy.SMTP)
    if outer.get_content_type() not in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return None
    sealed = outer.get_payload(decode=True)
    try:
        inner = pkcs7_decrypt_der(enveloped(sealed if isinstance(sealed, bytes) else b""), certificate, key, [])
    except (Unreadable, ValueError, TypeError, UnsupportedAlgorithm):
        return None  # not to us, broken, or encrypted in a way that Direct does not have
    return _signed_part(inner, tuple(known))


def certificates_in(folder: Path) -> tuple[x509.Certificate, ...]:
    """Return every certificate of the recipients' folder that can be read."""
    found = []
    for file in sorted(folder.glob("*.pem")):
        try:
            found.append(x509.load_pem_x509_certificate(file.read_bytes()))
        except (OSError, ValueError):
            continue
    return tuple(found)


def is_for(certificate: x509.Certificate, address: str) -> bool:
    """Return whether it is bound to this address, or to its whole domain (the two kinds that Direct has)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    domain = address.rpartition("@")[2].lower()
    mails = [one.lower() for one in names.get_values_for_type(x509.RFC822Name)]
    domains = [one.lower() for one in names.get_values_for_type(x509.DNSName)]
    return address.lower() in mails or domain in domains


def _signed_part(entity: bytes, known: tuple[x509.Certificate, ...]) -> Opened:
    """Return the part that is signed, and by whom. What is not signed comes back as it is, signed by nobody."""
    crlf = entity.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    message = email.message_from_bytes(crlf, policy=policy.SMTP)
    kind = message.get_content_type()
    if kind == "multipart/signed":
        boundary = message.get_boundary()
        parts = message.get_payload()
        if boundary is None or not isinstance(parts, list) or len(parts) != 2:
            return Opened(crlf, None)
        content = _between(crlf, boundary.encode("ascii", "replace"))
        second = parts[1]
        signature = second.get_payload(decode=True) if isinstance(second, Message) else None
        if content is None or not isinstance(signature, bytes):
            return Opened(crlf, None)
        return Opened(content, _who(signature, content, known))
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        blob = message.get_payload(decode=True)
        held = _embedded(blob) if isinstance(blob, bytes) else None
        if held is not None and isinstance(blob, bytes):
            return Opened(held, _who(blob, held, known))
    return Opened(crlf, None)


def _between(entity: bytes, boundary: bytes) -> bytes | None:
    """Return the very bytes of the first part: the line end before the next boundary is not part of them."""
    edge = b"\r\n--" + boundary
    _, found, rest = (b"\r\n" + entity).partition(edge + b"\r\n")
    content, ended, _ = rest.partition(edge)
    return content if found and ended else None


def _who(signature: bytes, content: bytes, known: tuple[x509.Certificate, ...]) -> x509.Certificate | None:
    try:
        infos = list(_signer_infos(signature))
        for certificate in known:
            if any(_fits(info, content, certificate) for info in infos):
                return certificate
    except (Unreadable, ValueError, IndexError):
        return None
    return None


def _fits(info: bytes, content: bytes, certificate: x509.Certificate) -> bool:
    """Return whether this SignerInfo is the certificate's signature over these bytes."""
    fields = list(children(info))
    algorithm = DIGESTS.get(_first(fields[2][1], OID))
    attributes = next((one for one in fields if one[0] == ATTRIBUTES), None)
    signature = next((one[1] for one in fields[3:] if one[0] == OCTETS), None)
    if algorithm is None or attributes is None or signature is None:
        return False
    digest = hashlib.new(algorithm.name, content).digest()
    if digest not in _attribute(attributes[1], MESSAGE_DIGEST):
        return False
    # Signed is the set of attributes under its own tag, not under the one it carries in place (RFC 5652, 5.4).
    signed = element(SET, attributes[1])
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _signed_data(blob: bytes) -> list[tuple[int, bytes]]:
    """Return the fields of the SignedData in a ContentInfo."""
    whole = next(children(definite(blob)), None)
    fields = [] if whole is None or whole[0] != SEQUENCE else list(children(whole[1]))
    inside = next(children(fields[1][1]), None) if len(fields) == 2 and fields[0] == (OID, SIGNED_DATA) else None
    if inside is None:
        raise Unreadable
    return list(children(inside[1]))


def _signer_infos(blob: bytes) -> Iterator[bytes]:
    last = _signed_data(blob)[-1]
    if last[0] != SET:
        raise Unreadable
    for tag, content in children(last[1]):
        if tag == SEQUENCE:
            yield content


def _embedded(blob: bytes) -> bytes | None:
    """Return the content that a SignedData carries inside itself, or None when it carries none."""
    try:
        held = list(children(_signed_data(blob)[2][1]))
        return _first(held[1][1], OCTETS) if len(held) == 2 else None
    except (Unreadable, IndexError):
        return None


def _attribute(attributes: bytes, wanted: bytes) -> list[bytes]:
    """Return the octet strings of one signed attribute."""
    for _, one in children(attributes):
        fields = list(children(one))
        if len(fields) == 2 and fields[0] == (OID, wanted):
            return [value for tag, value in children(fields[1][1]) if tag == OCTETS]
    return []


def _first(content: bytes, wanted: int) -> bytes:
    return next((value for tag, value in children(content) if tag == wanted), b"")
