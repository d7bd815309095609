"""Conditions of the coordination rules: a small tree over named facts that answers yes, no or cannot tell.

A fact that is missing never counts as no. Cannot-tell spreads as in Kleene's
logic: `all` is no as soon as one part is no, `any` is yes as soon as one part is yes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from coordinator.domain.errors import ConfigurationError

Value = bool | int | Decimal | str | tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """One thing known about the case, or why it is not known.

    `value` None: not known, and `missing` says why in half a sentence. A value
    together with `missing` is a lower bound: it is at least this, and may be more.
    """

    value: Value | None
    missing: str | None = None


Facts = Mapping[str, Fact]


@dataclass(frozen=True)
class Answer:
    """Yes (True), no (False) or cannot tell (None, with what is missing)."""

    holds: bool | None
    missing: tuple[str, ...] = ()


_YES, _NO = Answer(True), Answer(False)
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "at_least": lambda left, right: left >= right,
    "above": lambda left, right: left > right,
    "at_most": lambda left, right: left <= right,
    "below": lambda left, right: left < right,
    "equals": lambda left, right: left == right,
    "one_of": lambda left, right: left in right,
    "mentions": lambda left, right: any(word in text for text in left for word in right),
}
"""`mentions`: any of the words occurs in any of the texts; both are lower case."""
_RISING = frozenset({"at_least", "above"})


def holds(tree: Mapping[str, Any], facts: Facts, thresholds: Mapping[str, Any]) -> Answer:
    """Return whether the condition holds for the facts."""
    ((name, body),) = tree.items()
    if name == "all":
        return _all([holds(one, facts, thresholds) for one in body])
    if name == "any":
        return _any([holds(one, facts, thresholds) for one in body])
    if name == "not":
        inner = holds(body, facts, thresholds)
        return inner if inner.holds is None else Answer(not inner.holds)
    if name == "true":
        return _compare("equals", facts[body], True)
    if name == "known":
        return Answer(facts[body].value is not None)
    fact, threshold = body
    return _compare(name, facts[fact], thresholds[threshold])


def _compare(name: str, fact: Fact, right: object) -> Answer:
    if fact.value is None:
        return Answer(None, (fact.missing or "a value is missing",))
    wanted = tuple(right) if isinstance(right, list) else right
    if COMPARISONS[name](fact.value, wanted):
        # A lower bound that passes a rising comparison passes for the full value too.
        return _YES if fact.missing is None or name in _RISING else Answer(None, (fact.missing,))
    return _NO if fact.missing is None else Answer(None, (fact.missing,))


def _all(parts: Sequence[Answer]) -> Answer:
    if any(one.holds is False for one in parts):
        return _NO
    missing = tuple(dict.fromkeys(text for one in parts for text in one.missing))
    return Answer(None, missing) if missing or any(one.holds is None for one in parts) else _YES


def _any(parts: Sequence[Answer]) -> Answer:
    if any(one.holds for one in parts):
        return _YES
    missing = tuple(dict.fromkeys(text for one in parts for text in one.missing))
    return Answer(None, missing) if missing or any(one.holds is None for one in parts) else _NO


def check_tree(tree: object, names: frozenset[str], thresholds: Mapping[str, Any], where: str) -> None:
    """Raise ConfigurationError unless the condition is well formed and names only what exists."""
    if not isinstance(tree, Mapping) or len(tree) != 1:
        raise ConfigurationError(f"{where}: a condition has exactly one operator")
    ((name, body),) = tree.items()
    if name in ("all", "any"):
        if not isinstance(body, list) or not body:
            raise ConfigurationError(f"{where}: {name} needs a list of conditions")
        for one in body:
            check_tree(one, names, thresholds, where)
    elif name == "not":
        check_tree(body, names, thresholds, where)
    elif name in ("true", "known"):
        if body not in names:
            raise ConfigurationError(f"{where}: there is no fact {body}")
    elif name in COMPARISONS:
        if not isinstance(body, list) or len(body) != 2 or body[0] not in names or body[1] not in thresholds:
            raise ConfigurationError(f"{where}: {name} needs a fact that exists and a threshold of this rule")
    else:
        raise ConfigurationError(f"{where}: there is no operator {name}")


def names_in(tree: Mapping[str, Any]) -> frozenset[str]:
    """Return the facts that a condition looks at."""
    ((name, body),) = tree.items()
    if name in ("all", "any"):
        return frozenset().union(*(names_in(one) for one in body))
    if name == "not":
        return names_in(body)
    return frozenset({body if isinstance(body, str) else body[0]})
