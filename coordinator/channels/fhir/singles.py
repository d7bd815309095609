"""Single creates in dependency order: for a server that takes no transaction, or no long one. Every entry's own truth.

The book of entries is the idempotency key. What it says has landed is not sent again; what was
asked and never answered is in doubt, and is not repeated unless the request itself says "only
once" (a conditional create or update), or a person resends.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from coordinator.channels.answers import FHIR_STATUS, error_for
from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.judge import REVIEW_WITHIN_S
from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.said import part, parts, relative, text
from coordinator.channels.fhir.server import FhirServer, has_error_issue, parse
from coordinator.channels.fhir.whose import (
    OTHER_PATIENT,
    WORDS,
    filed_under,
    look_whose,
    names_another,
    names_somebody,
)
from coordinator.channels.wire import Answer
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman
from coordinator.flow.ports import EntryRow, Package, Taken
from coordinator.mapping.addressing import Places, addressed, names_of_entries
from coordinator.mapping.body import to_bytes
from coordinator.mapping.planner import Capability

REFUSALS = frozenset({400, 403, 404, 405, 406, 410, 413, 415, 422, 501})
"""Answers that say for sure that nothing was kept."""
TYPE_REFUSALS = frozenset({403, 404, 405, 501})
"""Refusals that are about the type or the interaction, not about this content."""
NOT_TAKEN = frozenset({425, 429, 503})
"""Answers of a server that has not looked at the request."""
LETTER = "DocumentReference"


@dataclass(frozen=True)
class Request:
    """One entry as it can be asked of this server."""

    kind: str
    path: str
    method: Literal["POST", "PUT"]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def only_once(self) -> bool:
        """Whether repeating it can double nothing."""
        return self.method == "PUT" or "If-None-Exist" in self.headers

    @property
    def found_there(self) -> bool:
        """Whether 200 says that it was there already."""
        return self.method == "POST" and "If-None-Exist" in self.headers

    @property
    def of_one_place(self) -> bool:
        """Whether it changes one resource of theirs: that this one is gone or closed says nothing of its type."""
        return self.method == "PUT" and "?" not in self.path


@dataclass(frozen=True)
class Terms:
    """What this server takes one by one, as declared, as its partner file knows, and as it has shown."""

    creates: Mapping[str, bool]
    """Type -> conditional create."""
    updates: Mapping[str, bool]
    """Type -> conditional update."""
    corrects: Collection[str]
    """Types whose landed entries may be updated under their own id there."""
    plain_creates: bool
    """Whether a create without a condition may be made: a partner file says so."""
    already_there: Collection[str] = ()
    refused: Collection[str] = ()

    def request(self, entry: Mapping[str, Any], landed: EntryRow | None) -> Request | None:
        """Return how this entry is asked, None when it is not."""
        kind, request = text(part(entry, "resource"), "resourceType"), part(entry, "request")
        method, url = text(request, "method"), text(request, "url")
        if kind in self.refused:
            return None
        if method == "PUT" and (self.updates.get(kind) if "?" in url else kind in self.updates):
            return Request(kind, url, "PUT")
        if landed is not None and landed.sha256 is not None:
            may = landed.place is not None and kind in self.corrects
            return Request(kind, str(landed.place), "PUT") if may else None
        condition = text(request, "ifNoneExist") or (url.partition("?")[2] if "?" in url else "")
        if condition and self.creates.get(kind):
            return Request(kind, kind, "POST", {"If-None-Exist": condition})
        return Request(kind, kind, "POST") if self.plain_creates and kind in self.creates else None


def terms_of(
    capability: Capability, creates: Mapping[str, bool], *, singles: Sequence[str], updates: Sequence[str],
    already_there: Sequence[str], refused: Collection[str],
) -> Terms:  # fmt: skip
    """Return the terms of a server; `singles` and the rest come from its partner file, empty without one."""
    taken = {kind: said for kind, said in creates.items() if not singles or kind in singles}
    corrects = [kind for kind in updates if kind in capability.updates]
    known = {} if singles else capability.updates
    return Terms(taken, known, corrects, bool(singles), already_there, refused)


class Singles:
    """One message's entries on their way to one server, one by one."""

    def __init__(self, server: FhirServer, book: EntriesHere, endpoint: str, terms: Terms, match: Match) -> None:
        """`endpoint` is the id under which the book keeps this server's entries."""
        self._server = server
        self._book = book
        self._endpoint = endpoint
        self._terms = terms
        self._match = match
        self.newly_refused: set[str] = set()

    def send(
        self,
        package: Package,
        entries: Sequence[Mapping[str, Any]],
        places: Places,
        mark: Callable[[], None],
        astray: Collection[str] = (),
    ) -> Taken:
        """Return what came of all entries together; raise when one of them is not settled.

        A letter that this server would not be asked to take is a person's matter before anything leaves: what is left
        to the letter needs one. `astray`: the keys of entries that landed with another patient, so are not there.
        """
        urls = {one["fullUrl"]: entry_key(one) for one in entries}
        known = dict(self._book.known(self._endpoint, list(urls.values())))
        known |= {key: EntryRow(None, None, known[key].asked_sha256) for key in astray}
        if any(self._is_barred(package, one, known.get(urls[one["fullUrl"]])) for one in entries):
            raise NeedsHuman("fhir.level")
        by_url = dict(places.by_url)
        names = {**places.names, **names_of_entries(entries)}
        counts: Counter[str] = Counter()
        left_out: Counter[str] = Counter()
        letter_at: str | None = None
        marked = once(mark)
        for entry in entries:
            url, key = entry["fullUrl"], urls[entry["fullUrl"]]
            here = Places(by_url, places.by_name, places.by_type, names, places.visit)
            kind = text(part(entry, "resource"), "resourceType")
            done = self._one(package, entry, key, known.get(key), here, marked)
            counts[done.word] += 1
            if done.word == "left out":
                left_out[kind] += 1
            elif done.place is not None:
                by_url[url] = done.place
                letter_at = letter_at or (done.place if kind == LETTER else None)
        marked()
        return _together(counts, left_out, letter_at or next(iter(by_url.values()), None))

    def _is_barred(self, package: Package, entry: Mapping[str, Any], row: EntryRow | None) -> bool:
        """Return whether this is a letter that is not there and cannot be asked of this server."""
        if text(part(entry, "resource"), "resourceType") != LETTER:
            return False
        again = package.resent
        if row is not None and row.sha256 == content_sha(entry) and not again:
            return False
        return self._terms.request(entry, None if again else row) is None

    def _one(
        self,
        package: Package,
        entry: Mapping[str, Any],
        key: str,
        row: EntryRow | None,
        places: Places,
        mark: Callable[[], None],
    ) -> "_Done":
        kind = text(part(entry, "resource"), "resourceType")
        sha = content_sha(entry)
        again = package.resent and kind == LETTER
        if row is not None and row.sha256 == sha and row.asked_sha256 is None and not again:
            return _Done("there", row.place)
        request = self._terms.request(entry, None if again else row)
        if request is None:
            return _Done("left out", None if row is None else row.place)
        if row is not None and row.asked_sha256 is not None and not request.only_once and not package.resent:
            raise InDoubt("fhir.entry-in-doubt")
        body = to_bytes(addressed(part(entry, "resource"), places))
        self._book.asked(self._endpoint, key, package.message, sha)
        try:
            answer = self._server.write(request.path, body, mark, request.headers, method=request.method)
        except InDoubt:
            raise
        except DeliveryError:
            self._book.let_go(self._endpoint, key)  # not a byte of it has left
            raise
        return self._judged(answer, request, key, entry)

    def _judged(self, answer: Answer, request: Request, key: str, entry: Mapping[str, Any]) -> "_Done":
        """Return what one answer says of its entry; raise what is for somebody else to settle."""
        if 200 <= answer.status < 300:
            return self._taken(answer, request, key, entry)
        if self._holds_it(answer):
            self._book.landed(self._endpoint, key, None, patient_of(entry, self._match))
            return _Done("there", None)
        error = error_for(answer, FHIR_STATUS, self._server.now(), kind="fhir", only_once=request.only_once)
        if isinstance(error, InDoubt):
            raise error
        self._book.let_go(self._endpoint, key)
        if answer.status not in REFUSALS or request.kind == LETTER:
            raise error
        if not request.of_one_place and (answer.status in TYPE_REFUSALS or names_unsupported(answer)):
            self.newly_refused.add(request.kind)
        return _Done("left out", None)

    def _taken(self, answer: Answer, request: Request, key: str, entry: Mapping[str, Any]) -> "_Done":
        said = parse(answer) if answer.body else {}
        if said is None:
            raise InDoubt("fhir.not-fhir", detail=answer.body, status=answer.status)
        if has_error_issue(said):
            raise InDoubt("fhir.outcome-error", detail=answer.body, status=answer.status)
        place = _place(answer, request, said)
        if place is None and answer.status != 202:
            raise InDoubt("fhir.no-location", detail=answer.body, status=answer.status)
        whose = patient_of(entry, self._match)
        if answer.status == 200 and request.found_there and whose is not None:
            look_whose(self._server, place, said, self._match)
        if answer.status != 202:  # under review it stays asked: what is there is found by looking, not by our book
            self._book.landed(self._endpoint, key, place, whose and filed_under(said, self._match))
        if names_another(said, self._match):
            raise NeedsHuman(OTHER_PATIENT, detail=WORDS, status=answer.status)
        if answer.status == 202:
            return _Done("for review", None)
        return _Done("created" if answer.status == 201 else "there", place)

    def _holds_it(self, answer: Answer) -> bool:
        """Return whether a refusal says that the server has this very entry already."""
        codings = [one for issue in parts(parse(answer), "issue") for one in parts(part(issue, "details"), "coding")]
        return any(text(one, "code") in self._terms.already_there for one in codings)


@dataclass(frozen=True)
class _Done:
    word: Literal["created", "there", "for review", "left out"]
    place: str | None


def entry_key(entry: Mapping[str, Any]) -> str:
    """Return the name under which the book keeps an entry: its stable id, the same in every version."""
    return str(entry["fullUrl"]).removeprefix("urn:uuid:")


def patient_of(entry: Mapping[str, Any], match: Match) -> str | None:
    """Return the id of the record that an entry goes into, None for what is about no patient."""
    return match.far_side_id if names_somebody(part(entry, "resource")) else None


def content_sha(entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry as it was composed."""
    return hashlib.sha256(to_bytes(part(entry, "resource"))).hexdigest()


def names_unsupported(answer: Answer) -> bool:
    """Return whether a refusal says that a resource type or interaction is not supported (R4 issue-type code)."""
    if answer.status not in (400, 422):
        return False
    return any(text(one, "code") == "not-supported" for one in parts(parse(answer), "issue"))


def _place(answer: Answer, request: Request, said: Mapping[str, Any]) -> str | None:
    """Return "Observation/12" from the resource that came back, else from the Location, else from what was updated.

    200 to a create without a condition says nothing that a resource could prove: then only a Location does.
    """
    tells = answer.status != 200 or request.only_once
    told = f"{request.kind}/{text(said, 'id')}" if tells and text(said, "resourceType") == request.kind else None
    location = answer.headers.get("location") or (answer.headers.get("content-location") if tells else None)
    if place := relative(told, request.kind) or relative(location, request.kind):
        return place
    return request.path if request.method == "PUT" and "?" not in request.path else None


def once(mark: Callable[[], None]) -> Callable[[], None]:
    """Return the mark so that only its first call marks."""
    done = False

    def marking() -> None:
        nonlocal done
        if not done:
            done = True
            mark()

    return marking


def _together(counts: Counter[str], left_out: Counter[str], place: str | None) -> Taken:
    landed = counts["created"] + counts["there"]
    if not landed and not counts["for review"]:
        raise NeedsHuman("fhir.level")  # every entry was left out: none of it is there
    facts = {"level": "singles", "created": str(counts["created"]), "entries": str(sum(counts.values()))}
    if counts["there"]:
        facts["already there"] = str(counts["there"])
    if left_out:
        facts["left to the letter"] = ", ".join(f"{kind} {number}" for kind, number in sorted(left_out.items()))[:200]
    if counts["for review"]:
        facts |= {"answer": "accepted for review", "for review": str(counts["for review"])}
        return Taken(place, proven=False, expect_receipt_within_s=REVIEW_WITHIN_S, facts=facts)
    return Taken(place, proven=True, facts=facts)
