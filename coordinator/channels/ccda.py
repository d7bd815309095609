"""The letter's PDF inside a C-CDA R2.1 Unstructured Document, for systems that file no bare PDF.

Order of the elements: HL7 CDA R2 schema, POCD_MT000040.ClinicalDocument. Content: HL7 C-CDA R2.1, US Realm
Header (V3) and Unstructured Document (V3).
"""

import base64
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime

from coordinator.domain.errors import NeedsHuman
from coordinator.domain.ids import stable_uuid
from coordinator.domain.registry import Address, Clinic, Name, Patient
from coordinator.flow.ports import Package

HL7 = "urn:hl7-org:v3"
US_REALM_HEADER = "2.16.840.1.113883.10.20.22.1.1"
UNSTRUCTURED = "2.16.840.1.113883.10.20.22.1.10"
RELEASE = "2015-08-01"
CDA_TYPE = ("2.16.840.1.113883.1.3", "POCD_HD000040")
NPI = "2.16.840.1.113883.4.6"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"
GENDER = "2.16.840.1.113883.5.1"
GENDERS = {"female": "F", "male": "M", "other": "UN", "unknown": "UN"}
"""HL7 AdministrativeGender has F, M and UN (undifferentiated); "unknown" goes as a nullFlavor instead."""


@dataclass(frozen=True)
class Coded:
    """A code with its system as an OID, as CDA names them."""

    code: str
    system_oid: str
    system_name: str
    display: str


def wrap(package: Package, document_type: Coded, now: datetime) -> bytes:
    """Return the document in UTF-8. Raises NeedsHuman when no PDF is stored. Changes nothing in the PDF."""
    pdf = package.document("letter-pdf")
    if pdf is None:
        raise NeedsHuman("event.letter")
    root = ET.Element("ClinicalDocument", {"xmlns": HL7})
    _add(root, "realmCode", code="US")
    _add(root, "typeId", root=CDA_TYPE[0], extension=CDA_TYPE[1])
    _add(root, "templateId", root=US_REALM_HEADER, extension=RELEASE)
    _add(root, "templateId", root=UNSTRUCTURED, extension=RELEASE)
    _add(root, "id", root=package.identifier.removeprefix("urn:uuid:").upper())
    _add(
        root,
        "code",
        code=document_type.code,
        codeSystem=document_type.system_oid,
        codeSystemName=document_type.system_name,
        displayName=document_type.display,
    )
    _add(root, "title").text = pdf.title
    _add(root, "effectiveTime", value=_instant(now))
    _add(root, "confidentialityCode", code="N", codeSystem=CONFIDENTIALITY, displayName="normal")
    _add(root, "languageCode", code="en-US")
    _patient(root, package.patient, package.clinic)
    _author(root, package.clinic, now)
    _custodian(root, package.clinic)
    _recipient(root, package)
    body = _add(_add(root, "component"), "nonXMLBody")
    text = _add(body, "text", mediaType="application/pdf", representation="B64")
    text.text = base64.b64encode(pdf.body).decode("ascii")
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def _patient(root: ET.Element, patient: Patient, clinic: Clinic) -> None:
    role = _add(_add(root, "recordTarget"), "patientRole")
    # Our own number, under a UUID made from the clinic's NPI: a clinic need not own an OID (CDA takes either).
    numbers = stable_uuid("patient numbers", clinic.npi).upper()
    _add(role, "id", root=numbers, extension=patient.id, assigningAuthorityName=clinic.name)
    _address(role, patient.address)
    _telecom(role, patient.phone)
    person = _add(role, "patient")
    _name(person, patient.name)
    if patient.sex == "unknown":
        _add(person, "administrativeGenderCode", nullFlavor="UNK")
    else:
        _add(person, "administrativeGenderCode", code=GENDERS[patient.sex], codeSystem=GENDER)
    _add(person, "birthTime", value=f"{patient.birth_date:%Y%m%d}")
    _add(person, "raceCode", nullFlavor="UNK")
    _add(person, "ethnicGroupCode", nullFlavor="UNK")


def _author(root: ET.Element, clinic: Clinic, now: datetime) -> None:
    author = _add(root, "author")
    _add(author, "time", value=_instant(now))
    assigned = _add(author, "assignedAuthor")
    _add(assigned, "id", root=NPI, extension=clinic.npi)
    _address(assigned, clinic.address)
    _telecom(assigned, clinic.phone)
    device = _add(assigned, "assignedAuthoringDevice")
    _add(device, "manufacturerModelName").text = "coordinator"
    _add(device, "softwareName").text = "coordinator"
    _organization(_add(assigned, "representedOrganization"), clinic)


def _custodian(root: ET.Element, clinic: Clinic) -> None:
    held = _add(_add(root, "custodian"), "assignedCustodian")
    _organization(_add(held, "representedCustodianOrganization"), clinic)


def _recipient(root: ET.Element, package: Package) -> None:
    intended = _add(_add(root, "informationRecipient"), "intendedRecipient")
    if package.provider.npi is not None:
        _add(intended, "id", root=NPI, extension=package.provider.npi)
    _name(_add(intended, "informationRecipient"), package.provider.name)
    if package.provider.organization is not None:
        _add(_add(intended, "receivedOrganization"), "name").text = package.provider.organization


def _organization(parent: ET.Element, clinic: Clinic) -> None:
    _add(parent, "id", root=NPI, extension=clinic.npi)
    _add(parent, "name").text = clinic.name
    _telecom(parent, clinic.phone)
    _address(parent, clinic.address)


def _name(parent: ET.Element, name: Name) -> None:
    element = _add(parent, "name")
    for given in name.given:
        _add(element, "given").text = given
    if name.family is not None:
        _add(element, "family").text = name.family
    if name.suffix is not None:
        _add(element, "suffix").text = name.suffix


def _address(parent: ET.Element, address: Address | None) -> None:
    if address is None:
        _add(parent, "addr", nullFlavor="NI")
        return
    element = _add(parent, "addr")
    for line in address.lines:
        _add(element, "streetAddressLine").text = line
    _add(element, "city").text = address.city
    _add(element, "state").text = address.state
    _add(element, "postalCode").text = address.postal_code
    _add(element, "country").text = "US"


def _telecom(parent: ET.Element, phone: str | None) -> None:
    if phone is None:
        _add(parent, "telecom", nullFlavor="NI")
    else:
        _add(parent, "telecom", value=f"tel:{phone}", use="WP")


def _add(parent: ET.Element, name: str, **attributes: str) -> ET.Element:
    return ET.SubElement(parent, name, attributes)


def _instant(at: datetime) -> str:
    """Return a point in time as CDA writes it: 20261014153000+0000."""
    return at.strftime("%Y%m%d%H%M%S%z")
