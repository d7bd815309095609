"""How the pretend gateway signs its callbacks; written apart from our own check, so that each tests the other."""

import hmac


def sign(url: str, fields: list[tuple[str, str]], token: str) -> str:
    """Return the hex HMAC-SHA1 of the URL followed by every name and value in order of the names."""
    mac = hmac.new(token.encode(), url.encode(), "sha1")
    for name, value in sorted(fields):
        mac.update(name.encode())
        mac.update(value.encode())
    return mac.hexdigest()
