"""One input of the dry run, as the JSON a clinic would hand in."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
HEAD = ("type", "schema_version", "id", "version", "recorded_at", "recorded_by", "patient", "course")
UNKNOWN: dict[str, Any] = {"unknown": True}
SKIPPED: dict[str, Any] = {"not_done": "machine broken"}
PUBLIC = ("session-outcome.bp-spike", "session-outcome.esketamine", "dose-change.ketamine",
          "dose-change.stimulant-hold")  # fmt: skip
"""The examples of the public contract."""

Data = dict[str, Any]


@dataclass(frozen=True)
class Rendering:
    """What one call of the dry run gets."""

    event: Data
    registry: Data
    history: tuple[Data, ...] = ()


def example(name: str) -> Data:
    """Return one example of docs/examples, numbers kept as written."""
    return json.loads((EXAMPLES / f"{name}.json").read_text())


def registry(*changes: Callable[[Data], None]) -> Data:
    """Return the example registry, changed."""
    data = example("clinic")
    for change in changes:
        change(data)
    return data


def plain(event: Data) -> Rendering:
    """Return the event in the example clinic."""
    return Rendering(event, registry())


def with_(event: Data, **changes: Any) -> Data:
    """Return a copy of the event with other top-level fields; None takes a field away."""
    data = {**copy.deepcopy(event), **changes}
    return {key: value for key, value in data.items() if value is not None or key in ("from", "to")}
