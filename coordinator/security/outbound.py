"""The outbound guard: HTTPS only, no redirects, names resolved once, checked, and connected to as checked."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpcore
import httpx

from coordinator.domain.errors import NeedsHuman
from coordinator.security.lines import Lines
from coordinator.security.places import LOOPBACK
from coordinator.security.stream import LEAST_S, EndingStream
from coordinator.trust import RevocationLists, Trust

IDLE_S = 4.0
"""How long a connection that is not used is kept: less than the five seconds after which many servers end it.

A request that meets that end half way is lost, and nobody can say whether it was read.
"""
SITE_LOCAL = ipaddress.ip_network("fec0::/10")
"""Private addresses of IPv6 before there were the present ones (RFC 3879); Python calls them global."""
HttpClient = httpx.Client
"""The kind of client that `guarded_client` gives, for those who only hold and hand it on."""
Resolve = Callable[[str, int], list[str]]
"""(host, port) -> the addresses as text. Raises socket.gaierror."""


@dataclass(frozen=True)
class OutboundConfig:
    """What may be reached. `private_hosts` names on-premise servers that an administrator allowed one by one."""

    allow_loopback: bool = False
    private_hosts: frozenset[str] = frozenset()
    ports: frozenset[int] | None = None
    """Ports that may be connected to; None means any port that an administrator entered."""
    ca_file: str | None = None
    """An authority beside those of the system: a partner's own."""
    client_cert: tuple[str, str] | None = None
    """(certificate file, key file) where the far side wants mutual TLS."""
    lists: RevocationLists | None = None
    """Lists of revoked certificates by server; None where nobody is asked."""
    max_connections: int = 100
    """Exchanges at the same time: more than there are threads that make them, so that none waits for its turn here."""


def resolve(host: str, port: int) -> list[str]:
    """Return the host's addresses, each once, in the resolver's order."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def may_connect(address: str, host: str, config: OutboundConfig) -> bool:
    """Return whether this address may be connected to: public, or loopback or private where that was allowed."""
    try:
        parsed = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    ip = mapped if mapped is not None else parsed
    if ip.is_loopback:
        return config.allow_loopback
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip in SITE_LOCAL:
        return False  # the metadata service of a cloud lives at a link-local address: never, whatever was allowed
    if ip.is_global:
        return True
    return host in config.private_hosts


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects to the very address that was checked, and ends every read at the request's deadline."""

    def __init__(self, config: OutboundConfig, look_up: Resolve) -> None:
        self._config = config
        self._resolve = look_up
        self._plain = httpcore.SyncBackend()
        self.thread = threading.local()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a stream to the first allowed address. Raises NeedsHuman when none of them may be reached."""
        if self._config.ports is not None and port not in self._config.ports:
            raise NeedsHuman("net.blocked")
        try:
            addresses = self._resolve(host, port)
        except OSError as fault:
            raise httpcore.ConnectError("name not found") from fault
        except UnicodeError as fault:  # a label that is empty or too long: no name at all
            raise NeedsHuman("net.blocked") from fault
        if not addresses or not all(may_connect(one, host, self._config) for one in addresses):
            raise NeedsHuman("net.blocked")
        last: Exception | None = None
        for address in addresses:
            try:
                within_s = max(LEAST_S, self._left(timeout))
                stream = self._plain.connect_tcp(address, port, within_s, local_address, socket_options)
                return EndingStream(stream, self._left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
                last = fault
        raise last or httpcore.ConnectError("no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Raise: files are no far side."""
        raise NeedsHuman("net.blocked")

    def sleep(self, seconds: float) -> None:
        """Wait (the pool's own retries, which are off)."""
        time.sleep(seconds)

    def _left(self, timeout: float | None) -> float:
        ends_s: float | None = getattr(self.thread, "ends_s", None)
        left = timeout if timeout is not None else 60.0
        return left if ends_s is None else min(left, ends_s - time.monotonic())


class _Body(httpx.SyncByteStream):
    def __init__(self, inner: Iterable[bytes]) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        with _FaultsAsHttpx():
            yield from self._inner

    def close(self) -> None:
        close = getattr(self._inner, "close", None)
        if close is not None:
            close()


class _FaultsAsHttpx:
    """Turns httpcore's faults into httpx's, which channels know how to sort. The text never carries an address."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if kind is not None and kind.__module__.startswith("httpcore"):
            target = getattr(httpx, kind.__name__, httpx.TransportError)
            raise target("transport fault") from fault


class _Line(httpcore.HTTPConnection):
    """A connection that is not used again when more has come than the answer that was asked for.

    What is left over would be read as the answer to the next request: a letter that was refused, or lost, could count
    as filed by the word that an earlier one got. It comes of servers that answer twice, or count their bytes wrongly.
    """

    def is_idle(self) -> bool:
        """Return whether it may be used again: its answer was read whole, and nothing has come beyond it."""
        spoken = self._connection
        if not super().is_idle() or not isinstance(spoken, httpcore.HTTP11Connection):
            return False
        beyond, _ = spoken._h11_state.trailing_data  # httpcore has no public way to ask
        return not beyond


class GuardedTransport(httpx.BaseTransport):
    """The only way out over HTTP."""

    def __init__(self, config: OutboundConfig, look_up: Resolve = resolve) -> None:
        self._config = config
        self._backend = _PinnedBackend(config, look_up)
        self._lines = self._new_lines(config)
        self._own_lines: dict[tuple[str, str, int], Lines] = {}
        self._lock = threading.Lock()

    def _new_lines(self, config: OutboundConfig) -> Lines:
        trust = Trust(config.ca_file, certificate=config.client_cert, lists=config.lists, system_too=True)

        def connection(origin: httpcore.Origin) -> httpcore.HTTPConnection:
            context = trust.context(origin.host.decode("ascii"))
            return _Line(origin, ssl_context=context, keepalive_expiry=IDLE_S, retries=0, network_backend=self._backend)

        return Lines(connection, config.max_connections, IDLE_S)

    def _lines_for(self, certificate: tuple[str, str] | None) -> Lines:
        """Return the connections that carry this certificate of ours: a line of one endpoint serves no other.

        A renewed file begins new connections. Raises NeedsHuman for files that are no certificate and its key.
        """
        if certificate is None:
            return self._lines
        try:
            key = (*certificate, Path(certificate[0]).stat().st_mtime_ns)
            with self._lock:
                if key not in self._own_lines:
                    self._own_lines[key] = self._new_lines(replace(self._config, client_cert=certificate))
                return self._own_lines[key]
        except (OSError, ssl.SSLError) as fault:
            raise NeedsHuman("token.key") from fault

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response; refuse plain HTTP except to loopback where that is allowed."""
        if request.url.scheme != "https" and not self._plain_allowed(request.url):
            raise NeedsHuman("net.blocked")
        self._backend.thread.ends_s = request.extensions.get("deadline")
        stream = request.stream
        assert isinstance(stream, httpx.SyncByteStream)  # noqa: S101
        inner = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            content=stream,
            extensions=request.extensions,
        )
        inner.headers = request.headers.raw  # they are bytes already; given above, each is asked once more what it is
        with _FaultsAsHttpx():
            answer = self._lines_for(request.extensions.get("client_certificate")).handle_request(inner)
        assert isinstance(answer.stream, Iterable)  # noqa: S101
        return httpx.Response(
            status_code=answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        """Close every connection."""
        for lines in (self._lines, *self._own_lines.values()):
            lines.close()

    def _plain_allowed(self, url: httpx.URL) -> bool:
        return url.scheme == "http" and self._config.allow_loopback and url.host in LOOPBACK


class GuardedClient(httpx.Client):
    """Makes one exchange a call: what a far side asks for besides (a redirect, a cookie, a sign-in) is not done."""

    def __init__(self, transport: GuardedTransport) -> None:
        """Send everything through this transport."""
        super().__init__(transport=transport, follow_redirects=False, trust_env=False)
        self._guarded = transport

    def send(self, request: httpx.Request, *, stream: bool = False, **_: object) -> httpx.Response:
        """Return the answer, whatever its status; with `stream` its body is still to be read and closed."""
        if self.is_closed:
            raise RuntimeError("the client has been closed")
        answer = self._guarded.handle_request(request)
        answer.request = request
        if not stream:
            try:
                answer.read()
            finally:
                answer.close()
        return answer


def guarded_client(config: OutboundConfig, look_up: Resolve = resolve) -> httpx.Client:
    """Return the process's one long-lived client: guarded, no redirects, no proxies from the environment."""
    return GuardedClient(GuardedTransport(config, look_up))
