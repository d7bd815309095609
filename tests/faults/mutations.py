"""One safeguard taken away from the product, in the process that calls it: whoever judges must then convict."""

import os

from coordinator.flow import deliver, prepare
from coordinator.store import delivery_part


def _fence() -> None:
    delivery_part.next_fence = lambda _: 1


def _consent() -> None:
    ask = deliver.ask_release

    def remembered(parts, tx, row, message, now):
        answer = ask(parts, tx, row, message, now)
        ended = answer.code is not None and answer.code.startswith("consent.")
        return type(answer)(True, directive="remembered", version=1) if ended else answer

    deliver.ask_release = remembered


def _outbox() -> None:
    prepare.first_delivery = lambda *_: None


def _mark() -> None:
    deliver.mark = lambda *_: None


SAFEGUARDS = {"fence": _fence, "consent": _consent, "outbox": _outbox, "mark": _mark}


def take_away(names: str) -> None:
    """Take away the safeguards named, for good, in this process. Empty takes away nothing."""
    for name in names.split():
        SAFEGUARDS[name]()
        os.write(2, f"without the {name}\n".encode())
