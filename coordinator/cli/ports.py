"""The ports of the API and the console: taken before anything starts, so that a taken one is told at once."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import click

NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""What one of a name's addresses says where the machine has no such network, as `localhost` without IPv6."""


@dataclass(frozen=True)
class Place:
    """Where one of the two hosts listens, and how somebody changes that."""

    host: str
    port: int
    advice: str

    def refusal(self, fault: OSError) -> click.ClickException:
        """Return what a person is told when nobody can listen there."""
        where = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        if fault.errno == errno.EADDRINUSE:
            return click.ClickException(f"{where} is in use; set {self.advice} to another port, or end what is there.")
        if fault.errno in (errno.EACCES, errno.EPERM):
            return click.ClickException(f"This user may not listen on {where}; set {self.advice} to 1024 or more.")
        why = fault.strerror or type(fault).__name__
        return click.ClickException(f"Nobody can listen on {where} ({why}); set COORDINATOR_HOST to an address of this "
                                    "machine, or 0.0.0.0 for all of them.")  # fmt: skip


@dataclass(frozen=True)
class Taken:
    """A place whose sockets are bound. Nobody is let in before `listen`."""

    place: Place
    sockets: list[socket.socket]

    @property
    def port(self) -> int:
        """Return the port, which the system chose where 0 was asked for."""
        return int(self.sockets[0].getsockname()[1])

    def listen(self) -> None:
        """Let callers in; raise ClickException when another process was faster."""
        try:
            for one in self.sockets:
                one.listen(2048)
        except OSError as fault:
            raise self.place.refusal(fault) from None


@contextmanager
def bound(host: str, port: int, console_port: int) -> Iterator[tuple[Taken, Taken]]:
    """Take both ports; raise ClickException, with what to do, when one cannot be had."""
    with ExitStack() as stack:
        api = _take(Place(host, port, "COORDINATOR_PORT or --port"), stack)
        yield api, _take(Place(host, console_port, "COORDINATOR_CONSOLE_PORT or --console-port"), stack)


def _take(place: Place, stack: ExitStack) -> Taken:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as fault:
        raise place.refusal(fault) from None
    made, last = [], OSError(errno.EADDRNOTAVAIL, "no such address")
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            one = stack.enter_context(socket.socket(family, kind, protocol))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
        except OSError as fault:
            if fault.errno not in NOT_HERE:
                raise place.refusal(fault) from None
            last = fault
            continue
        made.append(one)
    if not made:
        raise place.refusal(last)
    return Taken(place, made)
