"""What channels need in order to identify themselves; implemented by the security layer, joined at start."""

from datetime import datetime
from typing import Protocol

from coordinator.domain.registry import Endpoint


class Credentials(Protocol):
    """Knows how to sign in at a FHIR endpoint."""

    def authorization(
        self, endpoint: Endpoint, *, renew: bool, deadline: datetime, refused: str | None = None
    ) -> str | None:
        """Return the value of the Authorization header, or None where none is due.

        `renew` drops a kept token first: the far side has just refused it. Where `refused`
        says which value that was, a token that has taken its place meanwhile is given as it
        is. Raises Transient (the token server is out of reach or flaky) or NeedsHuman.
        """
        ...

    def certificate(self, endpoint: Endpoint) -> tuple[str, str] | None:
        """Return (certificate file, key file) that we show to this endpoint alone; None for the general one, if any.

        Raises NeedsHuman when the files that the endpoint names are not there.
        """
        ...
