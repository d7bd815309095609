"""One bounded HTTP exchange: a total deadline, a capped answer, no redirects, and errors sorted by what had left."""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import httpx

from coordinator.channels.tls import certificate_cause, refuses_us
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Transient
from coordinator.flow.ports import Clock


@dataclass(frozen=True)
class Limits:
    """How long and how much one exchange may take: a far side that dawdles or floods frees us within a minute."""

    connect_s: float = 5.0
    read_gap_s: float = 15.0
    total_s: float = 60.0
    body_bytes: int = 1 << 20
    headers: int = 100


@dataclass(frozen=True)
class Answer:
    """What the far side said. `whole` is False when the body was cut: too large, too slow, or broken off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """Return the media type in lower case without parameters, "" when none was named."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class _TrackedBody(httpx.SyncByteStream):
    """A body that knows whether its first byte was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.started = False

    def __iter__(self) -> Iterator[bytes]:
        self.started = True
        yield self.content


class Wire:
    """Makes single HTTP exchanges over one long-lived client that another layer has guarded."""

    def __init__(self, http: httpx.Client, clock: Clock, limits: Limits | None = None) -> None:
        self._http = http
        self._clock = clock
        self._limits = limits or Limits()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        deadline: datetime,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        about_to_send: Callable[[], None] | None = None,
        writes: bool = False,
        certificate: tuple[str, str] | None = None,
        body_bytes: int | None = None,
    ) -> Answer:
        """Return the answer, whatever its status. `certificate` is what we show for mutual TLS, in place of the usual.

        `body_bytes`: how much of the answer is read at most, where that is more than usual.

        `writes` says that a repeat could double something: then a break after the
        first body byte raises InDoubt, else Transient. `about_to_send` is called
        right before the request leaves; what it raises stops the request.
        """
        remaining_s = self._remaining_s(deadline)
        tracked = _TrackedBody(body)
        try:
            request = self._request(method, url, headers or {}, tracked, remaining_s)
            if certificate is not None:
                request.extensions["client_certificate"] = certificate
        except (httpx.InvalidURL, ValueError) as fault:
            raise NeedsHuman("net.blocked") from fault
        if about_to_send is not None:
            about_to_send()
        started_s = time.monotonic()
        try:
            response = self._http.send(request, stream=True, follow_redirects=False)
        except httpx.HTTPError as fault:
            raise sort_fault(fault, after_first_byte=writes and tracked.started) from None
        try:
            return self._read(response, started_s + remaining_s, body_bytes or self._limits.body_bytes, started_s)
        finally:
            response.close()

    def now(self) -> datetime:
        """Return this instant in UTC."""
        return self._clock.now()

    def _remaining_s(self, deadline: datetime) -> float:
        remaining_s = min((deadline - self._clock.now()).total_seconds(), self._limits.total_s)
        if remaining_s <= 0:
            raise Transient("net.timeout", uses_attempt=False)
        return remaining_s

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], body: _TrackedBody, remaining_s: float
    ) -> httpx.Request:
        connect_s = min(self._limits.connect_s, remaining_s)
        gap_s = min(self._limits.read_gap_s, remaining_s)
        to = _address(url)
        own = {"Host": to.netloc.decode("ascii"), "Accept": "*/*", "Accept-Encoding": "identity"}
        own["User-Agent"] = "coordinator"
        if body.content or method != "GET":
            own["Content-Length"] = str(len(body.content))
        return httpx.Request(
            method,
            to,
            headers={**own, **headers},
            stream=body,
            extensions={
                "timeout": {"connect": connect_s, "read": gap_s, "write": gap_s, "pool": connect_s},
                "deadline": time.monotonic() + remaining_s,
            },
        )

    def _read(self, response: httpx.Response, ends_s: float, most: int, started_s: float) -> Answer:
        body, whole = bytearray(), True
        secured = _secured(response)  # asked first: the line may be closed once the body is read
        headers = dict(response.headers.items())  # httpx has them in lower case
        packed = headers.get("content-encoding") not in (None, "identity", "")
        if packed or len(response.headers) > self._limits.headers:
            whole = False  # asked for identity; unpacking what was not asked for is how archives explode
        else:
            try:
                for chunk in _bytes_of(response):
                    body += chunk
                    if len(body) > most or time.monotonic() > ends_s:
                        whole = False
                        break
            except httpx.HTTPError:
                whole = False
        return Answer(
            status=response.status_code,
            headers=headers,
            body=bytes(body[:most]),
            whole=whole,
            facts={
                "ms": str(round((time.monotonic() - started_s) * 1000)),
                "status": str(response.status_code),
                **secured,
            },
        )


def _bytes_of(response: httpx.Response) -> Iterable[bytes]:
    """Return the body as it comes. `iter_raw` cuts and counts it once more."""
    assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101
    return response.stream


@lru_cache(maxsize=256)
def _address(url: str) -> httpx.URL:
    """Return an address, taken apart. A far side has few, and each is posted to again and again."""
    made = httpx.URL(url)
    if not made.host:
        raise httpx.InvalidURL("no host")
    return made


def _secured(response: httpx.Response) -> dict[str, str]:
    """Return the TLS version of the line, nothing where it is plain."""
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    version = None if tls is None else tls.version()
    return {} if version is None else {"tls": version}


def sort_fault(fault: BaseException, *, after_first_byte: bool) -> DeliveryError:
    """Return the delivery error for a fault of the transport.

    A certificate that cannot be trusted is a person's matter: nothing was sent.
    DNS, connect and TLS failures before the body are tried again, as is a handshake that
    the server ended over our certificate. After the first body byte nobody can say, so it
    is in doubt.
    """
    causes = tuple(_causes(fault))
    untrusted = next((one for one in causes if isinstance(one, ssl.SSLCertVerificationError)), None)
    if untrusted is not None:
        return NeedsHuman(certificate_cause(untrusted))
    if isinstance(fault, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL):
        return NeedsHuman("net.blocked")
    if after_first_byte and not any(refuses_us(one) for one in causes):
        timed_out = isinstance(fault, httpx.TimeoutException | TimeoutError)
        return InDoubt("net.timeout-after-send" if timed_out else "net.reset-after-send")
    if any(isinstance(one, socket.gaierror) for one in causes):
        return Transient("net.dns")
    if any(isinstance(one, ssl.SSLError) for one in causes):
        return Transient("tls.handshake")
    if isinstance(fault, httpx.TimeoutException | TimeoutError):
        return Transient("net.timeout", uses_attempt=not isinstance(fault, httpx.PoolTimeout))  # our own crowd
    return Transient("net.connect")


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or fault.__context__
