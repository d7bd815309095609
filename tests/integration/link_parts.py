"""A bench whose psychiatrist is reached by secure link, with the mails it would have sent and the letter pages."""

import email
import re
import warnings
from dataclasses import dataclass
from email import policy as mail_policy
from types import SimpleNamespace

from bench_parts import STAFF, Bench, example

from coordinator.api.app import build
from coordinator.channels.direct import SmtpConfig
from coordinator.channels.secure_link import SecureLink
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.letter_reader import LetterReader
from coordinator.flow.link import LinkBook, LinkDoor, set_access_code
from coordinator.flow.ports import Taken
from coordinator.security.passwords import Passwords

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

import json

ENDPOINT = "ep-psych-link"
PUBLIC = "https://letters.lakeside.example"
SAME_SITE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}


class PostRoom(SecureLink):
    """The channel with a mail service that keeps what it is handed, and fails when it is told to."""

    def __init__(self, links, clock):
        super().__init__(SmtpConfig("mail.example", 587, "u", "p", "letters@lakeside.example"), links, PUBLIC, clock)
        self.mails = []
        self.script = []

    def _hand_over(self, body, endpoint, message_id, remaining_s, about_to_send):
        step = self.script.pop(0) if self.script else None
        if step is not None and step[0] == "before":
            raise step[1]
        about_to_send(message_id)
        self.mails.append((endpoint.address, body))
        if step is not None:
            raise step[1]
        return Taken(message_id, proven=False, status=250)


@dataclass(frozen=True)
class Notice:
    to: str
    subject: str
    text: str

    @property
    def token(self) -> str:
        return re.search(r"/l#([0-9a-f]+)", self.text).group(1)

    @property
    def path(self) -> str:
        return re.search(r"/l/([0-9A-Z]{5}-[0-9A-Z]{5})", self.text).group(1)


class LinkBench:
    """The bench, the channel, the door and the pages around one psychiatrist."""

    def __init__(self, bench: Bench, *, code: bool = True, medications: list | None = None) -> None:
        self.bench = bench
        self.clock = bench.clock
        self.codes = Passwords(memory_kib=64, passes=1)
        self.room = PostRoom(LinkBook(bench.store, bench.clock), bench.clock)
        bench.channels["secure-link"] = self.room
        clinic = example("clinic")
        clinic["providers"][0]["endpoints"] = [
            {"id": ENDPOINT, "kind": "secure-link", "address": "office@northshore.example", "verified_on": "2026-09-01"}
        ]
        if medications is not None:
            clinic["patients"][0]["medications"] = medications
        written = bench.registry.write_whole(json.dumps(clinic, ensure_ascii=False).encode(), STAFF)
        assert written.outcome == "updated", written.faults
        bench.approve(ENDPOINT, "office@northshore.example")
        self.door = LinkDoor(bench.parts, self.codes)
        self.reader = LetterReader(bench.parts)
        self.answers = StaffAnswers(bench.parts)
        self.code = set_access_code(bench.parts, self.codes, ENDPOINT, actor=STAFF) if code else ""

    def told(self, name="session-outcome.bp-spike", **changes):
        """Report an event, prepare it, send what is due; return the psychiatrist's message."""
        message = self.bench.told(example(name) | changes)["pr-psych"]
        self.bench.send_due()
        return message

    def notice(self, place=-1) -> Notice:
        to, body = self.room.mails[place]
        mail = email.message_from_bytes(body, policy=mail_policy.default)
        return Notice(to, mail["Subject"], mail.get_content())

    def enter(self, **other):
        """Open the newest notice's link with the right code; return the session or None."""
        given = {"token": self.notice().token, "code": self.code, "address": "203.0.113.7"} | other
        opened = self.door.open(**given)
        return None if opened is None else opened.session

    def link(self, message):
        with self.bench.store.begin(write=False) as tx:
            return tx.link(self.bench.deliveries(message.id)[-1].id)

    def answers_of(self, message):
        with self.bench.store.begin(write=False) as tx:
            return list(tx.answers_of(message.id))

    def tasks(self, message):
        with self.bench.store.begin(write=False) as tx:
            return [(kind, cause) for _, _, kind, cause, _ in tx.open_tasks(message.id)]

    def web(self, host: str = "testclient") -> TestClient:
        """Return a browser at the letter pages, at that network address."""
        settings = SimpleNamespace(public_url=PUBLIC, console_url="https://console.example", environment="production")
        service = SimpleNamespace(door=self.door, reader=self.reader, settings=settings, health=dict)
        app = build(service, service)
        return TestClient(app, base_url=PUBLIC, follow_redirects=False, headers=SAME_SITE, client=(host, 50000))
