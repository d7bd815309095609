"""`coordinator check-mappings`: load everything, run sample events, show what a change does to their resources."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Final

import yaml

from coordinator.domain.case import Case
from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import EVENT
from coordinator.domain.letter import Letter
from coordinator.domain.plan import ChannelChoice, Plan, RecipientPlan, Request
from coordinator.domain.registry import Registry
from coordinator.mapping.content import build_content
from coordinator.mapping.json_values import Value
from coordinator.mapping.load import Mappings, load
from coordinator.mapping.problems import MappingFileError, MappingHeld
from coordinator.yaml_files import parse_yaml

GOLDEN = Path("tests") / "golden" / "mapping"
_EXAMPLES = (Path("docs") / "examples", Path("examples"))
_SKIPPED = ("data", "hash")
_NOTHING: Final = object()


@dataclass(frozen=True)
class CaseReport:
    """What became of one sample: how many resources, what holds it, what differs from the approved ones."""

    name: str
    resources: int
    held: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    approved: bool = False
    """Whether there is an approved file to compare with."""


@dataclass(frozen=True)
class CheckReport:
    """The whole answer; `str()` is what the terminal shows."""

    problems: tuple[str, ...]
    mappings: int
    tables: int
    cases: tuple[CaseReport, ...]

    @property
    def ok(self) -> bool:
        """Whether the files load, no sample is held, and nothing differs from what was approved."""
        return not self.problems and not any(one.held or one.changes for one in self.cases)

    @property
    def differs(self) -> bool:
        """Whether a sample is not what was approved."""
        return any(one.changes for one in self.cases)

    def __str__(self) -> str:
        """Return the report as lines for a person."""
        if self.problems:
            return "\n".join(
                [f"{len(self.problems)} problems; nothing was loaded.", *(f"  {one}" for one in self.problems)]
            )
        lines = [f"{self.mappings} mappings and {self.tables} code tables are well formed."]
        for case in self.cases:
            state = "held" if case.held else f"{len(case.changes)} changes" if case.changes else "as approved"
            if not case.held and not case.changes and not case.approved:
                state = "nothing approved to compare with"
            lines.append(f"{case.name}: {case.resources} resources, {state}")
            lines += [f"    {one}" for one in (*case.held, *case.changes)]
        return "\n".join(lines)


def check_mappings(mappings_dir: Path, cases: Sequence[tuple[str, Case]] | None = None) -> CheckReport:
    """Return what is wrong with the files of a folder, and what they make of sample events.

    Samples are `cases`, else the approved ones beside the folder (tests/golden/mapping),
    else the shipped examples. Nothing is written.
    """
    try:
        mappings = load(mappings_dir)
    except MappingFileError as wrong:
        return CheckReport(wrong.problems, 0, 0, ())
    root = mappings_dir.resolve().parent
    samples = list(cases) if cases is not None else list(sample_cases(root))
    reports = tuple(_check_case(mappings, name, case, root / GOLDEN / f"{name}.json") for name, case in samples)
    return CheckReport((), len(mappings.resources), len(mappings.tables), reports)


def sample_cases(root: Path) -> Iterator[tuple[str, Case]]:
    """Yield the example events under a checkout or an installed package, with the example registry."""
    folder = next((root / one for one in _EXAMPLES if (root / one / "clinic.json").is_file()), None)
    if folder is None:
        return
    registry = Registry.model_validate(_read(folder / "clinic.json"))
    for file in sorted(folder.glob("*.json")):
        data = _read(file)
        if isinstance(data, dict) and data.get("type") in ("session-outcome", "dose-change"):
            event = EVENT.validate_python(data)
            if registry.patient(event.patient) is not None:
                yield file.stem, Case("sample", event, registry, (), event.recorded_at.astimezone(UTC))


def _read(file: Path) -> Value:
    return json.loads(file.read_text("utf-8"), parse_float=Decimal)


def resources_of(mappings: Mappings, case: Case) -> dict[str, Value]:
    """Return the chart of a sample as resources by type and identifier, for a made-up recipient and letter."""
    provider = case.patient.care_team[0].provider
    request = Request("A sample request.", None, case.composed_at, "review")
    channels = tuple(ChannelChoice(one.id, one.kind) for one in case.provider(provider).endpoints)
    consent = ConsentDecision("permit", "consent", None, None)
    recipient = RecipientPlan(provider, "psychiatrist", consent, "routine", ("L1",), (request,), channels)
    plan = Plan(case.event.id, case.event.version, (), (), (recipient,), "sample")
    letter = Letter(
        "L1", provider, "Sample", "Sample", "AAAA", 1, "en-US", "", "sample", b"sample", "1", "progress-note"
    )
    (content,) = build_content(mappings, case, plan, recipient, (letter,), frozenset({"chart"}))
    found: dict[str, Value] = {}
    for entry in json.loads(content.body, parse_float=Decimal)["entry"]:
        resource = entry["resource"]
        code = resource.get("code") or resource.get("medicationCodeableConcept") or {}
        title = f" {code['text']}" if "text" in code else ""
        # The start of the stable id tells two readings apart; the rest would only hide the line.
        found[f"{resource['resourceType']}{title} ({entry['fullUrl'][9:17]})"] = resource
    return found


def _check_case(mappings: Mappings, name: str, case: Case, approved: Path) -> CaseReport:
    try:
        made = resources_of(mappings, case)
    except MappingHeld as held:
        return CaseReport(name, 0, tuple(f"{one.element}: {one.sentence} {one.fix}" for one in held.problems))
    if not approved.is_file():
        return CaseReport(name, len(made))
    known = _under_todays_titles(_read(approved), made)
    changes = sorted(differences(known, made, ""), key=lambda one: "-~+".index(one[0]))
    return CaseReport(name, len(made), (), tuple(changes), approved=True)


def _under_todays_titles(approved: Mapping[str, Value], made: Mapping[str, Value]) -> dict[str, Value]:
    """Return the approved resources by the titles of today: one whose wording changed is the same resource."""
    titles = {title.rpartition(" ")[2]: title for title in made}
    return {titles.get(title.rpartition(" ")[2], title): one for title, one in approved.items()}


def differences(before: Value, after: Value, place: str) -> Iterator[str]:
    """Yield a line for each leaf that went (-), changed (~) or came (+).

    Items of a list are the same item wherever they stand, so that one more in front does not
    make every line after it a change; that they stand in another order is one line.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            if key not in _SKIPPED:
                yield from differences(
                    before.get(key, _NOTHING), after.get(key, _NOTHING), f"{place}.{key}".lstrip(".")
                )
    elif isinstance(before, list) and isinstance(after, list):
        yield from _list_differences(before, after, place)
    elif before is _NOTHING:
        yield from (f"+ {where}: {text}" for where, text in flat(after, place))
    elif after is _NOTHING:
        yield from (f"- {where}: {text}" for where, text in flat(before, place))
    elif isinstance(before, dict | list) or isinstance(after, dict | list):
        yield from differences(before, _NOTHING, place)
        yield from differences(_NOTHING, after, place)
    elif str(before) != str(after):
        yield f"~ {place}: {before} -> {after}"


def _list_differences(before: list[Value], after: list[Value], place: str) -> Iterator[str]:
    texts = [[str(sorted(flat(one, ""))) for one in listed] for listed in (before, after)]
    stays = Counter(texts[0]) & Counter(texts[1])
    left, order = [], []
    for listed, named in zip((before, after), texts, strict=True):
        room = stays.copy()
        kept: list[str] = []
        rest: list[tuple[int, Value]] = []
        for index, (one, text) in enumerate(zip(listed, named, strict=True)):
            if room[text]:
                room[text] -= 1
                kept.append(text)
            else:
                rest.append((index, one))
        left.append(rest)
        order.append(kept)
    for (index, old), (_, new) in zip(*left, strict=False):
        yield from differences(old, new, f"{place}[{index}]")
    for index, old in left[0][len(left[1]) :]:
        yield from differences(old, _NOTHING, f"{place}[{index}]")
    for index, new in left[1][len(left[0]) :]:
        yield from differences(_NOTHING, new, f"{place}[{index}]")
    if order[0] != order[1]:
        yield f"~ {place}: the same items in another order"


def flat(value: Value, place: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every leaf; encoded bytes are left out."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key not in _SKIPPED:
                yield from flat(child, f"{place}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from flat(child, f"{place}[{index}]")
    else:
        yield place, str(value)


def approve(mappings_dir: Path) -> list[Path]:
    """Write the approved resources of every sample anew; return the files. For a reviewer who has read the diff."""
    mappings = load(mappings_dir)
    root = mappings_dir.resolve().parent
    written = []
    for name, case in sample_cases(root):
        file = root / GOLDEN / f"{name}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(resources_of(mappings, case), indent=1, ensure_ascii=False, sort_keys=True, default=str)
        file.write_text(text + "\n", "utf-8")
        written.append(file)
    return written


MARKS = {"events": "version", "partners": "version", "ccda": "version", "codes": "reviewed"}
"""What must rise with every change, by folder. A code table has no version of its own but a date of review."""


def unraised(mappings_dir: Path, earlier: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the files that once had another content under the very version that they have now.

    One version, one content: what a Provenance names must be found again. `earlier`
    holds the contents that each file had before ("events/x.yaml" -> texts), newest
    first. Comments, layout and the reviewer's name are no content.
    """
    faults = []
    for folder, mark in MARKS.items():
        for file in sorted((mappings_dir / folder).glob("*.yaml")):
            name = f"{folder}/{file.name}"
            now = _content(file.read_text("utf-8"), mark)
            before = [_content(text, mark) for text in earlier.get(name, ())]
            if any(one is not None and now is not None and one[0] == now[0] and one[1] != now[1] for one in before):
                what = "a newer `reviewed: on`" if mark == "reviewed" else "a higher `version`"
                faults.append(f"{name}: changed, so it needs {what}")
    return faults


def _content(text: str, mark: str) -> tuple[Value, Value] | None:
    """Return (the mark, everything else) of a file's text, None when it is no mapping file."""
    try:
        data = parse_yaml(text)
    except yaml.YAMLError:
        return None
    if not isinstance(data, dict):
        return None
    rest = {key: value for key, value in data.items() if key not in ("reviewed", mark)}
    stands = data.get(mark)
    return (stands.get("on") if mark == "reviewed" and isinstance(stands, dict) else stands), rest
