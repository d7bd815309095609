"""What a server made of a document that it said it took: its own copy beside what was sent."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from coordinator.channels.fhir.finding import by_identifier
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.said import part, parts, relative, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.whose import names_another, names_somebody
from coordinator.domain.errors import Permanent

LETTER = "DocumentReference"
Code = Literal["fhir.other-patient", "fhir.altered", "fhir.not-kept"]
DATES = ("date", "context.period.start", "context.period.end")


@dataclass(frozen=True)
class Finding:
    """What the look came to: no code when it is there as sent."""

    code: Code | None
    differs: tuple[str, ...] = ()
    """Names of what is not as sent. Names only, so they may be shown anywhere."""
    by_link: bool = False
    """Whether a form of the letter is kept under an address that could not be read, so it was not compared."""

    @property
    def words(self) -> bytes:
        """Return the finding as a line for the record of the attempt."""
        return f"Their copy is not as sent: {', '.join(self.differs)}.".encode() if self.differs else b""


AS_SENT = Finding(None)


def read_back(
    server: FhirServer, place: str | None, sent: Sequence[Mapping[str, Any]], match: Match,
    ignores: Sequence[str] = (),
) -> Finding:  # fmt: skip
    """Return what the server holds where it said it filed the document, beside what was sent.

    `sent` are the forms it may have gone in (a partner gets another than the rest);
    one that agrees is enough. Raises Transient or NeedsHuman when the server does not let it be read.
    """
    here = relative(place, LETTER)
    if here is None:
        return Finding("fhir.not-kept")
    try:
        stored = server.read(here)
    except Permanent as gone:
        if gone.status in (404, 410):
            return Finding("fhir.not-kept")
        raise
    whole = _with_contents(server, stored)
    findings = [compare(one, whole, match, ignores) for one in sent]
    return next((one for one in findings if one.code is None), findings[0])


def every_letter(
    server: FhirServer, place: str | None, sent: Sequence[Mapping[str, Any]], match: Match,
    ignores: Sequence[str] = (),
) -> Finding:  # fmt: skip
    """Return what the server holds of all letters of a message, each found by its own name beside the known place.

    A server that finds none of them by name is asked about the known place only.
    Raises what `read_back` raises.
    """
    names: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in sent:
        name = part(one, "masterIdentifier")
        names.setdefault((text(name, "system"), text(name, "value")), []).append(one)
    known = read_back(server, place, sent, match, ignores)
    if len(names) < 2 or known.code is not None:
        return known
    found = {name: by_identifier(server, LETTER, *name) for name in names}
    if not any(found.values()):
        return known
    for letter, forms in names.items():
        if not found[letter]:
            return Finding("fhir.not-kept", ("one of its letters",))
        whole = _with_contents(server, found[letter][0])
        findings = [compare(one, whole, match, ignores) for one in forms]
        finding = next((one for one in findings if one.code is None), findings[0])
        if finding.code is not None:
            return finding
    return known


def contradicts(sent: Mapping[str, Any], returned: Mapping[str, Any] | None, match: Match) -> Finding:
    """Return what the copy that came with the answer says against what was sent. What it leaves out says nothing."""
    if returned is None or returned.get("resourceType") != LETTER:
        return AS_SENT
    if _patient(sent, returned, match) == "another":
        return Finding("fhir.other-patient", ("patient",))
    ours, theirs = _letters(sent), _letters(returned)
    if ours and theirs and not any(one in ours for one in theirs):
        return Finding("fhir.altered", ("content",))
    return AS_SENT


def compare(sent: Mapping[str, Any], stored: Mapping[str, Any], match: Match, ignores: Sequence[str] = ()) -> Finding:
    """Return whether a stored document is the one that was sent: patient, letter, dates, status, what it replaces."""
    whose = _patient(sent, stored, match)
    if whose == "another":
        return Finding("fhir.other-patient", ("patient",))
    differs = [] if whose == "ours" else ["patient"]
    differs += [] if stored.get("status") == sent.get("status") else ["status"]
    differs += [name for name in DATES if not _same_instant(_at(sent, name), _at(stored, name))]
    differs += [] if len(parts(stored, "relatesTo")) >= len(parts(sent, "relatesTo")) else ["relatesTo"]
    kept = [part(one, "attachment") for one in parts(stored, "content")]
    links = [one for one in kept if text(one, "url") and _sha1(one) is None]
    lost = [one for one in _letters(sent) if one not in _letters(stored)]
    by_link = 0 < len(lost) <= len(links)  # one that is there and differs is not behind another one's link
    differs += ["content"] if lost and not by_link else []
    left = tuple(one for one in differs if not any(f"{one}.".startswith(f"{name}.") for name in ignores))
    return Finding("fhir.altered", left, by_link) if left else Finding(None, (), by_link)


def _patient(sent: Mapping[str, Any], stored: Mapping[str, Any], match: Match) -> Literal["ours", "another", "none"]:
    """Return whose it is there: by the server's own id, or by a number. One we sent it under once may be another's."""
    if names_another(stored, match):
        return "another"
    if not names_somebody(sent):
        return "ours"
    subject = part(stored, "subject")
    named = relative(text(subject, "reference"), "Patient") or text(part(subject, "identifier"), "value")
    return "ours" if named else "none"


def _letters(document: Mapping[str, Any]) -> list[str]:
    """Return the SHA-1 (the hash FHIR keeps beside an attachment) of every form of the letter, in hex."""
    return [found for one in parts(document, "content") if (found := _sha1(part(one, "attachment"))) is not None]


def _sha1(attachment: Mapping[str, Any]) -> str | None:
    try:
        if data := text(attachment, "data"):
            return hashlib.sha1(base64.b64decode(data, validate=True), usedforsecurity=False).hexdigest()
        return base64.b64decode(text(attachment, "hash"), validate=True).hex() or None
    except (binascii.Error, ValueError):
        return "unreadable"


def _with_contents(server: FhirServer, stored: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document with what it keeps as Binary at the same server read in; anything else stays a link."""
    contents = [
        {**one, "attachment": {**part(one, "attachment"), **_binary(server, part(one, "attachment"))}}
        for one in parts(stored, "content")
    ]
    return {**stored, "content": contents}


def _binary(server: FhirServer, attachment: Mapping[str, Any]) -> dict[str, str]:
    here = relative(text(attachment, "url"), "Binary")
    if text(attachment, "data") or here is None or not server.is_ours(text(attachment, "url")):
        return {}
    data = text(server.read(here), "data")
    return {"data": data, "url": ""} if data else {}


def _at(resource: Mapping[str, Any], path: str) -> str:
    *before, last = path.split(".")
    for step in before:
        resource = part(resource, step)
    return text(resource, last)


def _same_instant(asked: str, found: str) -> bool:
    """Return whether a time that was sent is there: the same instant to the second, in whatever zone."""
    if not asked:
        return True
    try:
        return bool(found) and datetime.fromisoformat(asked).replace(microsecond=0) == datetime.fromisoformat(
            found
        ).replace(microsecond=0)
    except (ValueError, TypeError):
        return asked == found


def letters_among(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the documents among entries, in order."""
    return [one for one in (part(each, "resource") for each in entries) if one.get("resourceType") == LETTER]
