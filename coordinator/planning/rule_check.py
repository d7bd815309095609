"""What is wrong with a folder's rules and instruments, all of it at once: for the engineer who edits them."""

from collections.abc import Callable
from pathlib import Path

from coordinator.domain.errors import ConfigurationError
from coordinator.planning.causes import load_causes
from coordinator.planning.checks import load_checks
from coordinator.planning.clocks import load_retries
from coordinator.planning.escalation import load_escalation
from coordinator.planning.instruments import load_instruments
from coordinator.planning.rules import load_rules


def rule_problems(mappings_dir: Path, signatures: Path | None = None) -> tuple[str, ...]:
    """Return the first fault of each file under rules/ and of the instruments; nothing when all can be used.

    `signatures`: a file of signatures to be read as well.
    """
    rules, instruments = mappings_dir / "rules", mappings_dir / "instruments"
    loads: tuple[Callable[[], object], ...] = (
        lambda: load_rules(rules / "coordination.yaml", signatures, accept_demonstration=True),
        lambda: load_instruments(instruments),
        lambda: load_checks(rules, instruments),
        lambda: load_causes(rules / "causes.yaml"),
        lambda: load_retries(rules / "retries.yaml"),
        lambda: load_escalation(rules / "escalation.yaml"),
    )
    found: dict[str, None] = {}
    for load in loads:
        try:
            load()
        except ConfigurationError as wrong:
            found[str(wrong)] = None
    return tuple(found)
