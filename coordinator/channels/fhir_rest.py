"""FHIR REST: one transaction (chart) or one DocumentReference, by what the server can do. One try."""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, unquote

import httpx
import orjson

from coordinator.channels.credentials import Credentials
from coordinator.channels.fhir.capability import Capability, CapabilityBook, Level, Partner
from coordinator.channels.fhir.judge import judge_bundle, judge_document
from coordinator.channels.fhir.match import Match, match_patient, theirs
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.channels.wire import Answer, Limits, Wire
from coordinator.domain.errors import DeliveryError, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Clock, Lookup, Package, StoredDocument, Taken

ROLES: Mapping[Level, str] = {"chart": "fhir-chart", "document": "fhir-document"}
CHART_REFUSALS = frozenset({404, 405, 501})
"""Statuses by which a server that has no transactions answers a POST to its base."""


class FhirRest:
    """Posts the stored bytes to a FHIR server, after the patient was found there."""

    kind: ClassVar[str] = "fhir-rest"
    safe_to_repeat: ClassVar[bool] = False

    def __init__(
        self,
        http: httpx.Client,
        credentials: Credentials,
        clock: Clock,
        *,
        partners: Mapping[str, Partner] | None = None,
        settle_s: float = 30,
        limits: Limits | None = None,
    ) -> None:
        """`http` is one long-lived client behind the outbound guard; `partners` is keyed by `Endpoint.partner`.

        `settle_s`: how long a server of which nothing is known may need until what it
        stored shows up in its own search.
        """
        self._wire = Wire(http, clock, limits)
        self._credentials = credentials
        self._clock = clock
        self._partners = partners or {}
        self._settle_s = settle_s
        self._book = CapabilityBook()
        self._chart_refused: set[tuple[str, str]] = set()
        self._asked_since: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return what the server said; see the port. Posts nothing before the patient is matched."""
        server = FhirServer(self._wire, self._credentials, endpoint, deadline)
        capability = self._book.of(endpoint, server)
        match = match_patient(server, package.patient, package.provider, endpoint)
        level, document = self._choose(package, endpoint, capability, match)
        if package.attempt > 1 and not package.resent:
            already = self._already_there(server, package)
            if already is not None:
                # A gateway's 502 or 504 may hide a write that landed: look before repeating.
                about_to_send(None)
                return Taken(already, proven=True, facts={"answer": "already there", "level": level})
        headers = self._conditional(package, level, capability)
        answer = server.write(
            "" if level == "chart" else "DocumentReference", document.body, _mark(about_to_send), headers
        )
        if level == "chart":
            self._note_refusal(endpoint, answer)
            taken = judge_bundle(answer, orjson.loads(document.body), self._clock)
        else:
            taken = judge_document(answer, self._clock)
        note = {"chart": "refused by the server"} if (endpoint.id, endpoint.address) in self._chart_refused else {}
        return _with_facts(taken, level=level, matched_by=match.by, **note)

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return whether our identifier is found there.

        Not found counts as absent only on a server that searches reliably, and only
        after its settle time has passed since we first asked; until then Transient.
        """
        server = FhirServer(self._wire, self._credentials, endpoint, deadline)
        try:
            found = self._find(server, package)
        except DeliveryError as fault:
            if isinstance(fault, Transient | NeedsHuman):
                raise
            return Lookup("unknown")  # the server refuses the search itself: it cannot say
        if found is not None:
            self._forget(package)
            return Lookup("arrived-proven", far_side_ref=found)
        partner = self._partner(endpoint)
        reliable = partner.searches_reliably
        if reliable is None:
            reliable = self._book.of(endpoint, server).finds_documents()
        if not reliable:
            return Lookup("unknown")
        self._wait_until_settled(
            package, timedelta(seconds=self._settle_s if partner.settle_s is None else partner.settle_s)
        )
        return Lookup("absent")

    def _choose(
        self, package: Package, endpoint: Endpoint, capability: Capability, match: Match
    ) -> tuple[Level, StoredDocument]:
        """Return the level and the stored body for it: the pinned one, else the best that the server takes."""
        pinned = endpoint.content_level
        for level in ("chart", "document") if pinned is None else (pinned,):
            document = package.document(ROLES.get(level, ""))
            if document is None or (pinned is None and level not in self._partner(endpoint).levels):
                continue
            if pinned is not None or self._takes(level, document, package, endpoint, capability, match):
                return level, document
        raise NeedsHuman("fhir.level")

    def _takes(
        self,
        level: Level,
        document: StoredDocument,
        package: Package,
        endpoint: Endpoint,
        capability: Capability,
        match: Match,
    ) -> bool:
        if level == "document":
            return "DocumentReference" in capability.creates
        if (endpoint.id, endpoint.address) in self._chart_refused or match.by != "identifier":
            return False
        chart = orjson.loads(document.body)
        numbers = {one.value for one in theirs(package.patient, package.provider)}
        return capability.takes_chart(_wanted(chart)) and _names_their_patient(chart, numbers)

    def _conditional(self, package: Package, level: Level, capability: Capability) -> dict[str, str]:
        if level == "document" and capability.creates.get("DocumentReference"):
            return {"If-None-Exist": f"identifier={package.identifier_system}|{package.identifier}"}
        return {}

    def _note_refusal(self, endpoint: Endpoint, answer: Answer) -> None:
        """Drop the endpoint to the next level when the server takes no such transaction after all; nothing landed."""
        if endpoint.content_level is not None or not (answer.status in CHART_REFUSALS or _names_unsupported(answer)):
            return
        with self._lock:
            self._chart_refused.add((endpoint.id, endpoint.address))
        raise Transient("fhir.405", detail=answer.body, status=answer.status, uses_attempt=False)

    def _already_there(self, server: FhirServer, package: Package) -> str | None:
        """Return where an earlier attempt landed after all; None when it did not, or when the server cannot search."""
        try:
            return self._find(server, package)
        except Permanent:
            return None
        except NeedsHuman as fault:
            if fault.status is None or not fault.code.startswith("fhir."):
                raise
            return None  # the search itself is refused: no reason not to repeat what was answered "try again"

    def _find(self, server: FhirServer, package: Package) -> str | None:
        """Return where our message is held there: a document, or whatever of the chart carries its name; else None.

        Only the message's own identifier proves it. The session's names do not: they
        are the same in an earlier version that did arrive.
        """
        system, value = package.identifier_system, package.identifier
        for kind in _kinds_named(package):
            bundle = server.read(f"{kind}?identifier={quote(f'{system}|{value}', safe='')}")
            hits = [part(one, "resource") for one in parts(bundle, "entry")]
            same = [one for one in hits if one.get("resourceType") == kind and _carries(one, system, value)]
            masters = {orjson.dumps(one.get("masterIdentifier")) for one in same}
            if len(same) > len(masters):
                raise NeedsHuman("fhir.412")  # the same document twice; several letters of one message are not that
            if same:
                return f"{kind}/{text(same[0], 'id')}"
        return None

    def _wait_until_settled(self, package: Package, settle: timedelta) -> None:
        now = self._clock.now()
        with self._lock:
            since = self._asked_since.setdefault(package.tag, now)
        left = since + settle - now
        if left > timedelta(0):
            raise Transient("fhir.settling", retry_after=left, uses_attempt=False)
        self._forget(package)

    def _forget(self, package: Package) -> None:
        with self._lock:
            self._asked_since.pop(package.tag, None)

    def _partner(self, endpoint: Endpoint) -> Partner:
        return self._partners.get(endpoint.partner or "", Partner())


def _names_unsupported(answer: Answer) -> bool:
    """Return whether a refusal says that a resource type or interaction is not supported (R4 issue-type code)."""
    if answer.status not in (400, 422):
        return False
    return any(text(one, "code") == "not-supported" for one in parts(parse(answer), "issue"))


def _mark(about_to_send: Callable[[str | None], None]) -> Callable[[], None]:
    return lambda: about_to_send(None)


def _with_facts(taken: Taken, **facts: str) -> Taken:
    return Taken(
        taken.far_side_ref,
        taken.proven,
        taken.detail,
        taken.status,
        taken.expect_receipt_within_s,
        {**taken.facts, **facts},
    )


def _wanted(chart: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (method, type) of every entry of the chart."""
    return [
        (text(part(one, "request"), "method"), text(part(one, "resource"), "resourceType"))
        for one in parts(chart, "entry")
    ]


def _names_their_patient(chart: Mapping[str, Any], numbers: set[str]) -> bool:
    """Return whether the chart's Patient entry is conditional on a number of theirs: any other would add a person."""
    for one in parts(chart, "entry"):
        if part(one, "resource").get("resourceType") == "Patient":
            request = part(one, "request")
            condition = unquote(text(request, "ifNoneExist") or text(request, "url"))
            return any(condition.endswith(f"|{number}") for number in numbers)
    return True


def _kinds_named(package: Package) -> list[str]:
    """Return the resource types that carry the message's identifier in what may have been sent, documents first."""
    chart = package.document("fhir-chart")
    inside = [part(one, "resource") for one in parts(orjson.loads(chart.body), "entry")] if chart is not None else []
    named = [
        text(one, "resourceType") for one in inside if _carries(one, package.identifier_system, package.identifier)
    ]
    return list(dict.fromkeys(["DocumentReference", *named]))


def _carries(resource: Mapping[str, Any], system: str, value: str) -> bool:
    names = [*parts(resource, "identifier"), part(resource, "identifier"), part(resource, "masterIdentifier")]
    return any(one.get("system") == system and one.get("value") == value for one in names)
