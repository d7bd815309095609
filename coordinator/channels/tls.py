"""The TLS rules of every outgoing connection that is not HTTP, and what a bad certificate is called."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType

CERTIFICATE_CAUSES: Mapping[int, str] = MappingProxyType(
    {9: "tls.expired", 10: "tls.expired", 62: "tls.name", 64: "tls.name"}
)
"""OpenSSL's verify codes: 9 not yet valid, 10 expired, 62 another host name, 64 another address."""


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies name and chain against the system's authorities, or only against `ca_file`."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def certificate_cause(fault: ssl.SSLCertVerificationError) -> str:
    """Return the cause code of a certificate that was refused."""
    return CERTIFICATE_CAUSES.get(fault.verify_code, "tls.untrusted")
