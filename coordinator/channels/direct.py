"""Direct through a HISP's edge: SMTP with mandatory TLS and sign-in. One try; the MDN comes later."""

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Literal

from coordinator.channels.answers import Verdict
from coordinator.channels.ccda import Coded, wrap
from coordinator.channels.cutoff import Cutoff
from coordinator.channels.mail import compose, message_id_for
from coordinator.channels.smime import Agent, SmimeConfig
from coordinator.channels.tls import certificate_cause
from coordinator.domain.errors import DeliveryError, InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Clock, Lookup, Package, Taken
from coordinator.trust import RevocationLists, Trust

Phase = Literal["connect", "starttls", "sign-in", "signed-in", "sender", "recipient", "data", "after"]

SMTP_REPLIES: Mapping[tuple[Phase, int], Verdict] = MappingProxyType(
    {
        ("connect", 4): Verdict(Transient, "direct.later"),
        ("connect", 5): Verdict(NeedsHuman, "direct.closed"),
        ("starttls", 4): Verdict(Transient, "direct.later"),
        ("starttls", 5): Verdict(NeedsHuman, "direct.no-tls"),
        ("sign-in", 4): Verdict(Transient, "direct.later"),
        ("sign-in", 5): Verdict(NeedsHuman, "direct.sign-in"),
        ("sender", 4): Verdict(Transient, "direct.later"),
        ("sender", 5): Verdict(NeedsHuman, "direct.sign-in"),
        ("recipient", 4): Verdict(Transient, "direct.later"),
        ("recipient", 5): Verdict(NeedsHuman, "direct.address"),
        ("data", 4): Verdict(Transient, "direct.later"),
        ("data", 5): Verdict(NeedsHuman, "direct.refused"),
        ("after", 4): Verdict(Transient, "direct.later"),
        ("after", 5): Verdict(Permanent, "direct.refused"),
    }
)
"""(phase, first digit of the reply) -> outcome. Before the final dot nothing was accepted (RFC 5321 section 4.2)."""

PROCESSED_WITHIN_S = 3600
"""No notice after an hour is somebody's problem: the wait that Direct's own reference software starts from."""
STEP_S = 15.0


@dataclass(frozen=True)
class SmtpConfig:
    """The HISP's edge. `ca_file` replaces the system's trust store where the HISP has its own authority."""

    host: str
    port: int
    username: str
    password: str
    from_address: str
    ca_file: str | None = None
    smime: SmimeConfig | None = None
    """Our own signing key and the recipients' certificates; None where the HISP signs and encrypts."""
    ccda_type: Coded | None = None
    """The document type of the C-CDA wrap, for endpoints that want one beside the PDF."""
    lists: RevocationLists | None = None
    """Lists of revoked certificates by server; None where nobody is asked."""


class Direct:
    """Hands the letter to the HISP, which signs, encrypts and carries it; where we are the agent, we sign first."""

    kind: ClassVar[str] = "direct"
    safe_to_repeat: ClassVar[bool] = False

    def __init__(self, config: SmtpConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._trust = Trust(config.ca_file, lists=config.lists)
        self._agent = None if config.smime is None else Agent(config.smime)

    @property
    def encrypts(self) -> bool:
        """Return whether we sign and encrypt ourselves."""
        return self._agent is not None

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Return Taken once the HISP has said 250 after the message; see the port."""
        message_id = message_id_for(package.tag, self._config.from_address)
        body = self._message(package, endpoint, message_id)
        with self._session(deadline) as session:
            session.open()
            session.envelope(endpoint.address)
            return session.hand_over(body, message_id, about_to_send)

    def try_sign_in(self, deadline: datetime) -> str:
        """Return what the edge is like: TLS version and that we may come in. Names no recipient, sends nothing."""
        with self._session(deadline) as session:
            session.open()
            return f"{self._config.host} speaks {session.facts.get('tls', 'TLS')} and takes our sign-in."

    def try_certificate(self, endpoint: Endpoint, deadline: datetime) -> str:
        """Return until when the recipient's certificate is good; raise NeedsHuman when we cannot write to them."""
        if self._agent is None:
            return "The HISP encrypts."
        now = self._clock.now()
        self._agent.refuse_own(self._config.from_address, now)
        good_until = self._agent.good_until(endpoint, now)
        return f"The recipient's certificate is good until {good_until:%Y-%m-%d}."

    def _message(self, package: Package, endpoint: Endpoint, message_id: str) -> bytes:
        now, sender = self._clock.now(), self._config.from_address
        plain = compose(package, sender, endpoint.address, message_id, now, self._ccda(package, endpoint, now))
        if self._agent is None:
            return plain
        self._agent.refuse_own(sender, now)
        return self._agent.protect(plain, endpoint, now)

    def _ccda(self, package: Package, endpoint: Endpoint, now: datetime) -> tuple[bytes, ...]:
        """Return the letters as this recipient wants them beside the PDFs.

        A note is made with the letter, about a visit; a letter that has none goes as its PDF in a document.
        """
        notes = package.all("ccda-note") if endpoint.ccda == "progress-note" else ()
        if notes:
            return tuple(one.body for one in notes)
        if endpoint.ccda is None or self._config.ccda_type is None:
            return ()
        return wrap(package, self._config.ccda_type, now)

    @contextlib.contextmanager
    def _session(self, deadline: datetime) -> Iterator["_Session"]:
        remaining_s = (deadline - self._clock.now()).total_seconds()
        if remaining_s <= 0:
            raise Transient("net.timeout", uses_attempt=False)
        with Cutoff(remaining_s) as cutoff:
            session = _Session(self._config, self._trust.context(self._config.host), cutoff, min(STEP_S, remaining_s))
            try:
                yield session
            finally:
                session.close()

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Return unknown: a HISP cannot be asked; only an MDN says."""
        return Lookup("unknown")


class _Watched(smtplib.SMTP):
    """An SMTP client whose socket the cutoff knows before the greeting is awaited."""

    def __init__(self, host: str, port: int, cutoff: Cutoff, timeout_s: float) -> None:
        self._cutoff = cutoff
        super().__init__(host, port, timeout=timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        one: socket.socket = socket.create_connection((host, port), timeout)
        self._cutoff.watch(one)
        return one


class _Session:
    """One SMTP session, and the phase it has reached, which decides what a fault means."""

    def __init__(self, config: SmtpConfig, tls: ssl.SSLContext, cutoff: Cutoff, step_s: float) -> None:
        self._config = config
        self._tls = tls
        self._cutoff = cutoff
        self._step_s = step_s
        self._smtp: smtplib.SMTP = smtplib.SMTP()
        self._phase: Phase = "connect"
        self._dot_sent = False
        self.facts: dict[str, str] = {}
        """What the timeline may show: the TLS version."""

    def open(self) -> None:
        """Connect, insist on TLS, sign in. Raises Transient or NeedsHuman; not a byte of the message has left."""
        with self._sorted():
            self._smtp = _Watched(self._config.host, self._config.port, self._cutoff, self._step_s)
            greeted = self._smtp.ehlo()
            if greeted[0] // 100 != 5:  # one that does not know EHLO has no STARTTLS to offer either
                self._expect(greeted, 250)
            self._phase = "starttls"
            if not self._smtp.has_extn("starttls"):
                raise NeedsHuman("direct.no-tls")  # a stripped offer looks the same: never go on in clear
            self._expect(self._smtp.starttls(context=self._tls), 220)
            self._watch()
            self._phase = "sign-in"
            self._expect(self._smtp.ehlo(), 250)
            self._smtp.login(self._config.username, self._config.password)
            self._phase = "signed-in"

    def envelope(self, recipient: str) -> None:
        """Name sender and recipient. Raises Transient or NeedsHuman."""
        with self._sorted():
            self._phase = "sender"
            self._expect(self._smtp.mail(self._config.from_address), 250)
            self._phase = "recipient"
            self._expect(self._smtp.rcpt(recipient), 250, 251)

    def hand_over(self, body: bytes, message_id: str, about_to_send: Callable[[str | None], None]) -> Taken:
        """Send the message. Without its final dot nothing was accepted; after it only the reply can tell."""
        with self._sorted():
            self._phase = "data"
            self._expect(self._smtp.docmd("DATA"), 354)
        about_to_send(message_id)
        with self._sorted():
            self._smtp.send(_dot_stuffed(body))
            self._dot_sent = True
            self._phase = "after"
            self._smtp.send(b".\r\n")
            self._wait(self._cutoff.left_s)  # who hangs up here has it in doubt (RFC 5321, 4.5.3.2.6)
            code, words = self._smtp.getreply()
            self._wait(self._step_s)
            if code // 100 != 2:  # by its first digit, as RFC 5321 has it (4.2)
                raise smtplib.SMTPResponseException(code, words)
        return Taken(
            far_side_ref=message_id,
            proven=False,
            detail=words,
            status=code,
            expect_receipt_within_s=PROCESSED_WITHIN_S,
            facts=self.facts,
        )

    def close(self) -> None:
        """Say goodbye only where the session is in a state that allows it; else just hang up."""
        with contextlib.suppress(OSError, smtplib.SMTPException):
            if self._phase in ("signed-in", "after") and not self._cutoff.reached:
                self._smtp.quit()
        self._smtp.close()

    def _wait(self, limit_s: float) -> None:
        if self._smtp.sock is not None:
            self._smtp.sock.settimeout(limit_s)

    def _watch(self) -> None:
        if isinstance(self._smtp.sock, socket.socket):
            self._cutoff.watch(self._smtp.sock)
        if isinstance(self._smtp.sock, ssl.SSLSocket):
            self.facts["tls"] = self._smtp.sock.version() or ""

    def _expect(self, reply: tuple[int, bytes], *good: int) -> None:
        if reply[0] not in good:
            raise smtplib.SMTPResponseException(*reply)

    @contextlib.contextmanager
    def _sorted(self) -> Iterator[None]:
        try:
            yield
        except smtplib.SMTPResponseException as fault:
            raise self._verdict(fault) from None
        except UnicodeError:
            raise NeedsHuman("direct.sign-in") from None  # its text would quote the user name or the password
        except (smtplib.SMTPException, OSError) as fault:
            raise self._broken(fault) from None

    def _verdict(self, fault: smtplib.SMTPResponseException) -> DeliveryError:
        words = fault.smtp_error
        if fault.smtp_code == -1 or not isinstance(words, bytes):
            return self._broken(fault)  # smtplib's own words for a line that is no reply
        if (self._phase, fault.smtp_code) == ("after", 552):
            return Permanent("direct.too-large", detail=words, status=552)
        if self._phase == "after" and fault.smtp_code // 100 not in (4, 5):
            return InDoubt("direct.in-doubt", detail=words, status=fault.smtp_code)
        error, code = SMTP_REPLIES.get((self._phase, fault.smtp_code // 100), Verdict(NeedsHuman, "direct.refused"))
        return error(code, detail=words, status=fault.smtp_code)

    def _broken(self, fault: Exception) -> DeliveryError:
        if isinstance(fault, ssl.SSLCertVerificationError):
            return NeedsHuman(certificate_cause(fault))
        if self._dot_sent:
            return InDoubt("direct.in-doubt")
        if isinstance(fault, smtplib.SMTPNotSupportedError):
            return NeedsHuman("direct.sign-in")
        return Transient("direct.away")  # whatever it was: it is our own provider's server, not the recipient's


def _dot_stuffed(body: bytes) -> bytes:
    """Return the message with leading dots doubled and a line end at its end (RFC 5321 section 4.5.2)."""
    stuffed = re.sub(rb"(?m)^\.", b"..", body)
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"
