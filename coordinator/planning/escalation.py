"""Who is called next when nobody answers, and after how long: data of the clinic, checked when it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from coordinator.domain.errors import ConfigurationError
from coordinator.domain.plan import PRIORITIES
from coordinator.planning.rule_files import check_keys, read_table

ContactRole = Literal["second", "covering"]


@dataclass(frozen=True)
class Step:
    """One step: the cause of its call, whom it goes to, and the wait after the call before fell due."""

    cause: str
    contact: ContactRole
    after: Mapping[str, timedelta]


@dataclass(frozen=True)
class Escalation:
    """The steps in their order; none means that only the first call is ever raised."""

    steps: tuple[Step, ...] = ()

    def after(self, cause: str) -> Step | None:
        """Return the step that follows a call of that cause; None when it was the last."""
        names = [one.cause for one in self.steps]
        place = names.index(cause) + 1 if cause in names else 0
        return self.steps[place] if place < len(self.steps) else None

    def contact_of(self, cause: str) -> ContactRole | None:
        """Return whom a call of that cause goes to; None is the provider."""
        return next((one.contact for one in self.steps if one.cause == cause), None)


def load_escalation(path: Path) -> Escalation:
    """Return the steps of a file; raise ConfigurationError when one lacks a part or a priority."""
    steps = []
    for row in read_table(path, ("version", "steps"))["steps"] or ():
        check_keys(f"{path.name}: a step", row, required=("cause", "contact", "after_minutes"))
        try:
            named = row["after_minutes"]
            waits: dict[str, timedelta] = {name: timedelta(minutes=float(named[name])) for name in PRIORITIES}
            step = Step(str(row["cause"]), row["contact"], waits)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ConfigurationError(f"{path.name}: a step needs cause, contact and a wait per priority") from wrong
        if step.contact not in get_args(ContactRole):
            raise ConfigurationError(f"{path.name}: {step.cause} names a contact that nobody has")
        steps.append(step)
    return Escalation(tuple(steps))
