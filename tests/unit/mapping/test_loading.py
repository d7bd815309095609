"""What the loader refuses: everything wrong at once, each with its file, before any event is seen."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from coordinator.mapping.codes import TABLE_KEYS
from coordinator.mapping.load import CLOSED_WORDS, MAPPING_KEYS, load
from coordinator.mapping.partners import PARTNER_KEYS
from coordinator.mapping.problems import MappingFileError
from tests.unit.mapping.conftest import ROOT

Edit = Callable[[str, str, str], None]
NOTE = "ccda/progress-note.yaml"
PRESSURE = "events/session-outcome.blood-pressure.yaml"
GIVEN = "events/session-outcome.medication-administration.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    return tmp_path / "mappings"


@pytest.fixture
def edit(folder: Path) -> Edit:
    def change(file: str, old: str, new: str) -> None:
        text = (folder / file).read_text()
        assert old in text, f"{file} has no {old!r}"
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def problems(folder: Path) -> str:
    with pytest.raises(MappingFileError) as wrong:
        load(folder)
    return "\n".join(wrong.value.problems)


def test_the_shipped_files_load() -> None:
    assert len(load(ROOT / "mappings").resources) > 30


MISTAKES = {
    "a misspelt field": (GIVEN, "event.administration.started_at", "event.administration.startd_at",
                         "event.administration has no field 'startd_at'"),
    "a root that is not there": (PRESSURE, "item.at", "reading.at", "there is no 'reading' here"),
    "a table that is not there": (GIVEN, "$map: route", "$map: rout", "there is no code table 'rout'"),
    "a row that is not there": (PRESSURE, "'systolic'", "'sistolic'", "has no row 'sistolic'"),
    "a resource that is not there": (PRESSURE, "$ref: encounter", "$ref: visit", "there is no mapping named 'visit'"),
    "an element that R4 does not have": (PRESSURE, "  effectiveDateTime:", "  effectiveMoment:",
                                         "Observation.effectiveMoment: R4 has no such element"),
    "a fixed code outside its binding": ("events/both.task.yaml", "status: requested", "status: wished",
                                         "Task.status: 'wished' is not in the value set"),
    "a table outside the binding": (PRESSURE, "$map: observation-status", "$map: encounter-status",
                                    "outside the required binding"),
    "a unit that UCUM does not have": (PRESSURE, "mm[Hg]", "mmHg", "the unit 'mmHg' is not in the table"),
    "an unknown directive": (PRESSURE, "$quantity: item.systolic", "$amount: item.systolic", "no directive $amount"),
    "an unknown header": (PRESSURE, "order: 20", "sequence: 20", "unknown key 'sequence'"),
    "no review": (PRESSURE, "reviewed:", "looked_at:", "`reviewed` is missing"),
    "no version": (PRESSURE, "version: 2", "version: first", "`version` is a whole number"),
    "a function that is not allowed": (GIVEN, "$from: event.administration.reason",
                                       "$from: event.vitals.systolic.max()", "max() is not on the allowed list"),
    "an unknown event": (PRESSURE, "event: session-outcome", "event: session", "`event` is one or more of"),
    "each over something that is no list": (PRESSURE, "each: event.vitals", "each: event.plan", "is not a list"),
    "a note without a review": (NOTE, "reviewed:", "looked_at:", "`reviewed` is missing"),
    "a note with an unknown header": (NOTE, "note: progress-note", "sheet: progress-note", "unknown key 'sheet'"),
    "a note of a kind that has no code": (NOTE, "type: progress-note", "type: poem", "'poem' has no code"),
    "a section of an unknown kind": (NOTE, "kind: scores", "kind: poems", "`kind` is one of"),
    "a section without the letter": (NOTE, "kind: letter", "kind: procedures", "exactly one section"),
    "a section with too few titles": (NOTE, "[Scale, Result, Date, Remarks]", "[Scale]", "needs 4 titles"),
    "a section of what no mapping makes": (NOTE, "resources: [score]", "resources: [poem]", "is called poem"),
    "a section code with a wrong check digit": (NOTE, '"8716-3"', '"8716-4"', "its check digit is wrong"),
    "a system without its oid": (NOTE, '{ oid: "2.16.840.1.113883.6.1", name', '{ id: "2.16.840.1.113883.6.1", name',
                                 "not written as in the shipped file"),
    "an unknown level": ("events/both.composition.yaml", "levels: [fhir-document]", "levels: [paper]", "`levels` are"),
    "an unknown identity": (PRESSURE, "order: 20", "order: 20\nidentity: birthday", "`identity` is one of"),
    "another name than the file's": (PRESSURE, "mapping: session-outcome.blood-pressure", "mapping: bp",
                                     "must be the file's own name"),
    "a key that stands twice": (PRESSURE, "order: 20", "order: 20\norder: 21", "a key stands twice"),
    "a SNOMED code with a wrong check digit": ("codes/route.yaml", "47625008", "47625009", "SNOMED CT check digit"),
    "a LOINC code with a wrong check digit": ("codes/observation.yaml", "8867-4", "8867-5", "LOINC check digit"),
    "a code nobody verified": ("codes/route.yaml", 'status: "verified-secondary"', 'status: "unverified"',
                               "a code needs `source` and `status: verified`"),
    "a row that stands twice": ("codes/route.yaml", 'from: "oral"', 'from: "sublingual"', "stands twice"),
    "a code outside allowed": ("codes/encounter-status.yaml", 'code: "planned"', 'code: "wished"', "not in `allowed`"),
    "a code that is a number": ("codes/route.yaml", '"47625008"', "47625008", "put it in quotes"),
    "two displays of one code": ("codes/adverse-event.yaml", "Nausea (finding)", "Nausea", ""),
    "a table without a source": ("codes/route.yaml", "source: ", "note: ", "`source` is missing"),
    "a partner with an unknown setting": ("partners/epic-like.yaml", "one_attachment", "single_attachment",
                                          "unknown key 'single_attachment'"),
    "a yes or no in quotes": ("partners/epic-like.yaml", "searches_identifier: false", 'searches_identifier: "false"',
                              "`searches_identifier` is true or false"),
    "a list that is a word": ("partners/epic-like.yaml", "updates: [Observation]", "updates: Observation",
                              "`updates` is a list"),
    "a pause of no length": ("partners/epic-like.yaml", '"4135": 21600', '"4135": soon', "`try_again` maps a code"),
    "a letter read back too late": ("partners/oracle-like.yaml", "after_s: 0", "after_s: 9999999",
                                    "`read_back.after_s`"),
    "a letter read back for nothing": ("partners/oracle-like.yaml", "after_s: 0", "ignores: [subject]",
                                       "`read_back.ignores` may name"),
    "a letter read back somehow": ("partners/oracle-like.yaml", "after_s: 0", "when: 0", "`read_back` has"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if MISTAKES[name][3]])
def test_a_mistake_is_refused_at_load_with_its_file(folder: Path, edit: Edit, mistake: str) -> None:
    file, old, new, said = MISTAKES[mistake]
    edit(file, old, new)
    found = problems(folder)
    assert said in found
    assert Path(file).name in found


def test_one_code_has_one_display_everywhere(folder: Path, edit: Edit) -> None:
    row = (
        "\n  - from: ague\n    system: http://snomed.info/sct\n    code: '422587007'\n    display: Sickness\n"
        "    source: x\n    status: verified\n"
    )
    (folder / "codes" / "procedure.yaml").write_text((folder / "codes" / "procedure.yaml").read_text().rstrip() + row)
    assert "422587007 has another display" in problems(folder)


def test_every_mistake_is_named_at_once(folder: Path, edit: Edit) -> None:
    edit(PRESSURE, "item.at", "item.when")
    edit(GIVEN, "$map: route", "$map: rout")
    edit("codes/route.yaml", "47625008", "47625009")
    found = problems(folder)
    assert all(said in found for said in ("no field 'when'", "no code table 'rout'", "check digit"))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "there are no mapping files" in problems(tmp_path)


def test_no_terminology_code_stands_in_python() -> None:
    tables = load(ROOT / "mappings")
    listed = {
        code
        for system, codes in tables.known_codes.items()
        if system in ("http://snomed.info/sct", "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm")
        for code in codes
        if len(code) >= 6 or "-" in code
    }
    text = "".join(file.read_text() for file in (ROOT / "coordinator" / "mapping").glob("*.py"))
    assert listed
    assert [code for code in listed if code in text] == []


def test_every_code_that_goes_out_names_where_it_was_read() -> None:
    for file in (ROOT / "mappings" / "codes").glob("*.yaml"):
        for row in yaml.safe_load(file.read_text())["rows"]:
            for coding in row.get("codings") or [row]:
                if str(coding.get("system", "")).startswith("http"):
                    assert coding["status"] in ("verified", "verified-secondary"), file.name
                    assert coding["source"], file.name


def test_the_editors_schemas_know_the_same_keys_as_the_loader() -> None:
    schemas = ROOT / "mappings" / "schema"

    def keys(name: str) -> set[str]:
        return set(json.loads((schemas / f"{name}.schema.json").read_text())["properties"])

    assert keys("event") == MAPPING_KEYS
    assert keys("codes") == TABLE_KEYS
    assert keys("partner") == PARTNER_KEYS


@pytest.mark.parametrize("key", sorted(CLOSED_WORDS))
def test_the_editors_schema_knows_the_same_words_as_the_loader(key: str) -> None:
    schema = json.loads((ROOT / "mappings" / "schema" / "event.schema.json").read_text())
    assert set(schema["properties"][key]["enum"]) == set(CLOSED_WORDS[key])
