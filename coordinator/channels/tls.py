"""What a bad certificate is called."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType

CERTIFICATE_CAUSES: Mapping[int, str] = MappingProxyType(
    {
        9: "tls.expired", 10: "tls.expired", 62: "tls.name", 64: "tls.name", 23: "tls.revoked",
        3: "tls.crl", 8: "tls.crl", 11: "tls.crl", 12: "tls.crl", 33: "tls.crl", 44: "tls.crl",
    }
)  # fmt: skip
"""OpenSSL's verify codes: 9 not yet valid, 10 expired, 62 another host name, 64 another address, 23 revoked.

Of the list of revoked certificates: 3 none of that authority, 8 not signed by it, 11 not yet valid, 12 run out,
33 its signer unknown, 44 for other certificates.
"""


def certificate_cause(fault: ssl.SSLCertVerificationError) -> str:
    """Return the cause code of a certificate that was refused."""
    return CERTIFICATE_CAUSES.get(fault.verify_code, "tls.untrusted")


REFUSED_US = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_DECRYPT_ERROR", "SSLV3_ALERT_HANDSHAKE_FAILURE", "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    }
)  # fmt: skip
"""OpenSSL's names of the alerts by which a server ends the handshake over the certificate that we showed, or did not.

In TLS 1.3 they come when our side of the handshake is done and the request has left. The server opens none of it before
its own side is done, so nothing was taken.
"""


def refuses_us(fault: BaseException) -> bool:
    """Return whether the fault is a handshake that the server ended over our certificate."""
    return isinstance(fault, ssl.SSLError) and fault.reason in REFUSED_US
