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
    "act",
    "refusals",
    "sending",
    "hold",
]

GRANTS: dict[Permission, frozenset[StaffRole]] = {
    "own-account": frozenset({"viewer", "sender", "admin", "auditor"}),
    "help": frozenset({"viewer", "sender", "admin", "auditor"}),
    "attention": frozenset({"viewer", "sender", "admin"}),
    "messages": frozenset({"viewer", "sender", "admin"}),
    "letter": frozenset({"sender"}),
    "answer": frozenset({"sender"}),
    "act": frozenset({"sender"}),
    "refusals": frozenset({"viewer", "sender", "admin"}),
    "sending": frozenset({"viewer", "sender", "admin"}),
    "hold": frozenset({"sender", "admin"}),
}
"""Viewer and admin see where messages stand, never a letter; sender also reads, answers and resends."""


def may(roles: Iterable[StaffRole], permission: Permission) -> bool:
    """Return whether one of the roles is granted the permission."""
    return not GRANTS[permission].isdisjoint(roles)
