"""The coordination rules: signed rows of data, and what each makes of a case.

A row that nobody signed, or whose words or numbers changed since, is off; so is one
with a threshold left open. Off is reported, never silent.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml

from coordinator.domain.case import Case
from coordinator.domain.errors import ConfigurationError
from coordinator.domain.events import SessionOutcome
from coordinator.domain.plan import Priority, RuleOutcome
from coordinator.domain.quantities import plain
from coordinator.planning.conditions import Facts, holds, names_in
from coordinator.planning.facts import facts_of
from coordinator.planning.rule_files import read_table, rows_of
from coordinator.planning.rule_rows import check_rule, placeholders

_State = Literal["evaluated", "could-not-evaluate", "off", "not-applicable"]


@dataclass(frozen=True)
class Signature:
    """Who answers for a rule: name and licence, on which day, for exactly which row (digest)."""

    rule: str
    version: int
    digest: str
    name: str
    licence: str
    signed_on: date
    demonstration: bool


@dataclass(frozen=True)
class Asked:
    """A request as the rules file has it: wording with placeholders, and how its due time is reckoned."""

    text: str
    action: str
    due: Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One row of the rules file."""

    row: Mapping[str, Any]
    digest: str
    signature: Signature | None

    @property
    def id(self) -> str:
        """The rule's number, such as R3."""
        return str(self.row["id"])

    @cached_property
    def looks_at(self) -> tuple[str, ...]:
        """The facts that it looks at or speaks of, by name."""
        names = set(names_in(self.row["when"])) | placeholders(self.row["says"])
        for upgrade in self.row.get("upgrades", ()):
            names |= names_in(upgrade["when"])
        return tuple(sorted(names))

    @property
    def tells(self) -> tuple[str, ...]:
        """The audiences that are told when it fires, whether or not something is asked of them."""
        return tuple(self.row["tells"])

    @property
    def yields_to(self) -> tuple[str, ...]:
        """The rules whose requests stand in place of this one's when they fire too."""
        return tuple(self.row.get("yields_to", ()))

    def off_because(self) -> str | None:
        """Return why the rule is off, or None when it is on."""
        if self.signature is None:
            return f"{self.id} is off: no clinician has signed this version of it."
        for name, value in self.row["thresholds"].items():
            if value is None:
                return f"{self.id} is off: its threshold “{name.replace('_', ' ')}” is not set."
        return None

    def concerns(self, roles: Collection[str]) -> bool:
        """Whether somebody in these roles is told when it fires."""
        return any(one in roles for one in self.tells)

    def asks(self, roles: Collection[str], priority: Priority) -> Asked | None:
        """Return what this rule asks of somebody in these roles at the priority it fired with."""
        rows: Mapping[str, Any] = self.row["requests"]
        for upgrade in self.row.get("upgrades", ()):
            if upgrade["to"] == priority and "requests" in upgrade:
                rows = upgrade["requests"]
                break
        row = next((one for role, one in rows.items() if role in roles), None)
        return None if row is None else Asked(row["text"], row.get("action", "review"), row.get("due", {}))


@dataclass(frozen=True)
class RuleBook:
    """All rules of the file, in its order, each with its signature where it has a valid one."""

    rules: tuple[Rule, ...]
    of_prescriber: Mapping[str, Asked]
    """What a stimulant's prescriber is asked, by the action of the change."""
    words: Mapping[str, str]
    """Words that fill a sentence where the record has none, and the words for each scope."""

    def rule(self, rule_id: str) -> Rule:
        """Return a rule by its number; raise LookupError."""
        found = next((one for one in self.rules if one.id == rule_id), None)
        if found is None:
            raise LookupError("there is no such rule")
        return found


def row_digest(row: Mapping[str, Any]) -> str:
    """Return the hex SHA-256 of a rule's row in one canonical form: any change of word or number changes it."""
    canonical = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def load_rules(rules_file: Path, signatures_file: Path | None, *, accept_demonstration: bool) -> RuleBook:
    """Return the rules with their signatures; raise ConfigurationError when a row cannot be used.

    A signature counts when its rule, version and digest are the row's. One marked
    as a demonstration counts only when `accept_demonstration` is set.
    """
    rows = _rows(rules_file)
    signatures = _signatures(signatures_file) if signatures_file is not None else ()
    rules = []
    for row in rows:
        check_rule(row, rules_file.name)
        digest = row_digest(row)
        valid = [
            one
            for one in signatures
            if (one.rule, one.version, one.digest) == (row["id"], row["version"], digest)
            and (accept_demonstration or not one.demonstration)
        ]
        rules.append(Rule(row, digest, min(valid, key=lambda one: one.demonstration, default=None)))
    texts = _document(rules_file).get("requests_of_prescriber", {})
    try:
        asked = {
            str(action): Asked(row["text"], row["action"], row.get("due", {}))
            for action, row in texts.items()
            if action != "words"
        }
        words = {str(key): str(value) for key, value in texts["words"].items()}
    except (KeyError, TypeError, AttributeError) as wrong:
        raise ConfigurationError(f"{rules_file.name}: a request needs its text and action") from wrong
    return RuleBook(tuple(rules), asked, words)


def sign_all(rules_file: Path, *, name: str, licence: str, signed_on: date, demonstration: bool) -> str:
    """Return the text of a signatures file for every row as it stands now."""
    signatures = [
        {
            "rule": row["id"],
            "version": row["version"],
            "name": name,
            "licence": licence,
            "signed_on": signed_on.isoformat(),
            "demonstration": demonstration,
            "digest": row_digest(row),
        }
        for row in _rows(rules_file)
    ]
    return yaml.safe_dump({"signatures": signatures}, sort_keys=False, allow_unicode=True)


def evaluate(book: RuleBook, case: Case, facts: Facts | None = None) -> tuple[RuleOutcome, ...]:
    """Return what every rule makes of the case, in the order of the file. `facts` are the case's, if at hand."""
    facts = facts_of(case) if facts is None else facts
    return tuple(_outcome(rule, case, facts) for rule in book.rules)


def _outcome(rule: Rule, case: Case, facts: Facts) -> RuleOutcome:
    row, thresholds = rule.row, rule.row["thresholds"]
    signature = rule.signature

    def made(fired: bool | None, state: _State, why: str, priority: Priority | None = None) -> RuleOutcome:
        return RuleOutcome(
            id=rule.id,
            fired=fired,
            state=state,
            priority=priority,
            inputs={} if state in ("not-applicable", "off") else _inputs(rule, facts),
            thresholds=dict(thresholds),
            why=why,
            title=row["title"],
            version=row["version"],
            signed_by=f"{signature.name}, {signature.licence}, {signature.signed_on}" if signature else None,
            demonstration=signature.demonstration if signature else False,
        )

    if not _applies(row["applies_to"], case):
        return made(False, "not-applicable", f"{rule.id} does not apply to this event.")
    off = rule.off_because()
    if off is not None:
        return made(False, "off", off)
    answer = holds(row["when"], facts, thresholds)
    if answer.holds is None:
        return made(None, "could-not-evaluate", f"could not evaluate {rule.id}: {'; '.join(answer.missing)}")
    if not answer.holds:
        return made(False, "evaluated", f"{rule.id} looked at the record and did not fire.")
    priority, because, doubts = _priority(row, facts)
    says = fill(row["says"], facts)
    why = f"{says[:-1]}; {because}." if because else says
    return made(True, "evaluated", f"{why} ({'; '.join(doubts)})" if doubts else why, priority)


def _priority(row: Mapping[str, Any], facts: Facts) -> tuple[Priority, str, list[str]]:
    """Return the priority with the reason for an upgrade, and the upgrades that could not be judged."""
    doubts: list[str] = []
    for upgrade in row.get("upgrades", ()):
        answer = holds(upgrade["when"], facts, row["thresholds"])
        if answer.holds:
            return upgrade["to"], str(upgrade["because"]), doubts
        if answer.holds is None:
            doubts.append(f"could not judge whether it is {upgrade['to']}: {'; '.join(answer.missing)}")
    return row["priority"], "", doubts


def _applies(wanted: Mapping[str, Any] | Sequence[Mapping[str, Any]], case: Case) -> bool:
    if not isinstance(wanted, Mapping):
        return any(_applies(one, case) for one in wanted)
    event = case.event
    if wanted["event"] != event.type:
        return False
    if isinstance(event, SessionOutcome):
        return event.status in wanted["statuses"]
    return event.status == "active" and event.subject in wanted["subjects"] and event.kind in wanted["kinds"]


def _inputs(rule: Rule, facts: Facts) -> dict[str, Any]:
    """Return the facts the rule looked at or speaks of, as plain values; None is not known."""
    return {name: _shown(facts[name].value) for name in rule.looks_at}


def _shown(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    return list(value) if isinstance(value, tuple) else value


def fill(text: str, facts: Facts) -> str:
    """Return the wording with its placeholders filled; what is not known reads "unknown"."""
    values = {name: facts[name].value for name in placeholders(text)}
    shown = {name: "unknown" if value is None else str(_shown(value)) for name, value in values.items()}
    return text.format_map(shown)


def _document(path: Path) -> Mapping[str, Any]:
    return read_table(path, ("rules", "requests_of_prescriber"))


def _rows(path: Path) -> Sequence[Mapping[str, Any]]:
    return rows_of(path.name, _document(path)["rules"])


def _signatures(path: Path) -> tuple[Signature, ...]:
    raw = read_table(path, ("signatures",))
    try:
        return tuple(
            Signature(
                rule=str(one["rule"]),
                version=int(one["version"]),
                digest=str(one["digest"]),
                name=str(one["name"]),
                licence=str(one["licence"]),
                signed_on=date.fromisoformat(str(one["signed_on"])),
                # A signature that does not say is no demonstration; the demonstration file says so on every row.
                demonstration=bool(one.get("demonstration", False)),
            )
            for one in raw.get("signatures", ())
        )
    except (KeyError, TypeError, ValueError) as wrong:
        raise ConfigurationError(f"{path.name}: a signature lacks a part or has one of the wrong form") from wrong
