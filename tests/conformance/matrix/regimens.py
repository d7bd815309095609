"""What is known of a stimulant over several events: said again, said otherwise, told late, stopped, taken back."""

import json
from collections.abc import Iterator
from typing import Any

from tests.conformance.matrix.changes import asked
from tests.conformance.matrix.corrections import newer
from tests.conformance.matrix.inputs import Data, Rendering, registry, with_
from tests.conformance.matrix.sessions import spike

STATED = {"id": "stm-1", "role": "stimulant", "product": "Adderall XR", "form": "extended-release",
          "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-03", "source": "prescriber"}  # fmt: skip


def regimens() -> Iterator[tuple[str, Rendering]]:
    """Yield every case by name, with the events around it in the history."""
    before, now, later = session(7), session(14), session(21)
    other, told_now = session(14, "20"), session(21, "20")
    yield "regimen-as-before", _among(now, before)
    yield "regimen-otherwise-than-before", _among(other, before)
    yield "regimen-told-late", _among(now, told_now)
    yield "regimen-as-the-prescriber-said", Rendering(other, registry(_stated), (before,))
    yield "regimen-told-stopped", _among(heard("stop"), before)
    yield "regimen-told-held", _among(heard("hold"), before)
    yield "regimen-told-changed", _among(heard("decrease", to={"product": "Adderall XR", "dose": other_dose()}), before)
    yield "regimen-asked-about-as-before", _among(asked(), before)
    yield "regimen-retracted-and-said-later", _among(with_(newer(now), status="entered-in-error"), now, later)
    yield "regimen-corrected-to-what-was-before", _among(with_(newer(other), **taken("30")), other, before)


def session(day: int, dose: str = "30") -> Data:
    """Return the session of a day of October at which the patient says this dose."""
    made = json.loads(json.dumps(spike()).replace("2026-10-14", f"2026-10-{day:02}"))
    course = {**made["course"], "session_number": day}
    return with_(made, id=f"se-{day}", next_session_on=None, course=course, **taken(dose))


def taken(dose: str) -> Data:
    """Return the stimulant as the patient says it is taken."""
    listed = [{**one, "dose": {"value": dose, "unit": "mg"}} for one in spike()["other_medications_taken"]]
    return {"other_medications_taken": listed}


def heard(action: str, **more: Any) -> Data:
    """Return a change of the stimulant that its prescriber told of."""
    says = {"kind": "reported-by-prescriber", "action": action, "to": None, "requested_of": None, **more}
    return with_(asked(), **says)


def other_dose() -> Data:
    """Return a smaller dose."""
    return {"value": "20", "unit": "mg"}


def _among(event: Data, *others: Data) -> Rendering:
    return Rendering(event, registry(), others)


def _stated(data: Data) -> None:
    data["patients"][0]["medications"].append(STATED)
