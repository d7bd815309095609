"""The TLS rules of every outgoing connection: versions, authorities, our own certificate, lists of revoked ones."""

import re
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from coordinator.domain.errors import NeedsHuman

HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*")


@dataclass(frozen=True)
class RevocationLists:
    """A folder with one PEM file for each server that is checked, named after it: `ehr.north.example.pem`.

    A file holds the list (CRL) of the authority that signed the server's certificate, or several one after the other.
    `whole_chain`: whether every authority of the chain needs one too.
    """

    folder: Path
    whole_chain: bool = False

    def of(self, host: str) -> Path | None:
        """Return the file of a server, or None while there is none: then nobody is asked about it."""
        path = self.folder / f"{host.casefold()}.pem"
        return path if HOST.fullmatch(host) and path.is_file() else None


class Trust:
    """Gives the context for a connection to a host: name and chain are always verified, TLS is 1.2 or newer."""

    def __init__(
        self,
        ca_file: str | None = None,
        *,
        certificate: tuple[str, str] | None = None,
        lists: RevocationLists | None = None,
        system_too: bool = False,
    ) -> None:
        """`ca_file` takes the place of the system's authorities, or stands beside them. `certificate` is ours."""
        self._ca_file, self._certificate, self._lists = ca_file, certificate, lists
        self._system_too = system_too
        self._plain = self._made()
        self._with_list: dict[str, tuple[int, ssl.SSLContext]] = {}
        self._lock = threading.Lock()

    def context(self, host: str) -> ssl.SSLContext:
        """Return the context; a renewed list counts from the next connection. Raises NeedsHuman for a bad one."""
        path = None if self._lists is None else self._lists.of(host)
        if path is None or self._lists is None:
            return self._plain
        try:
            stamp = path.stat().st_mtime_ns
            with self._lock:
                known = self._with_list.get(host)
                if known is None or known[0] != stamp:
                    context = self._made()
                    context.load_verify_locations(cafile=path)
                    whole = self._lists.whole_chain
                    context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN if whole else ssl.VERIFY_CRL_CHECK_LEAF
                    known = self._with_list[host] = (stamp, context)
        except (OSError, ssl.SSLError) as fault:
            raise NeedsHuman("tls.crl") from fault
        return known[1]

    def _made(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=None if self._system_too else self._ca_file)
        if self._system_too and self._ca_file is not None:
            context.load_verify_locations(cafile=self._ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._certificate is not None:
            # A key under a password is refused; without this OpenSSL would ask for it at the terminal, and wait.
            context.load_cert_chain(*self._certificate, password="")
        return context
