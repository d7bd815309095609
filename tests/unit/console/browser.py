"""A person at a browser: keeps cookies, sends forms with the token of the page they stand on."""

import re
from html import unescape

from web_fakes import PASSWORD


class Browser:
    def __init__(self, client):
        self.client = client

    def get(self, url, **headers):
        return self.client.get(url, headers=headers)

    def token(self, url="/me"):
        return re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get(url).text).group(1)

    def post(self, url, fields=None, *, page="/me", **headers):
        return self.client.post(url, data={"csrf": self.token(page), **(fields or {})}, headers=headers)

    def sign_in(self, name="sender", password=PASSWORD, *, target="/"):
        return self.post("/sign-in", {"name": name, "password": password, "next": target}, page="/sign-in")


def words(answer) -> str:
    """Return the text of a page as a person reads it."""
    text = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", answer.text, flags=re.S)
    return " ".join(unescape(text).split())
