"""What each role may do on the console. Whatever is not granted here is denied."""

from collections.abc import Iterable
from typing import Literal

from coordinator.domain.access import StaffRole

Permission = Literal[
    "own-account",
    "help",
    "attention",
    "messages",
    "letter",
    "answer",
    "review",
    "act",
    "refusals",
    "sending",
    "hold",
]

GRANTS: dict[Permission, frozenset[StaffRole]] = {
    "own-account": frozenset({"viewer", "sender", "clinician", "admin", "auditor"}),
    "help": frozenset({"viewer", "sender", "clinician", "admin", "auditor"}),
    "attention": frozenset({"viewer", "sender", "clinician", "admin"}),
    "messages": frozenset({"viewer", "sender", "clinician", "admin"}),
    "letter": frozenset({"sender", "clinician"}),
    "answer": frozenset({"sender", "clinician"}),
    "review": frozenset({"clinician"}),
    "act": frozenset({"sender"}),
    "refusals": frozenset({"viewer", "sender", "clinician", "admin"}),
    "sending": frozenset({"viewer", "sender", "clinician", "admin"}),
    "hold": frozenset({"sender", "admin"}),
}
"""Viewer and admin see where messages stand, never a letter; sender also reads, answers and resends; clinician reads,
answers, and alone reviews what recipients reported about a medicine."""


def may(roles: Iterable[StaffRole], permission: Permission) -> bool:
    """Return whether one of the roles is granted the permission."""
    return not GRANTS[permission].isdisjoint(roles)
