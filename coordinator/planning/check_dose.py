"""Checks of products, routes, doses and weights. Each is named by a row of the table."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from coordinator.domain.events import Administration, Regimen
from coordinator.domain.quantities import WEIGHT_PLACES, Quantity, plain
from coordinator.domain.values import NotDone, Unknown, folded
from coordinator.planning import readings as r
from coordinator.planning.check_view import Found, Predicate, View, own_regimens, places

Numbers = Mapping[str, Any]
_DEVICE_MG = 28
"""One esketamine device holds 28 mg (label)."""
_POUND = Decimal("0.45359237")


def _given(view: View) -> Administration | None:
    return view.session.administration if view.session is not None else None


def _mg(dose: object) -> Decimal | None:
    if not isinstance(dose, Quantity):
        return None
    kept = dose.normalised()
    return kept.value if kept.unit == "mg" else None


def not_above_zero(view: View, numbers: Numbers) -> Iterator[Found]:
    """An amount of nothing, or of less than nothing, at one of the places that the row names."""
    for path in numbers["at"]:
        for at, value in places(view.event, path):
            if isinstance(value, Quantity) and value.value <= 0:
                yield Found((*at, "value"))


def impossible_route(view: View, numbers: Numbers) -> Iterator[Found]:
    """A product by a route for which it is not made."""
    routes: Mapping[str, list[str]] = numbers["routes"]
    given = _given(view)
    if given is not None and given.route not in routes[given.product]:
        yield Found(("administration", "route"))
    for side, one in own_regimens(view.change):
        product = folded(one.product)
        if one.route is not None and product in routes and one.route not in routes[product]:
            yield Found((side, "route"))


def unknown_clinic_drug(view: View, numbers: Numbers) -> Iterator[Found]:
    """A change of the clinic's own drug that names another drug."""
    for side, one in own_regimens(view.change):
        if folded(one.product) not in numbers["routes"]:
            yield Found((side, "product"))


def esketamine_per_weight(view: View, _: Numbers) -> Iterator[Found]:
    """An esketamine dose per body weight: it comes in whole devices only."""
    given = _given(view)
    if given is not None and given.product == "esketamine":
        for name in ("dose", "ordered"):
            if _per_kg(getattr(given, name)):
                yield Found(("administration", name, "unit"))
    for side, one in own_regimens(view.change):
        if folded(one.product) == "esketamine" and _per_kg(one.dose):
            yield Found((side, "dose", "unit"))


def _per_kg(dose: object) -> bool:
    return isinstance(dose, Quantity) and dose.normalised().unit.endswith("/kg")


def not_whole_devices(view: View, _: Numbers) -> Iterator[Found]:
    """An esketamine dose that no number of devices makes."""
    for at, dose in _esketamine_doses(view):
        if dose <= 0 or dose % _DEVICE_MG:
            yield Found(at)


def _esketamine_doses(view: View) -> Iterator[tuple[tuple[str | int, ...], Decimal]]:
    given = _given(view)
    if given is not None and given.product == "esketamine" and (dose := _mg(given.dose)) is not None:
        yield ("administration", "dose", "value"), dose
    for side, one in own_regimens(view.change):
        if folded(one.product) == "esketamine" and (dose := _mg(one.dose)) is not None:
            yield (side, "dose", "value"), dose


def devices_do_not_add_up(view: View, _: Numbers) -> Iterator[Found]:
    """Esketamine devices that do not make the dose."""
    given = _given(view)
    if given is None or given.product != "esketamine" or given.devices is None:
        return
    dose = _mg(given.dose)
    if dose is not None and given.devices * _DEVICE_MG != dose:
        yield Found(("administration", "devices"))


def unusual_esketamine_dose(view: View, numbers: Numbers) -> Iterator[Found]:
    """An esketamine dose other than the two of the label, without a reason; of a change, either side's."""
    given = _given(view)
    if given is not None and given.reason is not None:
        return
    for at, dose in _esketamine_doses(view):
        if dose > 0 and not dose % _DEVICE_MG and dose not in numbers["usual_mg"]:
            yield Found(at, {"dose": plain(dose)})


def first_esketamine_dose_high(view: View, numbers: Numbers) -> Iterator[Found]:
    """A course of esketamine begun at the higher dose, where the label begins with the lower."""
    given, session = _given(view), view.session
    if given is None or session is None or given.product != "esketamine" or given.reason is not None:
        return
    known = view.patient.course if view.patient is not None else None
    if known is not None and "mdd-si" in known.indications:
        return
    first = session.course.session_number == 1 or (
        session.course.session_number is None
        and not any(one.administration and one.administration.product == "esketamine" for one in view.earlier)
    )
    if first and _mg(given.dose) == numbers["dose_mg"]:
        yield Found(("administration", "dose", "value"))


def weight_missing(view: View, _: Numbers) -> Iterator[Found]:
    """A dose ordered per body weight, without the weight."""
    given, session = _given(view), view.session
    if given is not None and session is not None and _per_kg(given.ordered) and session.weight is None:
        yield Found(("weight",))


def weight_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A dose ordered per body weight, with a weight that nobody knows or took."""
    given, session = _given(view), view.session
    if given is None or session is None or not _per_kg(given.ordered):
        return
    if isinstance(session.weight, NotDone | Unknown):
        yield Found(("weight",))


def dose_differs_from_order(view: View, numbers: Numbers) -> Iterator[Found]:
    """A dose that is not the ordered one: by weight where it was ordered so, else as it stands."""
    given, session = _given(view), view.session
    if given is None or session is None or given.ordered is None or session.status != "completed":
        return
    dose, ordered = _mg(given.dose), given.ordered.normalised()
    expected: Decimal | None = ordered.value
    if ordered.unit == "mg/kg":
        weight = r.weight_kg(session)
        expected = ordered.value * weight if weight is not None else None
    if dose is None or not expected:
        return
    if abs(dose - expected) / expected * 100 > numbers["percent"]:
        words = {"dose": plain(dose), "expected": plain(expected.quantize(WEIGHT_PLACES))}
        yield Found(("administration", "dose", "value"), words)


def sprays_do_not_add_up(view: View, _: Numbers) -> Iterator[Found]:
    """Sprays that do not multiply to the dose, by dose or by volume and concentration."""
    given = _given(view)
    if given is None or given.sprays is None or given.product != "ketamine":
        return
    dose, each = _mg(given.dose), _mg(given.dose_per_spray)
    if dose is None:
        return
    if each is not None and given.sprays * each != dose:
        yield Found(("administration", "sprays"))
        return
    volume, strength = given.volume_per_spray, given.concentration
    if volume is None or strength is None or volume.unit != "mL" or strength.unit != "mg/mL":
        return
    if given.sprays * volume.value * strength.value != dose:
        yield Found(("administration", "sprays"))


def concentration_missing(view: View, _: Numbers) -> Iterator[Found]:
    """A ketamine spray without its concentration."""
    given = _given(view)
    if given is not None and (given.product, given.route) == ("ketamine", "intranasal") and given.concentration is None:
        yield Found(("administration", "concentration"))


def pounds_for_kilograms(view: View, numbers: Numbers) -> Iterator[Found]:
    """A weight that differs from the last one by the very factor between pounds and kilograms."""
    weight, last = r.weight_kg(view.session) if view.session is not None else None, view.last_weight()
    if weight is None or last is None:
        return
    near = Decimal(str(numbers["percent"])) / 100
    for factor, meant in ((1 / _POUND, weight * _POUND), (_POUND, weight / _POUND)):
        if abs(weight / last / factor - 1) <= near:
            shown = {"value": plain(weight), "meant": plain(meant.quantize(WEIGHT_PLACES)), "last": plain(last)}
            yield Found(("weight", "value"), shown)


def weight_jump(view: View, numbers: Numbers) -> Iterator[Found]:
    """A weight that differs much from one taken not long ago."""
    weight = r.weight_kg(view.session) if view.session is not None else None
    last = view.last_weight(int(numbers["days"]))
    if weight is not None and last is not None and abs(weight - last) / last * 100 > numbers["percent"]:
        yield Found(("weight", "value"), {"value": plain(weight), "last": plain(last)})


def stimulant_above_usual(view: View, numbers: Numbers) -> Iterator[Found]:
    """A stimulant above what is usually prescribed a day. Prescribers do exceed it, so it is only asked."""
    rows: list[Any] = []
    if view.session is not None:
        taken = r.medicines(view.session) or ()
        rows = [(("other_medications_taken", n), one) for n, one in enumerate(taken) if one.role == "stimulant"]
    elif view.change is not None and view.change.subject == "stimulant":
        sides = (("from", view.change.from_), ("to", view.change.to))
        rows = [((name,), one) for name, one in sides if isinstance(one, Regimen)]
    for at, one in rows:
        ceiling, dose = _ceiling(one.product, numbers["ceilings_mg"]), _mg(one.dose)
        times = numbers["times_a_day"].get((one.frequency or "").lower(), 1)
        if ceiling is not None and dose is not None and dose * times > ceiling:
            words = {"product": one.product, "daily": plain(dose * times), "ceiling": str(ceiling)}
            yield Found((*at, "dose", "value"), words)


def _ceiling(product: str, ceilings: Mapping[str, int]) -> int | None:
    """Return the usual ceiling of a product, mg a day; the most exact name wins."""
    names = [name for name in ceilings if name in folded(product)]
    return ceilings[max(names, key=len)] if names else None


DOSE_PREDICATES: Mapping[str, Predicate] = {
    one.__name__: one
    for one in (
        not_above_zero,
        impossible_route,
        unknown_clinic_drug,
        esketamine_per_weight,
        not_whole_devices,
        devices_do_not_add_up,
        unusual_esketamine_dose,
        first_esketamine_dose_high,
        weight_missing,
        weight_unknown,
        dose_differs_from_order,
        sprays_do_not_add_up,
        concentration_missing,
        pounds_for_kilograms,
        weight_jump,
        stimulant_above_usual,
    )
}
