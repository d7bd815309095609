"""What is stated about the stimulant, by whom, as of when; and whether the statements differ.

The prescriber's side (the prescriber, a pharmacy) says what is prescribed, the
patient's side (patient, family, label, the clinic) what is taken. Neither is ever
overwritten or averaged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from coordinator.domain.events import Source
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import Patient
from coordinator.domain.values import Unknown, folded

PRESCRIBED: frozenset[Source] = frozenset({"prescriber", "pharmacy"})
STALE_AFTER = timedelta(days=90)
"""A statement older than this settles nothing and contradicts nothing."""


@dataclass(frozen=True)
class Statement:
    """One party's word on one product, on a day."""

    product: str
    form: str | None
    dose: Quantity | Unknown
    frequency: str | None
    as_of: date
    source: Source | None

    def __str__(self) -> str:
        dose = str(self.dose) if isinstance(self.dose, Quantity) else "an unknown dose"
        return " ".join(part for part in (self.product, dose, self.frequency) if part)

    def differs_from(self, other: "Statement") -> bool:
        """Whether two statements differ in form, dose or rhythm; what one leaves open is no difference.

        The same daily total in another form or rhythm is a difference.
        """
        if self.form and other.form and self.form != other.form:
            return True
        if self.frequency and other.frequency and self.frequency.lower() != other.frequency.lower():
            return True
        if not isinstance(self.dose, Quantity) or not isinstance(other.dose, Quantity):
            return False
        return self.dose.normalised() != other.dose.normalised()


@dataclass(frozen=True)
class Discrepancy:
    """Two sides that state different regimens."""

    ours: str
    theirs: str
    since: date
    """The day of the newest statement among them: before it there was nothing to ask."""


def discrepancy(patient: Patient, day: date) -> Discrepancy | None:
    """Return how the two sides differ about the stimulant on a day, by the registry's statements, or None.

    When one side says nothing there is nothing to compare, which is no difference.
    """
    every = [
        Statement(one.product, one.form, one.dose, one.frequency, one.as_of, one.source)
        for one in patient.medications
        if one.role == "stimulant" and one.as_of <= day and day - one.as_of <= STALE_AFTER
    ]
    theirs = _newest(one for one in every if one.source in PRESCRIBED)
    ours = _newest(one for one in every if one.source not in PRESCRIBED)
    if not theirs or not ours:
        return None
    if theirs.keys() == ours.keys() and not any(ours[name].differs_from(theirs[name]) for name in ours):
        return None
    since = max(one.as_of for one in (*theirs.values(), *ours.values()))
    return Discrepancy(_listed(ours.values()), _listed(theirs.values()), since)


def _newest(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Return the newest statement on each product."""
    found: dict[str, Statement] = {}
    for one in sorted(statements, key=lambda one: one.as_of):
        found[folded(one.product)] = one
    return found


def _listed(statements: Iterable[Statement]) -> str:
    return " and ".join(str(one) for one in statements)
