"""What the flow needs from the world, as protocols. `bootstrap` hands in the real ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from coordinator.domain.registry import Clinic, Endpoint, Patient, Provider


class Clock(Protocol):
    """Tells the time. Always aware, in UTC."""

    def now(self) -> datetime:
        """Return this instant in UTC."""
        ...


class Dice(Protocol):
    """Draws what must not be predictable or equal."""

    def jitter(self) -> float:
        """Return a factor between 0.8 and 1.2."""
        ...

    def token(self) -> str:
        """Return 256 fresh random bits as URL-safe text."""
        ...

    def uuid(self) -> str:
        """Return a fresh random identifier."""
        ...


@dataclass(frozen=True)
class StoredDocument:
    """One stored form of what is sent: the very bytes, with their hash (hex SHA-256)."""

    id: str
    role: Literal[
        "letter-html", "letter-text", "letter-pdf", "fax-pdf", "fhir-chart", "fhir-singles", "fhir-document",
        "fhir-message", "fhir-tasks", "ccda-note",
    ]  # fmt: skip
    media_type: str
    body: bytes
    sha256: str
    title: str


@dataclass(frozen=True)
class Package:
    """What a channel is given to send: stored bytes and the names the far side will know them by.

    A channel changes nothing in it. `tag` is the stable key a gateway can be asked
    for later (the delivery's id); `identifier` is the message's own, the same on
    every resend, which FHIR servers are searched by.
    """

    delivery: str
    message: str
    attempt: int
    tag: str
    identifier_system: str
    identifier: str
    subject: str
    reference: str
    documents: tuple[StoredDocument, ...]
    patient: Patient
    provider: Provider
    clinic: Clinic
    copy_of: str | None = None
    """For a later channel: "fax 14 Oct 2026", printed as COPY OF where the channel is paper or mail."""
    resent: bool = False

    def all(self, role: str) -> tuple[StoredDocument, ...]:
        """Return every stored document of a role, in order: a message may hold more than one letter."""
        return tuple(one for one in self.documents if one.role == role)

    def document(self, *roles: str) -> StoredDocument | None:
        """Return the first stored document with one of the roles, in the order asked for."""
        for role in roles:
            for one in self.documents:
                if one.role == role:
                    return one
        return None


@dataclass(frozen=True)
class Taken:
    """The far side took it. `proven` when that is also the proof of arrival.

    `far_side_ref` is what the far side calls it (a Location, a fax id, a Message-ID).
    `detail` is the far side's own answer, stored encrypted and never logged.
    """

    far_side_ref: str | None
    proven: bool
    detail: bytes = b""
    status: int | None = None
    expect_receipt_within_s: int | None = None
    """When silence after that time becomes somebody's problem."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the timeline may show: TLS version, server name, ms. No PHI."""


@dataclass(frozen=True)
class Lookup:
    """What the far side says of a send that may have arrived.

    arrived: it is there (proven or still on its way). absent: it is surely not
    there, and the far side searches reliably. unknown: nobody can say.
    """

    verdict: Literal["arrived", "arrived-proven", "failed", "absent", "unknown"]
    far_side_ref: str | None = None
    code: str | None = None
    """For `failed`: the cause code, such as fax.busy."""
    retry: bool = False
    """For `failed`: whether it may be sent again without a person. The channel's table of causes says so."""
    detail: bytes = b""
    station: str | None = None
    """For `arrived-proven`: what the machine that answered called itself; None where the far side does not tell."""


class Channel(Protocol):
    """Speaks to one kind of endpoint. Makes one try and names its outcome."""

    kind: ClassVar[str]
    safe_to_repeat: ClassVar[bool]

    def send(
        self, package: Package, endpoint: Endpoint, *, deadline: datetime, about_to_send: Callable[[str | None], None]
    ) -> Taken:
        """Make one try and return what the far side said.

        `about_to_send` must be called once, right before the first byte of the
        message may leave; it commits the on-wire mark and may raise StateConflict
        (then nothing is sent). Its argument is the far-side reference when we choose
        it ourselves (a Message-ID), else None. Raises Transient, Permanent, NeedsHuman
        or InDoubt, and nothing else: a library's own exception never leaves a channel.
        """
        ...

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        """Ask the far side about an earlier send. Never sends anything. Raises Transient or NeedsHuman."""
        ...


@dataclass(frozen=True)
class ReceiptNews:
    """Word from the far side about an earlier send, already verified by its channel.

    `key` makes it once-only (a Message-ID of the MDN, a callback id).
    """

    key: str
    channel: str
    far_side_ref: str | None
    tag: str | None
    verdict: Literal["processed", "acknowledged", "failed", "partial"]
    code: str | None = None
    retry: bool = False
    detail: bytes = b""
    station: str | None = None
    """For `acknowledged`: what the machine that answered called itself; None where the far side does not tell."""
    about: tuple[str, ...] = ()
    """The addresses it speaks of, where it names any: word of another recipient proves nothing of this one."""


class ReceiptSource(Protocol):
    """Somewhere receipts are fetched from (an IMAP mailbox, a gateway's status list)."""

    def fetch(self) -> Iterator[tuple[ReceiptNews, Callable[[], None]]]:
        """Yield each new receipt with the call that marks it as taken in, made after our commit."""
        ...


class Cipher(Protocol):
    """Encrypts fields so that a copied row cannot be read or moved."""

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Return the ciphertext bound to `place` (table|row|field)."""
        ...

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return the plain bytes; raise CipherError when the text or its place is not the sealed one."""
        ...

    def blind(self, kind: str, value: str) -> str:
        """Return the keyed hash that equal values share, for look-ups and pseudonyms."""
        ...


class Counters(Protocol):
    """Where metrics are counted. Labels are closed words, never ids of people."""

    def add(self, name: str, amount: int = 1, **labels: str) -> None:
        """Count."""
        ...


@dataclass(frozen=True)
class EntryRow:
    """One entry at one endpoint: what is held there, and what was asked and not answered yet."""

    sha256: str | None
    """Of the content that landed; None while nothing has."""
    place: str | None
    """"Observation/12", where the far side said so."""
    asked_sha256: str | None = None
    """Of the content that is on its way. It stays when an answer is lost: then it is in doubt."""


class EntryBook(Protocol):
    """Our own record of what was created one by one at a FHIR server. Each call is a transaction of its own."""

    def known(self, endpoint: str, entries: Sequence[str]) -> Mapping[str, EntryRow]:
        """Return the rows of those entries that were ever asked of this endpoint."""
        ...

    def asked(self, endpoint: str, entry: str, message: str, sha256: str) -> None:
        """Note, before its first byte may leave, that this content is asked."""
        ...

    def landed(self, endpoint: str, entry: str, place: str | None) -> None:
        """Note that what was asked has landed."""
        ...

    def let_go(self, endpoint: str, entry: str) -> None:
        """Note that what was asked has surely not landed."""
        ...
