"""Synthetic cases for the mapping tests: the public examples, with anything changed by name."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain.case import Case, SentLetter
from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import EVENT
from coordinator.domain.letter import FhirContent, Letter
from coordinator.domain.plan import ChannelChoice, Plan, RecipientPlan, Request
from coordinator.domain.registry import Registry
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings, load

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs" / "examples"
PDF = b"%PDF-1.7 a letter"
COMPOSED_AT = datetime.fromisoformat("2026-10-14T18:10:00+00:00")
DUE_AT = datetime.fromisoformat("2026-10-16T17:00:00-05:00")


def read_json(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def example(name: str) -> dict[str, Any]:
    return read_json((EXAMPLES / f"{name}.json").read_text())


def a_case(event: dict[str, Any], *, clinic: dict[str, Any] | None = None, **more: Any) -> Case:
    registry = Registry.model_validate(clinic or example("clinic"))
    return Case("charting", EVENT.validate_python(event), registry, (), COMPOSED_AT, **more)


def a_letter(kind: str = "L4", provider: str = "pr-psych", **more: Any) -> Letter:
    fields: dict[str, Any] = {
        "kind": kind,
        "provider": provider,
        "title": "About the stimulant on treatment days",
        "subject": "A letter from your colleague",
        "reference": "AAAA-BBBB-CCCC",
        "version": 1,
        "language": "en-US",
        "html": "<p>words</p>",
        "text": "words",
        "pdf": PDF,
        "template_version": "1",
        "type_code": "consult-note",
    }
    return Letter(**{**fields, **more})


def a_recipient(provider: str = "pr-psych", *, requests: tuple[Request, ...] = (), **more: Any) -> RecipientPlan:
    fields: dict[str, Any] = {
        "provider": provider,
        "audience": "psychiatrist",
        "consent": ConsentDecision("permit", "consent", "cn-1", 1),
        "priority": "routine",
        "letters": ("L1",),
        "requests": requests,
        "channels": (ChannelChoice("ep-psych-fhir", "fhir-rest"),),
    }
    return RecipientPlan(**{**fields, **more})


A_REQUEST = Request("Please hold the stimulant on the morning of each session.", "R3", DUE_AT, "suspend")


def a_plan(*recipients: RecipientPlan) -> Plan:
    return Plan("event", 1, (), (), recipients, "session:1")


def sent(kind: str = "L4", version: int = 1, provider: str = "pr-psych") -> SentLetter:
    return SentLetter(provider, kind, version, COMPOSED_AT, ())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Content:
    """The bodies of one recipient, read back from their bytes."""

    contents: tuple[FhirContent, ...]

    def body(self, level: str) -> dict[str, Any]:
        return next(read_json(one.body.decode()) for one in self.contents if one.level == level)

    def all(self, kind: str, level: str = "chart") -> list[dict[str, Any]]:
        entries = self.body(level)["entry"]
        return [one["resource"] for one in entries if one["resource"]["resourceType"] == kind]

    def one(self, kind: str, level: str = "chart") -> dict[str, Any]:
        found = self.all(kind, level)
        assert len(found) == 1, f"{len(found)} {kind}"
        return found[0]

    def observation(self, code: str) -> list[dict[str, Any]]:
        return [
            one for one in self.all("Observation") if code in [item["code"] for item in one["code"].get("coding", [])]
        ]

    def requests(self) -> dict[str, dict[str, Any]]:
        return {one["fullUrl"]: one["request"] for one in self.body("chart")["entry"]}


@pytest.fixture(scope="session")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


Make = Callable[..., Content]


@pytest.fixture(scope="session")
def make(mappings: Mappings) -> Make:
    """Build the content of an event for the psychiatrist (or another recipient) at some levels."""

    def build(
        event: dict[str, Any],
        *levels: str,
        letters: tuple[Letter, ...] | None = None,
        recipient: RecipientPlan | None = None,
        **more: Any,
    ) -> Content:
        who = recipient or a_recipient()
        case = a_case(event, **more)
        mine = (a_letter(provider=who.provider),) if letters is None else letters
        wanted = frozenset(levels or ("chart",))
        return Content(build_content(mappings, case, a_plan(who), who, mine, wanted))  # type: ignore[arg-type]

    return build
