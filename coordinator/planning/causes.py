"""The stable table of causes: a code, one sentence for staff, one next step, and who takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from coordinator.domain.errors import Cause, ConfigurationError, Role
from coordinator.planning.rule_files import check_keys, read_table


@dataclass(frozen=True)
class Causes:
    """Looks up what to tell a person about a code. A code is never given a new meaning."""

    table: Mapping[str, Cause]

    def get(self, code: str) -> Cause:
        """Return the cause; a code that no row has yet gets the words of `bug`, and keeps its own code."""
        found = self.table.get(code)
        return found if found is not None else replace(self.table["bug"], code=code)


def load_causes(path: Path) -> Causes:
    """Return the causes of a file; raise ConfigurationError when a row lacks a part."""
    rows = read_table(path, ("version", "causes"))["causes"]
    table: dict[str, Cause] = {}
    for code, row in rows.items():
        check_keys(f"{path.name}: {code}", row, required=("says", "next", "who"))
        cause = Cause(str(code), str(row["says"]), str(row["next"]), row["who"])
        if cause.role not in get_args(Role):
            raise ConfigurationError(f"{path.name}: the row {code} names a role that nobody has")
        table[str(code)] = cause
    if "bug" not in table:
        raise ConfigurationError(f"{path.name}: the row bug is missing; it stands in for every unknown code")
    return Causes(table)
