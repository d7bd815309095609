"""The TLS rules of every outgoing connection that is not HTTP: verified, 1.2 or newer."""

import ssl


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that verifies name and chain against the system's authorities, or only against `ca_file`."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
