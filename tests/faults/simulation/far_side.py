"""A recipient that misbehaves by the dice and keeps its own books: what it holds is the judge."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.registry import Endpoint
from coordinator.flow.ports import Lookup, Package, ReceiptNews, Taken

MOODS = {
    "take": 30,
    "take-then-timeout": 6,
    "lose-then-timeout": 6,
    "slow": 8,
    "slow-answer": 8,
    "away-late": 6,
    "refuse": 2,
    "refuse-before": 1,
    "ask-to-wait": 4,
    "away": 8,
    "no-line": 6,
    "ask-a-person": 4,
    "bug-before": 1,
    "bug-after": 2,
    "job-fails": 8,
    "job-fails-for-good": 3,
    "refused-to-us": 2,
}
"""What one send meets, by weight."""

TRIED_AGAIN = ("fax.busy", "fax.training", "fax.partial")
"""Ways a queued fax fails that are tried again, five, three and two times."""

SLOWEST = timedelta(seconds=55)
"""A send is cut after 60 s, so what arrives at all arrives by then."""


@dataclass(frozen=True)
class Held:
    """One message in the recipient's books."""

    identifier: str
    tag: str
    patient: str
    provider: str
    turn: int
    """Place in the order of everything that ever arrived anywhere."""


@dataclass
class Books:
    """What all recipients hold, in the order it came, and what was said of it."""

    held: list[Held] = field(default_factory=list)
    after_consent: list[str] = field(default_factory=list)
    """Messages that were let go although the consent had ended."""
    after_retraction: list[str] = field(default_factory=list)
    """Messages that were let go although their record had been retracted, and that was known."""
    outdated: list[str] = field(default_factory=list)
    """Messages that were let go although their recipient was told otherwise by then."""
    moods: Counter[str] = field(default_factory=Counter)
    """How often each behaviour was met."""
    marked: list[str] = field(default_factory=list)
    """Every send that was let go, in order."""


class FarSide:
    """Implements flow.ports.Channel. `proves` is whether taking is also the proof (FHIR REST)."""

    safe_to_repeat = False

    def __init__(
        self,
        kind: str,
        *,
        proves: bool,
        chance: random.Random,
        books: Books,
        meanwhile: Callable[..., None],
        at_point: Callable[[str], None],
        permits: Callable[[str, str], bool],
        retracted: Callable[[str], bool],
        outdated: Callable[[str, str], bool],
        searches: bool,
        moods: Mapping[str, int] | None = None,
    ) -> None:
        self.moods = MOODS if moods is None else moods
        self.kind, self.proves, self.searches = kind, proves, searches
        self._chance, self.books = chance, books
        self._retracted, self._outdated = retracted, outdated
        self._meanwhile, self._at_point, self._permits = meanwhile, at_point, permits
        self.calm = False
        self.mail: list[ReceiptNews] = []
        self.failed: set[str] = set()
        self._names = 0

    def send(
        self,
        package: Package,
        endpoint: Endpoint,
        *,
        deadline: datetime,
        about_to_send: Callable[[str | None], None],
    ) -> Taken:
        mood = "take" if self.calm else self._chance.choices(list(self.moods), list(self.moods.values()))[0]
        self.books.moods[mood] += 1
        self._before(mood)
        self._meanwhile()
        self._names += 1
        name = f"{self.kind}-{self._names}"
        # A gateway names the job in its answer, a mail agent names its own message beforehand.
        about_to_send(name if self.kind == "direct" else None)
        patient = package.patient.id
        if not self._permits(patient, package.provider.id):
            self.books.after_consent.append(package.identifier)
        if self._retracted(package.message):
            self.books.after_retraction.append(package.identifier)
        if self._outdated(package.message, package.delivery):
            self.books.outdated.append(package.identifier)
        self.books.marked.append(package.identifier)
        self._at_point("send:before-taken")
        if mood == "slow":
            self._meanwhile(within=SLOWEST)
        self._refuse(mood)
        if mood.startswith("job-fails") and not self.proves:
            self.failed.add(package.tag)
            self._send_mail("failed", name, package.tag, retry=mood == "job-fails")
            return Taken(name, proven=False, status=200, expect_receipt_within_s=3600)
        self.failed.discard(package.tag)
        self.books.held.append(
            Held(package.identifier, package.tag, patient, package.provider.id, len(self.books.held))
        )
        self._at_point("send:after-taken")
        if mood == "slow-answer":
            self._meanwhile()
        if mood == "take-then-timeout":
            raise InDoubt("net.timeout-after-send")
        if mood == "bug-after":
            raise ZeroDivisionError
        return self._taken(package, name)

    def _before(self, mood: str) -> None:
        if mood == "no-line":
            raise Transient("net.connect")
        if mood == "ask-a-person":
            raise NeedsHuman("fhir.patient-none")
        if mood == "refuse-before":
            raise Permanent("fhir.404")
        if mood == "bug-before":
            raise ZeroDivisionError

    def _refuse(self, mood: str) -> None:
        """Raise for the moods in which nothing is taken."""
        if mood == "refuse":
            raise Permanent("fhir.422", status=422)
        if mood == "refused-to-us":
            raise NeedsHuman("fhir.403", status=403)
        if mood == "ask-to-wait":
            wait = timedelta(seconds=self._chance.choice([5, 600, 90_000]))
            raise Transient("fhir.429", status=429, retry_after=wait, uses_attempt=False)
        if mood == "away":
            raise Transient("fhir.503", status=503)
        if mood == "away-late":
            # The refusal is read, and then the worker stalls before it can write it down.
            self._meanwhile()
            raise Transient("fhir.503", status=503)
        if mood == "lose-then-timeout":
            raise InDoubt("net.timeout-after-send")

    def _taken(self, package: Package, name: str) -> Taken:
        if self.proves:
            return Taken(name, proven=True, status=201)
        self._send_mail("processed", name, package.tag)
        if self.calm or self._chance.random() < 0.85:
            self._send_mail("acknowledged", name, package.tag)
        return Taken(name, proven=False, status=200, expect_receipt_within_s=3600)

    def _send_mail(self, verdict: str, name: str, tag: str, *, retry: bool = True) -> None:
        failed = verdict == "failed"
        # A mail notice knows our Message-ID and nothing else; a gateway also gives our tag back.
        news = ReceiptNews(
            f"{name}-{verdict}",
            self.kind,
            name,
            None if self.kind == "direct" else tag,
            verdict,  # type: ignore[arg-type]
            code=(self._chance.choice(TRIED_AGAIN) if retry else "fax.refused") if failed else None,
            retry=failed and retry,
            station="NORTH CLINIC" if self.kind == "fax" and verdict == "acknowledged" else None,
        )
        self.mail += [news] * (1 if self.calm else self._chance.choice([1, 1, 2, 3]))

    def take_mail(self) -> ReceiptNews | None:
        """Return one receipt, in any order, some more than once."""
        return self.mail.pop(self._chance.randrange(len(self.mail))) if self.mail else None

    def look_up(self, package: Package, endpoint: Endpoint, far_side_ref: str | None, *, deadline: datetime) -> Lookup:
        if not self.calm and self._chance.random() < 0.2:
            raise Transient("net.connect")
        if not self.searches:
            return Lookup("unknown")
        if any(one.identifier == package.identifier for one in self.books.held):
            return Lookup("arrived-proven", far_side_ref=far_side_ref)
        if package.tag in self.failed:
            code = self._chance.choice([*TRIED_AGAIN, "fax.wrong-number"])
            return Lookup("failed", far_side_ref=far_side_ref, code=code, retry=code in TRIED_AGAIN)
        return Lookup("absent")
