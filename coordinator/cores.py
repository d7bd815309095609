"""Threads that take turns at Python's one lock are kept on one core."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress


def one_core() -> Callable[[], None]:
    """Return what threads call at their start to stay on one core together: any of those this process may use.

    A thread that lets go of the lock for a call of some microseconds wakes another one for it; on another core that one
    has to be woken there, and often finds the lock taken again. No more than one of them runs Python at a time in any
    case. Does nothing on one core, and where the system has no such call or refuses it, as some sandboxes do.
    """
    if not hasattr(os, "sched_setaffinity"):
        return lambda: None
    usable = sorted(os.sched_getaffinity(0))
    core = secrets.choice(usable)

    def stay() -> None:
        if len(usable) > 1:
            with suppress(OSError):
                os.sched_setaffinity(0, {core})  # 0 is the calling thread, not the process

    return stay
