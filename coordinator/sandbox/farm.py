"""All pretend recipients together: an EHR, a HISP and a fax gateway on loopback, in threads of this process."""

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from coordinator.sandbox.ehr import Ehr
from coordinator.sandbox.fax_gateway import FaxGateway
from coordinator.sandbox.hisp import Hisp


@dataclass(frozen=True)
class Addresses:
    """Where the recipients are. `ca_file` is what the mail clients are to trust."""

    ehr: str
    smtp_host: str
    smtp_port: int
    imap_host: str
    imap_port: int
    fax: str
    ca_file: Path


class Farm:
    """Starts and stops the recipients. The folder keeps what they hold, and their ports, across restarts."""

    def __init__(self, folder: Path) -> None:
        """Make the recipients. Ports of an earlier run are taken again, else free ones are found."""
        folder.mkdir(parents=True, exist_ok=True)
        self._ports_file = folder / "ports.json"
        ports = orjson.loads(self._ports_file.read_bytes()) if self._ports_file.exists() else {}
        self.ehr = Ehr(folder / "ehr", ports.get("ehr", 0))
        self.hisp = Hisp(folder / "hisp", ports.get("smtp", 0), ports.get("imap", 0))
        self.fax = FaxGateway(folder / "fax", ports.get("fax", 0))

    def start(self) -> None:
        """Start all three and write down their ports."""
        self.ehr.start()
        self.hisp.start()
        self.fax.start()
        ports = {
            "ehr": self.ehr.port,
            "smtp": self.hisp.smtp_port,
            "imap": self.hisp.imap_port,
            "fax": self.fax.port,
        }
        self._ports_file.write_bytes(orjson.dumps(ports))

    def stop(self) -> None:
        """Stop all three."""
        self.fax.stop()
        self.hisp.stop()
        self.ehr.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def addresses(self) -> Addresses:
        """Return where the recipients are (once started)."""
        return Addresses(
            ehr=self.ehr.address,
            smtp_host="127.0.0.1",
            smtp_port=self.hisp.smtp_port,
            imap_host="127.0.0.1",
            imap_port=self.hisp.imap_port,
            fax=self.fax.base_url,
            ca_file=self.hisp.ca_file,
        )

    def counts(self) -> dict[str, int]:
        """Return how many distinct messages each recipient holds."""
        return {"ehr": self.ehr.count(), "hisp": self.hisp.count(), "fax": self.fax.count()}

    def duplicates(self) -> dict[str, list[str]]:
        """Return what a recipient holds more than once, by our own names of it. Empty lists are the promise kept."""
        return {"ehr": self.ehr.duplicates(), "hisp": self.hisp.duplicates(), "fax": self.fax.duplicates()}
