"""What a row of the coordination rules may hold; a misspelt word there would switch a rule off in silence."""

from collections.abc import Collection, Mapping
from string import Formatter
from typing import Any, get_args

from coordinator.domain.errors import ConfigurationError
from coordinator.domain.events import DoseChange, SessionStatus
from coordinator.domain.plan import PRIORITIES
from coordinator.domain.registry import Audience
from coordinator.planning.conditions import check_tree
from coordinator.planning.facts import FACT_NAMES
from coordinator.planning.recipients import STIMULANT_PRESCRIBER
from coordinator.planning.rule_files import check_keys

RULE_KEYS = ("id", "version", "title", "applies_to", "thresholds", "when", "priority", "tells", "says", "requests")
RULE_PARTS = ("basis", "upgrades", "yields_to")
AUDIENCES = (*get_args(Audience), STIMULANT_PRESCRIBER)
DUE = frozenset({"business_days", "elapsed_hours", "days", "before_next_session"})

APPLIES: Mapping[str, Mapping[str, Collection[str]]] = {
    "session-outcome": {"statuses": get_args(SessionStatus)},
    "dose-change": {
        "subjects": get_args(DoseChange.model_fields["subject"].annotation),
        "kinds": get_args(DoseChange.model_fields["kind"].annotation),
    },
}
"""What says to which events a rule applies, by type of event, and the words that may stand there."""


def _check_applies(wanted: object, where: str) -> None:
    """Raise ConfigurationError unless a rule can apply: a status that no event has would switch it off in silence."""
    if isinstance(wanted, list) and wanted:
        for one in wanted:
            _check_applies(one, where)
        return
    event = wanted.get("event") if isinstance(wanted, Mapping) else None
    known = APPLIES.get(str(event))
    if known is None:
        raise ConfigurationError(f"{where}: it applies to no type of event")
    check_keys(f"{where}: applies_to", wanted, required=("event", *known))
    for key, words in known.items():
        named = wanted[key] if isinstance(wanted, Mapping) else ()
        if not isinstance(named, list) or not named or not set(named) <= set(words):
            raise ConfigurationError(f"{where}: it applies to {key} that no event has")


def check_rule(row: Mapping[str, Any], name: str) -> None:
    """Raise ConfigurationError unless a row is whole and names only what exists."""
    where = f"{name}: {row.get('id', 'a rule without id')}"
    check_keys(where, row, required=RULE_KEYS, optional=RULE_PARTS)
    _check_applies(row["applies_to"], where)
    check_tree(row["when"], FACT_NAMES, row["thresholds"], where)
    for upgrade in row.get("upgrades", ()):
        check_tree(upgrade["when"], FACT_NAMES, row["thresholds"], where)
    if any(one not in PRIORITIES for one in (row["priority"], *(up["to"] for up in row.get("upgrades", ())))):
        raise ConfigurationError(f"{where}: a priority is one of {', '.join(PRIORITIES)}")
    if not set(row["tells"]) <= set(AUDIENCES):
        raise ConfigurationError(f"{where}: it tells somebody who is no audience")
    texts = [row["says"]]
    for requests in (row["requests"], *(up.get("requests", {}) for up in row.get("upgrades", ()))):
        for audience, request in requests.items():
            if audience not in AUDIENCES:
                raise ConfigurationError(f"{where}: there is no audience {audience}")
            if not set(request.get("due", {})) <= DUE:
                raise ConfigurationError(f"{where}: a due time is one of {', '.join(sorted(DUE))}")
            texts.append(request["text"])
    for text in texts:
        if not placeholders(text) <= FACT_NAMES:
            raise ConfigurationError(f"{where}: a sentence names a fact that does not exist")


def placeholders(text: str) -> set[str]:
    """Return the names that a sentence leaves room for."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}
