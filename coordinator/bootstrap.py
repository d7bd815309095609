"""Builds the parts and hands them out: the only place that names concrete classes."""

import os
import secrets
import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from coordinator.channels.checking import SecureLinkChecker
from coordinator.channels.direct import SmtpConfig
from coordinator.channels.receipts.fax_callback import FaxPoller
from coordinator.channels.secure_link import SecureLink
from coordinator.cores import one_core
from coordinator.domain.errors import ConfigurationError
from coordinator.flow.addresses import approve
from coordinator.flow.answers import StaffAnswers
from coordinator.flow.endpoint_checks import EndpointRow, Step, check_endpoint, list_endpoints
from coordinator.flow.endpoint_test import send_test
from coordinator.flow.heartbeat import Heartbeat
from coordinator.flow.ledger import Ledger
from coordinator.flow.letter_reader import LetterReader
from coordinator.flow.link import LinkBook, LinkDoor, set_access_code
from coordinator.flow.paper_desk import PaperDesk
from coordinator.flow.parts import Parts, Policy, Workshop
from coordinator.flow.ports import Channel, Clock, ReceiptSource
from coordinator.flow.read_models import Actor
from coordinator.flow.registry_desk import RegistryDesk
from coordinator.flow.runner import Runner
from coordinator.flow.sending_desk import StaffSending
from coordinator.flow.staff_desk import StaffDesk
from coordinator.hints import Hints
from coordinator.letters.write import load_letters
from coordinator.mapping.load import load
from coordinator.outside import FaxReceipts, Outside, authorities, need_https, outside, revocation_lists
from coordinator.planning.causes import load_causes
from coordinator.planning.checks import load_checks
from coordinator.planning.clocks import load_retries
from coordinator.planning.escalation import load_escalation
from coordinator.planning.rules import load_rules
from coordinator.security.accounts import Accounts
from coordinator.security.cipher import FieldCipher, load_key
from coordinator.security.passwords import Passwords
from coordinator.security.smart_keys import jwks_document
from coordinator.settings import Settings, unusable
from coordinator.settings_words import variable
from coordinator.store import migrate
from coordinator.store.accounts import SqlAccountStore
from coordinator.store.anchor import Anchor
from coordinator.store.clock import DatabaseClock
from coordinator.store.engine import connect
from coordinator.store.entry_part import SqlEntryBook
from coordinator.store.key_check import check_keys
from coordinator.store.ledger import Store
from coordinator.store.reseal import KeyDesk
from coordinator.store.source_desk import SourceDesk
from coordinator.store.verification import Finding, verify


class SystemClock:
    """The clock of this machine, in UTC."""

    def now(self) -> datetime:
        """Return this instant."""
        return datetime.now(UTC)


class SystemDice:
    """Randomness of the operating system."""

    def jitter(self) -> float:
        """Return a factor between 0.8 and 1.2."""
        return 0.8 + secrets.randbelow(4001) / 10_000

    def token(self) -> str:
        """Return 256 fresh random bits as URL-safe text."""
        return secrets.token_urlsafe(32)

    def uuid(self) -> str:
        """Return a fresh random identifier."""
        return str(uuid.uuid4())


def workshop(settings: Settings) -> Workshop:
    """Return what composing needs, loaded and checked. Raises ConfigurationError with every problem of the files."""
    settings.refuse_missing("templates_dir", "mappings_dir", "rule_signatures", "clinic_letters_dir")
    rules = settings.mappings_dir / "rules"
    accept = settings.accept_demonstration_rules and settings.environment != "production"
    try:
        return Workshop(
            rules=load_rules(rules / "coordination.yaml", settings.rule_signatures, accept_demonstration=accept),
            mappings=load(settings.mappings_dir),
            letters=load_letters(
                settings.templates_dir, settings.mappings_dir / "instruments", settings.clinic_letters_dir
            ),
        )
    except OSError as fault:
        folders = f"{variable('templates_dir')} and {variable('mappings_dir')}"
        name = Path(str(fault.filename)).name
        raise ConfigurationError(f"{folders}: {name} in them cannot be read: {fault.strerror}") from None


def notice_channel(settings: Settings, ledger: Ledger, clock: Clock) -> dict[str, Channel]:
    """Return the secure link under its name, or nothing while no mail service for its notices is set.

    Raises ConfigurationError when the letters would be read over plain http.
    """
    if not settings.notice_smtp_host:
        return {}
    need_https(settings)
    smtp = SmtpConfig(
        settings.notice_smtp_host,
        settings.notice_smtp_port,
        settings.notice_smtp_username,
        settings.text("notice_smtp_password_file"),
        settings.notice_from,
        authorities(settings, "notice_ca_file"),
        lists=revocation_lists(settings),
    )
    return {"secure-link": SecureLink(smtp, LinkBook(ledger, clock), settings.public_url, clock)}


def _cipher(settings: Settings) -> FieldCipher:
    may_create = settings.key_file is None and settings.environment != "production"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return load_key(settings.key_file or settings.data_dir / "field.key", may_create=may_create)
    except OSError as fault:
        raise unusable("data_dir", settings.data_dir, fault.strerror) from None


@dataclass(frozen=True)
class Service:
    """The whole service, put together."""

    settings: Settings
    parts: Parts
    store: Store
    cipher: FieldCipher
    desk: StaffDesk
    registry: RegistryDesk
    accounts: Accounts
    receipts: FaxReceipts
    outside: Outside
    door: LinkDoor
    reader: LetterReader
    answers: StaffAnswers
    codes: Passwords
    sending: StaffSending
    paper: PaperDesk
    anchor: Anchor
    heart: Heartbeat

    def open(self) -> None:
        """Migrate the database and make sure that our keys are its keys; raises ConfigurationError when not."""
        migrate.upgrade(self.store.engine)
        self.check_keys()
        self.look_for_restore()

    def close(self) -> None:
        """End every connection; for one who ends the service before the process ends."""
        if self.outside.http is not None:
            self.outside.http.close()
        self.store.engine.dispose()

    def look_for_restore(self) -> bool:
        """Hold everything when the database is not the one we last worked with, else move the mark on.

        Asked at every start and at every sweep. Returns whether the database is ours.
        """
        if self.anchor.compare() == "older":
            reason = "The database is older than the mark kept outside it: it was restored, or replaced."
            self.sending.restore_on(reason=reason, actor=Actor("job", "restore-watch"))
            self.anchor.write()
            return False
        self.anchor.write()
        return True

    def check_keys(self) -> None:
        """Raise ConfigurationError unless our field keys are the ones the database was written with."""
        check_keys(self.store.engine, self.cipher.key_checks())

    def new_access_code(self, endpoint_id: str, actor: Actor) -> str:
        """Return a new access code for a secure-link endpoint, shown this once; raise NotFound."""
        return set_access_code(self.parts, self.codes, endpoint_id, actor=actor)

    def sources(self) -> tuple[ReceiptSource, ...]:
        """Return where receipts are fetched from."""
        found: list[ReceiptSource] = []
        if self.outside.notices is not None:
            found.append(self.outside.notices)
        if self.outside.gateway is not None:
            found.append(FaxPoller(self.outside.gateway, self.parts.clock, self._open_faxes))
        return tuple(found)

    def _open_faxes(self) -> Iterable[str]:
        since = self.parts.clock.now() - LATE_REPORTS
        with self.parts.ledger.begin(write=False) as tx:
            rows = tx.reports_awaited("fax", since, 500)
        return [row.far_side_ref for row in rows if row.far_side_ref is not None]

    def runner(self) -> Runner:
        """Return the embedded runner over these parts."""
        quick = self.settings.retry_scale < 1
        return Runner(
            self.parts,
            self.sources(),
            senders=self.settings.senders,
            idle_s=0.2,
            sweep_every_s=0.5 if quick else 2.0,
            receipts_every_s=0.5 if quick else 5.0,
            chores=(self.accounts.tidy, self.door.tidy),
            before_sweep=self.look_for_restore,
            beat=self.heart.beat,
            a_sender_starts=one_core() if self.settings.senders_on_one_core else lambda: None,
        )

    def crew(self, senders: int | None = None) -> Runner:
        """Return what a worker process does of itself: it prepares and sends, woken by hints and now and then unasked.

        `senders` None is the settings' number. From now on this process hints only what is more than it takes at once.
        """
        others, self.parts.bell.listeners[:] = tuple(self.parts.bell.listeners), ()
        made = Runner(
            self.parts,
            senders=senders or self.settings.senders,
            idle_s=1.0,
            name=f"worker-{os.getpid()}",
            alone=False,
            beat=self.heart.beat,
            others=others,
        )
        _CREWS.append(made)
        return made

    def health(self) -> Mapping[str, object]:
        """Return `ready` and what was checked. No PHI, no addresses."""
        try:
            current = migrate.is_current(self.store.engine)
        except Exception:
            return {"ready": False, "database": "away"}
        return {"ready": current, "database": "ok" if current else "needs migrating"}

    def standstills(self) -> Sequence[str]:
        """Return the codes of the service's own work that nobody seems to do; raises StoreAway."""
        return tuple(self.heart.silent())

    def keys(self) -> KeyDesk:
        """Return what is done with the field keys."""
        return KeyDesk(self.store, self.cipher, self.parts.clock)

    def has_registry(self) -> bool:
        """Return whether the clinic is known; without it every event would be refused. Raises StoreAway."""
        with self.parts.ledger.begin(write=False) as tx:
            return tx.registry_body("clinic", "clinic") is not None

    def source_tokens(self) -> SourceDesk:
        """Return what is done with the tokens of source systems."""
        return SourceDesk(self.store, self.parts.clock)

    def verify(self) -> list[Finding]:
        """Return every row that breaks one of the six promises."""
        return verify(self.store, self.parts.clock.now())

    def endpoints(self) -> tuple[EndpointRow, ...]:
        """Return every provider's endpoints, and whether each may carry PHI today."""
        return list_endpoints(self.parts)

    def check_endpoint(self, endpoint_id: str, actor: Actor) -> tuple[Step, ...]:
        """Return what one endpoint's far side is like, step by step; sends nothing. Raises NotFound."""
        checkers = dict(self.outside.checkers)
        notices = self.parts.channels.get("secure-link")
        if isinstance(notices, SecureLink):
            checkers["secure-link"] = SecureLinkChecker(notices)
        return check_endpoint(self.parts, checkers, endpoint_id, actor)

    def approve_address(self, endpoint_id: str, address: str, actor: Actor) -> None:
        """Put a changed address into use, as another person than who entered it; raises NotFound or Refused."""
        approve(self.parts, endpoint_id, address, actor)

    def test_endpoint(self, endpoint_id: str, actor: Actor) -> tuple[Step, ...]:
        """Send the agreed test patient's message to one endpoint; return what came back. Raises NotFound or Refused."""
        return send_test(self.parts, endpoint_id, actor)

    def jwks(self) -> dict[str, object]:
        """Return our public keys, as SMART servers fetch them."""
        return jwks_document(self.outside.signing_keys)


def build(settings: Settings) -> Service:
    """Return the service for these settings. Migrates nothing; `coordinator migrate` and the embedded start do."""
    settings.refuse_missing()
    dice = SystemDice()
    cipher = _cipher(settings)
    engine = connect(settings.url(), pool_size=max(10, settings.senders * 2 + 6))
    # Workers on several machines agree on the time because they ask the same server for it.
    clock: Clock = DatabaseClock(engine) if engine.dialect.name == "postgresql" else SystemClock()
    store = Store(engine, cipher)
    rules = settings.mappings_dir / "rules"
    tools = workshop(settings)
    far = outside(settings, clock, dice, tools.mappings, SqlEntryBook(engine, clock.now))
    parts = Parts(
        ledger=store,
        clock=clock,
        dice=dice,
        workshop=tools,
        checks=load_checks(rules, settings.mappings_dir / "instruments"),
        channels={**far.channels, **notice_channel(settings, store, clock)},
        causes=load_causes(rules / "causes.yaml"),
        retries=load_retries(rules / "retries.yaml"),
        escalation=load_escalation(rules / "escalation.yaml"),
        policy=Policy(
            lease=timedelta(seconds=settings.lease_s),
            resend_alone=settings.resend_alone,
            address_alone=settings.address_alone,
            retry_scale=settings.retry_scale,
            breaker_probe=timedelta(seconds=settings.breaker_probe_s),
            doubt_pause=timedelta(seconds=settings.doubt_pause_s),
        ),
    )
    broker = settings.broker()
    if broker:
        parts.bell.listeners.append(Hints(broker).tell)
    accounts = Accounts(
        SqlAccountStore(engine),
        clock,
        dice,
        idle=timedelta(seconds=settings.session_idle_s),
        longest=timedelta(seconds=settings.session_max_s),
    )
    codes = Passwords()
    return Service(
        settings=settings,
        parts=parts,
        store=store,
        cipher=cipher,
        desk=StaffDesk(parts),
        registry=RegistryDesk(parts),
        accounts=accounts,
        receipts=FaxReceipts(parts, settings, far.gateway),
        outside=far,
        door=LinkDoor(parts, codes),
        reader=LetterReader(parts),
        answers=StaffAnswers(parts),
        codes=codes,
        sending=StaffSending(parts),
        paper=PaperDesk(parts),
        anchor=Anchor(settings.anchor_file or settings.data_dir / "anchor.json", store),
        heart=Heartbeat(store, clock),
    )


_ADOPTED: list[Service] = []
_CREWS: list[Runner] = []
"""The loops of this process, when it is a worker behind a broker."""
LATE_REPORTS = timedelta(days=1)
"""How long a fax is still asked about after a person was given it, because its report was late."""

_BUILDING = threading.Lock()


def adopt(made: Service) -> None:
    """Make this the process's service, in place of one built from the environment (the demo, tests)."""
    _ADOPTED[:] = [made]


def service() -> Service:
    """Return this process's service, built from the environment at the first call."""
    if not _ADOPTED:
        with _BUILDING:
            if not _ADOPTED:
                adopt(build(Settings()))
    return _ADOPTED[0]


def has_loops() -> bool:
    """Return whether this process prepares and sends by itself, as a worker does whose tasks only wake it."""
    return bool(_CREWS)
