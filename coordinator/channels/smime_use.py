"""What a mail certificate may be used for today: its dates, its key, and what its own extensions allow.

RFC 5280 (4.2.1.3, 4.2.1.12) and RFC 8550 (4.4): an extension that is not there forbids nothing. Direct has
certificates for signing alone, and mail encrypted to one of those can be read by nobody.
"""

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

LEAST_BITS = 2048
"""Smallest RSA key: NIST SP 800-57 part 1 counts less as too weak since 2014."""
UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What a certificate raises whose key or extensions cannot be read: they are read only when they are asked for."""
FOR_MAIL = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def may_encrypt_to(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether mail may be encrypted to this RSA key today."""
    try:
        usage = _key_usage(certificate)
        is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
        return is_rsa and (usage is None or usage.key_encipherment) and _is_good(certificate, now)
    except UNREADABLE:
        return False


def may_sign(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether what this key signs today counts."""
    try:
        usage = _key_usage(certificate)
        return (usage is None or usage.digital_signature or usage.content_commitment) and _is_good(certificate, now)
    except UNREADABLE:
        return False


def _is_good(certificate: x509.Certificate, now: datetime) -> bool:
    key = certificate.public_key()
    strong = isinstance(key, ec.EllipticCurvePublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_BITS
    )
    in_force = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    return strong and in_force and _is_for_mail(certificate)


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _is_for_mail(certificate: x509.Certificate) -> bool:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return not FOR_MAIL.isdisjoint(purposes)
