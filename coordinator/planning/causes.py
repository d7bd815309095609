"""The stable table of causes: a code, one sentence for staff, one next step, and who takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import yaml

from coordinator.domain.errors import Cause, ConfigurationError, Role


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
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = raw.get("causes", {}) if isinstance(raw, dict) else {}
    table: dict[str, Cause] = {}
    for code, row in rows.items():
        try:
            cause = Cause(str(code), str(row["says"]), str(row["next"]), row["who"])
        except (KeyError, TypeError) as wrong:
            raise ConfigurationError(f"{path.name}: the row {code} needs says, next and who") from wrong
        if cause.role not in get_args(Role):
            raise ConfigurationError(f"{path.name}: the row {code} names a role that nobody has")
        table[str(code)] = cause
    if "bug" not in table:
        raise ConfigurationError(f"{path.name}: the row bug is missing; it stands in for every unknown code")
    return Causes(table)
