"""SMART Backend Services: sign in at a FHIR server with a one-time signed assertion, and keep the token while it lives.

Rules: HL7 SMART App Launch 2.2.0, Backend Services.
"""

import base64
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt

from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.domain.waits import instant_of, wait_asked
from coordinator.flow.ports import Clock, Dice
from coordinator.security.smart_answers import is_untrusted, life_s, parsed_object, token_refused
from coordinator.security.smart_keys import SigningKey
from coordinator.security.smart_scopes import missing_scopes

ASSERTION_LIFE_S = 240
"""SMART allows 300 s at most; a minute is left for clocks that differ."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DISCOVERY_FRESH_FOR = timedelta(hours=24)
REFRESH_BEFORE_S = 60
PAUSE_AFTER_FAILURE_S = 30
"""At most one token call in that time to a server that has just refused: no storm behind a pile of messages."""
SKEW_S = 60
"""Apart by more than this, two clocks may be why an assertion of four minutes is refused."""
DEFAULT_SCOPE = "system/DocumentReference.crs system/Patient.rs"
"""The least that a document, its look-up and the patient match need."""
ANSWER_BYTES = 1 << 16


@dataclass(frozen=True)
class SmartConfig:
    """Our keys, newest first, where secrets of other methods lie, and which token hosts an administrator approved.

    `token_hosts`: endpoint id -> hosts allowed beside the FHIR server's own.
    """

    keys: tuple[SigningKey, ...] = ()
    secrets_dir: Path | None = None
    token_hosts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mutual_tls: bool = False
    """Whether the client carries our certificate (OutboundConfig.client_cert)."""


@dataclass
class _Token:
    value: str
    good_until_s: float

    @property
    def header(self) -> str:
        return f"Bearer {self.value}"


@dataclass
class _Place:
    """What is kept of one (endpoint, client, scope). The lock makes ten thousand waiting messages one token call."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: _Token | None = None
    discovery: tuple[datetime, dict[str, Any]] | None = None
    ever_worked: bool = False
    failed_at_s: float | None = None
    failure: Transient | NeedsHuman | None = None


class SignIn:
    """Gives the Authorization header for an endpoint: SMART, bearer, basic, or none."""

    def __init__(
        self,
        http: httpx.Client,
        config: SmartConfig,
        clock: Clock,
        dice: Dice,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`http` is the guarded client; `monotonic_s` times tokens, so a jump of the wall clock expires none."""
        self._http = http
        self._config = config
        self._clock = clock
        self._dice = dice
        self._monotonic_s = monotonic_s
        self._places: dict[tuple[str, ...], _Place] = {}
        self._lock = threading.Lock()

    def authorization(
        self, endpoint: Endpoint, *, renew: bool, deadline: datetime, refused: str | None = None
    ) -> str | None:
        """Return the header's value, or None when the endpoint wants none. Raises Transient or NeedsHuman.

        `renew`: the kept token was refused; `refused` says which, since another may have taken its place meanwhile.
        """
        auth = endpoint.auth
        self.certificate(endpoint)
        if auth is None or auth.method in ("none", "mtls"):
            return None
        if auth.method == "bearer":
            return f"Bearer {self._secret(auth.secret)}"
        if auth.method == "basic":
            pair = f"{auth.client_id or ''}:{self._secret(auth.secret)}".encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        return self._smart_token(endpoint, renew=renew, refused=refused, deadline=deadline).header

    def certificate(self, endpoint: Endpoint) -> tuple[str, str] | None:
        """Return (certificate file, key file) of the endpoint's own, NAME.crt and NAME.key in the secrets folder."""
        auth = endpoint.auth
        name = None if auth is None else auth.certificate
        if name is None:
            if auth is not None and auth.method == "mtls" and not self._config.mutual_tls:
                raise NeedsHuman("token.key")  # without our certificate the far side would only hang up on us
            return None
        if self._config.secrets_dir is None or Path(name).name != name:
            raise NeedsHuman("token.key")
        pair = (self._config.secrets_dir / f"{name}.crt", self._config.secrets_dir / f"{name}.key")
        if not all(one.is_file() for one in pair):
            raise NeedsHuman("token.key")
        return str(pair[0]), str(pair[1])

    def _secret(self, name: str | None) -> str:
        """Return the content of a secret file. The name is a plain code, so it cannot leave the folder."""
        if name is None or self._config.secrets_dir is None or Path(name).name != name:
            raise NeedsHuman("token.key")
        try:
            secret = (self._config.secrets_dir / name).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as fault:
            raise NeedsHuman("token.key") from fault
        if not secret:
            raise NeedsHuman("token.key")
        return secret

    def _smart_token(self, endpoint: Endpoint, *, renew: bool, refused: str | None, deadline: datetime) -> _Token:
        auth = endpoint.auth
        if auth is None or auth.client_id is None or not self._config.keys:
            raise NeedsHuman("token.key")
        scope = auth.scope or DEFAULT_SCOPE
        key = (endpoint.id, endpoint.address, auth.client_id, scope)
        with self._lock:
            place = self._places.setdefault(key, _Place())
        kept = place.token
        stale = kept if renew and (kept is None or refused in (None, kept.header)) else None
        with place.lock:
            if place.token is not None and place.token is not stale and self._monotonic_s() < place.token.good_until_s:
                return place.token
            place.token = None
            self._pause(place)
            return self._fetch(place, endpoint, auth.client_id, scope, deadline)

    def _pause(self, place: _Place) -> None:
        """Raise the last failure again while its pause lasts, without a call."""
        if place.failed_at_s is None or place.failure is None:
            return
        wish = place.failure.retry_after if isinstance(place.failure, Transient) else None
        pause_s = max(PAUSE_AFTER_FAILURE_S, 0 if wish is None else wish.total_seconds())
        left_s = place.failed_at_s + pause_s - self._monotonic_s()
        if left_s > 0:
            if isinstance(place.failure, NeedsHuman):
                raise NeedsHuman(place.failure.code, status=place.failure.status)
            raise Transient(
                place.failure.code,
                status=place.failure.status,
                retry_after=timedelta(seconds=left_s),
                uses_attempt=False,
            )

    def _fetch(self, place: _Place, endpoint: Endpoint, client_id: str, scope: str, deadline: datetime) -> _Token:
        try:
            token = self._ask(place, endpoint, client_id, scope, deadline)
        except (Transient, NeedsHuman) as fault:
            place.failed_at_s, place.failure = self._monotonic_s(), fault
            if isinstance(fault, NeedsHuman) or fault.status in (400, 401, 404):
                place.discovery = None  # the next call reads where the token endpoint is now
            raise
        place.token, place.ever_worked, place.failed_at_s, place.failure = token, True, None, None
        return token

    def _ask(self, place: _Place, endpoint: Endpoint, client_id: str, scope: str, deadline: datetime) -> _Token:
        metadata = self._discover(place, endpoint, deadline)
        token_url = self._token_url(endpoint, metadata)
        now_s = int(self._clock.now().timestamp())
        for _ in range(2):
            form = urlencode(
                {
                    "grant_type": "client_credentials",
                    "scope": scope,
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": self.assertion(client_id, token_url, metadata, now_s=now_s),
                }
            )
            status, body, said = self._call(
                "POST",
                token_url,
                deadline,
                form.encode(),
                {"Content-Type": "application/x-www-form-urlencoded"},
                self.certificate(endpoint),
            )
            theirs = instant_of(said.get("date", ""))
            theirs_s = None if theirs is None else int(theirs.timestamp())
            if status not in (400, 401) or theirs_s is None or abs(theirs_s - now_s) < SKEW_S:
                break
            now_s = theirs_s  # our clocks differ by more than an assertion lives: once more, by the server's own
        if status != 200:
            wish = wait_asked(said.get("retry-after", ""), self._clock.now())
            raise token_refused(status, body, ever_worked=place.ever_worked, wish=wish)
        return self._read_token(body, scope)

    def assertion(
        self, client_id: str, token_url: str, metadata: Mapping[str, Any], *, now_s: int | None = None
    ) -> str:  # fmt: skip
        """Return a fresh one-time assertion, signed with the newest key whose algorithm the server takes.

        `now_s`: seconds since 1970 by whose clock it is to be judged; ours unless told.
        """
        named = metadata.get("token_endpoint_auth_signing_alg_values_supported")
        takes = named if isinstance(named, list) and named else ["RS384", "ES384"]
        key = next((one for one in self._config.keys if one.alg in takes), None)
        if key is None:
            raise NeedsHuman("token.key")
        now_s = int(self._clock.now().timestamp()) if now_s is None else now_s
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": token_url,
            "iat": now_s,
            "exp": now_s + ASSERTION_LIFE_S,
            "jti": self._dice.uuid(),
        }
        return jwt.encode(claims, key.private, algorithm=key.alg, headers={"kid": key.kid, "typ": "JWT"})

    def _discover(self, place: _Place, endpoint: Endpoint, deadline: datetime) -> dict[str, Any]:
        now = self._clock.now()
        if place.discovery is not None and now - place.discovery[0] < DISCOVERY_FRESH_FOR:
            return place.discovery[1]
        url = f"{endpoint.address.rstrip('/')}/.well-known/smart-configuration"
        status, body, _ = self._call("GET", url, deadline, b"", {}, self.certificate(endpoint))
        if status >= 500 or status in (408, 425, 429):
            raise Transient("token.unreachable", status=status)
        metadata = parsed_object(body)
        if status != 200 or metadata is None or not isinstance(metadata.get("token_endpoint"), str):
            raise NeedsHuman("token.discovery", status=status)
        place.discovery = (now, metadata)
        return metadata

    def _token_url(self, endpoint: Endpoint, metadata: Mapping[str, Any]) -> str:
        """Return the token endpoint when it lives where it may: the server's own host, or an approved one."""
        token_url = str(metadata["token_endpoint"])
        try:
            base, token = httpx.URL(endpoint.address), httpx.URL(token_url)
        except httpx.InvalidURL as fault:
            raise NeedsHuman("token.discovery") from fault
        allowed = {base.host} | self._config.token_hosts.get(endpoint.id, frozenset())
        if token.host not in allowed or token.scheme != base.scheme:
            raise NeedsHuman("token.discovery")
        return token_url

    def _read_token(self, body: bytes, scope: str) -> _Token:
        said = parsed_object(body)
        value = said.get("access_token") if said else None
        if (
            said is None
            or not isinstance(value, str)
            or not value
            or str(said.get("token_type", "")).lower() != "bearer"
        ):
            raise Transient("token.malformed")
        missing = missing_scopes(scope, str(said["scope"])) if isinstance(said.get("scope"), str) else ()
        if missing:
            raise NeedsHuman("token.scope")
        lasts_s = life_s(said.get("expires_in"))
        margin_s = min(REFRESH_BEFORE_S, 0.2 * lasts_s)
        return _Token(value, self._monotonic_s() + lasts_s - margin_s)

    def _call(
        self,
        method: str,
        url: str,
        deadline: datetime,
        body: bytes,
        headers: Mapping[str, str],
        certificate: tuple[str, str] | None = None,
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Return (status, body, headers).

        Nothing of a message travels here, so every break is Transient.
        """
        left_s = min((deadline - self._clock.now()).total_seconds(), 30.0)
        if left_s <= 0:
            raise Transient("net.timeout", uses_attempt=False)
        step_s = min(5.0, left_s)
        try:
            request = self._http.build_request(
                method,
                url,
                content=body or None,
                headers={"Accept": "application/json", "Accept-Encoding": "identity", **headers},
                extensions={
                    "timeout": {"connect": step_s, "read": min(15.0, left_s), "write": step_s, "pool": step_s},
                    "deadline": time.monotonic() + left_s,
                },
            )
            if certificate is not None:
                request.extensions["client_certificate"] = certificate
            response = self._http.send(request, stream=True, follow_redirects=False)
            try:
                read = bytearray()
                for chunk in response.iter_raw():
                    read += chunk
                    if len(read) > ANSWER_BYTES:
                        break
            finally:
                response.close()
        except httpx.HTTPError as fault:
            if is_untrusted(fault):
                raise NeedsHuman("tls.untrusted") from None
            raise Transient("token.unreachable") from None
        return response.status_code, bytes(read), response.headers
