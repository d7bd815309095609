"""Composing, made cheap: the real plan, and letters and bodies of a few bytes in place of the real ones.

The state machine is what is simulated; letters and mappings have their own tests.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from coordinator.domain.case import Case
from coordinator.domain.letter import FhirContent, Letter
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.flow import backfill, deliver, digest, prepare
from coordinator.flow.compose import Composed, ForRecipient
from coordinator.planning.plan import make_plan


def tiny(_workshop: Any, case: Case, _plan: Plan, recipient: RecipientPlan, **_: Any) -> ForRecipient:
    """Return a letter and a body that name the message, and nothing else."""
    name = f"{case.event.id} v{case.event.version} to {recipient.provider}"
    kind = recipient.letters[0] if recipient.letters else "L1"
    letter = Letter(
        kind=kind,
        provider=recipient.provider,
        title="Letter",
        subject="Letter",
        reference="ref",
        version=case.event.version,
        language="en",
        html=name,
        text=name,
        pdf=name.encode(),
        template_version="0",
        type_code="letter",
        cover_pdf=name.encode(),
    )
    body = FhirContent("document", json.dumps({"name": name}).encode(), "Bundle", {})
    return ForRecipient(recipient, (letter,) if recipient.letters else (), (body,))


def tiny_compose(workshop: Any, case: Case) -> Composed:
    """Return what `flow.compose.compose` would, with `tiny` contents."""
    plan = make_plan(case, workshop.rules, ())
    nothing = {one.provider: ForRecipient(one, (), ()) for one in plan.recipients if one.not_sent_because is not None}
    made = (nothing.get(one.provider) or tiny(workshop, case, plan, one) for one in plan.recipients)
    return Composed(case, plan, tuple(made))


@contextmanager
def cheap_composing() -> Iterator[None]:
    """Compose with `tiny` contents inside the block, wherever the flow composes."""
    cheap = {"compose": tiny_compose, "compose_for": tiny}
    with ExitStack() as stack:
        for module in (prepare, digest, backfill):
            for name, made in cheap.items():
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, made))
        # A copy's cover page is a letter too.
        stack.enter_context(patch.object(deliver, "with_new_cover", lambda _parts, package, _now: package))
        yield
