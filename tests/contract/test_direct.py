import email
import ssl
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from email import policy

import pytest

from coordinator.channels import direct
from coordinator.channels.direct import SMTP_REPLIES, Direct, SmtpConfig
from coordinator.channels.receipts.direct_mdn import MOST_AT_ONCE, DirectNotices, ImapConfig
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.sandbox.certificate import loopback_certificate
from coordinator.sandbox.hisp import Hisp
from coordinator.sandbox.imap import _Conversation
from tests.contract.channel_suite import CLASSES, ChannelSuite, Scene
from tests.contract.people import CANARY, WallClock, a_document, a_package
from tests.contract.scripted import ScriptedSmtp, _Listener, a_dead_port

pytestmark = pytest.mark.loopback

ENDPOINT = Endpoint(id="ep-direct", kind="direct", address="l.muller@direct.northshore.example")
SENDER = "clinic@direct.lakeside.example"


@pytest.fixture(scope="session")
def trust(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = loopback_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return str(certificate), context


FAULTS: dict[str, tuple[dict[str, str], str]] = {
    "": ({}, ""),
    "break-after": ({}, "drop-after-dot"),
    "silence-after": ({}, "hang-after-dot"),
    "drip": ({}, "drip-greeting"),
    "no-starttls": ({}, "no-starttls"),
    "drop-in-data": ({}, "drop-in-data"),
    "connect-4": ({"connect": "421 busy"}, ""),
    "connect-5": ({"connect": "554 go away"}, ""),
    "starttls-4": ({"STARTTLS": "454 later"}, ""),
    "starttls-5": ({"STARTTLS": "501 no"}, ""),
    "sign-in-4": ({"AUTH": "454 later"}, ""),
    "sign-in-5": ({"AUTH": "535 no"}, ""),
    "sender-4": ({"MAIL": "451 later"}, ""),
    "sender-5": ({"MAIL": "550 no"}, ""),
    "recipient-4": ({"RCPT": "450 later"}, ""),
    "recipient-5": ({"RCPT": "550 no such address"}, ""),
    "data-4": ({"DATA": "451 later"}, ""),
    "data-5": ({"DATA": "554 no"}, ""),
    "after-4": ({"after": "451 later"}, ""),
    "after-5": ({"after": "554 refused"}, ""),
    "too-large": ({"after": "552 too large"}, ""),
    "nonsense": ({"RCPT": "hello there"}, ""),
}


class TestDirect(ChannelSuite):
    away = "direct.away"
    refusals = (
        ("no-starttls", "needs-human", "direct.no-tls"),
        ("connect-4", "transient", "direct.later"),
        ("connect-5", "needs-human", "direct.closed"),
        ("starttls-4", "transient", "direct.later"),
        ("starttls-5", "needs-human", "direct.no-tls"),
        ("sign-in-4", "transient", "direct.later"),
        ("sign-in-5", "needs-human", "direct.sign-in"),
        ("sender-4", "transient", "direct.later"),
        ("sender-5", "needs-human", "direct.sign-in"),
        ("recipient-4", "transient", "direct.later"),
        ("recipient-5", "needs-human", "direct.address"),
        ("data-4", "transient", "direct.later"),
        ("data-5", "needs-human", "direct.refused"),
        ("after-4", "transient", "direct.later"),
        ("after-5", "permanent", "direct.refused"),
        ("too-large", "permanent", "direct.too-large"),
    )

    @pytest.fixture(autouse=True)
    def _trust(self, trust):
        self.ca_file, self.tls = trust

    @contextmanager
    def scene(self, fault=""):
        replies, act = FAULTS.get(fault, ({}, ""))
        with ScriptedSmtp(self.tls, replies, act) as far:
            port = a_dead_port() if fault == "refused-connection" else far.port
            config = SmtpConfig("127.0.0.1", port, "clinic", "secret", SENDER, self.ca_file)
            self.far = far
            yield Scene(Direct(config, WallClock()), ENDPOINT, a_package(), lambda: len(far.message))

    def two_letters(self, package):
        letters = (a_document("letter-pdf", b"%PDF-1.7 summary"), a_document("letter-pdf", b"%PDF-1.7 alert"))
        return replace(package, documents=letters)

    def letters_at(self, scene):
        attached = email.message_from_bytes(self.far.message).walk()
        return len({one.get_payload(decode=True) for one in attached if one.get_content_type() == "application/pdf"})

    def test_the_table_has_a_row_for_every_phase_and_each_is_played(self):
        played = {(fault.rpartition("-")[0], int(fault[-1])) for fault in FAULTS if fault[-1:].isdigit()}
        assert played == set(SMTP_REPLIES)
        for (phase, digit), verdict in SMTP_REPLIES.items():
            with self.scene(f"{phase}-{digit}") as scene:
                error = self.refused("", scene)
                assert (type(error), error.code) == (verdict.error, verdict.code)

    @pytest.mark.parametrize("reply", ["200 ok", "251 ok", "250-one\r\n250-two\r\n250 three", "250"])
    def test_a_reply_after_the_message_counts_by_its_first_digit(self, reply):
        with ScriptedSmtp(self.tls, {"after": reply}) as far:
            assert self.sent(far).status == int(reply[:3])

    @pytest.mark.parametrize("reply", ["354 go on", "199 x", "99 x", "hello", "", f"250-{'x' * 9000}\r\n250 ok"])
    def test_a_reply_after_the_message_that_says_neither_yes_nor_no_leaves_it_in_doubt(self, reply):
        with ScriptedSmtp(self.tls, {"after": reply}) as far, pytest.raises(InDoubt):
            self.sent(far)

    @pytest.mark.parametrize("verb", ["connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "after"])
    def test_a_service_that_closes_is_tried_later_whatever_was_said_before(self, verb):
        with ScriptedSmtp(self.tls, {verb: "421 closing"}) as far, pytest.raises(Transient) as caught:
            self.sent(far)
        assert caught.value.code == "direct.later"

    def sent(self, far):
        channel = Direct(SmtpConfig("127.0.0.1", far.port, "clinic", "secret", SENDER, self.ca_file), WallClock())
        return channel.send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)

    def test_a_break_before_the_final_dot_means_that_nothing_was_taken(self):
        letter = a_document("letter-pdf", bytes(8_000_000))  # too much for the kernel's buffers to swallow
        with self.scene("drop-in-data") as scene:
            scene.package = replace(scene.package, documents=(letter,))
            assert type(self.refused("drop-in-data", scene)) is Transient
            assert len(scene.marks) == 1

    def test_without_an_offer_of_tls_no_secret_and_no_name_leaves(self):
        with ScriptedSmtp(self.tls, {}, "no-starttls") as far:
            channel = Direct(SmtpConfig("127.0.0.1", far.port, "clinic", "secret", SENDER, self.ca_file), WallClock())
            with pytest.raises(NeedsHuman):
                channel.send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
            assert [one.split(" ")[0].upper() for one in far.commands] in (["EHLO"], ["EHLO", "QUIT"])

    def test_a_certificate_that_is_not_trusted_stops_everything(self):
        with ScriptedSmtp(self.tls) as far:
            channel = Direct(SmtpConfig("127.0.0.1", far.port, "clinic", "secret", SENDER), WallClock())
            with pytest.raises(NeedsHuman) as caught:
                channel.send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
            assert caught.value.code == "tls.untrusted"
            assert far.message == b""

    def test_a_line_that_is_no_reply_is_not_taken_for_one(self):
        with self.scene("nonsense") as scene:
            assert type(self.refused("nonsense", scene)) in set(CLASSES.values())
            assert scene.marks == []


def soon():
    return WallClock().now() + timedelta(seconds=8)


@pytest.fixture
def hisp(tmp_path):
    one = Hisp(tmp_path)
    one.start()
    yield one
    one.stop()


def channel_to(hisp):
    config = SmtpConfig("127.0.0.1", hisp.smtp_port, hisp.username, hisp.password, SENDER, str(hisp.ca_file))
    return Direct(config, WallClock())


def notices_of(hisp, **more):
    config = ImapConfig("127.0.0.1", hisp.imap_port, hisp.username, hisp.password, ca_file=str(hisp.ca_file))
    return DirectNotices(replace(config, **more), WallClock())


def test_the_letter_arrives_whole_and_its_headers_say_nothing_private(hisp):
    package, marks = a_package(), []
    taken = channel_to(hisp).send(package, ENDPOINT, deadline=soon(), about_to_send=marks.append)
    ((message_id, recipient, raw),) = hisp.messages()
    message = email.message_from_bytes(raw, policy=policy.default)
    assert marks == [message_id] == [taken.far_side_ref] == [f"<{package.tag}@direct.lakeside.example>"]
    assert recipient == ENDPOINT.address
    assert CANARY not in str(message.items())
    assert "X-DIRECT-FINAL-DESTINATION-DELIVERY=optional,true" in message["Disposition-Notification-Options"]
    (pdf,) = message.iter_attachments()
    assert pdf.get_content() == package.document("letter-pdf").body
    assert pdf.get_filename() == "letter-K7QF-2M9X-4T0B.pdf"
    assert message.get_body().get_content().replace("\r\n", "\n") == package.document("letter-text").body.decode()
    assert taken.proven is False
    assert taken.facts["tls"] in ("TLSv1.2", "TLSv1.3")


def test_a_copy_and_a_resent_letter_say_so(hisp):
    package = a_package(copy_of="fax 14 Oct 2026", resent=True)
    channel_to(hisp).send(package, ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    message = email.message_from_bytes(hisp.messages()[0][2], policy=policy.default)
    assert message.get_body().get_content().split("\r\n\r\n")[:2] == ["COPY OF fax 14 Oct 2026", "RESENT"]


@pytest.mark.parametrize("subject", ["Letter\r\nBcc: thief@evil.example", "Letter\nX: y", "Letter\x00"])
def test_a_line_break_in_a_header_is_refused_before_anything_is_sent(hisp, subject):
    with pytest.raises(Permanent):
        channel_to(hisp).send(
            replace(a_package(), subject=subject), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None
        )
    assert hisp.count() == 0


def test_processed_is_news_but_only_dispatched_is_proof_and_each_comes_once(hisp):
    package = a_package()
    taken = channel_to(hisp).send(package, ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    source = notices_of(hisp)
    first = []
    for news, mark in source.fetch():
        assert news.far_side_ref == taken.far_side_ref
        assert news.tag is None
        first.append(news)
        mark()
    assert [one.verdict for one in first] == ["processed", "acknowledged"]
    assert len({one.key for one in first}) == 2
    assert list(source.fetch()) == []


def test_a_notice_that_was_not_marked_comes_again_under_the_same_key(hisp):
    hisp.put_notice("failed", "<x@direct.lakeside.example>")
    source = notices_of(hisp)
    assert [news.key for news, _ in source.fetch()] == [news.key for news, _ in source.fetch()]
    ((news, _),) = list(source.fetch())
    assert (news.verdict, news.code, news.retry) == ("failed", "direct.failed", False)


def test_a_message_kept_before_the_line_broke_is_in_doubt_and_its_notice_settles_it(hisp):
    package, marks = a_package(), []
    hisp.behaviour.drop_after_dot = 1
    with pytest.raises(InDoubt):
        channel_to(hisp).send(package, ENDPOINT, deadline=soon(), about_to_send=marks.append)
    assert channel_to(hisp).look_up(package, ENDPOINT, marks[0], deadline=soon()).verdict == "unknown"
    assert {news.far_side_ref for news, _ in notices_of(hisp).fetch()} == set(marks)


def test_a_hisp_that_looks_at_the_message_for_longer_than_any_other_step_may_take_is_waited_for(hisp, monkeypatch):
    """Whoever hangs up after the final dot has a letter in doubt that was taken."""
    monkeypatch.setattr(direct, "STEP_S", 1.0)
    hisp.behaviour.thinks_after_dot_s = 2.5
    taken = channel_to(hisp).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda _: None)
    assert taken.status == 250
    hisp.behaviour.thinks_after_dot_s = 20
    begun_s = time.monotonic()
    with pytest.raises(InDoubt):
        channel_to(hisp).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda _: None)
    assert time.monotonic() - begun_s < 15, "but not beyond the deadline"


def test_letters_to_the_clinic_stay_unseen_and_never_stand_before_the_notices(hisp):
    for number in range(205):
        hisp.put_mail(f"Subject: Lunch {number}\r\n\r\nToday?\r\n".encode())
    hisp.put_notice("dispatched", "<x@direct.lakeside.example>")
    source = notices_of(hisp)
    assert list(source.fetch()) == []
    assert [news.verdict for news, _ in source.fetch()] == ["acknowledged"]
    assert len(hisp.unseen()) == 206


DEEP = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(2000))


@pytest.mark.parametrize("odd", [b"Message-ID: <\r\n\r\nHello", b"Message-ID: <a@[\r\n\r\nHello", DEEP])
def test_a_mail_that_cannot_be_read_never_stands_before_the_notices_behind_it(hisp, odd):
    hisp.put_mail(odd)
    hisp.put_notice("dispatched", "<x@direct.lakeside.example>")
    assert [news.verdict for news, _ in notices_of(hisp).fetch()] == ["acknowledged"]
    assert len(hisp.unseen()) == 2


def test_a_mail_at_which_the_line_breaks_never_stands_before_the_notices_behind_it(hisp):
    for number in range(2):
        hisp.put_notice("dispatched", f"<x{number}@direct.lakeside.example>")
    hisp.break_at(1)
    source, found = notices_of(hisp), []

    def take():
        for news, mark in source.fetch():
            found.append(news.far_side_ref)
            mark()

    for _ in range(2):
        with pytest.raises(Transient):
            take()
    assert found == ["<x1@direct.lakeside.example>"]
    hisp.break_at(None)
    assert [news.far_side_ref for news, _ in source.fetch()] == ["<x0@direct.lakeside.example>"]


def test_a_mailbox_of_very_many_unread_mails_is_read(hisp, monkeypatch):
    hisp.put_notice("dispatched", "<x@direct.lakeside.example>")
    monkeypatch.setattr(hisp, "unseen", lambda: range(1, 300_000))
    with closing(notices_of(hisp).fetch()) as found:
        assert next(found)[0].verdict == "acknowledged"


def test_a_mailbox_that_may_not_be_searched_is_away_and_not_empty(hisp, monkeypatch):
    monkeypatch.setattr(_Conversation, "_uid", lambda self, words: "NO not now")
    with pytest.raises(Transient):
        list(notices_of(hisp).fetch())


def test_in_a_mailbox_that_was_numbered_anew_the_same_number_is_another_mail(hisp):
    hisp.put_mail(b"Subject: Lunch?\r\n\r\nToday?\r\n")
    source = notices_of(hisp)
    assert list(source.fetch()) == []
    with hisp._shelf.keep() as db:
        db.execute("DELETE FROM notices")
    hisp.number_anew()
    hisp.put_notice("dispatched", "<x@direct.lakeside.example>")
    assert hisp.unseen() == [1]
    assert [news.verdict for news, _ in source.fetch()] == ["acknowledged"]


def test_notices_that_may_not_be_marked_never_stand_before_the_ones_behind_them(hisp):
    hisp.refuse_marks()
    for number in range(MOST_AT_ONCE + 1):
        hisp.put_notice("dispatched", f"<x{number}@direct.lakeside.example>")
    source, found = notices_of(hisp), []
    for _ in range(2):
        for news, mark in source.fetch():
            found.append(news.far_side_ref)
            mark()
    assert len(found) == len(set(found)) == MOST_AT_ONCE + 1


def test_a_mailbox_that_speaks_a_letter_at_a_time_is_cut_off_at_the_rounds_limit(trust):
    class Drips(_Listener):
        def converse(self, one):
            for byte in b"* OK " + b"." * 400:
                one.sendall(bytes([byte]))
                self.wait(0.1)

    with Drips(trust[1]) as far:
        config = ImapConfig("127.0.0.1", far.port, "clinic", "secret", ca_file=trust[0], total_s=1.0)
        began = time.monotonic()
        with pytest.raises(Transient):
            list(DirectNotices(config, WallClock()).fetch())
        assert time.monotonic() - began < 5


def test_a_hisp_that_is_down_is_tried_again_and_takes_the_letter_once_it_is_back(hisp):
    hisp.go_down()
    with pytest.raises(Transient):
        channel_to(hisp).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    hisp.come_back()
    channel_to(hisp).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    assert hisp.count() == 1


def test_an_address_that_is_none_or_outside_ascii_is_held_and_a_password_outside_it_too(hisp):
    for address in ("müller@direct.example", "muller@", "", "a@b@c", "a@b.example, c@d.example"):
        odd = Endpoint.model_construct(id="e", kind="direct", address=address)
        with pytest.raises(NeedsHuman) as caught:
            channel_to(hisp).send(a_package(), odd, deadline=soon(), about_to_send=lambda ref: None)
        assert caught.value.code == "direct.address"
    config = SmtpConfig("127.0.0.1", hisp.smtp_port, "clinic", "pässword", SENDER, str(hisp.ca_file))
    with pytest.raises(NeedsHuman) as caught:
        Direct(config, WallClock()).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    assert caught.value.code == "direct.sign-in"
    with pytest.raises(NeedsHuman):
        list(notices_of(hisp, password="pässword").fetch())


def test_a_late_notice_is_not_seen_before_its_time(hisp):
    hisp.put_notice("dispatched", "<x@direct.lakeside.example>", delay_s=60)
    assert list(notices_of(hisp).fetch()) == []


def test_a_mailbox_that_refuses_the_sign_in_is_a_persons_matter_and_one_that_is_away_is_not(hisp):
    with pytest.raises(NeedsHuman):
        list(notices_of(hisp, password="wrong").fetch())
    with pytest.raises(Transient):
        list(notices_of(hisp, port=a_dead_port()).fetch())
    with pytest.raises(NeedsHuman):
        list(notices_of(hisp, ca_file=None).fetch())


def test_the_pretend_hisp_keeps_what_it_took_across_a_restart(hisp, tmp_path):
    channel_to(hisp).send(a_package(), ENDPOINT, deadline=soon(), about_to_send=lambda ref: None)
    again = Hisp(tmp_path)
    count = again.count()
    again.stop()
    assert count == 1
