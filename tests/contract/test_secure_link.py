import email
import ssl
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import policy

import pytest

from coordinator.channels.direct import SmtpConfig
from coordinator.channels.secure_link import SecureLink
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.link import NoticeLink
from coordinator.sandbox.certificate import loopback_certificate
from tests.contract.channel_suite import ChannelSuite, Scene
from tests.contract.people import CANARY, WallClock, a_package
from tests.contract.scripted import ScriptedSmtp, a_dead_port

pytestmark = pytest.mark.loopback

ENDPOINT = Endpoint(id="ep-link", kind="secure-link", address="office@northshore.example")
SENDER = "letters@lakeside.example"
TOKEN = "ab" * 32


class LinksAtHand:
    """One link that is always the same; whether it was opened is said by the test."""

    def __init__(self, *, opened=False, error=None, ends=None):
        self.is_opened = opened
        self.error = error
        self.ends = ends or WallClock().now() + timedelta(days=14)

    def issue(self, delivery_id, message_id, endpoint_id):
        if self.error is not None:
            raise self.error
        return NoticeLink(TOKEN, "K7QF22M9X4", self.ends, self.is_opened)

    def opened(self, delivery_id):
        return self.is_opened


FAULTS = {
    "": ({}, ""),
    "break-after": ({}, "drop-after-dot"),
    "silence-after": ({}, "hang-after-dot"),
    "drip": ({}, "drip-greeting"),
    "no-starttls": ({}, "no-starttls"),
    "sign-in-5": ({"AUTH": "535 no"}, ""),
    "sender-4": ({"MAIL": "451 later"}, ""),
    "recipient-4": ({"RCPT": "450 later"}, ""),
    "recipient-5": ({"RCPT": "550 no such address"}, ""),
    "after-4": ({"after": "451 later"}, ""),
    "after-5": ({"after": "554 refused"}, ""),
}


@pytest.fixture(scope="session")
def trust(tmp_path_factory):
    certificate, key = loopback_certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return str(certificate), context


class TestSecureLink(ChannelSuite):
    away = "link.away"
    refusals = (
        ("no-starttls", "needs-human", "direct.no-tls"),
        ("sign-in-5", "needs-human", "link.sign-in"),
        ("sender-4", "transient", "direct.later"),
        ("recipient-4", "transient", "direct.later"),
        ("recipient-5", "needs-human", "link.mail-refused"),
        ("after-4", "transient", "direct.later"),
        ("after-5", "permanent", "link.mail-refused"),
    )

    @pytest.fixture(autouse=True)
    def _trust(self, trust):
        self.ca_file, self.tls = trust

    @contextmanager
    def scene(self, fault="", links=None):
        replies, act = FAULTS.get(fault, ({}, ""))
        with ScriptedSmtp(self.tls, replies, act) as far:
            port = a_dead_port() if fault == "refused-connection" else far.port
            config = SmtpConfig("127.0.0.1", port, "clinic", "secret", SENDER, self.ca_file)
            channel = SecureLink(config, links or LinksAtHand(), "https://letters.example/", WallClock())
            self.far = far
            yield Scene(channel, ENDPOINT, a_package(), lambda: len(far.message))

    def test_every_letter_of_a_message_is_given_to_the_far_side_under_one_mark(self):
        """The one link leads to the message with all of its letters (`test_letter_pages.py`); the notice has none."""
        with self.scene() as scene:
            scene.package = replace(scene.package, documents=scene.package.documents * 2)
            scene.send()
            assert self.far.message.count(b"https://letters.example/l#") == 1
            assert b"pdf" not in self.far.message.lower()
            assert len(scene.marks) == 1

    def test_it_names_the_kind_of_endpoint_it_speaks_to(self):
        with self.scene() as scene:
            assert scene.channel.kind == scene.endpoint.kind
            assert scene.channel.safe_to_repeat is True, "a second notice leads to the same link"

    def test_the_mail_holds_the_link_and_nothing_of_the_letter(self):
        with self.scene() as scene:
            taken = scene.send()
            mail = email.message_from_bytes(bytes(self.far.message), policy=policy.default)
            text = mail.get_content()
        assert mail["Subject"] == "A letter is waiting for you"
        assert (mail["To"], mail["Auto-Submitted"]) == ("office@northshore.example", "auto-generated")
        assert f"https://letters.example/l#{TOKEN}" in text
        assert "https://letters.example/l/K7QF2-2M9X4" in text
        assert CANARY not in bytes(self.far.message).decode()
        assert CANARY not in text
        assert not mail.is_multipart()
        assert taken.proven is False
        assert taken.expect_receipt_within_s == pytest.approx(14 * 24 * 3600, abs=60)
        assert TOKEN not in repr(taken)

    def test_the_notice_says_until_which_minute_the_letter_can_be_read(self):
        ends = datetime(2026, 10, 30, 15, 0, tzinfo=UTC)
        with self.scene(links=LinksAtHand(ends=ends)) as scene:
            scene.send()
            text = email.message_from_bytes(bytes(self.far.message), policy=policy.default).get_content()
        assert "can be read until 30 October 2026, 10:00 CDT" in " ".join(text.split())

    def test_a_clinics_name_outside_ascii_goes_in_seven_bits_and_is_read_whole(self):
        with self.scene() as scene:
            name = "Müller-Ångström Klinik"
            scene.package = replace(scene.package, clinic=scene.package.clinic.model_copy(update={"name": name}))
            scene.send()
            assert bytes(self.far.message).isascii(), "a mail service need not take eight bits"
            mail = email.message_from_bytes(bytes(self.far.message), policy=policy.default)
        assert mail["From"].addresses[0].display_name == name
        assert f"{name} has written to you" in mail.get_content()
        assert f"https://letters.example/l#{TOKEN}" in mail.get_content()

    def test_a_letter_that_was_opened_needs_no_notice(self):
        with self.scene(links=LinksAtHand(opened=True)) as scene:
            assert scene.send().proven is True
            assert len(scene.marks) == 1
            assert scene.content_seen() == 0

    def test_without_an_access_code_nothing_leaves(self):
        with self.scene(links=LinksAtHand(error=NeedsHuman("link.no-code"))) as scene:
            assert self.refused("", scene).code == "link.no-code"
            assert scene.marks == []
            assert scene.content_seen() == 0

    def test_the_far_side_is_our_own_page_and_it_knows(self):
        for opened, verdict in ((True, "arrived-proven"), (False, "absent")):
            with self.scene(links=LinksAtHand(opened=opened)) as scene:
                deadline = WallClock().now() + timedelta(seconds=5)
                assert scene.channel.look_up(scene.package, ENDPOINT, None, deadline=deadline).verdict == verdict

    def test_an_address_that_is_none_is_refused_by_us(self):
        with self.scene() as scene:
            for address in ("büro@northshore.example", "office", "office@a@b"):
                scene.endpoint = ENDPOINT.model_copy(update={"address": address})
                assert self.refused("", scene).code == "link.mail-refused"
            assert scene.content_seen() == 0
