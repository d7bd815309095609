"""A letter as one web page that needs nothing else: what a page for readers must allow for it, and no more."""

import base64
import hashlib
import re

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def style_hash(html: str) -> str:
    """Return the letter's inline style as a Content-Security-Policy source, "'sha256-…'".

    A letter has exactly one style element and no style attribute; anything else raises ValueError.
    """
    found = _STYLE.findall(html)
    if len(found) != 1 or " style=" in html:
        raise ValueError("a letter has one style element and no style attribute")
    digest = hashlib.sha256(found[0].encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page_policy(html: str) -> str:
    """Return the whole policy under which the letter shows as it should: its own style, and nothing from anywhere."""
    return (
        f"default-src 'none'; style-src {style_hash(html)}; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    )
