"""Synthetic events and the shipped tables, for the tests of planning."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain.case import Case, ClinicEvent, SentLetter
from coordinator.domain.plan import Fault, Plan, Question
from coordinator.domain.registry import Registry
from coordinator.planning.checks import CheckBook, check, load_checks
from coordinator.planning.plan import make_plan
from coordinator.planning.reading import read_event, read_registry
from coordinator.planning.rules import RuleBook, load_rules

ROOT = Path(__file__).parents[3]
RULES = ROOT / "mappings" / "rules"
EXAMPLES = ROOT / "docs" / "examples"
RECEIVED_AT = datetime(2026, 11, 1, tzinfo=UTC)
GONE = object()

CALM = [
    ("baseline", "09:50", 124, 78, 72),
    ("20-min", "10:20", 132, 82, 78),
    ("40-min", "10:40", 138, 84, 82),
    ("60-min", "11:00", 130, 80, 80),
    ("discharge", "12:00", 122, 76, 74),
]


def vitals(rows: Any, day: str = "2026-10-14") -> list[dict[str, Any]]:
    return [
        {"slot": slot, "at": f"{day}T{at}:00-05:00", "systolic": sys, "diastolic": dia, "heart_rate": rate, "spo2": 98}
        for slot, at, sys, dia, rate in rows
    ]


def changed(value: Any, changes: Mapping[str, Any]) -> Any:
    """Return a copy with the value at each JSON pointer replaced, or taken away for GONE."""
    made = copy.deepcopy(value)
    for where, new in changes.items():
        *steps, last = where.split("/")[1:]
        here = made
        for step in steps:
            here = here[int(step)] if isinstance(here, list) else here[step]
        key = int(last) if isinstance(here, list) and last != "-" else last
        if new is GONE:
            del here[key]
        elif key == "-":
            here.append(new)
        else:
            here[key] = new
    return made


def on_day(value: Any, day: str) -> Any:
    """Return the session with every time moved to another day."""
    return json.loads(json.dumps(value).replace("2026-10-14", day))


@dataclass(frozen=True)
class Desk:
    """What a test works with: builders, the shipped tables, and the three steps."""

    checks: CheckBook
    rules: RuleBook
    clinic: dict[str, Any]
    gone: object = GONE

    def session(self, changes: Mapping[str, Any] | None = None, *, day: str = "2026-10-14") -> dict[str, Any]:
        base = json.loads((EXAMPLES / "session-outcome.bp-spike.json").read_text())
        base["vitals"] = vitals(CALM)
        return changed(on_day(base, day), changes or {})

    def esketamine(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        base = json.loads((EXAMPLES / "session-outcome.esketamine.json").read_text())
        base["other_medications_taken"] = []
        return changed(base, changes or {})

    def hold(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return changed(json.loads((EXAMPLES / "dose-change.stimulant-hold.json").read_text()), changes or {})

    def dose_change(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return changed(json.loads((EXAMPLES / "dose-change.ketamine.json").read_text()), changes or {})

    def example(self, name: str) -> ClinicEvent:
        return read_event((EXAMPLES / name).read_bytes())

    def read(self, value: Any) -> ClinicEvent:
        return read_event(json.dumps(value).encode())

    def registry(self, changes: Mapping[str, Any] | None = None) -> Registry:
        return read_registry(json.dumps(changed(self.clinic, changes or {})).encode())

    def check(
        self,
        value: Any,
        *,
        history: tuple[Any, ...] = (),
        registry: Registry | None = None,
        received_at: datetime = RECEIVED_AT,
        previous: Any = None,
    ) -> tuple[tuple[Fault, ...], tuple[Question, ...]]:
        events = tuple(self.read(one) for one in history)
        return check(
            self.checks,
            self.read(value),
            registry or self.registry(),
            events,
            received_at,
            None if previous is None else self.read(previous),
        )

    def case(
        self,
        value: Any,
        *,
        history: tuple[Any, ...] = (),
        registry: Registry | None = None,
        previous: Any = None,
        already_sent: tuple[SentLetter, ...] = (),
        at: datetime | None = None,
    ) -> Case:
        event = self.read(value)
        return Case(
            source="charting",
            event=event,
            registry=registry or self.registry(),
            history=tuple(self.read(one) for one in history),
            composed_at=at or event.recorded_at,
            previous=None if previous is None else self.read(previous),
            already_sent=already_sent,
        )

    def plan(self, value: Any, **around: Any) -> Plan:
        return make_plan(self.case(value, **around), self.rules, ())


@pytest.fixture(scope="session")
def desk() -> Desk:
    return Desk(
        checks=load_checks(RULES, ROOT / "mappings" / "instruments"),
        rules=load_rules(
            RULES / "coordination.yaml", RULES / "signatures.demonstration.yaml", accept_demonstration=True
        ),
        clinic=json.loads((EXAMPLES / "clinic.json").read_text()),
    )


@pytest.fixture(scope="session")
def rules_dir() -> Path:
    return RULES


@pytest.fixture(scope="session")
def examples() -> Path:
    return EXAMPLES


Build = Callable[..., dict[str, Any]]
