"""What the console asks of the service it stands in front of, as protocols. `bootstrap` hands in the real one."""

from typing import Literal, Protocol

from coordinator.flow.desk import Desk
from coordinator.flow.read_models import Actor
from coordinator.security.accounts import Accounts


class Registry(Protocol):
    """As much of the registry as the console shows: the clinic's own name and time zone."""

    def read(self, kind: Literal["clinic"], key: None, actor: Actor) -> bytes:
        """Return the clinic as JSON; raise NotFound while there is none."""
        ...


class Settings(Protocol):
    """What the console needs to know of the settings."""

    @property
    def console_url(self) -> str:
        """The console's address from outside, without a slash at the end."""
        ...

    @property
    def environment(self) -> Literal["development", "production"]:
        """Where this runs."""
        ...


class Service(Protocol):
    """The whole service, as the console sees it."""

    @property
    def desk(self) -> Desk:
        """What a person may do with messages."""
        ...

    @property
    def registry(self) -> Registry:
        """The registry."""
        ...

    @property
    def accounts(self) -> Accounts:
        """Who may come in."""
        ...

    @property
    def settings(self) -> Settings:
        """The settings."""
        ...
