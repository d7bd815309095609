"""Which letter of a message asks what: each request stands once, in the letter that is about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.domain.plan import RecipientPlan, Request, RuleOutcome
from coordinator.letters.brief import Brief


@dataclass(frozen=True)
class Share:
    """A letter's share of a message: its requests, as places in the plan; whether it is urgent; whether it leads."""

    requests: tuple[int, ...]
    urgent: bool
    leads: bool


NOTHING = Share(requests=(), urgent=False, leads=True)


def shares(brief: Brief, questions: Sequence[bool]) -> tuple[Share, ...]:
    """Return the share of each letter of one message, in order. `questions`: whether each is the question (L12).

    The question has the requests for an answer, the first of the other letters has the rest.
    A letter alone has them all.
    """
    plan = brief.recipient
    every = tuple(range(len(plan.requests)))
    urgent = plan.priority != "routine"
    if len(questions) < 2 or not any(questions):
        return tuple(Share(every if place == 0 else (), urgent, place == 0) for place in range(len(questions)))
    answers = tuple(index for index in every if plan.requests[index].action == "answer")
    rest = tuple(index for index in every if index not in answers)
    first = questions.index(False)
    return tuple(
        Share(answers, urgent and _is_urgent(brief, plan, answers), leads=False)
        if question
        else Share(rest if place == first else (), urgent, leads=place == first)
        for place, question in enumerate(questions)
    )


def _is_urgent(brief: Brief, plan: RecipientPlan, places: Sequence[int]) -> bool:
    """Return whether any of these requests is urgent by its own rule; one of an unknown rule counts as urgent."""
    fired = {one.id: one for one in brief.plan.rules}
    return any(_rule_is_urgent(plan.requests[index], fired.get(plan.requests[index].rule or "")) for index in places)


def _rule_is_urgent(request: Request, rule: RuleOutcome | None) -> bool:
    return request.rule is None or rule is None or (rule.priority or "routine") != "routine"
