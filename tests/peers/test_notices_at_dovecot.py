"""Delivery notices read from a real mailbox, dovecot, over TLS from the first byte."""

import contextlib
import imaplib
import os
import socket
import ssl
import uuid
from email.message import EmailMessage
from pathlib import Path

import pytest

from coordinator.channels.receipts.direct_mdn import MOST_AT_ONCE, DirectNotices, ImapConfig
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.sandbox.notices import mdn
from tests.contract.people import WallClock

pytestmark = pytest.mark.servers
CLINIC, READER = "clinic@direct.lakeside.example", "l.angstrom@direct.northshore.example"


class Mailbox:
    """A mailbox of its own at the running dovecot, filled as a HISP fills it."""

    def __init__(self):
        named, folder = os.environ.get("COORDINATOR_TEST_IMAP"), os.environ.get("COORDINATOR_TEST_SMTP_DIR")
        if not named or not folder:
            pytest.fail("COORDINATOR_TEST_IMAP is not set: run .ci/servers, which starts dovecot")
        self.port, self.ca_file = int(named.rpartition(":")[2]), str(Path(folder) / "edge.pem")
        self.wrong_ca_file = str(Path(folder) / "wrong.pem")
        self.user = f"clinic-{uuid.uuid4().hex[:8]}"

    def config(self, **changes):
        parts = {"host": "127.0.0.1", "port": self.port, "username": self.user, "password": "sandbox-only",
                 "ca_file": self.ca_file, "timeout_s": 20.0}  # fmt: skip
        return ImapConfig(**{**parts, **changes})

    def notices(self, **changes):
        return DirectNotices(self.config(**changes), WallClock())

    @contextlib.contextmanager
    def open(self):
        with imaplib.IMAP4_SSL(
            "127.0.0.1", self.port, ssl_context=ssl.create_default_context(cafile=self.ca_file), timeout=20
        ) as box:
            box.login(self.user, "sandbox-only")
            yield box

    def put(self, *mails):
        with self.open() as box:
            for mail in mails:
                assert box.append("INBOX", "", "", mail)[0] == "OK"

    def unseen(self):
        with self.open() as box:
            box.select("INBOX", readonly=True)
            return len(box.uid("SEARCH", "UNSEEN")[1][0].split())


@pytest.fixture
def box():
    return Mailbox()


def notice(kind, name="letter-1"):
    return mdn(kind, f"<{name}@direct.lakeside.example>", CLINIC, READER)


def take(notices):
    """Return what is new, each marked as a commit of ours would mark it."""
    found = []
    for news, done in notices.fetch():
        done()
        found.append((news.verdict, news.far_side_ref))
    return found


def test_processed_is_news_and_dispatched_is_proof_and_each_comes_once(box):
    box.put(notice("processed"), notice("dispatched"))
    about = "<letter-1@direct.lakeside.example>"
    assert take(box.notices()) == [("processed", about), ("acknowledged", about)]
    assert take(box.notices()) == []
    assert box.unseen() == 0


def test_a_notice_whose_commit_failed_comes_again_under_the_same_key(box):
    box.put(notice("dispatched"))
    first = [news.key for news, _ in box.notices().fetch()]
    second = [news.key for news, _ in box.notices().fetch()]
    assert first == second
    assert len(first) == 1


def test_a_letter_to_the_clinic_stays_unseen_and_never_stands_before_the_notices(box):
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = READER, CLINIC, "A question"
    letter.set_content("Who may I call?")
    box.put(bytes(letter), notice("failed"))
    notices = box.notices()
    assert [verdict for verdict, _ in take(notices)] == ["failed"]
    assert take(notices) == []
    assert box.unseen() == 1


def test_more_notices_than_one_round_takes_come_in_the_next(box):
    box.put(*(notice("dispatched", f"letter-{number}") for number in range(MOST_AT_ONCE + 7)))
    notices = box.notices()
    assert [len(take(notices)) for _ in range(3)] == [MOST_AT_ONCE, 7, 0]


def test_a_mailbox_that_was_away_is_caught_up_with_and_nothing_counts_twice(box):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    box.put(notice("processed"), notice("dispatched"))
    with pytest.raises(Transient):
        take(box.notices(port=closed))
    assert len(take(box.notices())) == 2
    assert take(box.notices()) == []


def test_a_wrong_password_and_a_wrong_certificate_are_a_persons_matter(box):
    with pytest.raises(NeedsHuman) as caught:
        take(box.notices(password="guessed"))
    assert caught.value.code == "direct.sign-in"
    with pytest.raises(NeedsHuman) as caught:
        take(box.notices(ca_file=box.wrong_ca_file))
    assert caught.value.code == "tls.untrusted"


def test_the_check_signs_in_and_marks_nothing(box):
    box.put(notice("dispatched"))
    assert box.notices().try_sign_in().endswith("unread: 1.")
    assert box.unseen() == 1
