"""Answers of the API as JSON, and everything that goes wrong as application/problem+json (RFC 9457)."""

from collections.abc import Mapping, Sequence

import orjson
from starlette.responses import Response

from coordinator.flow.read_models import Recorded

Fault = tuple[str, str, str]
"""(JSON pointer, what is wrong, what would be right)."""


class Answer(Response):
    """A JSON answer. Instants keep their offset."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the JSON text."""
        return orjson.dumps(content)


class Problem(Exception):
    """A request that gets no for an answer. `kind` is stable; `detail` says what to do and holds no PHI."""

    def __init__(
        self,
        status: int,
        kind: str,
        title: str,
        detail: str = "",
        *,
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.faults = faults
        self.headers = headers
        self.more = more or {}

    def body(self) -> dict[str, object]:
        """Return the members of the problem document."""
        found: dict[str, object] = {
            "type": f"urn:coordinator:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
        }
        if self.detail:
            found["detail"] = self.detail
        if self.faults:
            found["faults"] = fault_list(self.faults)
        return {**found, **self.more}

    def response(self) -> Response:
        """Return the answer."""
        return Answer(
            self.body(), self.status, dict(self.headers or {}), media_type="application/problem+json; charset=utf-8"
        )


def fault_list(faults: Sequence[Fault]) -> list[dict[str, str]]:
    """Return each fault as pointer, message and fix."""
    return [{"pointer": pointer, "message": message, "fix": fix} for pointer, message, fix in faults]


def question_list(questions: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Return each question as id, role and text."""
    return [{"id": name, "role": role, "text": text} for name, role, text in questions]


RECORDED_STATUS: Mapping[str, int] = {
    "accepted": 202,
    "held": 202,
    "replay": 200,
    "superseded": 200,
    "conflict": 409,
    "refused": 422,
}
"""superseded: recorded, but a newer version of the same event is known, so nothing will be sent of this one."""


def recorded_body(recorded: Recorded) -> dict[str, object]:
    """Return what the source is told of one event that was recorded."""
    found: dict[str, object] = {
        "outcome": recorded.outcome,
        "event_ref": recorded.event_ref,
        "event_id": recorded.event_id,
        "event_version": recorded.event_version,
        "look_at": f"/v1/events/{recorded.event_ref}",
    }
    if recorded.questions:
        found["questions"] = question_list(recorded.questions)
    return found


def recorded_problem(recorded: Recorded) -> Problem:
    """Return the problem for an event that was refused, or that contradicts what is on record."""
    if recorded.outcome == "conflict":
        return Problem(
            409,
            "event-conflict",
            "This version of the event is on record with other content.",
            "Send a change under the same id with a higher version. What is on record stays as it is.",
            faults=recorded.faults,
            more={"event_ref": recorded.event_ref, "event_id": recorded.event_id},
        )
    return Problem(
        422,
        "event-refused",
        "The event was refused; nothing of it was kept.",
        "Every fault is listed. Correct them all and send the event again.",
        faults=recorded.faults,
    )


def internal_problem(incident: str) -> Response:
    """Return the answer to a fault of ours."""
    return Problem(
        500,
        "internal",
        "Something failed on our side.",
        "Send the same request again: an event is never recorded twice. If it goes on, give the operator the incident.",
        more={"incident": incident},
    ).response()


def unavailable_problem() -> Problem:
    """Return the problem for a database that is away."""
    return Problem(
        503,
        "unavailable",
        "The service cannot record anything at the moment.",
        "Send the same request again later: an event is never recorded twice.",
        headers={"Retry-After": "10"},
    )
