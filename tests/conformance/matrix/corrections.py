"""Corrections and retractions of what recipients hold already."""

from collections.abc import Iterator

from tests.conformance.matrix.changes import asked, own
from tests.conformance.matrix.inputs import HEAD, Data, Rendering, registry, with_
from tests.conformance.matrix.sessions import spike

LATER = "2026-10-20T09:00:00-05:00"


def corrections() -> Iterator[tuple[str, Rendering]]:
    """Yield every correction by name: the new version, with the old one in the history."""
    for name, old in (("spike", spike()), ("own-increase", own()), ("asked-hold", asked())):
        yield f"{name}-retracted", _after(old, with_(newer(old), status="entered-in-error"))
    drip = spike()
    vitals = [{**one, "systolic": 148, "diastolic": 96} if one["slot"] == "40-min" else one for one in drip["vitals"]]
    yield "spike-corrected", _after(drip, with_(newer(drip), vitals=vitals))
    yield "spike-with-less", _after(drip, with_(newer(drip), vitals=vitals[:2], adverse_events=[], scores=[]))
    change = own()
    yield (
        "own-increase-corrected",
        _after(change, with_(newer(change), to={**change["to"], "dose": {"value": "0.75", "unit": "mg/kg"}})),
    )
    hold = asked()
    yield "asked-hold-corrected", _after(hold, with_(newer(hold), effective_from="2026-10-18"))
    for status in ("scheduled", "arrived", "not-given", "no-show", "cancelled"):
        yield f"spike-was-{status}", _after(drip, {**{key: drip[key] for key in HEAD}, **_mark(), "status": status})
    left = Rendering(with_(newer(drip), vitals=vitals), registry(_gone), (drip,))
    yield "spike-corrected-for-one-who-left", left


def _mark() -> Data:
    return {"version": 2, "recorded_at": LATER, "amendment_reason": "typing fault"}


def newer(old: Data) -> Data:
    """Return the next version of an event."""
    return {**old, **_mark()}


def _after(old: Data, new: Data) -> Rendering:
    return Rendering(new, registry(), (old,))


def _gone(data: Data) -> None:
    data["patients"][0]["care_team"][1]["to"] = "2026-10-15"
