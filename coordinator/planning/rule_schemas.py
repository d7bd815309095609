"""The JSON Schemas of rules/ and instruments/ for an editor, made from what the loader itself asks for.

Editors underline with them while somebody types; the loader stays the judge. `python -m
coordinator.planning.rule_schemas` writes them anew, and a test holds the written ones to this.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from coordinator.domain.errors import Role
from coordinator.domain.plan import PRIORITIES
from coordinator.domain.registry import EndpointKind
from coordinator.planning.check_measures import MEASURES
from coordinator.planning.checks import ONLY, PREDICATES, ROLES, ROWS
from coordinator.planning.conditions import COMPARISONS
from coordinator.planning.escalation import ContactRole
from coordinator.planning.facts import FACT_NAMES
from coordinator.planning.instruments import INSTRUMENT_KEYS, INSTRUMENT_PARTS
from coordinator.planning.rule_rows import APPLIES, AUDIENCES, DUE, RULE_KEYS, RULE_PARTS
from coordinator.planning.schemas import DIALECT

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
WHOLE: Schema = {"type": "integer"}
VERSION: Schema = {"type": "integer", "minimum": 1, "description": "Rises with every change."}
BOUND: Schema = {"description": "A number, a decimal in quotes, or null for no limit.",
                 "type": ["integer", "number", "string", "null"]}  # fmt: skip
SPAN: Schema = {"type": "array", "items": BOUND, "minItems": 2, "maxItems": 2}


def schema_files() -> dict[str, str]:
    """Return the text of each schema by its file name under mappings/schema."""
    made = {
        "coordination": _coordination(),
        "validation": _validation(),
        "causes": _causes(),
        "escalation": _escalation(),
        "retries": _retries(),
        "signatures": _signatures(),
        "instrument": _instrument(),
    }
    return {f"{name}.schema.json": json.dumps(one, indent=1, ensure_ascii=False) + "\n" for name, one in made.items()}


def _one_of(words: Collection[str]) -> Schema:
    return {"enum": sorted(words)}


def _many(words: Collection[str]) -> Schema:
    return {"type": "array", "items": _one_of(words), "minItems": 1}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _row(properties: Mapping[str, Schema], required: Sequence[str]) -> Schema:
    """Return an object with these keys and no others."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": dict(properties),
    }


def _picked(known: Mapping[str, Schema], required: Sequence[str], optional: Sequence[str] = ()) -> Schema:
    """Return an object with the keys that the loader knows; one without a form of its own here may hold anything."""
    return _row({key: known.get(key, {}) for key in (*required, *optional)}, required)


def _file(title: str, properties: Mapping[str, Schema], definitions: Mapping[str, Schema] | None = None) -> Schema:
    made = {"$schema": DIALECT, "title": title, **_row(properties, list(properties))}
    return {**made, "$defs": dict(definitions)} if definitions else made


def _condition() -> Schema:
    inner = {"$ref": "#/$defs/condition"}
    forms: dict[str, Schema] = {name: {"type": "array", "items": inner, "minItems": 1} for name in ("all", "any")}
    forms["not"] = inner
    forms |= {name: _one_of(FACT_NAMES) for name in ("true", "known")}
    pair = {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [_one_of(FACT_NAMES), TEXT]}
    pair["description"] = "A fact, and the name of a threshold of this rule."
    forms |= dict.fromkeys(COMPARISONS, pair)
    return {"type": "object", "additionalProperties": False, "minProperties": 1, "maxProperties": 1,
            "properties": forms}  # fmt: skip


def _coordination() -> Schema:
    spans: dict[str, Schema] = {"before_next_session": {"type": "boolean"}, "elapsed_hours": {"type": "number"}}
    due = _row({one: spans.get(one, {"type": "integer", "minimum": 0}) for one in sorted(DUE)}, ())
    asked = _row({"text": TEXT, "action": TEXT, "due": {"$ref": "#/$defs/due"}}, ("text",))
    requests = _row({one: {"$ref": "#/$defs/request"} for one in AUDIENCES}, ())
    applies = [
        _row({"event": {"const": event}, **{key: _many(words) for key, words in parts.items()}}, ("event", *parts))
        for event, parts in APPLIES.items()
    ]
    upgrade = {"to": _one_of(PRIORITIES), "when": {"$ref": "#/$defs/condition"}, "because": TEXT, "requests": requests}
    known = {
        "id": TEXT,
        "version": VERSION,
        "title": TEXT,
        "applies_to": {"anyOf": [*applies, {**_list({"anyOf": applies}), "minItems": 1}]},
        "thresholds": {"type": "object", "description": "Numbers and words by name; null switches the rule off."},
        "when": {"$ref": "#/$defs/condition"},
        "priority": _one_of(PRIORITIES),
        "upgrades": _list(_row(upgrade, ("to", "when", "because"))),
        "yields_to": _list(TEXT),
        "tells": _list(_one_of(AUDIENCES)),
        "says": TEXT,
        "requests": requests,
        "basis": TEXT,
    }
    of_prescriber = {
        "type": "object",
        "required": ["words"],
        "additionalProperties": {"$ref": "#/$defs/request"},
        "properties": {"words": {"type": "object", "additionalProperties": {"type": "string"}}},
    }
    parts = {"rules": _list(_picked(known, RULE_KEYS, RULE_PARTS)), "requests_of_prescriber": of_prescriber}
    return _file("mappings/rules/coordination.yaml", parts, {"condition": _condition(), "due": due, "request": asked})


def _validation() -> Schema:
    known: dict[str, Schema] = {
        "id": TEXT,
        "units": _list(TEXT),
        "says": TEXT,
        "fix": TEXT,
        "asks": TEXT,
        "suggestion": TEXT,
        "accept": SPAN,
        "refuse_outside": SPAN,
        "measure": _one_of(MEASURES),
        "quantity": {"type": "boolean"},
        "only": _row({key: _many(words) for key, words in ONLY.items()}, ()),
        "role": _one_of(ROLES),
        "predicate": _one_of(PREDICATES),
        "level": _one_of(("refuse", "ask")),
        "numbers": {"type": "object"},
        "instead_of": _list(TEXT),
    }
    at: Mapping[str, Schema] = {"units": _list(TEXT), "limits": TEXT}
    rows = {
        part: _list(_picked({**known, "at": at.get(part, {})}, required, optional))
        for part, (required, optional) in ROWS.items()
    }
    return _file("mappings/rules/validation.yaml", {"version": VERSION, **rows})


def _causes() -> Schema:
    row = _row({"says": TEXT, "next": TEXT, "who": _one_of(get_args(Role))}, ("says", "next", "who"))
    causes = {"type": "object", "required": ["bug"], "additionalProperties": row}
    return _file("mappings/rules/causes.yaml", {"version": VERSION, "causes": causes})


def _escalation() -> Schema:
    waits = _row({key: {"type": "number", "minimum": 0} for key in PRIORITIES}, PRIORITIES)
    step = {"cause": TEXT, "contact": _one_of(get_args(ContactRole)), "after_minutes": waits}
    return _file("mappings/rules/escalation.yaml", {"version": VERSION, "steps": _list(_row(step, list(step)))})


def _retries() -> Schema:
    wait = {"anyOf": [{"const": 0}, {"type": "string", "pattern": "^[0-9]+[smh]$"}]}
    rows = {"type": "object", "additionalProperties": _list(wait), "description": "By priority, or by cause code."}
    channels = _row(dict.fromkeys(("default", *get_args(EndpointKind)), rows), ("default",))
    return _file("mappings/rules/retries.yaml", {"version": VERSION, "channels": channels})


def _signatures() -> Schema:
    row = {
        "rule": TEXT,
        "version": VERSION,
        "name": TEXT,
        "licence": TEXT,
        "signed_on": {"type": "string", "format": "date"},
        "demonstration": {"type": "boolean"},
        "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
    signed = _list(_row(row, [key for key in row if key != "demonstration"]))
    return _file("Signatures of the rules", {"signatures": signed})


def _instrument() -> Schema:
    pair = {"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 2}
    items = {"count": WHOLE, "range": pair, "total_is_sum": {"type": "boolean"}}
    band = {"name": TEXT, "from": WHOLE, "to": WHOLE}
    known: dict[str, Schema] = {
        "id": TEXT,
        "title": TEXT,
        "version": VERSION,
        "range": pair,
        "recall": TEXT,
        "source": TEXT,
        "items": _row(items, list(items)),
        "bands": {**_list(_row(band, list(band))), "description": "They cover the range without gap or overlap."},
    }
    title = "One file of mappings/instruments"
    return {"$schema": DIALECT, "title": title, **_picked(known, INSTRUMENT_KEYS, INSTRUMENT_PARTS)}


def write_schemas(folder: Path) -> None:
    """Write every schema into a folder."""
    for name, text in schema_files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_schemas(Path(__file__).resolve().parents[2] / "mappings" / "schema")
