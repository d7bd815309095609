"""Whether the certificate that mail is encrypted to was revoked, by its authority's list where somebody keeps one."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from coordinator.domain.errors import NeedsHuman

BEGINS, ENDS = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
SIGNS_LISTS = (rsa.RSAPublicKey, dsa.DSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey,
               ed448.Ed448PublicKey)  # fmt: skip


def refuse_revoked(certificate: x509.Certificate, beside: Path, lists: Path, now: datetime) -> None:
    """Raise NeedsHuman when the list names the certificate, or when it proves nothing.

    `lists`: a PEM file with the authority's list, or several. The authority's certificate, with which a list is
    signed, stands in that file too, or in `beside`, behind the recipient's own.
    """
    try:
        content = lists.read_bytes()
        known = _certificates(beside.read_bytes()) + _certificates(content)
        listed = _lists(content)
    except (OSError, ValueError) as fault:
        raise NeedsHuman("direct.crl") from fault
    authority = next((one for one in known if _has_issued(one, certificate)), None)
    mine = [] if authority is None else [one for one in listed if _proves(one, authority, now)]
    if not mine:
        raise NeedsHuman("direct.crl")
    if any(one.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None for one in mine):
        raise NeedsHuman("direct.revoked")


def _certificates(content: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(content) if b"-----BEGIN CERTIFICATE-----" in content else []


def _lists(content: bytes) -> list[x509.CertificateRevocationList]:
    parts = content.split(BEGINS)[1:]
    return [x509.load_pem_x509_crl(BEGINS + one.partition(ENDS)[0] + ENDS + b"\n") for one in parts]


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _proves(one: x509.CertificateRevocationList, authority: x509.Certificate, now: datetime) -> bool:
    """Return whether the list is this authority's, signed by it, and of today."""
    key, ends = authority.public_key(), one.next_update_utc
    return (
        one.issuer == authority.subject
        and one.last_update_utc <= now
        and ends is not None
        and now <= ends
        and _is_whole(one)
        and isinstance(key, SIGNS_LISTS)
        and one.is_signature_valid(key)
    )


def _is_whole(one: x509.CertificateRevocationList) -> bool:
    """Return whether it would name any certificate of a person that was revoked, whatever for (RFC 5280, 5.2)."""
    try:
        said = {type(each.value): each.value for each in one.extensions}
    except ValueError:
        return False
    scope = said.get(x509.IssuingDistributionPoint)
    if x509.DeltaCRLIndicator in said:
        return False
    return not isinstance(scope, x509.IssuingDistributionPoint) or not (
        scope.only_contains_ca_certs
        or scope.only_contains_attribute_certs
        or scope.only_some_reasons
        or scope.indirect_crl
    )
