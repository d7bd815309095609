"""FHIR REST: one transaction (chart), single creates, or one DocumentReference, by what the server can do. One try."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx
import orjson

from coordinator.channels.credentials import Credentials
from coordinator.channels.fhir.capability import CapabilityBook
from coordinator.channels.fhir.chart import names_their_patient, wanted
from coordinator.channels.fhir.doubt import has_begun, settle_entries
from coordinator.channels.fhir.finding import already_there, find_message, judge_found
from coordinator.channels.fhir.here import EntriesHere
from coordinator.channels.fhir.judge import judge_bundle, judge_document
from coordinator.channels.fhir.kept import LETTER, contradicts
from coordinator.channels.fhir.letters import Letters, entries_of
from coordinator.channels.fhir.match import Match, match_patient, own_of, present_numbers
from coordinator.channels.fhir.misfiled import hold_misfiled
from coordinator.channels.fhir.numbers import hold_renumbered, lists_only
from coordinator.channels.fhir.places import look_up_places, read_exactly
from coordinator.channels.fhir.proof import letters_in, looked_again, proven_there
from coordinator.channels.fhir.refusals import TRANSACTION, Refusals
from coordinator.channels.fhir.said import part, parts, relative, text
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.channels.fhir.singles import Singles, Terms, names_unsupported, once, terms_of
from coordinator.channels.fhir.tasks import change_tasks
from coordinator.channels.fhir.whose import OTHER_PATIENT, look_whose
from coordinator.channels.wire import Answer, Limits, Wire
from coordinator.domain.errors import DeliveryError, NeedsHuman, Transient
from coordinator.domain.letter import ContentLevel
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Clock, EntryBook, Lookup, Package, StoredDocument, Taken
from coordinator.mapping.addressing import Places, addressed, dependency_order
from coordinator.mapping.body import to_bytes
from coordinator.mapping.partners import Partner, ReadBack
from coordinator.mapping.planner import Capability, choose_level, conditional_creates

ROLES: Mapping[ContentLevel, tuple[str, ...]] = {
    "chart": ("fhir-chart",),
    "singles": ("fhir-singles", "fhir-chart"),
    "document": ("fhir-document",),
}
CHART_REFUSALS = frozenset({404, 405, 501})
"""Statuses by which a server that has no transactions answers a POST to its base."""


class FhirRest:
    """Posts the stored content to a FHIR server, after the patient was found there."""

    kind: ClassVar[str] = "fhir-rest"
    safe_to_repeat: ClassVar[bool] = False

    def __init__(
        self,
        http: httpx.Client,
        credentials: Credentials,
        clock: Clock,
        *,
        partners: Mapping[str, Partner] | None = None,
        book: EntryBook | None = None,
        settle_s: float = 900,
        limits: Limits | None = None,
    ) -> None:
        """`http` is one long-lived client behind the outbound guard; `partners` is keyed by `Endpoint.partner`.

        `book` keeps what was created one by one; without it nothing is. `settle_s`: how
        long a server of which nothing is known may need until what it stored shows up in
        its own search.
        """
        self._wire = Wire(http, clock, limits)
        self._credentials = credentials
        self._clock = clock
        self._partners = partners or {}
        self._entries = book
        self._settle_s = settle_s
        self._book = CapabilityBook()
        self._refusals = Refusals()
        self._asked_since: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return what the server said; see the port. Posts nothing before the patient is matched."""
        server = FhirServer(self._wire, self._credentials, endpoint, deadline, self._partner(endpoint))
        capability = self._book.of(endpoint, server)
        match = self._match(server, package, endpoint)
        level, document = self._choose(package, endpoint, capability, match)
        notes: dict[str, str] = {"level": level, "matched_by": match.by}
        if self._refuses_charts(endpoint):
            notes["chart"] = "refused by the server"
        mark = once(lambda: about_to_send(None))
        try:
            notes |= self._change_tasks(server, package, capability, match, mark)
            taken = self._content(server, package, endpoint, capability, match, level, document, mark)
        except NeedsHuman as fault:
            if fault.code == OTHER_PATIENT:
                mark()  # something of it is there, by an earlier try if not by this one
            raise
        return _with_facts(taken, **notes)

    def _content(
        self, server: FhirServer, package: Package, endpoint: Endpoint, capability: Capability, match: Match,
        level: ContentLevel, document: StoredDocument, mark: Callable[[], None],
    ) -> Taken:  # fmt: skip
        """Return what came of the message itself, read back where the partner file asks for it."""
        letters = entries_of(package) if level == "document" else []
        if letters:
            taken = self._letters(server, package, endpoint, capability, match, letters, mark)
        elif level == "singles":
            taken = self._singles(server, package, endpoint, capability, match, document, mark)
        else:
            taken = self._whole(server, package, endpoint, capability, match, level, document, mark)
        wish = self._read_back(endpoint)
        if wish is not None:
            sent = [part(one, "resource") for one in letters] or letters_in(document)
            taken = proven_there(server, taken, sent, match, wish)
        return taken

    def _whole(
        self, server: FhirServer, package: Package, endpoint: Endpoint, capability: Capability, match: Match,
        level: ContentLevel, document: StoredDocument, mark: Callable[[], None],
    ) -> Taken:  # fmt: skip
        """Return what came of a transaction, or of one document."""
        if package.attempt > 1 and not package.resent:
            found = already_there(server, package, match)
            if found is not None:
                # A gateway's 502 or 504 may hide a write that landed: look before repeating.
                mark()
                return Taken(found, proven=True, facts={"answer": "already there"})
        headers = self._conditional(package, endpoint, capability)
        if level == "chart":
            answer = server.write("", document.body, mark)
            self._note_refusal(endpoint, answer)
            return judge_bundle(answer, orjson.loads(document.body), self._clock, only_once=bool(headers))
        body = self._document(server, endpoint, match, document)
        answer = server.write("DocumentReference", body, mark, headers)
        taken = judge_document(answer, self._clock, only_once=bool(headers))
        said = parse(answer) if answer.body else None
        if (wrong := contradicts(read_exactly(body), said, match)).code:
            raise NeedsHuman(wrong.code, detail=wrong.words, status=answer.status)
        if headers and answer.status == 200:
            look_whose(server, relative(taken.far_side_ref, LETTER), said, match)
        return taken

    def _letters(
        self, server: FhirServer, package: Package, endpoint: Endpoint, capability: Capability, match: Match,
        letters: Sequence[Mapping[str, Any]], mark: Callable[[], None],
    ) -> Taken:  # fmt: skip
        """Return what came of several letters, each posted as a document of its own."""
        book = self._entries_at(endpoint)
        if book is None:
            raise NeedsHuman("fhir.level")
        conditional = bool(conditional_creates(capability, self._partner(endpoint)).get("DocumentReference"))
        astray = hold_misfiled(server, book, endpoint.id, letters, match, again=package.resent)
        return Letters(server, book, self._clock, endpoint.id, match, conditional=conditional).send(
            package, letters, lambda one: to_bytes(dict(self._made(server, endpoint, match, one))), astray, mark
        )

    def _change_tasks(
        self, server: FhirServer, package: Package, capability: Capability, match: Match, mark: Callable[[], None]
    ) -> dict[str, str]:
        """Change or withdraw what was asked before, while nobody there has answered it; return what came of it."""
        document = package.document("fhir-tasks")
        if document is None:
            return {}
        places = Places(by_type={"Patient": f"Patient/{match.far_side_id}"})
        return change_tasks(server, capability, parts(read_exactly(document.body), "entry"), places, mark)

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return whether our identifier is found there.

        Not found counts as absent only on a server that searches reliably, and only
        after its settle time has passed since we first asked; until then Transient.
        What was sent entry by entry has arrived only when every entry has. Where the
        partner file asks for it, what is there is compared with what was sent. What is
        found in another patient's record has failed.
        """
        server = FhirServer(self._wire, self._credentials, endpoint, deadline, self._partner(endpoint))
        wish, place = self._read_back(endpoint), far_side_ref
        try:
            if wish is None or place is None:
                answer = self._held_there(server, package, endpoint)
                if wish is None or answer.verdict != "arrived-proven" or answer.far_side_ref is None:
                    return answer
                place = answer.far_side_ref
            return looked_again(server, package, place, self._match(server, package, endpoint), wish)
        except NeedsHuman as fault:
            if fault.code != OTHER_PATIENT:
                raise
            return Lookup("failed", code=fault.code, detail=fault.detail)

    def _match(self, server: FhirServer, package: Package, endpoint: Endpoint) -> Match:
        """Return the patient as that server has them, and the numbers by which we may name them to it."""
        return replace(
            match_patient(server, package.patient, package.provider, endpoint),
            own=own_of(package.patient, package.clinic),
            present=present_numbers(package.patient, package.provider, package.clinic),
        )

    def _held_there(self, server: FhirServer, package: Package, endpoint: Endpoint) -> Lookup:
        """Return whether the message is found by its own identifier, as `look_up` says."""
        partner = self._partner(endpoint)
        reliable = None if partner is None else partner.searches_identifier
        try:
            book = self._entries_at(endpoint)
            if book is not None and (entries := self._begun(package, endpoint)):
                if reliable is None:
                    reliable = self._book.of(endpoint, server).finds_documents()
                match = self._match(server, package, endpoint)
                return settle_entries(
                    server, book, endpoint.id, entries, match, again=package.resent, reliable=reliable,
                    settled=lambda: self._wait_until_settled(package),
                )  # fmt: skip
            found = find_message(server, package)
        except DeliveryError as fault:
            if isinstance(fault, Transient | NeedsHuman):
                raise
            return Lookup("unknown")  # the server refuses the search itself: it cannot say
        if found:
            place = judge_found(server, found, self._match(server, package, endpoint))
            self._forget(package)
            return Lookup("arrived-proven", far_side_ref=place)
        if reliable is None:
            reliable = self._book.of(endpoint, server).finds_documents()
        if not reliable:
            return Lookup("unknown")
        self._wait_until_settled(package)
        return Lookup("absent")

    def _choose(
        self, package: Package, endpoint: Endpoint, capability: Capability, match: Match
    ) -> tuple[ContentLevel, StoredDocument]:
        """Return the level and the stored body for it: the pinned one, else the best that the server takes."""
        partner = self._partner(endpoint)
        chart = package.document("fhir-chart")
        sent = {} if chart is None else orjson.loads(chart.body)
        choice = choose_level(
            capability,
            partner,
            endpoint.content_level,
            chart=wanted(sent),
            held=self._held(package, partner),
            chart_barred=self._barred(sent, endpoint, match),
        )
        document = package.document(*ROLES.get(choice.level, ())) if choice.level is not None else None
        if choice.level is None or document is None or (choice.level == "singles" and self._entries is None):
            raise NeedsHuman("fhir.level")
        if choice.level == "chart" and not _names_them(sent, match):
            raise NeedsHuman("fhir.patient-number")  # the level is pinned: it would add a person there
        return choice.level, document

    def _held(self, package: Package, partner: Partner | None) -> set[str]:
        """Return the levels that this message has a body for."""
        held: set[str] = {level for level, roles in ROLES.items() if package.document(roles[0]) is not None}
        listed = partner is not None and bool(partner.singles)
        if not listed and "chart" in held:
            held.add("singles")  # the entries of the chart itself, each only once
        return held if self._entries is not None else held - {"singles"}

    def _barred(self, chart: Mapping[str, Any], endpoint: Endpoint, match: Match) -> str | None:
        """Return why this message's chart cannot go as a transaction, None when it can."""
        if self._refuses_charts(endpoint):
            return "the server has refused a transaction."
        if not _names_them(chart, match):
            return "the patient's number there is not known."
        return None

    def _singles(
        self,
        server: FhirServer,
        package: Package,
        endpoint: Endpoint,
        capability: Capability,
        match: Match,
        document: StoredDocument,
        mark: Callable[[], None],
    ) -> Taken:
        book = self._entries_at(endpoint)
        if book is None:
            raise NeedsHuman("fhir.level")
        everything = parts(read_exactly(document.body), "entry")
        # The person is there already; the others go in the order in which they can be referred to.
        there = {one["fullUrl"]: f"Patient/{match.far_side_id}" for one in everything if _kind(one) == "Patient"}
        entries: list[Mapping[str, Any]] = [one for one in everything if one["fullUrl"] not in there]
        if document.role == "fhir-chart":
            entries = [*dependency_order(entries)]
        astray = hold_misfiled(server, book, endpoint.id, entries, match, again=package.resent)
        resources = [one.get("resource") for one in entries]
        places = replace(look_up_places(server, self._partner(endpoint), match, resources), by_url=there)
        singles = Singles(server, book, endpoint.id, self._terms(endpoint, capability), match)
        try:
            return singles.send(package, entries, places, mark, astray)
        finally:
            self._refusals.note(_place(endpoint), singles.newly_refused, self._clock.now())

    def _terms(self, endpoint: Endpoint, capability: Capability) -> Terms:
        partner = self._partner(endpoint)
        return terms_of(
            capability,
            conditional_creates(capability, partner),
            singles=() if partner is None else partner.singles,
            updates=() if partner is None else partner.updates,
            already_there=() if partner is None else partner.already_there,
            refused=self._refusals.of(_place(endpoint), self._clock.now()),
        )

    def _begun(self, package: Package, endpoint: Endpoint) -> list[Mapping[str, Any]]:
        """Return the entries of a message that is on its way entry by entry; empty when it is not."""
        book = self._entries_at(endpoint)
        if book is None:
            return []
        begun: list[list[Mapping[str, Any]]] = [entries_of(package)]
        document = package.document(*ROLES["singles"])
        if document is not None:
            everything = parts(read_exactly(document.body), "entry")
            begun.append([one for one in everything if _kind(one) != "Patient"])
        return next((one for one in begun if one and has_begun(book, endpoint.id, one)), [])

    def _document(self, server: FhirServer, endpoint: Endpoint, match: Match, document: StoredDocument) -> bytes:
        """Return the stored bytes, with that server's own references where its partner file asks for them.

        Raises NeedsHuman when they name the patient by another number than the one matched.
        """
        content = read_exactly(document.body)
        made = self._made(server, endpoint, match, content)
        return document.body if made is content else to_bytes(dict(made))

    def _made(
        self, server: FhirServer, endpoint: Endpoint, match: Match, content: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return one document, with that server's own references where its partner file asks for them.

        Raises NeedsHuman when it names the patient by another number than the one matched.
        """
        partner = self._partner(endpoint)
        made = content
        if partner is not None and partner.own_references:
            made = addressed(content, look_up_places(server, partner, match, content))
        hold_renumbered(made, named=match.named_by, listed=match.present)
        return made

    def _conditional(self, package: Package, endpoint: Endpoint, capability: Capability) -> dict[str, str]:
        if conditional_creates(capability, self._partner(endpoint)).get("DocumentReference"):
            return {"If-None-Exist": f"identifier={package.identifier_system}|{package.identifier}"}
        return {}

    def _note_refusal(self, endpoint: Endpoint, answer: Answer) -> None:
        """Drop the endpoint to the next level when the server takes no such transaction after all; nothing landed."""
        if endpoint.content_level is not None or not (answer.status in CHART_REFUSALS or names_unsupported(answer)):
            return
        self._refusals.note(_place(endpoint), [TRANSACTION], self._clock.now())
        raise Transient("fhir.405", detail=answer.body, status=answer.status, uses_attempt=False)

    def _refuses_charts(self, endpoint: Endpoint) -> bool:
        return TRANSACTION in self._refusals.of(_place(endpoint), self._clock.now())

    def _wait_until_settled(self, package: Package) -> None:
        now = self._clock.now()
        with self._lock:
            since = self._asked_since.setdefault(_try_of(package), now)
        left = since + timedelta(seconds=self._settle_s) - now
        if left > timedelta(0):
            raise Transient("fhir.settling", retry_after=left, uses_attempt=False)
        self._forget(package)

    def _forget(self, package: Package) -> None:
        with self._lock:
            self._asked_since.pop(_try_of(package), None)

    def _entries_at(self, endpoint: Endpoint) -> EntriesHere | None:
        """Return the book of entries for the server at the endpoint's address, None where nothing is kept."""
        return None if self._entries is None else EntriesHere(self._entries, endpoint.address)

    def _read_back(self, endpoint: Endpoint) -> ReadBack | None:
        partner = self._partner(endpoint)
        return None if partner is None else partner.read_back

    def _partner(self, endpoint: Endpoint) -> Partner | None:
        return self._partners.get(endpoint.partner or "")


def _names_them(chart: Mapping[str, Any], match: Match) -> bool:
    """Return whether the chart is about the record that was found, by a number that stands in it, and by no old one."""
    found = match.by == "identifier" and names_their_patient(chart, match.numbers)
    return found and lists_only(chart, match.present)


def _try_of(package: Package) -> str:
    """Return the name of one try: another one that is lost has a settle time of its own, whoever asked before."""
    return f"{package.tag} {package.attempt}"


def _place(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.id, endpoint.address


def _kind(entry: Mapping[str, Any]) -> str:
    return text(part(entry, "resource"), "resourceType")


def _with_facts(taken: Taken, **facts: str) -> Taken:
    return replace(taken, facts={**taken.facts, **facts})
