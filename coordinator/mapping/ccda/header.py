"""What every C-CDA document of ours says of itself: the US Realm Header's people, in the order of the CDA R2 schema."""

import xml.etree.ElementTree as ET
from datetime import datetime

from coordinator.domain.ids import stable_uuid
from coordinator.domain.registry import Address, Clinic, Name, Patient, Provider

HL7 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
MOST_LINES = 3
"""US Realm Address takes four lines at most; what is beyond the third shares the fourth."""
CDA_TYPE = ("2.16.840.1.113883.1.3", "POCD_HD000040")
NPI = "2.16.840.1.113883.4.6"
GENDER = "2.16.840.1.113883.5.1"
GENDERS = {"female": "F", "male": "M", "other": "UN", "unknown": "UN"}
"""HL7 AdministrativeGender has F, M and UN (undifferentiated); "unknown" goes as a nullFlavor instead."""


def add_patient(root: ET.Element, patient: Patient, clinic: Clinic) -> None:
    """Say whom the document is about. What is not known is said to be unknown."""
    role = add(add(root, "recordTarget"), "patientRole")
    # Our own number, under a UUID made from the clinic's NPI: a clinic need not own an OID (CDA takes either).
    numbers = stable_uuid("patient numbers", clinic.npi).upper()
    add(role, "id", root=numbers, extension=patient.id, assigningAuthorityName=clinic.name)
    _address(role, patient.address)
    _telecom(role, patient.phone)
    person = add(role, "patient")
    _name(person, patient.name)
    if patient.sex == "unknown":
        add(person, "administrativeGenderCode", nullFlavor="UNK")
    else:
        add(person, "administrativeGenderCode", code=GENDERS[patient.sex], codeSystem=GENDER)
    add(person, "birthTime", value=f"{patient.birth_date:%Y%m%d}")
    add(person, "raceCode", nullFlavor="UNK")
    add(person, "ethnicGroupCode", nullFlavor="UNK")


def add_author(root: ET.Element, clinic: Clinic, now: datetime) -> None:
    """Say who made it: this service, for the clinic; the letter names the clinician who released it."""
    author = add(root, "author")
    add(author, "time", value=instant(now))
    assigned = add(author, "assignedAuthor")
    add(assigned, "id", root=NPI, extension=clinic.npi)
    _address(assigned, clinic.address)
    _telecom(assigned, clinic.phone)
    device = add(assigned, "assignedAuthoringDevice")
    add(device, "manufacturerModelName").text = "coordinator"
    add(device, "softwareName").text = "coordinator"
    _organization(add(assigned, "representedOrganization"), clinic)


def add_custodian(root: ET.Element, clinic: Clinic) -> None:
    """Say who keeps it: the clinic."""
    held = add(add(root, "custodian"), "assignedCustodian")
    _organization(add(held, "representedCustodianOrganization"), clinic)


def add_recipient(root: ET.Element, provider: Provider) -> None:
    """Say for whom it was made."""
    intended = add(add(root, "informationRecipient"), "intendedRecipient")
    if provider.npi is not None:
        add(intended, "id", root=NPI, extension=provider.npi)
    _name(add(intended, "informationRecipient"), provider.name)
    if provider.organization is not None:
        add(add(intended, "receivedOrganization"), "name").text = provider.organization


def _organization(parent: ET.Element, clinic: Clinic) -> None:
    add(parent, "id", root=NPI, extension=clinic.npi)
    add(parent, "name").text = clinic.name
    _telecom(parent, clinic.phone)
    _address(parent, clinic.address)


def _name(parent: ET.Element, name: Name) -> None:
    element = add(parent, "name")
    for given in name.given:
        add(element, "given").text = given
    if not name.given:
        add(element, "given", nullFlavor="NI")  # the realm asks for both; a person may have one name
    if name.family is not None:
        add(element, "family").text = name.family
    else:
        add(element, "family", nullFlavor="NI")
    if name.suffix is not None:
        add(element, "suffix").text = name.suffix


def _address(parent: ET.Element, address: Address | None) -> None:
    if address is None:
        add(parent, "addr", nullFlavor="NI")
        return
    element = add(parent, "addr")
    lines = [*address.lines[:MOST_LINES], ", ".join(address.lines[MOST_LINES:])]
    for line in filter(None, lines):
        add(element, "streetAddressLine").text = line
    if not any(lines):
        add(element, "streetAddressLine", nullFlavor="NI")
    add(element, "city").text = address.city
    add(element, "state").text = address.state
    add(element, "postalCode").text = address.postal_code
    add(element, "country").text = "US"


def _telecom(parent: ET.Element, phone: str | None) -> None:
    if phone is None:
        add(parent, "telecom", nullFlavor="NI")
    else:
        add(parent, "telecom", value=f"tel:{phone}", use="WP")


def add(parent: ET.Element, name: str, **attributes: str) -> ET.Element:
    """Add a child with these attributes and return it."""
    return ET.SubElement(parent, name, attributes)


def instant(at: datetime) -> str:
    """Return a point in time as CDA writes it: 20261014153000+0000."""
    return at.strftime("%Y%m%d%H%M%S%z")
