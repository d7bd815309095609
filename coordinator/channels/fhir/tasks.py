"""Tasks sent before and now otherwise: changed at the far side under the version that was read, or left alone.

Done before the message itself. Repeating it is safe: what is changed already is found as it is.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from coordinator.channels.answers import FHIR_STATUS, error_for
from coordinator.channels.fhir.finding import by_identifier
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, Transient
from coordinator.mapping.addressing import Places, addressed
from coordinator.mapping.body import to_bytes
from coordinator.mapping.planner import Capability
from coordinator.mapping.task_changes import next_task

OVERTAKEN = frozenset({409, 412})
"""Somebody has written the task since it was read."""


def change_tasks(
    server: FhirServer,
    capability: Capability,
    entries: Sequence[Mapping[str, Any]],
    places: Places,
    mark: Callable[[], None],
) -> dict[str, str]:
    """Return what became of the tasks, as facts for the timeline. Raises Transient to be done again."""
    if not entries:
        return {}
    if "Task" not in capability.updates:
        return {"tasks left": f"{len(entries)}, the server takes no change of a task"}
    counts: Counter[str] = Counter(_change(server, part(one, "resource"), places, mark) for one in entries)
    return {f"tasks {word}": str(number) for word, number in sorted(counts.items())}


def _change(server: FhirServer, wanted: Mapping[str, Any], places: Places, mark: Callable[[], None]) -> str:
    name = next(iter(parts(wanted, "identifier")), {})
    try:
        held = by_identifier(server, "Task", text(name, "system"), text(name, "value"))
    except (Permanent, NeedsHuman):
        return "unknown"
    if len(held) != 1:
        return "not there" if not held else "unknown"
    verdict, task = next_task(held[0], addressed({**wanted, "resourceType": "Task"}, places))
    if task is None:
        return verdict.replace("-", " ")
    guard = {"If-Match": f'W/"{text(part(held[0], "meta"), "versionId")}"'}
    try:
        answer = server.write(f"Task/{text(held[0], 'id')}", to_bytes(task), mark, guard, method="PUT")
    except InDoubt as lost:
        raise Transient(lost.code) from lost  # read again next time, it shows
    if 200 <= answer.status < 300:
        return "withdrawn" if text(task, "status") == "cancelled" else "changed"
    if answer.status in OVERTAKEN:
        return "answered"
    error: DeliveryError = error_for(answer, FHIR_STATUS, server.now(), kind="fhir")
    if isinstance(error, Transient | InDoubt):
        raise Transient(error.code, detail=answer.body, status=answer.status)
    return "refused"
