"""What staff are told about a message beyond its state: the consent it was written by, and the facts of a try."""

from collections.abc import Iterable, Mapping
from typing import Any

from coordinator.planning.causes import Causes

_FACTS: Mapping[str, str] = {
    "created": "new there",
    "entries": "parts sent",
    "level": "sent as",
    "matched_by": "patient found by",
    "ms": "took",
    "tls": "encrypted with",
}
_VALUES: Mapping[tuple[str, str], str] = {
    ("level", "chart"): "a chart, in one transaction",
    ("level", "singles"): "resources, one by one",
    ("level", "tasks"): "changes to tasks",
    ("level", "document"): "a document",
    ("level", "message"): "a FHIR message",
    ("matched_by", "identifier"): "number",
    ("matched_by", "demographics"): "name and birth date",
}


def consent_said(causes: Causes, kept: Mapping[str, Any]) -> str:
    """Return what was decided about consent when a message was written, with the paper that it rests on."""
    paper = f"{kept['directive']}, version {kept['version']}" if kept["directive"] else ""
    if kept["decision"] == "permit":
        return f"In force when this was written: {paper}." if paper else "In force when this was written."
    sentence = causes.get(f"consent.{kept['reason']}").sentence
    return f"{sentence.removesuffix('.')}: {paper}." if paper else sentence


def facts_said(facts: Iterable[tuple[str, str]], status: int | None) -> tuple[tuple[str, str], ...]:
    """Return the facts of a try as name and value in words, without the `status` that is shown beside them."""
    return tuple(
        (_FACTS.get(name, name.replace("_", " ")), f"{value} ms" if name == "ms" else _VALUES.get((name, value), value))
        for name, value in facts
        if name != "status" or value != str(status)
    )
