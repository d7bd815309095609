import email
from datetime import timedelta
from email import policy

import pytest

from coordinator.channels.ccda import Coded
from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.domain.registry import Endpoint
from coordinator.sandbox.hisp import Hisp
from tests.contract.people import WallClock, a_package

pytestmark = pytest.mark.loopback
TYPE = Coded("0000-0", "2.16.840.1.113883.6.1", "LOINC", "A note")


@pytest.mark.parametrize(("ccda", "kinds"), [
    (True, ["application/pdf", "application/xml"]), (False, ["application/pdf"]),
])  # fmt: skip
def test_the_wrapped_letter_goes_beside_the_pdf_where_the_recipient_wants_it(tmp_path, ccda, kinds):
    hisp = Hisp(tmp_path)
    hisp.start()
    try:
        config = SmtpConfig(
            "127.0.0.1", hisp.smtp_port, hisp.username, hisp.password, "clinic@direct.lakeside.example",
            str(hisp.ca_file), ccda_type=TYPE,
        )  # fmt: skip
        endpoint = Endpoint(id="e", kind="direct", address="a@direct.northshore.example", ccda=ccda)
        package = a_package()
        Direct(config, WallClock()).send(
            package, endpoint, deadline=WallClock().now() + timedelta(seconds=8), about_to_send=lambda ref: None
        )
        message = email.message_from_bytes(hisp.messages()[0][2], policy=policy.default)
    finally:
        hisp.stop()
    attached = list(message.iter_attachments())
    assert [one.get_content_type() for one in attached] == kinds
    assert attached[0].get_content() == package.document("letter-pdf").body
    assert all(one.get_filename().startswith(f"letter-{package.reference}.") for one in attached)
