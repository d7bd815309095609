"""What the API asks of the service it stands in front of, as protocols. `bootstrap` hands in the real one."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from coordinator.flow.desk import Desk
from coordinator.flow.read_models import Actor, EventView
from coordinator.security.accounts import Accounts

RegistryKind = Literal["clinic", "staff", "providers", "patients"]
Fault = tuple[str, str, str]
"""(JSON pointer, what is wrong, what would be right)."""


class RegistryWritten(Protocol):
    """The answer to one registry write. A refused one has changed nothing and names every fault."""

    @property
    def outcome(self) -> Literal["created", "updated", "unchanged", "refused"]:
        """What happened."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong, all of it at once; empty unless refused."""
        ...


class RegistryDesk(Protocol):
    """The registry: clinic, staff, providers, patients. Bodies are JSON bytes, parsed strictly behind here."""

    def read(self, kind: RegistryKind, key: str | None, actor: Actor) -> bytes:
        """Return one entity as JSON (`key` is None for the clinic); raise NotFound. Reading a patient is audited."""
        ...

    def write(self, kind: RegistryKind, key: str | None, body: bytes, actor: Actor) -> RegistryWritten:
        """Store one entity whole; refuse a body whose id is not `key`."""
        ...

    def write_whole(self, body: bytes, actor: Actor) -> RegistryWritten:
        """Store everything a registry file holds, or nothing of it. What it does not name stays as it is."""
        ...


class ApiDesk(Desk, Protocol):
    """The staff's desk, and the look at one event that its source may take."""

    def event(self, event_ref: str, actor: Actor) -> EventView:
        """Return where one event stands; raise NotFound."""
        ...


class Receipts(Protocol):
    """Where far sides call back."""

    def fax(self, body: bytes, headers: Mapping[str, str], url: str) -> bool:
        """Take in a gateway's callback; return whether its secret (the end of the URL) is one of ours.

        A callback is a hint: what it says is checked behind here, whatever it says.
        """
        ...


class WebSettings(Protocol):
    """What the web applications need to know of the settings."""

    @property
    def public_url(self) -> str:
        """The intake's address from outside, without a slash at the end."""
        ...

    @property
    def console_url(self) -> str:
        """The console's address from outside, without a slash at the end."""
        ...

    @property
    def environment(self) -> Literal["development", "production"]:
        """Where this runs."""
        ...


class Service(Protocol):
    """The whole service, as the API sees it."""

    @property
    def desk(self) -> ApiDesk:
        """What may be done with events and messages."""
        ...

    @property
    def registry(self) -> RegistryDesk:
        """The registry."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Who may come in."""
        ...

    @property
    def receipts(self) -> Receipts:
        """Where far sides call back."""
        ...

    @property
    def settings(self) -> WebSettings:
        """The settings."""
        ...

    def health(self) -> Mapping[str, object]:
        """Return `ready` (bool) and, by name, what was checked. No PHI, no addresses."""
        ...

    def standstills(self) -> Sequence[str]:
        """Return the codes of the service's own work that nobody seems to do; raises StoreAway."""
        ...

    def jwks(self) -> dict[str, object]:
        """Return our public signing keys as a JWK set."""
        ...
