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
from coordinator.flow.ports import Package, StoredDocument
from coordinator.mapping.ccda.header import (
    CDA_TYPE,
    HL7,
    add,
    add_author,
    add_custodian,
    add_patient,
    add_recipient,
    instant,
)

US_REALM_HEADER = "2.16.840.1.113883.10.20.22.1.1"
UNSTRUCTURED = "2.16.840.1.113883.10.20.22.1.10"
RELEASE = "2015-08-01"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"


@dataclass(frozen=True)
class Coded:
    """A code with its system as an OID, as CDA names them."""

    code: str
    system_oid: str
    system_name: str
    display: str


def wrap(package: Package, document_type: Coded, now: datetime) -> tuple[bytes, ...]:
    """Return a document in UTF-8 for each letter of the message. Raises NeedsHuman when no PDF is stored."""
    letters = package.all("letter-pdf")
    if not letters:
        raise NeedsHuman("event.letter")
    name = package.identifier.removeprefix("urn:uuid:")
    names = [name, *(stable_uuid("ccda", name, str(number)) for number in range(1, len(letters)))]
    return tuple(_wrapped(package, pdf, name, document_type, now) for name, pdf in zip(names, letters, strict=True))


def _wrapped(package: Package, pdf: StoredDocument, name: str, document_type: Coded, now: datetime) -> bytes:
    """Return the document of one letter. Changes nothing in the PDF."""
    root = ET.Element("ClinicalDocument", {"xmlns": HL7})
    add(root, "realmCode", code="US")
    add(root, "typeId", root=CDA_TYPE[0], extension=CDA_TYPE[1])
    for template in (US_REALM_HEADER, UNSTRUCTURED):
        add(root, "templateId", root=template, extension=RELEASE)
        add(root, "templateId", root=template)  # as R1.1 called it: C-CDA R2.1 asks for both
    add(root, "id", root=name.upper())
    add(
        root,
        "code",
        code=document_type.code,
        codeSystem=document_type.system_oid,
        codeSystemName=document_type.system_name,
        displayName=document_type.display,
    )
    add(root, "title").text = pdf.title
    add(root, "effectiveTime", value=instant(now))
    add(root, "confidentialityCode", code="R", codeSystem=CONFIDENTIALITY, displayName="restricted")
    add(root, "languageCode", code="en-US")
    add_patient(root, package.patient, package.clinic)
    add_author(root, package.clinic, now)
    add_custodian(root, package.clinic)
    add_recipient(root, package.provider)
    body = add(add(root, "component"), "nonXMLBody")
    text = add(body, "text", mediaType="application/pdf", representation="B64")
    text.text = base64.b64encode(pdf.body).decode("ascii")
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document
