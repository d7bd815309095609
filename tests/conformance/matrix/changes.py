"""Changes of dose: each subject, kind and action, and what is not known of them."""

from collections.abc import Iterator

from tests.conformance.matrix.inputs import UNKNOWN, Data, Rendering, example, plain, with_

ENDS = {"resume_when": "the evening after each session"}


def changes() -> Iterator[tuple[str, Rendering]]:
    """Yield every change of dose by name."""
    for name, event in (*_own(), *_asked(), *_reported(), *_other()):
        yield name, plain(event)


def own() -> Data:
    return example("dose-change.ketamine")


def asked() -> Data:
    return example("dose-change.stimulant-hold")


def _mg(product: str, dose: str, **more: str) -> Data:
    return {"product": product, "dose": {"value": dose, "unit": "mg"}, **more}


def _own() -> Iterator[tuple[str, Data]]:
    base = own()
    old, new = base["from"], base["to"]
    lower = {**new, "dose": {"value": "0.4", "unit": "mg/kg"}}
    yield "own-increase", base
    yield "own-decrease", with_(base, action="decrease", to=lower)
    yield "own-start", with_({**base, "from": None}, action="start")
    yield "own-hold", with_(base, action="hold", to=None, **ENDS)
    yield "own-resume", with_(base, action="resume", kind="performed")
    yield "own-stop", with_(base, action="stop", to=None, effective_to="2026-11-16")
    yield "own-switch", with_(base, action="switch", to=_mg("esketamine", "56", route="intranasal"))
    yield "own-retime", with_(base, action="retime", to={**old, "frequency": "once a week", "source": "clinic"})
    yield "own-unchanged", with_(base, action="unchanged", to={**new, "dose": old["dose"]})
    for route in ("intramuscular", "subcutaneous", "oral", "sublingual", "intranasal"):
        yield f"own-{route}", with_(base, **{"from": {**old, "route": route}, "to": {**new, "route": route}})
    yield "own-from-unknown", with_({**base, "from": UNKNOWN})


def _asked() -> Iterator[tuple[str, Data]]:
    base = asked()
    now = base["from"]
    yield "asked-hold", base
    yield "asked-hold-every-day", with_(base, scope="every-day", effective_to="2026-10-30")
    yield "asked-decrease", with_(base, action="decrease", to={**now, "dose": {"value": "20", "unit": "mg"}})
    yield "asked-increase", with_(base, action="increase", to={**now, "dose": {"value": "37.50", "unit": "mg"}})
    yield "asked-start", with_({**base, "from": None}, action="start", to=_mg("Vyvanse", "20", form="prodrug"))
    yield "asked-resume", with_(base, action="resume", to=now)
    yield "asked-stop", with_(base, action="stop", to=None)
    yield "asked-switch", with_(base, action="switch", to=_mg("Ritalin", "10", form="immediate-release",
                                                              frequency="every morning"))  # fmt: skip
    yield "asked-retime", with_(base, action="retime", to={**now, "frequency": "after the session"})
    yield "asked-unchanged", with_(base, action="unchanged", to=now)
    yield "asked-of-unknown", with_({**base, "from": UNKNOWN})
    yield "asked-without-words", with_(base, reason={"code": "blood-pressure"}, scope=None, session=None)


def _reported() -> Iterator[tuple[str, Data]]:
    base = with_(asked(), requested_of=None, scope=None, resume_when=None)
    after = _mg("Vyvanse", "37.50", frequency="every morning")
    yield "told-by-patient", with_(base, kind="reported-by-patient", action="switch", to=after)
    less = {**base["from"], "dose": {"value": "20", "unit": "mg"}, "source": "prescriber"}
    yield "told-by-prescriber", with_(base, kind="reported-by-prescriber", action="decrease", to=less,
                                      reported_by="pr-psych")  # fmt: skip
    before = {**base["from"], "source": "prescriber"}
    yield "prescriber-told-both", with_(base, **{"from": before}, kind="reported-by-prescriber", action="decrease",
                                        to=less)  # fmt: skip
    yield (
        "told-and-dose-unknown",
        with_(
            base,
            kind="reported-by-patient",
            action="switch",
            to={"product": "Daytrana", "form": "patch", "dose": UNKNOWN},
        ),
    )
    yield "told-and-nothing-known", with_(base, kind="reported-by-patient", action="increase", to=UNKNOWN)


def _other() -> Iterator[tuple[str, Data]]:
    base = with_(own(), subject="other", kind="reported-by-patient", decided_by=None)
    sides = {"from": _mg("lamotrigine", "100", source="family"), "to": _mg("lamotrigine", "150", source="label")}
    yield "other-medicine", with_(base, action="increase", evidence=["sess-8841"], **sides)
    yield (
        "other-medicine-from-pharmacy",
        with_(base, action="stop", **{"from": _mg("phenelzine", "15", source="pharmacy"), "to": None}),
    )
