"""Every letter as a C-CDA document before HL7's own schema and rules: as a Progress Note, and with the PDF inside.

The schema sees every document; the rules see one of each make-up, with one entry of each make-up, without the words
of its narrative, of which they ask only that there be some (each pattern walks the whole document). They look into
the value sets that they name as fixed, and leave those that change with time to others.
"""

import copy
import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from coordinator.channels.ccda import Coded, wrap
from coordinator.domain.registry import Provider
from coordinator.flow.compose import Composed, ForRecipient, documents_of
from coordinator.flow.ports import Package, StoredDocument
from coordinator.letters.narrative import blocks_of
from coordinator.letters.speech import ClinicSpeech
from coordinator.mapping.ccda.header import HL7
from coordinator.mapping.ccda.note import progress_notes
from tests.conformance import rendered

HERE = Path(__file__).parent
PYTHON = HERE / "validators-venv" / "bin" / "python"
PREPARED = HERE / "ccda" / "build" / ".prepared"
NS = {"h": HL7}
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"

pytestmark = [
    pytest.mark.servers,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("python-validators"),  # which has rendered the matrix already
    pytest.mark.skipif(
        not (PYTHON.is_file() and PREPARED.is_file()),
        reason="NOT JUDGED BY HL7'S SCHEMA AND SCHEMATRON OF C-CDA: run tests/conformance/prepare",
    ),
]


def everybody() -> Iterator[tuple[str, Composed, ForRecipient, Provider]]:
    for name, composed in rendered.everything_rendered().items():
        for made in composed.recipients:
            if made.letters:
                provider = composed.case.provider(made.plan.provider)
                yield f"{name} {provider.id}", composed, made, provider


@cache
def notes() -> dict[str, bytes]:
    settings = rendered.command.Settings()
    shop = rendered._workshop(settings.mappings_dir, settings.templates_dir)
    found = {}
    for name, composed, made, _ in everybody():
        case = composed.case
        told = [(one, blocks_of(one.html)) for one in made.letters]
        speech = ClinicSpeech(case.clinic.time_zone)
        for place, one in enumerate(progress_notes(shop.mappings, case, composed.plan, made.plan, told, speech)):
            found[f"note {name} {place}"] = one
    return found


@cache
def wraps() -> dict[str, bytes]:
    kind = Coded("11488-4", "2.16.840.1.113883.6.1", "LOINC", "Consult note")
    found = {}
    for name, composed, made, provider in everybody():
        message = composed.case.message_id(provider.id)
        package = Package(
            delivery="d", message=message, attempt=1, tag="t", identifier_system="s", identifier=f"urn:uuid:{message}",
            subject="A letter", reference="AAAA", patient=composed.case.patient, provider=provider,
            clinic=composed.case.clinic, documents=tuple(
                StoredDocument(one.id, one.role, one.media_type, one.body, one.sha256, one.title)
                for one in documents_of(message, made)
            ),
        )  # fmt: skip
        for place, one in enumerate(wrap(package, kind, composed.case.composed_at)):
            found[f"wrap {name} {place}"] = one
    return found


def outline(element: ET.Element) -> str:
    """Return what a document is made of, without its words, ids, times and amounts; the same again counts once."""
    if element.tag == f"{{{HL7}}}text" and len(element) and element.find("h:reference", NS) is None:
        return "text"
    blank = ("value", "root", "extension", "code", "displayName")
    told = {
        name: value
        for name, value in element.attrib.items()
        if name not in blank or element.tag in (f"{{{HL7}}}templateId", f"{{{HL7}}}statusCode") or name == "unit"
    }
    inside = dict.fromkeys(outline(one) for one in element)
    return f"{element.tag}{sorted(told.items())}({''.join(inside)})"


def one_of_each(documents: dict[str, bytes]) -> dict[str, bytes]:
    found: dict[str, tuple[str, bytes]] = {}
    for name, one in documents.items():
        found.setdefault(outline(ET.fromstring(one)), (name, one))
    return dict(found.values())


def bare(document: bytes) -> bytes:
    """Return a document without the words of its narrative and without entries of the make-up of one before them."""
    root = ET.fromstring(document)
    for one in root.iterfind(".//h:section/h:text", NS):
        one.clear()
        one.text = "words"
    for above in list(root.iter()):
        seen = set()
        for one in list(above):
            if one.tag in (f"{{{HL7}}}entry", f"{{{HL7}}}component"):
                if outline(one) in seen:
                    above.remove(one)
                seen.add(outline(one))
    return ET.tostring(root, encoding="UTF-8")


def part(root: ET.Element, path: str) -> ET.Element:
    found = root.find(path, NS)
    assert found is not None, path
    return found


def without(path: str) -> Callable[[ET.Element], None]:
    def change(root: ET.Element) -> None:
        above = part(root, f"{path}/..")
        above.remove(part(root, path))

    return change


def saying(path: str, name: str, value: str | None) -> Callable[[ET.Element], None]:
    def change(root: ET.Element) -> None:
        if value is None:
            del part(root, path).attrib[name]
        else:
            part(root, path).set(name, value)

    return change


VITAL = ".//h:organizer/h:component/h:observation"
FAULTS: dict[str, Callable[[ET.Element], None]] = {
    "no assessment and plan": without(".//h:section/h:code[@code='51847-2']/../.."),
    "no visit": without("h:componentOf"),
    "a visit without its place": without(".//h:encompassingEncounter/h:location"),
    "no race, not even unknown": without(".//h:patient/h:raceCode"),
    "no custodian": without("h:custodian"),
    "no version with its set": without("h:versionNumber"),
    "a reading without its unit": saying(f"{VITAL}/h:value", "unit", None),
    "a reading that is not a quantity": saying(f"{VITAL}/h:value", f"{XSI}type", "ST"),
    "a reading that is not over": saying(f"{VITAL}/h:statusCode", "code", "active"),
    "a reading without its name": without(f"{VITAL}/h:id"),
    "a reading without its time": without(f"{VITAL}/h:effectiveTime"),
    "an organizer that is no group": saying(".//h:organizer", "classCode", "BATTERY"),
    "a section with the code of another": saying(".//h:section/h:code[@code='8716-3']", "code", "10160-0"),
    "a section without its title": without(".//h:section/h:code[@code='8716-3']/../h:title"),
    "a section without its words": without(".//h:section/h:code[@code='29549-3']/../h:text"),
    "a medicine that nobody took": without(".//h:substanceAdministration/h:consumable"),
    "a medicine without its dose": without(".//h:substanceAdministration/h:doseQuantity"),
    "the template without its older name": without("h:templateId[4]"),
    "an element that CDA does not have": lambda root: ET.SubElement(root, f"{{{HL7}}}remark").clear(),
    "elements in another order": lambda root: root.append(root[0]),
}


@cache
def answers() -> dict[str, list[str]]:
    documents = {**notes(), **wraps()}
    chosen = {**one_of_each(notes()), **one_of_each(wraps())}
    rich = max(notes().values(), key=len)
    for name, change in FAULTS.items():
        root = copy.deepcopy(ET.fromstring(rich))
        change(root)
        ET.register_namespace("", HL7)
        documents[name] = chosen[name] = ET.tostring(root, encoding="UTF-8")
    question = {
        "schema": {name: one.decode() for name, one in documents.items()},
        "rules": {name: bare(one).decode() for name, one in chosen.items()},
    }
    for group in question.values():
        for name, text in group.items():
            group[name] = text.partition("?>")[2] if text.startswith("<?xml") else text
    asked = subprocess.run(
        [str(PYTHON), str(HERE / "judge_ccda.py")],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(asked.stdout)
    return found


def test_every_letter_is_a_document_without_an_error() -> None:
    wrong = {name: said for name, said in answers().items() if name not in FAULTS and said}
    assert wrong == {}
    assert len(notes()) > 150
    assert len(wraps()) > len(notes())


def test_every_fault_that_is_planted_is_found() -> None:
    assert [name for name in FAULTS if not answers()[name]] == []
