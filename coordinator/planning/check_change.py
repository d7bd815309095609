"""Checks of a change of dose: whose drug it is, who decides, and whether the two sides fit the action."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from coordinator.domain.events import DoseChange, Regimen
from coordinator.domain.quantities import Quantity
from coordinator.domain.values import folded
from coordinator.planning.check_view import Found, Predicate, View
from coordinator.planning.statements import PRESCRIBED, Statement

Numbers = Mapping[str, Any]


def hold_without_end(view: View, _: Numbers) -> Iterator[Found]:
    """A hold that does not say how it ends."""
    if view.change is not None and view.change.action == "hold" and view.change.resume_when is None:
        yield Found(("resume_when",))


def stimulant_ordered_by_clinic(view: View, _: Numbers) -> Iterator[Found]:
    """A stimulant ordered or changed by the clinic: only its prescriber decides."""
    change = view.change
    if change is not None and change.subject == "stimulant" and change.kind in ("performed", "ordered"):
        yield Found(("kind",))


def other_not_reported(view: View, _: Numbers) -> Iterator[Found]:
    """A change of another medicine that nobody reported: no letter asks for one, and the clinic decides none."""
    change = view.change
    if change is not None and change.subject == "other" and not change.kind.startswith("reported-"):
        yield Found(("kind",))


def own_drug_requested(view: View, _: Numbers) -> Iterator[Found]:
    """The clinic's own drug asked of somebody else: the clinic decides it."""
    change = view.change
    if change is not None and change.subject == "clinic-drug" and change.kind == "requested-of-prescriber":
        yield Found(("kind",))


def nobody_decided(view: View, _: Numbers) -> Iterator[Found]:
    """A change that the clinic made, without who decided it."""
    change = view.change
    if change is not None and change.kind in ("performed", "ordered") and change.decided_by is None:
        yield Found(("decided_by",))


def nobody_asked(view: View, _: Numbers) -> Iterator[Found]:
    """A request of a prescriber that does not say of whom."""
    change = view.change
    if change is not None and change.kind == "requested-of-prescriber" and change.requested_of is None:
        yield Found(("requested_of",))


def asked_outside_care_team(view: View, _: Numbers) -> Iterator[Found]:
    """A request of somebody who does not take part in the patient's care."""
    change, patient = view.change, view.patient
    if change is None or patient is None or change.requested_of is None:
        return
    if view.registry.provider(change.requested_of) is None:
        return
    team = [one for one in patient.care_team if one.provider == change.requested_of]
    if not any(one.from_ <= view.day and (one.to is None or view.day <= one.to) for one in team):
        yield Found(("requested_of",))


def new_regimen_missing(view: View, numbers: Numbers) -> Iterator[Found]:
    """A change towards something that is not said."""
    change = view.change
    if change is not None and change.action in numbers["actions"] and change.to is None:
        yield Found(("to",))


def new_regimen_with_stop(view: View, numbers: Numbers) -> Iterator[Found]:
    """A hold or a stop that also says a new dose."""
    change = view.change
    if change is not None and change.action in numbers["actions"] and isinstance(change.to, Regimen):
        yield Found(("to",))


def _sides(change: DoseChange | None) -> tuple[Regimen, Regimen] | None:
    if change is None or not isinstance(change.from_, Regimen) or not isinstance(change.to, Regimen):
        return None
    return change.from_, change.to


def switch_called_otherwise(view: View, _: Numbers) -> Iterator[Found]:
    """Two products whose doses cannot be compared, under an action that compares them."""
    sides, change = _sides(view.change), view.change
    if sides is None or change is None or change.action == "switch":
        return
    if folded(sides[0].product) != folded(sides[1].product):
        yield Found(("action",))


def switch_to_the_same(view: View, _: Numbers) -> Iterator[Found]:
    """A switch from a product to itself."""
    sides, change = _sides(view.change), view.change
    if sides is None or change is None or change.action != "switch":
        return
    was, now = sides
    if (folded(was.product), was.route, was.form) == (folded(now.product), now.route, now.form):
        yield Found(("action",))


def direction_wrong(view: View, _: Numbers) -> Iterator[Found]:
    """An increase that does not rise, a decrease that does not fall, or an unchanged dose that changed."""
    change, doses = view.change, _daily(view.change)
    if change is None or doses is None:
        return
    was, now = doses
    wrong = {"increase": now <= was, "decrease": now >= was, "unchanged": now != was}
    if wrong.get(change.action, False):
        yield Found(("action",))


def units_not_comparable(view: View, _: Numbers) -> Iterator[Found]:
    """Two doses in units that cannot be compared, where the action compares them."""
    change, sides = view.change, _sides(view.change)
    if change is None or sides is None or change.action not in ("increase", "decrease"):
        return
    was, now = sides[0].dose, sides[1].dose
    if isinstance(was, Quantity) and isinstance(now, Quantity) and was.normalised().unit != now.normalised().unit:
        yield Found(("to", "dose", "unit"))


def _daily(change: DoseChange | None) -> tuple[Decimal, Decimal] | None:
    """Return the two doses when they can be compared as they stand: same product, form, rhythm and unit."""
    sides = _sides(change)
    if sides is None:
        return None
    was, now = sides
    if not isinstance(was.dose, Quantity) or not isinstance(now.dose, Quantity):
        return None
    one, other = was.dose.normalised(), now.dose.normalised()
    same = (folded(was.product), was.form, was.frequency) == (folded(now.product), now.form, now.frequency)
    return (one.value, other.value) if same and one.unit == other.unit else None


def ends_before_it_begins(view: View, _: Numbers) -> Iterator[Found]:
    """A change that ends before it begins."""
    change = view.change
    if change is not None and change.effective_to is not None and change.effective_to < change.effective_from:
        yield Found(("effective_to",))


def stimulant_statements_differ(view: View, _: Numbers) -> Iterator[Found]:
    """A request that quotes a stimulant's dose while prescriber or pharmacy state another one."""
    change, patient = view.change, view.patient
    if change is None or patient is None or change.subject != "stimulant":
        return
    was = change.from_
    if change.kind != "requested-of-prescriber" or not isinstance(was, Regimen):
        return
    told = [one for one in patient.medications if one.role == "stimulant" and one.source in PRESCRIBED]
    newest = max(told, key=lambda one: one.as_of, default=None)
    if newest is None:
        return
    ours = Statement(was.product, was.form, was.dose, was.frequency, was.as_of or view.day, was.source)
    theirs = Statement(newest.product, newest.form, newest.dose, newest.frequency, newest.as_of, newest.source)
    if folded(ours.product) != folded(theirs.product) or ours.differs_from(theirs):
        as_of = f"{theirs.as_of.day} {theirs.as_of:%B %Y}"
        yield Found(("from",), {"ours": str(ours), "theirs": str(theirs), "as_of": as_of})


CHANGE_PREDICATES: Mapping[str, Predicate] = {
    one.__name__: one
    for one in (
        hold_without_end,
        stimulant_ordered_by_clinic,
        other_not_reported,
        own_drug_requested,
        nobody_decided,
        nobody_asked,
        asked_outside_care_team,
        new_regimen_missing,
        new_regimen_with_stop,
        switch_called_otherwise,
        switch_to_the_same,
        direction_wrong,
        units_not_comparable,
        ends_before_it_begins,
        stimulant_statements_differ,
    )
}
