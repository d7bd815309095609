"""Where a try comes from, as the brakes on guessing count it."""

from ipaddress import ip_address, ip_network

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""How this machine itself is written in an address."""


def place(host: str | None) -> str:
    """Return the network address; of an IPv6 address the half that one customer holds whole."""
    if host is None:
        return "unknown"
    try:
        found = ip_address(host)
    except ValueError:
        return host
    if found.version == 4:
        return host
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
