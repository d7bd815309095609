"""One tree of errors, sorted by who acts next.

Each error has a stable code, one sentence for clinic staff and one next step, looked
up in `CAUSES`. The text of an exception is its code and nothing else: no response
body, no address and no name may travel in an exception.
"""

import errno
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Role = Literal["front-desk", "clinician", "privacy-officer", "administrator", "clinic-engineer", "engineer"]


@dataclass(frozen=True)
class Cause:
    """Why something stands still, said for a person: what happened, what to do, who does it."""

    code: str
    sentence: str
    next_step: str
    role: Role


class DeliveryError(Exception):
    """The root of everything a channel may raise. `code` is a key of the cause table."""

    def __init__(self, code: str, *, detail: bytes = b"", status: int | None = None) -> None:
        """Keep the far side's own words in `detail` (stored encrypted), never in the text."""
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.status = status


class Transient(DeliveryError):
    """Nobody acts: it is tried again when due. `uses_attempt` is False for 429 and 503 with Retry-After."""

    def __init__(
        self,
        code: str,
        *,
        detail: bytes = b"",
        status: int | None = None,
        retry_after: timedelta | None = None,
        uses_attempt: bool = True,
    ) -> None:
        """`retry_after` is the far side's own wish, before any cap."""
        super().__init__(code, detail=detail, status=status)
        self.retry_after = retry_after
        self.uses_attempt = uses_attempt


class Permanent(DeliveryError):
    """The author acts: this content will never be taken there. The delivery is dead."""


class NeedsHuman(DeliveryError):
    """A named role acts: the delivery is held and uses up no attempt."""


class InDoubt(DeliveryError):
    """It may have arrived: the channel's look-up answers, else a person."""


class Unreadable(Exception):
    """A stored value cannot be opened: it was changed or moved, or its key is missing. An engineer acts."""


SPOILT: tuple[type[Exception], ...] = (Unreadable, ValueError, LookupError)
"""What one spoilt row raises when it is read. It holds what hangs on that row, and nothing else may stop for it."""


NO_MEANS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EROFS, errno.EIO}
)


def lacks_means(error: BaseException) -> bool:
    """Return whether the machine lacked something (file handles, memory, disk), whatever the work was about.

    That is nobody's content at fault: the operator acts once, and then everything goes on by itself.
    """
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in NO_MEANS)


class StateConflict(Exception):
    """A row was not in the state, or not under the fence, that the step needs; somebody else moved it."""


class StoreAway(Exception):
    """The database did not take a transaction: it was away, busy, or undid it."""

    undone: bool = False
    """Whether it surely undid it (a deadlock, a conflict with another transaction): asking again is harmless."""


class NotFound(Exception):
    """There is no such row for this caller."""


class Refused(Exception):
    """A request that may not be done, with the reason a person reads."""

    def __init__(self, code: str, reason: str) -> None:
        """`reason` is shown on screen; it holds no PHI."""
        super().__init__(code)
        self.code = code
        self.reason = reason


class ConfigurationError(Exception):
    """The service is set up wrongly. No send handler may catch it."""
