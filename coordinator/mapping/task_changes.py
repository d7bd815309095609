"""What may become of a task that the far side holds: changed or withdrawn, and only while nobody has answered it."""

from typing import Any, Literal

from coordinator.mapping.json_values import Json

UNANSWERED = frozenset({"draft", "requested", "received"})
"""Statuses of a task that nobody has decided about (R4 task-status)."""
SIGNS_OF_WORK = ("output", "businessStatus", "executionPeriod", "note", "relevantHistory")
"""Elements that we never send and that somebody fills in who works on a task."""
OURS = ("status", "statusReason", "priority", "code", "description", "lastModified", "restriction")
"""What a change of ours may touch. People, places and everything else stay as the far side has them."""

Verdict = Literal["change", "as-it-is", "answered", "unguarded"]


def next_task(held: Json, wanted: Json) -> tuple[Verdict, dict[str, Any] | None]:
    """Return what to do about a held task, and the task as it shall be when it is to be changed.

    Without the version that was read there is no guard against an answer that comes
    in between, so nothing is written.
    """
    if held.get("status") not in UNANSWERED:
        same = held.get("status") == wanted.get("status")
        return ("as-it-is" if same else "answered"), None
    if any(name in held for name in SIGNS_OF_WORK):
        return "answered", None
    changes = {name: wanted[name] for name in OURS if name in wanted}
    if all(held.get(name) == value for name, value in changes.items() if name != "lastModified"):
        return "as-it-is", None
    if not (held.get("meta") or {}).get("versionId"):
        return "unguarded", None
    return "change", {**held, **changes}
