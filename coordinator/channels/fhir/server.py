"""One FHIR server for the length of one try: signed-in requests, one new token after a 401, no more."""

import codecs
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlencode, urljoin

import orjson

from coordinator.channels.answers import FHIR_STATUS, error_for
from coordinator.channels.credentials import Credentials
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.wire import Answer, Wire
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.mapping.partners import Partner

FHIR_JSON = "application/fhir+json"
ABOUT_ITSELF_BYTES = 16 << 20
"""How much of what a server says of itself is read: HAPI FHIR 7.4.5 has 2.5 MB of metadata as it comes."""
JSON_TYPES = frozenset({FHIR_JSON, "application/json", "application/json+fhir"})


class FhirServer:
    """Speaks to one endpoint under one deadline. Never puts more than our own identifiers into a URL."""

    def __init__(
        self, wire: Wire, credentials: Credentials, endpoint: Endpoint, deadline: datetime,
        partner: Partner | None = None,
    ) -> None:  # fmt: skip
        """`partner`: what is known of this server's own codes."""
        self._partner = partner
        self._wire = wire
        self._credentials = credentials
        self._endpoint = endpoint
        self._deadline = deadline
        self._base = endpoint.address.rstrip("/")

    def public(self, path: str) -> Answer:
        """Return the answer to an unsigned GET (metadata, discovery)."""
        return self._wire.exchange(
            "GET",
            f"{self._base}/{path}",
            deadline=self._deadline,
            headers={"Accept": f"{FHIR_JSON}, application/json"},
            certificate=self._credentials.certificate(self._endpoint),
            body_bytes=ABOUT_ITSELF_BYTES,
        )

    def read(self, path: str) -> dict[str, Any]:
        """Return the resource or bundle at the path; raise as the answer table says."""
        return self._parsed(self._signed("GET", path, b"", {}))

    def search(self, resource_type: str, form: Mapping[str, str]) -> dict[str, Any]:
        """Return the bundle of a POST _search: the terms travel in the body, never in the URL."""
        body = urlencode(form).encode()
        return self._parsed(
            self._signed(
                "POST", f"{resource_type}/_search", body, {"Content-Type": "application/x-www-form-urlencoded"}
            )
        )

    def write(
        self,
        path: str,
        body: bytes,
        about_to_send: Callable[[], None],
        headers: Mapping[str, str] | None = None,
        *,
        method: Literal["POST", "PUT"] = "POST",
    ) -> Answer:
        """Return the answer to a write of these bytes, unchanged. Raises InDoubt after the first byte."""
        return self._signed(method, path, body, {"Content-Type": FHIR_JSON, **(headers or {})}, about_to_send)

    def is_ours(self, url: str) -> bool:
        """Return whether an address lies under this server's base: our token goes nowhere else."""
        return "://" not in url or url.startswith(f"{self._base}/")

    def path_of(self, url: str) -> str | None:
        """Return the path below the base of an address that the server names, None for one elsewhere."""
        whole = urljoin(f"{self._base}/", url)
        rest = whole.removeprefix(self._base)
        return rest.lstrip("/") if whole != rest and rest[:1] in ("/", "?") else None

    def now(self) -> datetime:
        """Return this instant in UTC."""
        return self._wire.now()

    def _signed(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        about_to_send: Callable[[], None] | None = None,
    ) -> Answer:
        mark, refused = about_to_send, None
        for renew in (False, True):
            token = self._credentials.authorization(
                self._endpoint, renew=renew, deadline=self._deadline, refused=refused
            )  # fmt: skip
            if renew and token == refused:
                break  # nothing new to show: the same password twice only locks the account
            own = {"Accept": FHIR_JSON, **headers, **({"Authorization": token} if token else {})}
            answer = self._wire.exchange(
                method,
                f"{self._base}/{path}" if path else self._base,
                deadline=self._deadline,
                headers=own,
                body=body,
                about_to_send=mark,
                writes=about_to_send is not None,
                certificate=self._credentials.certificate(self._endpoint),
            )
            mark = None  # the on-wire mark is made once; a 401 says that nothing was taken
            if answer.status != 401 or token is None:
                break
            refused = token
        self._heed_own_codes(answer, writes=about_to_send is not None)
        return answer

    def _heed_own_codes(self, answer: Answer, *, writes: bool) -> None:
        """Raise what a code of this server's own says. After a write only a refusal counts: else it may be there."""
        if self._partner is None or not (self._partner.try_again or self._partner.patient_merged):
            return
        if writes and not 300 <= answer.status < 500:
            return
        codes = set(_codes(parse(answer)))
        if codes & set(self._partner.patient_merged):
            raise NeedsHuman("fhir.patient-merged", detail=answer.body, status=answer.status)
        waits = [wait_s for code, wait_s in self._partner.try_again.items() if code in codes]
        if waits:
            wait = timedelta(seconds=max(waits))
            raise Transient(
                "fhir.429", detail=answer.body, status=answer.status, retry_after=wait, uses_attempt=False
            )  # fmt: skip

    def _parsed(self, answer: Answer) -> dict[str, Any]:
        if answer.status != 200:
            raise error_for(answer, FHIR_STATUS, self.now(), kind="fhir", writes=False)
        parsed = parse(answer)
        if parsed is None:
            raise Transient("fhir.not-fhir", detail=answer.body, status=answer.status)
        if any(has_error_issue(one) for one in _outcomes(parsed)):
            raise Transient("fhir.outcome-error", detail=answer.body, status=answer.status)
        return parsed


def parse(answer: Answer) -> dict[str, Any] | None:
    """Return the JSON object of the answer, or None when it is cut, not JSON, or not an object.

    A byte order mark in front is passed over, as RFC 8259 lets a reader do.
    """
    if not answer.whole or answer.media_type not in JSON_TYPES:
        return None
    try:
        parsed = orjson.loads(answer.body.removeprefix(codecs.BOM_UTF8))
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _outcomes(said: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the OperationOutcome of an answer, and those among its entries."""
    inside = [part(one, "resource") for one in parts(said, "entry")]
    return [one for one in (said or {}, *inside) if one.get("resourceType") == "OperationOutcome"]


def _codes(said: dict[str, Any] | None) -> list[str]:
    """Return the codes of an answer's issues that are the server's own."""
    issues = [issue for one in _outcomes(said) for issue in parts(one, "issue")]
    return [text(coding, "code") for issue in issues for coding in parts(part(issue, "details"), "coding")]


def has_error_issue(resource: object) -> bool:
    """Return whether it is an OperationOutcome with an issue of severity error or fatal."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "OperationOutcome":
        return False
    issues = resource.get("issue")
    if not isinstance(issues, list):
        return True
    return any(not isinstance(one, dict) or one.get("severity") in ("error", "fatal") for one in issues)
