"""FHIR messaging: one MessageHeader-led Bundle to `$process-message`. One try.

Source: HL7 FHIR R4 messaging; Da Vinci Unsolicited Notifications (Alerts) 1.1.0.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar

import httpx
import orjson

from coordinator.channels.answers import FHIR_STATUS, Verdict, error_for
from coordinator.channels.credentials import Credentials
from coordinator.channels.fhir.match import present_numbers
from coordinator.channels.fhir.numbers import hold_renumbered
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer, has_error_issue, parse
from coordinator.channels.wire import Answer, Limits, Wire
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Clock, Lookup, Package, Taken

RESPONSE_CODES: Mapping[str, Verdict] = MappingProxyType(
    {
        "transient-error": Verdict(Transient, "fhir.503"),
        "fatal-error": Verdict(Permanent, "fhir.422"),
    }
)
"""MessageHeader.response.code of a refusal. "ok" is the proof of arrival."""

ANSWER_WITHIN_S = 72 * 3600
"""A notification asks for no response message; without one a person looks after a weekend's length."""


class FhirMessage:
    """Posts the stored message bundle to the far side's `$process-message`."""

    kind: ClassVar[str] = "fhir-message"
    safe_to_repeat: ClassVar[bool] = False

    def __init__(
        self, http: httpx.Client, credentials: Credentials, clock: Clock, *, limits: Limits | None = None
    ) -> None:
        """`http` is one long-lived client behind the outbound guard."""
        self._wire = Wire(http, clock, limits)
        self._credentials = credentials
        self._clock = clock

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return what the server said; see the port. 2xx is taken; only a response message "ok" is proof.

        No patient is looked up there, so a message goes only by the numbers that the registry has now.
        """
        document = package.document("fhir-message")
        if document is None:
            raise NeedsHuman("fhir.level")
        numbers = present_numbers(package.patient, package.provider, package.clinic)
        hold_renumbered(orjson.loads(document.body), named=numbers, listed=numbers)
        server = FhirServer(self._wire, self._credentials, endpoint, deadline)
        answer = server.write("$process-message", document.body, lambda: about_to_send(None))
        return _judge(answer, self._clock, _names(document.body))

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return unknown: messaging has no query for what was processed."""
        return Lookup("unknown")


def _names(body: bytes) -> frozenset[str]:
    """Return what a response may call our message: the id of its header (R4), or that of its bundle."""
    sent = orjson.loads(body)
    header = next((part(one, "resource") for one in parts(sent, "entry")), {})
    if header.get("resourceType") != "MessageHeader":
        return frozenset()
    every = (text(header, "id"), text(sent, "id"), text(part(sent, "identifier"), "value"))
    return frozenset(_bare(one) for one in every if one)


def _bare(name: str) -> str:
    return name.removeprefix("urn:uuid:").removeprefix("MessageHeader/")


def _judge(answer: Answer, clock: Clock, names: frozenset[str]) -> Taken:
    """Return what an answer says of the message that has these names; a response message to another says nothing."""
    if not 200 <= answer.status < 300:
        raise error_for(answer, FHIR_STATUS, clock.now(), kind="fhir", only_once=False)
    if answer.whole and not answer.body and answer.status in (200, 202, 204):
        return _taken(answer, "", proven=False)
    said = parse(answer)
    response = {} if said is None else _response(said)
    astray = bool(response and names) and _bare(text(response, "identifier")) not in names
    if said is None or not text(said, "resourceType") or astray:
        raise InDoubt("fhir.not-fhir", detail=answer.body, status=answer.status)
    code = text(response, "code")
    if code in RESPONSE_CODES:
        error, cause = RESPONSE_CODES[code]
        raise error(cause, detail=answer.body, status=answer.status)
    if has_error_issue(said) or (response and any(has_error_issue(one) for one in _inside(said))):
        raise NeedsHuman("fhir.outcome-error", detail=answer.body, status=answer.status)
    return _taken(answer, text(response, "identifier"), proven=code == "ok")


def _response(bundle: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return MessageHeader.response of a response message, {} when it is none."""
    header = next((part(one, "resource") for one in parts(bundle, "entry")), {})
    return part(header, "response") if header.get("resourceType") == "MessageHeader" else {}


def _inside(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources of a response message."""
    return [part(one, "resource") for one in parts(bundle, "entry")]


def _taken(answer: Answer, reference: str, *, proven: bool) -> Taken:
    return Taken(
        far_side_ref=reference or None,
        proven=proven,
        detail=answer.body,
        status=answer.status,
        expect_receipt_within_s=None if proven else ANSWER_WITHIN_S,
        facts=answer.facts,
    )
