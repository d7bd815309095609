"""By hand: the letter waits to be printed; staff record who took it. No message is ever without this way out."""

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Lookup, Package, Taken


class ByHand:
    """Sends nothing: a person prints the stored letter and hands it over."""

    kind: ClassVar[str] = "by-hand"
    safe_to_repeat: ClassVar[bool] = False

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Raise NeedsHuman always. Nothing leaves, so `about_to_send` is not called."""
        raise NeedsHuman("hand.print")

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return unknown: only the person who handed it over can say."""
        return Lookup("unknown")
