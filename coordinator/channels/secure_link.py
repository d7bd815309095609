"""Secure link: a notice without PHI by mail; the letter itself stays on our page, behind link and access code."""

import textwrap
from collections.abc import Callable, Mapping
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from importlib import resources
from string import Template
from types import MappingProxyType
from typing import ClassVar, Protocol
from zoneinfo import ZoneInfo

from coordinator.channels.cutoff import Cutoff
from coordinator.channels.direct import STEP_S, SmtpConfig
from coordinator.channels.direct import _Session as SmtpSession
from coordinator.channels.mail import message_id_for, plain
from coordinator.domain.errors import DeliveryError, NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.link import NoticeLink
from coordinator.flow.ports import Clock, Lookup, Package, Taken
from coordinator.trust import Trust

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "direct.address": "link.mail-refused",
        "direct.refused": "link.mail-refused",
        "direct.too-large": "link.mail-refused",
        "direct.in-doubt": "link.in-doubt",
        "direct.sign-in": "link.sign-in",
        "direct.closed": "link.sign-in",
        "direct.away": "link.away",
    }
)
"""Causes of the mail session that read otherwise for a notice; every other one keeps its words."""
LINE = 76


class Links(Protocol):
    """Where links are kept; flow.link.LinkBook."""

    def issue(self, delivery_id: str, message_id: str, endpoint_id: str) -> NoticeLink:
        """Return the delivery's link; raise NeedsHuman while the endpoint has no access code."""
        ...

    def opened(self, delivery_id: str) -> bool:
        """Return whether the reader has opened the letter."""
        ...

    def has_code(self, endpoint_id: str) -> bool:
        """Return whether the endpoint has an access code."""
        ...


class SecureLink:
    """Mails the notice. The letter's proof of arrival is that the identified reader opened it."""

    kind: ClassVar[str] = "secure-link"
    safe_to_repeat: ClassVar[bool] = True

    def __init__(self, config: SmtpConfig, links: Links, public_url: str, clock: Clock) -> None:
        """`public_url` is the address of the letter pages from outside."""
        self._config = config
        self._links = links
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._trust = Trust(config.ca_file, lists=config.lists)
        self._notice = resources.files("coordinator.channels").joinpath("secure_link_notice.txt").read_text("utf-8")

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return Taken once the mail service has the notice; proven when the letter was opened from an earlier one."""
        remaining_s = (deadline - self._clock.now()).total_seconds()
        if remaining_s <= 0:
            raise Transient("net.timeout", uses_attempt=False)
        message_id = message_id_for(package.tag, self._config.from_address)
        link = self._links.issue(package.delivery, package.message, endpoint.id)
        if link.opened:
            about_to_send(message_id)
            return Taken(message_id, proven=True)
        body = self._compose(package, endpoint.address, link, message_id)
        try:
            answer = self._hand_over(body, endpoint, message_id, remaining_s, about_to_send)
        except DeliveryError as error:
            raise _renamed(error) from None
        wait_s = int((link.expires_at - self._clock.now()).total_seconds())
        return Taken(answer.far_side_ref, False, answer.detail, answer.status, max(1, wait_s), answer.facts)

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return proven when the letter was opened; else absent: a second notice harms nobody, its link is the same."""
        return Lookup("arrived-proven" if self._links.opened(package.delivery) else "absent", far_side_ref)

    def try_sign_in(self, deadline: datetime) -> str:
        """Return what the mail service of the notices is like. Names no recipient, sends nothing."""
        remaining_s = max((deadline - self._clock.now()).total_seconds(), 1.0)
        with Cutoff(remaining_s) as cutoff:
            session = SmtpSession(
                self._config, self._trust.context(self._config.host), cutoff, min(STEP_S, remaining_s)
            )
            try:
                session.open()
                return f"{self._config.host} speaks {session.facts.get('tls', 'TLS')} and takes our sign-in."
            except DeliveryError as error:
                raise _renamed(error) from error
            finally:
                session.close()

    def try_code(self, endpoint: Endpoint) -> str:
        """Return that the office has an access code; raise NeedsHuman while it has none."""
        if not self._links.has_code(endpoint.id):
            raise NeedsHuman("link.no-code")
        return "The office has an access code."

    def _hand_over(
        self,
        body: bytes,
        endpoint: Endpoint,
        message_id: str,
        remaining_s: float,
        about_to_send: Callable[[str | None], None],
    ) -> Taken:
        with Cutoff(remaining_s) as cutoff:
            session = SmtpSession(
                self._config, self._trust.context(self._config.host), cutoff, min(STEP_S, remaining_s)
            )
            try:
                session.open()
                session.envelope(endpoint.address)
                return session.hand_over(body, message_id, about_to_send)
            finally:
                session.close()

    def _compose(self, package: Package, to_address: str, link: NoticeLink, message_id: str) -> bytes:
        """Return the notice: the clinic's name and the link, and nothing about anybody."""
        subject, _, words = self._notice.partition("\n")
        until = link.expires_at.astimezone(ZoneInfo(package.provider.time_zone))
        text = Template(words).substitute(
            clinic=package.clinic.name,
            link=f"{self._public_url}/l#{link.token}",
            plain_link=f"{self._public_url}/l/{link.path[:5]}-{link.path[5:]}",
            until=f"{until.day} {until:%B %Y, %H:%M %Z}",
            phone=package.clinic.phone,
        )
        message = EmailMessage(policy=SMTP)
        message["Message-ID"] = message_id
        message["Date"] = format_datetime(self._clock.now())
        message["From"] = _address(self._config.from_address, package.clinic.name)
        message["To"] = _address(to_address)
        message["Subject"] = plain(subject)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_wrapped(text))
        return message.as_bytes()


def _renamed(error: DeliveryError) -> DeliveryError:
    code = CAUSES.get(error.code, error.code)
    if isinstance(error, Transient):
        return Transient(code, detail=error.detail, status=error.status, retry_after=error.retry_after,
                         uses_attempt=error.uses_attempt)  # fmt: skip
    return type(error)(code, detail=error.detail, status=error.status)


def _wrapped(text: str) -> str:
    """Return the text with lines that a mail needs no coding for; an address stays whole on its line."""
    paragraphs = [
        textwrap.fill(line, LINE, break_long_words=False, break_on_hyphens=False) for line in text.strip().split("\n")
    ]
    return "\n".join(paragraphs) + "\n"


def _address(text: str, display_name: str = "") -> Address:
    if not text.isascii():
        raise NeedsHuman("link.mail-refused")  # the mail service promises no SMTPUTF8
    try:
        return Address(display_name, addr_spec=plain(text))
    except (ValueError, IndexError, MessageError, DeliveryError):
        raise NeedsHuman("link.mail-refused") from None
