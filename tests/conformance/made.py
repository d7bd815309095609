"""Everything distinct that the service makes of the varied events: what the judges are asked about."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from coordinator.mapping.content import build_content
from coordinator.mapping.load import load
from tests.conformance.events import cases, letter, plan, recipient

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
_NAMES_AND_TIMES = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[^\"]*)?")
LEVELS = frozenset({"chart", "document", "message"})


@cache
def everything() -> list[dict[str, Any]]:
    """Return {name, resource} of every distinct resource, bundle and document, at every content level."""
    mappings = load(ROOT / "mappings")
    found: dict[str, dict[str, Any]] = {}
    for name, case in cases().items():
        who = recipient("pr-psych")
        for content in build_content(mappings, case, plan(who), who, (letter("pr-psych"),), LEVELS):  # type: ignore[arg-type]
            body = json.loads(content.body)
            inside = [one["resource"] for one in body.get("entry", [])]
            for number, resource in enumerate([body, *inside]):
                found.setdefault(
                    json.dumps(resource, sort_keys=True),
                    {"name": f"{name} {content.level} {number} {resource['resourceType']}", "resource": resource},
                )
    return list(found.values())


def one_of_each() -> list[dict[str, Any]]:
    """Return the single resources that differ in more than their ids and times, for the slow judges."""
    found: dict[str, dict[str, Any]] = {}
    for one in everything():
        if one["resource"]["resourceType"] != "Bundle":
            found.setdefault(_NAMES_AND_TIMES.sub("", json.dumps(one["resource"], sort_keys=True)), one)
    return list(found.values())


def wrong_and_right() -> list[dict[str, Any]]:
    """Return {name, resource} of the 22 wrong resources and the 6 right ones."""
    return [{"name": file.stem, "resource": json.loads(file.read_text())} for file in (HERE / "cases").glob("*.json")]
