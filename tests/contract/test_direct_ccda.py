import base64
import email
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from email import policy

import pytest

from coordinator.channels.ccda import Coded
from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.domain.registry import Endpoint
from coordinator.mapping.ccda.header import HL7
from coordinator.sandbox.hisp import Hisp
from tests.contract.people import WallClock, a_document, a_package

pytestmark = pytest.mark.loopback
TYPE = Coded("0000-0", "2.16.840.1.113883.6.1", "LOINC", "A note")


def received(tmp_path, package, ccda):
    """Return what the pretend HISP holds of the package, sent to an address that wants this."""
    hisp = Hisp(tmp_path)
    hisp.start()
    try:
        config = SmtpConfig(
            "127.0.0.1", hisp.smtp_port, hisp.username, hisp.password, "clinic@direct.lakeside.example",
            str(hisp.ca_file), ccda_type=TYPE,
        )  # fmt: skip
        endpoint = Endpoint(id="e", kind="direct", address="a@direct.northshore.example", ccda=ccda)
        Direct(config, WallClock()).send(
            package, endpoint, deadline=WallClock().now() + timedelta(seconds=8), about_to_send=lambda ref: None
        )
        return email.message_from_bytes(hisp.messages()[0][2], policy=policy.default)
    finally:
        hisp.stop()


def with_notes(package, *notes):
    stored = tuple(a_document("ccda-note", one, "application/xml") for one in notes)
    return replace(package, documents=(*package.documents, *stored))


@pytest.mark.parametrize(("ccda", "kinds"), [
    ("unstructured", ["application/pdf", "application/xml"]), (None, ["application/pdf"]),
])  # fmt: skip
def test_the_wrapped_letter_goes_beside_the_pdf_where_the_recipient_wants_it(tmp_path, ccda, kinds):
    package = a_package()
    message = received(tmp_path, package, ccda)
    attached = list(message.iter_attachments())
    assert [one.get_content_type() for one in attached] == kinds
    assert attached[0].get_content() == package.document("letter-pdf").body
    assert all(one.get_filename().startswith(f"letter-{package.reference}.") for one in attached)


def test_a_progress_note_goes_beside_the_pdf_as_it_was_stored(tmp_path):
    package = with_notes(a_package(), b"<note/>")
    pdf, note = received(tmp_path, package, "progress-note").iter_attachments()
    assert pdf.get_content() == package.document("letter-pdf").body
    assert (note.get_content_type(), note.get_content()) == ("application/xml", b"<note/>")


def test_a_letter_about_no_visit_goes_with_its_pdf_inside_a_document(tmp_path):
    package = a_package()
    _, document = received(tmp_path, package, "progress-note").iter_attachments()
    inside = ET.fromstring(document.get_content()).find(f".//{{{HL7}}}nonXMLBody/{{{HL7}}}text")
    assert base64.b64decode(inside.text) == package.document("letter-pdf").body


def test_a_note_that_is_stored_stays_at_home_where_nobody_wants_it(tmp_path):
    kinds = [
        one.get_content_type() for one in received(tmp_path, with_notes(a_package(), b"<n/>"), None).iter_attachments()
    ]
    assert kinds == ["application/pdf"]


def test_every_letter_of_a_message_is_in_the_mail_in_all_its_forms(tmp_path):
    package = a_package()
    second = (a_document("letter-pdf", b"%PDF the second"), a_document("letter-text", b"the second", "text/plain"))
    package = replace(package, documents=(*package.documents, *second))
    message = received(tmp_path, package, "unstructured")
    attached = list(message.iter_attachments())
    names = [f"letter-{package.reference}{end}" for end in (".pdf", "-2.pdf", ".xml", "-2.xml")]
    assert [one.get_filename() for one in attached] == names
    assert attached[1].get_content() == b"%PDF the second"
    documents = [ET.fromstring(one.get_content()) for one in attached[2:]]
    inside = [base64.b64decode(one.find(f".//{{{HL7}}}nonXMLBody/{{{HL7}}}text").text) for one in documents]
    assert inside == [one.body for one in package.all("letter-pdf")]
    assert len({one.find(f"{{{HL7}}}id").get("root") for one in documents}) == 2
    assert message.get_body().get_content().rstrip().endswith("the second")


@pytest.mark.parametrize(("said", "kept"), [(True, "unstructured"), (False, None), ("progress-note", "progress-note")])
def test_a_registry_from_before_there_was_a_choice_is_read_as_it_was_meant(said, kept):
    told = {"id": "e", "kind": "direct", "address": "a@direct.northshore.example", "ccda": said}
    assert Endpoint.model_validate(told).ccda == kept
