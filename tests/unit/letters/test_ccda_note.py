"""The letter about a visit as a C-CDA Progress Note: every statement in words, every reading as data."""

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.domain.events import SessionOutcome
from coordinator.flow.compose import compose, documents_of
from coordinator.flow.parts import Workshop
from coordinator.letters.narrative import blocks_of
from coordinator.letters.speech import ClinicSpeech
from coordinator.letters.text import text_of
from coordinator.mapping.ccda.header import HL7
from coordinator.mapping.ccda.narrative import add_blocks
from coordinator.mapping.ccda.note import progress_notes
from coordinator.mapping.load import load
from coordinator.planning.rules import load_rules

ROOT = Path(__file__).parents[3]
NS = {"h": HL7}
LOINC = "2.16.840.1.113883.6.1"
READINGS = {
    "systolic": ("8480-6", "mm[Hg]"),
    "diastolic": ("8462-4", "mm[Hg]"),
    "heart_rate": ("8867-4", "/min"),
    "spo2": ("2708-6", "%"),
    "respiratory_rate": ("9279-1", "/min"),
}
VISITS = ("T1-spike", "T1-end", "T3-correction", "T6-dose", "T8-micrograms", "T11-names")


@pytest.fixture(scope="module")
def shop(room, composed):

    rules = ROOT / "mappings" / "rules"
    book = load_rules(rules / "coordination.yaml", rules / "signatures.demonstration.yaml", accept_demonstration=True)
    return Workshop(rules=book, mappings=load(ROOT / "mappings"), letters=room)


def notes_of(shop, made, one):
    told = [(letter, blocks_of(letter.html)) for letter in one.letters]
    speech = ClinicSpeech(made.case.clinic.time_zone)
    return progress_notes(shop.mappings, made.case, made.plan, one.plan, told, speech)


@pytest.fixture(scope="module")
def notes(shop, composed):
    """Return (story, case, letter, document) of every letter about a visit."""
    found = []
    for name in VISITS:
        made = composed[name]
        for one in made.recipients:
            documents = notes_of(shop, made, one)
            assert len(documents) == len(one.letters)
            found += [
                (name, made.case, letter, ET.fromstring(document))
                for letter, document in zip(one.letters, documents, strict=True)
            ]
    return found


def words(element):
    return " ".join(" ".join(element.itertext()).split())


def body(root):
    return root.find("h:component/h:structuredBody", NS)


def test_every_word_of_the_letter_is_in_the_assessment_and_plan_also_the_forced_statements(notes):
    for name, _, letter, root in notes:
        section = body(root).find("h:component/h:section/h:code[@code='51847-2']/..", NS)
        shown = words(section.find("h:text", NS))
        # The numbers of a list and the headings of a table are structure there; the next test sees to the cells.
        for line in text_of(letter.html).splitlines():
            if line and not line.startswith("- ") and not line[0].isdigit() and "|" not in line:
                assert " ".join(line.split()).rstrip(":") in shown, (name, line)


def test_every_amount_name_and_time_that_the_letter_prints_is_in_the_document(written, shop):
    for row in written:
        if row.audience in ("patient", "patient-es"):
            continue
        root = ET.Element("text")
        add_blocks(root, blocks_of(row.letter.html))
        shown = words(root)
        for one in row.page.facts():
            assert " ".join(one.text.split()).rstrip(".") in shown, (row.name, one)


def test_every_reading_of_the_event_is_an_observation_with_its_code_unit_and_time(notes):
    seen = 0
    for name, case, _, root in notes:
        told = set()
        for one in root.iterfind(".//h:organizer/h:component/h:observation", NS):
            value = one.find("h:value", NS)
            told.add(
                (
                    one.find("h:code", NS).get("code"),
                    value.get("value"),
                    value.get("unit"),
                    one.find("h:effectiveTime", NS).get("value"),
                )
            )
        for vital in case.event.vitals:
            at = vital.at.strftime("%Y%m%d%H%M%S%z")
            for field, (code, unit) in READINGS.items():
                value = getattr(vital, field)
                if isinstance(value, int):
                    assert (code, str(value), unit, at) in told, (name, field)
                    seen += 1
    assert seen > 100


def test_the_dose_that_was_given_and_the_procedure_are_entries(notes):
    for name, case, _, root in notes:
        given = case.event.administration
        section = body(root).find("h:component/h:section/h:code[@code='29549-3']/..", NS)
        dose = section.find("h:entry/h:substanceAdministration/h:doseQuantity", NS)
        assert (dose.get("value"), dose.get("unit")) == (f"{given.dose.value:f}", given.dose.unit), name
        drug = section.find(".//h:manufacturedMaterial/h:code", NS)
        assert drug.get("code") == "6130", name
        assert root.find(".//h:procedure/h:code", NS).get("code") == "14152002", name


def test_every_entry_points_at_the_words_that_say_the_same(notes):
    for name, _, _, root in notes:
        there = {f"#{one.get('ID')}" for one in root.iter(f"{{{HL7}}}tr") if one.get("ID")}
        pointed = {one.get("value") for one in root.iter(f"{{{HL7}}}reference")}
        assert pointed, name
        assert pointed <= there, name


def test_no_code_is_sent_that_is_not_in_a_reviewed_table_or_in_the_sheet(notes, shop):
    systems = {oid: fhir for fhir, (oid, _) in shop.mappings.note.systems.items()}
    sheet = {one.code["code"] for one in shop.mappings.note.sections} | {"46680005", "74728-7"}
    for name, _, _, root in notes:
        for one in root.iter():
            system = systems.get(one.get("codeSystem", ""))
            if system is not None and one.get("code") not in sheet:
                assert one.get("code") in shop.mappings.known_codes[system], (name, one.attrib)


def test_a_correction_is_the_next_version_of_its_set_and_names_what_it_replaces(notes):
    corrected = [row for row in notes if row[0] == "T3-correction" and row[2].kind == "L9"]
    assert corrected
    for _, case, letter, root in corrected:
        assert root.find("h:versionNumber", NS).get("value") == str(case.event.version)
        earlier = next(one for one in case.already_sent if one.provider == letter.provider)
        before = root.find("h:relatedDocument[@typeCode='RPLC']/h:parentDocument/h:id", NS).get("root")
        assert before == case.document_id(letter.provider, earlier.kind, earlier.version).upper()


def test_what_is_about_no_visit_makes_no_note(shop, composed):
    for name, made in composed.items():
        for one in made.recipients:
            event = made.case.event
            missed = isinstance(event, SessionOutcome) and event.status in ("no-show", "cancelled", "scheduled")
            if one.letters and (missed or not isinstance(event, SessionOutcome)):
                assert notes_of(shop, made, one) == (), name


def test_a_medicine_without_a_known_dose_says_that_it_is_not_known(shop, composed):
    made = composed["T1-spike"]
    told = made.case.event.model_dump(by_alias=True, exclude_none=True)
    told["administration"]["dose"] = {"unknown": True}
    case = replace(made.case, event=SessionOutcome.model_validate(told))
    anew = compose(shop, case)
    (document, *_) = notes_of(shop, anew, anew.recipients[0])
    dose = ET.fromstring(document).find(".//h:code[@code='29549-3']/../h:entry//h:doseQuantity", NS)
    assert dose.attrib == {"nullFlavor": "UNK"}


def test_the_note_is_stored_with_the_letter_where_a_direct_address_wants_it_and_only_there(shop, composed):
    case = composed["T1-spike"].case

    def stored(form):
        providers = tuple(
            one.model_copy(
                update={
                    "endpoints": tuple(
                        place.model_copy(update={"ccda": form}) if place.kind == "direct" else place
                        for place in one.endpoints
                    )
                }
            )
            for one in case.registry.providers
        )
        registry = case.registry.model_copy(update={"providers": providers})
        made = compose(shop, replace(case, registry=registry))
        return {
            one.plan.provider: [row.role for row in documents_of("m", one) if row.role == "ccda-note"]
            for one in made.recipients
        }

    assert stored("progress-note")["pr-psych"] == ["ccda-note"]
    assert set(map(tuple, stored("unstructured").values())) == {()}
    assert set(map(tuple, stored(None).values())) == {()}
