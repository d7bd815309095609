"""Composing that costs nothing: every message gets one and the same real chart, made once, and no letter."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

from coordinator.bootstrap import workshop
from coordinator.domain.case import Case
from coordinator.domain.letter import FhirContent
from coordinator.flow import prepare
from coordinator.flow.compose import Composed, ForRecipient
from coordinator.mapping.content import build_content
from coordinator.planning.plan import make_plan
from coordinator.settings import Settings, shipped
from tests.conformance.events import cases, plan, recipient


@cache
def chart() -> FhirContent:
    """Return the chart of a session with a blood-pressure spike: 65 KB, gated, without a letter in it."""
    signatures = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
    tools = workshop(Settings(rule_signatures=signatures, accept_demonstration_rules=True))
    case, who = cases()["spike"], recipient("pr-psych")
    return build_content(tools.mappings, case, plan(who), who, (), frozenset({"chart"}))[0]


def compose(workshop: Any, case: Case) -> Composed:
    """Return what `flow.compose.compose` would, with the one chart as contents and no letters."""
    made = make_plan(case, workshop.rules, ())
    told = [(one, () if one.not_sent_because is not None else (chart(),)) for one in made.recipients]
    return Composed(case, made, tuple(ForRecipient(one, (), contents) for one, contents in told))


@contextmanager
def bodies_only() -> Iterator[None]:
    """Compose so inside the block."""
    chart()
    with patch.object(prepare, "compose", compose):
        yield
