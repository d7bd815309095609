"""The questions that `endpoints check` puts to a FHIR server. Nothing is written, and no person is named."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx
import orjson

from coordinator.channels.credentials import Credentials
from coordinator.channels.fhir.capability import parse_capability
from coordinator.channels.fhir.said import parts, text, texts
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.channels.wire import Answer, Wire
from coordinator.domain.errors import DeliveryError, NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.domain.waits import instant_of
from coordinator.flow.endpoint_checks import Amiss, Probe
from coordinator.flow.ports import Clock
from coordinator.mapping.partners import Partner
from coordinator.mapping.planner import Capability, choose_level

NOBODY = "urn:ietf:rfc:3986|urn:uuid:00000000-0000-4000-8000-000000000000"
"""An identifier that no patient carries: the search is tried, and nobody is looked up."""
_NEEDED_THERE: Mapping[str, str] = MappingProxyType(
    {"grant_types_supported": "client_credentials", "token_endpoint_auth_methods_supported": "private_key_jwt"}
)
"""What SMART Backend Services wants to stand under these names of the discovery document."""
CLOCKS_APART_MIN = 2
"""From so many minutes on a check tells that two clocks differ: an assertion lives four, and both may be off."""


@dataclass(frozen=True)
class KeySet:
    """Our public keys as they are served: the address, and the names (kid) of those that may sign."""

    url: str
    kids: tuple[str, ...]


class FhirChecker:
    """Asks a FHIR server what it can do and whether it lets us in."""

    def __init__(
        self,
        http: httpx.Client,
        credentials: Credentials,
        clock: Clock,
        *,
        partners: Mapping[str, Partner],
        chart_types: Iterable[str],
        key_set: KeySet | None = None,
    ) -> None:
        """`chart_types`: the resource types that a chart may hold, which a server must take to get one.

        `key_set`: where a server reads our public keys, and which have to be there.
        """
        self._key_set = key_set
        self._wire = Wire(http, clock)
        self._credentials = credentials
        self._partners = partners
        self._chart_types = frozenset(chart_types)

    def probes(self, endpoint: Endpoint) -> Sequence[Probe]:
        """Return: metadata, discovery and sign-in, the content level, and the patient search where one is needed."""
        smart = endpoint.auth is not None and endpoint.auth.method == "smart-backend-services"
        seen: dict[str, Capability] = {}

        def probe(name: str, ask: Callable[[FhirServer], str], *needs: str) -> Probe:
            return Probe(name, lambda deadline: ask(self._server(endpoint, deadline)), needs)

        found = [probe("metadata", lambda server: _metadata(server, seen))]
        if smart:
            found.append(probe("discovery", _discovery))
            if self._key_set is not None:
                found.append(Probe("our key set", self._published))
        found.append(
            Probe("sign-in", lambda deadline: self._sign_in(endpoint, deadline), ("discovery",) if smart else ())
        )
        found.append(probe("content level", lambda server: self._level(endpoint, seen["capability"]), "metadata"))
        if endpoint.kind == "fhir-rest":
            found.append(probe("patient search", _patient_search, "sign-in"))
        return found

    def _server(self, endpoint: Endpoint, deadline: datetime) -> FhirServer:
        return FhirServer(self._wire, self._credentials, endpoint, deadline)

    def _sign_in(self, endpoint: Endpoint, deadline: datetime) -> str:
        method = "none" if endpoint.auth is None else endpoint.auth.method
        given = self._credentials.authorization(endpoint, renew=True, deadline=deadline)
        if method == "smart-backend-services":
            return "A fresh token was given, with the permissions that were asked for."
        if given is None:
            return f"No header is due (method {method})."
        return f"The secret for the method {method} is in place; the patient search shows whether it is accepted."

    def _published(self, deadline: datetime) -> str:
        """Return that our keys stand where servers look for them; raise Amiss when they do not."""
        ours = self._key_set or KeySet("", ())
        todo = "See that COORDINATOR_PUBLIC_URL leads here from outside, and that the key files are in place."
        try:
            answer = self._wire.exchange("GET", ours.url, deadline=deadline, headers={"Accept": "application/json"})
        except DeliveryError as fault:
            # Many networks do not lead back to themselves: that says nothing of what servers outside see.
            return f"{ours.url} cannot be read from this machine [{fault.code}]; look at it from outside."
        there = {text(one, "kid") for one in parts(_object(answer), "keys")}
        if answer.status != 200 or not there:
            seen = f"{ours.url} answered {answer.status}, and it is no key set; a server reads our keys there."
            raise Amiss(seen, todo)
        if missing := [one for one in ours.kids if one not in there]:
            raise Amiss(f"{ours.url} does not hold our key {', '.join(missing)}, so its signature is refused.", todo)
        return f"{ours.url} holds {', '.join(ours.kids)}."

    def _level(self, endpoint: Endpoint, capability: Capability) -> str:
        if endpoint.kind == "fhir-message":
            if "process-message" not in capability.operations:
                return "message; the server does not list $process-message, which many do not."
            return "message: the server lists $process-message."
        choice = choose_level(
            capability,
            self._partners.get(endpoint.partner or ""),
            endpoint.content_level,
            chart=[("POST", kind) for kind in sorted(self._chart_types)],
        )
        if choice.level is None:
            raise NeedsHuman("fhir.level")
        note = " For a patient whose number there is unknown, less." if choice.level == "chart" else ""
        return f"{choice.level}: {choice.reason}{note}"


def _object(answer: Answer) -> object:
    try:
        return orjson.loads(answer.body) if answer.whole else None
    except orjson.JSONDecodeError:
        return None


def _metadata(server: FhirServer, seen: dict[str, Capability]) -> str:
    answer = server.public("metadata")
    _refuse(answer, "fhir.metadata", "fhir.no-metadata")
    statement = parse(answer)
    if statement is None or statement.get("resourceType") != "CapabilityStatement":
        raise NeedsHuman("fhir.not-fhir", status=answer.status)
    capability = parse_capability(statement, server.now())
    if not capability.fhir_version.startswith("4."):
        raise NeedsHuman("fhir.level", status=answer.status)
    seen["capability"] = capability
    documents = "takes" if "DocumentReference" in capability.creates else "does not take"
    once = ", with conditional create" if capability.creates.get("DocumentReference") else ""
    transactions = "transactions" if "transaction" in capability.system else "no transactions"
    return (
        f"FHIR {capability.fhir_version}; {transactions}; {documents} DocumentReference{once}.{_clocks(answer, server)}"
    )


def _clocks(answer: Answer, server: FhirServer) -> str:
    """Return a sentence when their clock and ours are far apart, "" when they agree or it does not say."""
    theirs = instant_of(answer.headers.get("date", ""))
    if theirs is None:
        return ""
    minutes = round(abs((theirs - server.now()).total_seconds()) / 60)
    return (
        f" Its clock and ours are {minutes} minutes apart: look at ours first." if minutes >= CLOCKS_APART_MIN else ""
    )


def _discovery(server: FhirServer) -> str:
    answer = server.public(".well-known/smart-configuration")
    _refuse(answer, "token.unreachable", "token.discovery")
    said = parse(answer)
    token_url = None if said is None else said.get("token_endpoint")
    if not isinstance(token_url, str):
        raise NeedsHuman("token.discovery", status=answer.status)
    algorithms = texts(said, "token_endpoint_auth_signing_alg_values_supported")
    named = f"; signatures: {', '.join(algorithms)}" if algorithms else ""
    unlisted = [word for name, word in _NEEDED_THERE.items() if (listed := texts(said, name)) and word not in listed]
    lacks = f" It does not list {' or '.join(unlisted)}: if the sign-in fails, ask about that." if unlisted else ""
    return f"The token server is {urlsplit(token_url).hostname}{named}.{lacks}"


def _patient_search(server: FhirServer) -> str:
    bundle = server.search("Patient", {"identifier": NOBODY})
    if bundle.get("resourceType") != "Bundle":
        raise NeedsHuman("fhir.not-fhir")
    if bundle.get("entry"):
        raise Amiss(
            "The search found somebody under an identifier that nobody has, so the server ignores search terms.",
            "Ask the recipient's technical contact; until then set patient_match and look at every match.",
        )
    return "The search answers, and finds nobody under an identifier that nobody has."


def _refuse(answer: Answer, away: str, refused: str) -> None:
    """Raise Transient with the cause `away`, or NeedsHuman with `refused`, for anything but 200."""
    if answer.status == 200:
        return
    if answer.status >= 500 or answer.status in (408, 425, 429):
        raise Transient(away, status=answer.status)
    raise NeedsHuman(refused, status=answer.status)
