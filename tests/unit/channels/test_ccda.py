import base64
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coordinator.channels.ccda import Coded, wrap
from coordinator.domain.errors import NeedsHuman
from coordinator.mapping.ccda.header import HL7
from tests.contract.people import PATIENT, a_package

NOW = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)
TYPE = Coded("0000-0", "2.16.840.1.113883.6.1", "LOINC", "A note")
NS = {"h": HL7}
HEADER = (
    "realmCode", "typeId", "templateId", "id", "code", "title", "effectiveTime", "confidentialityCode", "languageCode",
    "setId", "versionNumber", "copyTime", "recordTarget", "author", "dataEnterer", "informant", "custodian",
    "informationRecipient", "legalAuthenticator", "authenticator", "participant", "inFulfillmentOf", "documentationOf",
    "relatedDocument", "authorization", "componentOf", "component",
)  # fmt: skip
"""Order of the children of ClinicalDocument in the CDA R2 schema (POCD_MT000040)."""
ORDERS = {
    "patientRole": ("id", "addr", "telecom", "patient", "providerOrganization"),
    "patient": ("id", "name", "administrativeGenderCode", "birthTime", "maritalStatusCode", "religiousAffiliationCode",
                "raceCode", "ethnicGroupCode"),
    "author": ("templateId", "functionCode", "time", "assignedAuthor"),
    "assignedAuthor": ("templateId", "id", "code", "addr", "telecom", "assignedPerson", "assignedAuthoringDevice",
                       "representedOrganization"),
    "representedOrganization": ("id", "name", "telecom", "addr"),
    "representedCustodianOrganization": ("id", "name", "telecom", "addr"),
    "intendedRecipient": ("id", "addr", "telecom", "informationRecipient", "receivedOrganization"),
    "name": ("prefix", "given", "family", "suffix"),
}  # fmt: skip


def document(package=None):
    return ET.fromstring(wrap(package or a_package(), TYPE, NOW)[0])


def children(element):
    return [one.tag.removeprefix(f"{{{HL7}}}") for one in element]


def is_in_order(found, wanted):
    places = [wanted.index(one) for one in found]
    return places == sorted(places)


def test_the_pdf_is_inside_byte_for_byte():
    package = a_package()
    text = document(package).find("h:component/h:nonXMLBody/h:text", NS)
    assert text.attrib == {"mediaType": "application/pdf", "representation": "B64"}
    assert base64.b64decode(text.text) == package.document("letter-pdf").body


def test_the_elements_stand_in_the_order_of_the_cda_schema():
    root = document()
    assert root.tag == f"{{{HL7}}}ClinicalDocument"
    assert is_in_order(children(root), HEADER)
    for name, wanted in ORDERS.items():
        for one in root.iter(f"{{{HL7}}}{name}"):
            assert is_in_order(children(one), wanted), name


def test_everything_that_the_us_realm_header_and_the_template_require_is_there():
    root = document()
    templates = {(one.get("root"), one.get("extension")) for one in root.findall("h:templateId", NS)}
    assert templates == {
        (template, release)
        for template in ("2.16.840.1.113883.10.20.22.1.1", "2.16.840.1.113883.10.20.22.1.10")
        for release in ("2015-08-01", None)
    }
    assert root.find("h:code", NS).attrib == {
        "code": "0000-0", "codeSystem": "2.16.840.1.113883.6.1", "codeSystemName": "LOINC", "displayName": "A note",
    }  # fmt: skip
    assert root.find("h:effectiveTime", NS).get("value") == "20261014150000+0000"
    person = root.find("h:recordTarget/h:patientRole/h:patient", NS)
    assert person.find("h:name/h:family", NS).text == PATIENT.name.family
    assert person.find("h:birthTime", NS).get("value") == "19880307"
    assert person.find("h:administrativeGenderCode", NS).get("code") == "F"
    assert root.find("h:recordTarget/h:patientRole/h:id", NS).get("extension") == PATIENT.id
    assert root.find("h:custodian/h:assignedCustodian/h:representedCustodianOrganization/h:id", NS) is not None


def test_a_resent_letter_is_the_same_document():
    package = a_package()
    names = {document(one).find("h:id", NS).get("root") for one in (package, replace(package, resent=True, attempt=2))}
    assert len(names) == 1


def test_what_is_not_known_is_said_to_be_unknown_and_not_made_up():
    patient = PATIENT.model_copy(update={"address": None, "phone": None, "sex": "unknown"})
    role = document(a_package(patient=patient)).find("h:recordTarget/h:patientRole", NS)
    assert role.find("h:addr", NS).attrib == {"nullFlavor": "NI"}
    assert role.find("h:telecom", NS).attrib == {"nullFlavor": "NI"}
    assert role.find("h:patient/h:administrativeGenderCode", NS).attrib == {"nullFlavor": "UNK"}


def test_signs_that_xml_reserves_survive():
    patient = PATIENT.model_copy(update={"name": PATIENT.name.model_copy(update={"family": "O'Brien <&> Søn"})})
    assert document(a_package(patient=patient)).find(".//h:patient/h:name/h:family", NS).text == "O'Brien <&> Søn"


def test_without_a_stored_letter_nothing_is_wrapped():
    with pytest.raises(NeedsHuman):
        wrap(replace(a_package(), documents=()), TYPE, NOW)
