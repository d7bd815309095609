"""mappings/ccda as a value: templates, sections, and which resources each section tells of."""

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.mapping.codes import CodeTable, check_reviewed
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.systems import digit_holds

NOTE = "ccda/progress-note.yaml"
KINDS: Mapping[str, int] = {"letter": 0, "vital-signs": 1, "medicines": 6, "procedures": 4, "scores": 4}
"""The kinds of sections, and how many column titles each needs; vital signs add a column for each measurement."""
_KEYS = frozenset(
    {
        "note",
        "version",
        "reviewed",
        "source",
        "templates",
        "service",
        "type",
        "confidentiality",
        "systems",
        "statuses",
        "sections",
    }
)
Coding = Mapping[str, str]
Templates = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Section:
    """One section of the document. `entry`, `organizer` and `product` are what its entries are made by."""

    kind: str
    title: str
    code: Coding
    templates: Templates
    resources: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    entry: Templates = ()
    product: Templates = ()
    organizer: Templates = ()
    organizer_code: Coding | None = None
    organizer_translation: Coding | None = None


@dataclass(frozen=True)
class NoteSheet:
    """The whole file: how a letter becomes a Progress Note."""

    version: int
    templates: Templates
    service: Templates
    type: Coding
    confidentiality: Coding
    systems: Mapping[str, tuple[str, str]]
    """FHIR's name of a code system -> its OID and its name."""
    statuses: Mapping[str, str]
    sections: tuple[Section, ...]


def read_note(data: Value, tables: Mapping[str, CodeTable], names: frozenset[str], problems: list[str]) -> NoteSheet:
    """Return the sheet; faults are added to `problems`. `names`: what the mappings of events call their resources."""
    if isinstance(data, dict):
        try:
            return _read(data, tables, names, problems)
        except (KeyError, TypeError, AttributeError):
            problems.append(f"{NOTE}: a template, code, system or section is not written as in the shipped file")
    else:
        problems.append(f"{NOTE}: is missing, or is not a list of settings")
    return NoteSheet(0, (), (), {}, {}, {}, {}, ())


def _read(data: Json, tables: Mapping[str, CodeTable], names: frozenset[str], problems: list[str]) -> NoteSheet:
    problems += [f"{NOTE}: unknown key '{key}'" for key in sorted(map(str, data.keys() - _KEYS))]
    check_reviewed(NOTE, data, problems)
    if not data.get("source"):
        problems.append(f"{NOTE}: `source` is missing: say where the templates come from")
    systems = {name: (one["oid"], one["name"]) for name, one in data.get("systems", {}).items()}
    sections = tuple(_section(one, systems, names, problems) for one in data.get("sections", []))
    if [one.kind for one in sections].count("letter") != 1:
        problems.append(f"{NOTE}: exactly one section is of the kind `letter`: it carries everything")
    return NoteSheet(
        version=data.get("version", 0),
        templates=_templates(data.get("templates")),
        service=_templates(data.get("service")),
        type=_word("document-type", data.get("type"), tables, systems, problems),
        confidentiality=_word("security", data.get("confidentiality"), tables, systems, problems),
        systems=systems,
        statuses=dict(data.get("statuses", {})),
        sections=sections,
    )


def _section(one: Json, systems: Mapping[str, tuple[str, str]], names: frozenset[str], problems: list[str]) -> Section:
    kind, title = str(one.get("kind")), str(one.get("title"))
    place = f"{NOTE}: {title}"
    if kind not in KINDS:
        problems.append(f"{place}: `kind` is one of {', '.join(KINDS)}")
    elif len(one.get("columns", ())) != KINDS[kind]:
        problems.append(f"{place}: `columns` needs {KINDS[kind]} titles")
    problems += [f"{place}: no mapping is called {name}" for name in one.get("resources", ()) if name not in names]
    organizer = one.get("organizer", {})
    for coding in filter(None, (one.get("code"), organizer.get("code"), organizer.get("translation"))):
        if coding["system"] not in systems or not digit_holds(coding["system"], coding["code"]):
            problems.append(f"{place}: the code '{coding['code']}' is of no known system, or its check digit is wrong")
    return Section(
        kind=kind,
        title=title,
        code=one.get("code", {}),
        templates=_templates(one.get("templates")),
        resources=tuple(one.get("resources", ())),
        columns=tuple(one.get("columns", ())),
        entry=_templates(one.get("entry")),
        product=_templates(one.get("product")),
        organizer=_templates(organizer.get("templates")),
        organizer_code=organizer.get("code"),
        organizer_translation=organizer.get("translation"),
    )


def _templates(listed: Value) -> Templates:
    return tuple((one["root"], one.get("extension")) for one in listed or ())


def _word(
    table: str,
    word: Value,
    tables: Mapping[str, CodeTable],
    systems: Mapping[str, tuple[str, str]],
    problems: list[str],
) -> Coding:
    row = tables[table].row(str(word)) if table in tables else None
    coding = next((one for one in row.codings if one.get("system") in systems), None) if row is not None else None
    if coding is None:
        problems.append(f"{NOTE}: '{word}' has no code of a known system in codes/{table}.yaml")
        return {}
    return coding
