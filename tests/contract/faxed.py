"""What a fax gateway was given, whichever way its vendor wants the file: the pages, read."""

import base64
import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

import weasyprint

from coordinator.flow.ports import Package
from coordinator.letters.pdf import pages_text
from tests.contract.channel_suite import Scene
from tests.contract.people import a_document

WORDS = ("the summary", "the alert")


def a_pdf(words: str) -> bytes:
    made: bytes = weasyprint.HTML(string=f"<p>{words}</p>").write_pdf()
    return made


def pages_in(body: bytes) -> list[str]:
    """Return the words of each page of the one PDF in a request, as bytes or in base64."""
    if b"%PDF-" not in body:
        (found,) = re.findall(rb"JVBERi[A-Za-z0-9+/=]+", unquote_to_bytes(body))
        body = base64.b64decode(found)
    return [one.strip() for one in pages_text(body[body.index(b"%PDF-") : body.rindex(b"%%EOF") + 5])]


class FaxedLetters:
    """The suite's two letters, for every vendor's gateway. A scene keeps its far side as `far`."""

    far: Any

    def two_letters(self, package: Package) -> Package:
        return replace(package, documents=tuple(a_document("letter-pdf", a_pdf(words)) for words in WORDS))

    def letters_at(self, scene: Scene) -> int:
        (request,) = [one for one in self.far.requests if one[0] == "POST"]
        return len(set(pages_in(request[3])) & set(WORDS))
