"""Synthetic cases that previews and golden letters are made from."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from coordinator.domain.case import Case, ClinicEvent, SentLetter
from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import EVENT, SessionOutcome
from coordinator.domain.plan import Plan, RecipientPlan, Request, RuleOutcome
from coordinator.domain.registry import Audience, Registry
from coordinator.letters.lexicon import read_yaml

COMPOSED_AFTER = timedelta(minutes=2)
"""A sample is written two minutes after its record, so that it comes out the same every time."""


@dataclass(frozen=True)
class Sample:
    """A case with the decision about it; `recipients` maps an audience to its part of the plan."""

    name: str
    case: Case
    plan: Plan
    recipients: dict[Audience, RecipientPlan]


@dataclass(frozen=True)
class Samples:
    """The samples folder."""

    folder: Path

    @cached_property
    def _data(self) -> dict[str, Any]:
        return read_yaml(self.folder / "samples.yaml")

    def names(self) -> tuple[str, ...]:
        """Return the names of all samples, in the order of the file."""
        return tuple(self._data["samples"])

    def sample(self, name: str) -> Sample:
        """Return one sample. An unknown name raises KeyError."""
        row: dict[str, Any] = self._data["samples"][name]
        event = self._event(row["event"])
        history = tuple(self._event(one) for one in row.get("history", ()))
        sessions = tuple(one for one in (*history, event) if isinstance(one, SessionOutcome))
        providers: dict[str, str] = self._data["providers"]
        recipients = {
            audience: _recipient(row, audience, providers[audience])
            for audience in cast("dict[Audience, Any]", row["letters"])
        }
        case = Case(
            source="sample",
            event=event,
            registry=self._registry(row.get("registry_change", {})),
            history=history,
            others=history,
            composed_at=event.recorded_at + COMPOSED_AFTER,
            previous=self._event(row["previous"]) if "previous" in row else None,
            already_sent=tuple(_sent(providers[audience], one) for audience, one in row.get("sent", {}).items()),
            digest_of=sessions if row.get("digest") else (),
        )
        plan = Plan(
            event_id=event.id,
            event_version=event.version,
            questions=(),
            rules=tuple(_rule(one) for one in row.get("rules", ())),
            recipients=(*recipients.values(), *(_copied(row, one) for one in row.get("copied", ()))),
            lane_subject="sample",
        )
        return Sample(name, case, plan, recipients)

    def _registry(self, change: dict[str, Any]) -> Registry:
        data = json.loads((self.folder / self._data["registry"]).read_text(encoding="utf-8"))
        return Registry.model_validate_json(json.dumps(merged(data, change)))

    def _event(self, row: dict[str, Any]) -> ClinicEvent:
        data = json.loads((self.folder / "events" / f"{row['file']}.json").read_text(encoding="utf-8"))
        return EVENT.validate_json(json.dumps(merged(data, row.get("change", {}))))


def merged(base: object, change: object) -> object:
    """Return `base` with `change` laid over it: tables part by part, a list of tables item by item, null removes.

    A list that is empty, of another length, or of plain values replaces the whole list.
    """
    if isinstance(base, dict) and isinstance(change, dict) and not {"unknown", "not_done"} & change.keys():
        whole = {**base, **{key: merged(base.get(key), value) for key, value in change.items()}}
        return {key: value for key, value in whole.items() if value is not None or key not in change}
    if not (isinstance(base, list) and isinstance(change, list)) or len(base) != len(change):
        return change
    rows = [merged(old, new) for old, new in zip(base, change, strict=True)]
    return rows if all(isinstance(one, dict) for one in change) else change


def _recipient(row: dict[str, Any], audience: Audience, provider: str) -> RecipientPlan:
    return RecipientPlan(
        provider=provider,
        audience=audience,
        consent=ConsentDecision("permit", "consent", row.get("consents", {}).get(audience, "cn-1"), 1),
        priority=row.get("priority", "routine"),
        letters=tuple(row["letters"][audience]),
        requests=tuple(_request(one) for one in row.get("asks", {}).get(audience, ())),
        channels=(),
        phone_call=row.get("phone_call", False),
    )


def _copied(row: dict[str, Any], provider: str) -> RecipientPlan:
    """Return somebody else who gets a letter, so that a letter names more than one copy."""
    first = next(iter(row["letters"]))
    return replace(_recipient(row, cast("Audience", first), provider), requests=())


def _request(one: dict[str, Any]) -> Request:
    due = one.get("due_at")
    return Request(
        text=one["text"],
        rule=one.get("rule"),
        due_at=datetime.fromisoformat(due) if due else None,
        action=one.get("action", "review"),
    )


def _rule(one: dict[str, Any]) -> RuleOutcome:
    return RuleOutcome(
        id=one["id"],
        fired=True,
        state="evaluated",
        priority=one["priority"],
        inputs={},
        thresholds=one["thresholds"],
        why="",
        title=one["title"],
    )


def _sent(provider: str, one: dict[str, Any]) -> SentLetter:
    return SentLetter(
        provider=provider,
        kind=one["kind"],
        version=one["version"],
        sent_at=datetime.fromisoformat(one["sent_at"]),
        requests=tuple(one["requests"]),
    )
