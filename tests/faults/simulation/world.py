"""One run: a clinic, three patients, two recipients, workers that die, staff who click, and a clock that jumps."""

import contextlib
import copy
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import NEEDS_PERSON, State
from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.ids import stable_uuid
from coordinator.flow import deliver
from coordinator.flow.parts import Parts, Policy, Workshop
from coordinator.flow.prepare import prepare_all
from coordinator.flow.read_models import Actor
from coordinator.flow.record import record
from coordinator.flow.registry_desk import RegistryDesk
from coordinator.flow.rows import TOLD_IN_DIGEST
from coordinator.flow.staff_desk import StaffDesk
from coordinator.flow.sweep import sweep, take_back_leases
from coordinator.flow.track import take_in
from coordinator.planning.causes import load_causes
from coordinator.planning.checks import load_checks
from coordinator.planning.clocks import load_retries
from coordinator.planning.rules import load_rules
from coordinator.security.cipher import FieldCipher
from coordinator.settings import shipped
from coordinator.store import migrate
from coordinator.store.engine import connect
from coordinator.store.ledger import Store
from coordinator.store.tables import deliveries, messages
from tests.faults.simulation.chance import Crash, SeededDice, VirtualClock, Weather, weather_of
from tests.faults.simulation.crashing import CrashingLedger
from tests.faults.simulation.far_side import Books, FarSide

STAFF = Actor("staff", "dana")
EXAMPLES = shipped("docs/examples")
PATIENTS = ("MRN-1001", "MRN-1002", "MRN-1003")
PROVIDERS = ("pr-psych", "pr-pcp")
SEARCHES = {"fhir-rest": True, "direct": False, "fax": True}
COUNT_MOVES = (
    "CREATE TABLE simulated_moves (old TEXT, new TEXT)",
    "CREATE TRIGGER count_moves AFTER UPDATE OF state ON deliveries WHEN OLD.state <> NEW.state "
    "BEGIN INSERT INTO simulated_moves VALUES (OLD.state, NEW.state); END",
)
"""The database itself counts the moves of deliveries, whatever code makes them; only committed ones stay."""
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


@cache
def tools() -> dict[str, Any]:
    """Return what every run shares: rules, checks, causes, schedules."""
    rules = shipped("mappings") / "rules"
    book = load_rules(rules / "coordination.yaml", rules / "signatures.demonstration.yaml", accept_demonstration=True)
    return {
        "workshop": Workshop(rules=book, mappings=None, letters=None),  # type: ignore[arg-type]
        "checks": load_checks(rules, shipped("mappings") / "instruments"),
        "causes": load_causes(rules / "causes.yaml"),
        "retries": load_retries(rules / "retries.yaml"),
    }


def example(name: str) -> dict[str, Any]:
    """Return a fresh copy of one of the shipped examples."""
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def quiet_session(now: datetime, number: int) -> dict[str, Any]:
    """Return a session of the day before that calls for no letter of its own: it is told of in a digest."""
    text = json.dumps(example("session-outcome.bp-spike")).replace("2026-10-14", f"{now - timedelta(days=1):%Y-%m-%d}")
    event = json.loads(text) | {"adverse_events": [], "next_session_on": f"{now + timedelta(days=9):%Y-%m-%d}"}
    del event["course"]["session_number"]
    for vital in event["vitals"]:
        vital |= {"systolic": 122 - number % 9, "diastolic": 78, "heart_rate": 64 + number % 13}
    return event


def registry(fallback: str = "offer") -> dict[str, Any]:
    """Return the example clinic with three patients; `fallback` is whether it takes the next channel by itself."""
    made = example("clinic")
    made["clinic"]["fallback"] = fallback
    first = made["patients"][0]
    made["patients"] = [copy.deepcopy(first) | {"id": name} for name in PATIENTS]
    for number, patient in enumerate(made["patients"]):
        for identifier in patient["identifiers"]:
            identifier["value"] = f"{identifier['value']}{number}"
        patient["course"] = patient["course"] | {"id": f"course-{number}"}
    return made


def _parts(store: Any, clock: VirtualClock, dice: SeededDice, channels: dict[str, FarSide]) -> Parts:
    return Parts(ledger=store, clock=clock, dice=dice, channels=channels, policy=Policy(), **tools())


def _engine(file: Path) -> sa.Engine:
    engine = connect(f"sqlite:///{file}")

    @sa.event.listens_for(engine, "connect")
    def quick(connection: Any, _record: Any) -> None:
        # Power cuts are not simulated, so the disk need not be waited for.
        connection.execute("PRAGMA synchronous=OFF")

    return engine


@cache
def _template(fallback: str) -> bytes:
    """Return the bytes of a migrated database with the clinic in it."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        file = Path(folder) / "template.sqlite"
        engine = _engine(file)
        migrate.upgrade(engine)
        parts = _parts(Store(engine, cipher()), VirtualClock(), SeededDice(0), {})
        written = RegistryDesk(parts).write_whole(json.dumps(registry(fallback)).encode(), STAFF)
        assert written.outcome == "created", written.faults
        with engine.begin() as connection:
            for statement in COUNT_MOVES:
                connection.exec_driver_sql(statement)
        engine.dispose()  # the last connection to go moves the write-ahead log into the file
        return file.read_bytes()


def cipher() -> FieldCipher:
    """Return the run's field cipher."""
    return FieldCipher({"k1": b"k" * 32}, "k1")


class World:
    """Everything of one seed. `step` does one random thing; `drive_to_quiet` lets all of it end."""

    def __init__(self, seed: int, weather: Weather | None = None) -> None:
        self.seed, self.weather = seed, weather or weather_of(seed)
        self.chance = random.Random(seed)
        self.clock, self.dice = VirtualClock(), SeededDice(seed)
        self.began = self.clock.now()
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY))
        (self.folder / "c.sqlite").write_bytes(_template("take" if seed % 2 else "offer"))
        self.store = Store(_engine(self.folder / "c.sqlite"), cipher())
        self.books = Books()
        self.story: list[str] = []
        self.crashing = False
        self.depth = 0
        self.until: datetime | None = None
        self.channels = {kind: self._far_side(kind) for kind in SEARCHES}
        self.parts = _parts(CrashingLedger(self.store, self.at_point), self.clock, self.dice, self.channels)
        self.desk, self.registry = StaffDesk(self.parts), RegistryDesk(self.parts)
        self.patients = {one["id"]: one for one in registry()["patients"]}
        self.permitted = {(patient, provider): True for patient in PATIENTS for provider in PROVIDERS}
        self.events: list[dict[str, Any]] = []
        self.answered: list[tuple[str, int, str]] = []
        """(event id, version, inbox id) of everything answered 2xx."""
        self.hand: list[deliver.Claimed] = []
        self.by_person: dict[str, int] = {}
        """How often a person let a message go once more."""
        self.told: set[str] = set()
        """Every receipt that was ever handed over."""
        self.jumped_back = False
        self.crashes = 0
        self.moved: Counter[str] = Counter()
        """The moves of the whole run, counted at its end."""
        self.cancelled: set[str] = set()
        """Messages that a person withdrew."""
        self.told_in_digests = (0, 0)
        """The digests of the whole run, counted at its end."""
        self.places: set[str] = set()
        """Every place it came by at which it could have died."""

    def close(self) -> None:
        self.store.engine.dispose()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _far_side(self, kind: str) -> FarSide:
        return FarSide(
            kind,
            proves=kind == "fhir-rest",
            chance=random.Random(f"{kind}-{self.seed}"),
            books=self.books,
            meanwhile=self.meanwhile,
            at_point=self.at_point,
            permits=lambda patient, provider: self.permitted[patient, provider],
            retracted=self.is_retracted,
            outdated=self.is_outdated,
            searches=SEARCHES[kind],
            moods=self.weather.moods,
        )

    def is_retracted(self, message_id: str) -> bool:
        """Return whether a later version of the message's event, entered in error, is prepared."""
        with self.store.begin(write=False) as tx:
            message = tx.message(message_id)
            told = tx.inbox_row(message.event_ref)
            later = [one for one in tx.inbox_versions(told.source, told.event.id) if one.version > told.version]
        return any(one.state == "prepared" and one.event.status == "entered-in-error" for one in later)

    def is_outdated(self, message_id: str, delivery_id: str) -> bool:
        """Return whether a message is let go although its recipient is told otherwise of one of its events by now."""
        with self.store.begin(write=False) as tx:
            message = tx.message(message_id)
            if tx.delivery(delivery_id).resend_of is not None:
                return False  # a person wanted it
            told = (messages.c.superseded_by == message_id) & (messages.c.cause == TOLD_IN_DIGEST)
            refs = tx.connection.execute(sa.select(messages.c.event_ref).where(told)).scalars().all()
            for row in (tx.inbox_row(one) for one in (message.event_ref, *refs)):
                for later in tx.inbox_versions(row.source, row.event.id):
                    if later.version <= row.version or later.state != "prepared":
                        continue
                    said = [
                        one.state for one in tx.messages_of_event(later.id) if one.provider_id == message.provider_id
                    ]
                    if later.event.status == "entered-in-error" or set(said) - {"nothing-to-send"}:
                        return True
            return False

    def digests(self) -> tuple[int, int]:
        """Return how many sessions are told of in a digest of another one, and how many digests were taken back."""
        with self.store.begin(write=False) as tx:
            rows = tx.connection.execute(sa.select(messages)).all()
        again = {stable_uuid("digest-again", row.id) for row in rows}
        return sum(row.cause == TOLD_IN_DIGEST for row in rows), sum(row.id in again for row in rows)

    def moves(self) -> Counter[str]:
        """Return how often each move of a delivery was committed."""
        with self.store.begin(write=False) as tx:
            rows = tx.connection.exec_driver_sql("SELECT old, new FROM simulated_moves")
            return Counter(f"{row.old} -> {row.new}" for row in rows)

    def say(self, line: str) -> None:
        self.story.append(f"{self.clock.now():%m-%d %H:%M:%S} {'  ' * self.depth}{line}")

    def at_point(self, place: str) -> None:
        """Die here, by the dice."""
        self.places.add(place)
        here = not self.weather.crash_places or place.startswith(self.weather.crash_places)
        if here and self.crashing and self.chance.random() < self.weather.crash_chance:
            whole = self.chance.random() < 0.3
            self.say(f"CRASH {'process' if whole else 'worker'} at {place}")
            self.crashes += 1
            raise Crash(place, whole=whole)

    @contextlib.contextmanager
    def mortal(self) -> Iterator[None]:
        """Run something that may die. A dead process is started again: it takes back what it held."""
        try:
            yield
        except Crash as crash:
            if not crash.whole:
                return
            if self.depth:
                raise
            self.hand.clear()
            with contextlib.suppress(Crash):
                take_back_leases(self.parts, everybody=True)

    def meanwhile(self, *, within: timedelta | None = None) -> None:
        """Let others work while a worker stands in the middle of a send.

        `within` bounds the time that may pass: the product cuts a send at its limit, so
        bytes never arrive later than that. Before the first byte and after the answer
        was read a worker may stand still for as long as the dice say.
        """
        if not self.crashing or self.depth >= self.weather.deepest:
            return
        outer = self.until
        if within is not None:
            self.until = min(self.clock.now() + within, outer or self.clock.now() + within)
        self.depth += 1
        try:
            for _ in range(self.chance.randint(0, self.weather.meanwhile_steps)):
                self.step()
        finally:
            self.depth -= 1
            self.until = outer

    def step(self) -> None:
        """Do one random thing."""
        acts: dict[Callable[[], None], float] = {
            self.submit_new: 8 * self.weather.news,
            self.submit_amended: 5 * self.weather.news,
            self.submit_again: 2,
            self.prepare_some: 14,
            self.claim_some: 14,
            self.send_from_hand: 20,
            self.doubled_hints: 8,
            self.sweep: 12,
            self.read_mail: 12,
            self.change_consent: 4 * self.weather.people,
            self.staff_act: 6 * self.weather.people,
            self.pass_time: 14 * self.weather.patience,
            self.jump: 1,
        }
        if self.depth and self.weather.acts is not None:
            acts = {getattr(self, name): weight for name, weight in self.weather.acts.items()}
        act = self.chance.choices(list(acts), list(acts.values()))[0]
        with self.mortal():
            act()

    # What the clinic does -------------------------------------------------------------------------------------

    def submit_new(self) -> None:
        number = len(self.events)
        patient = self.chance.choices(PATIENTS, (6, 1, 1))[0]  # most about one patient, so that lanes fill
        if self.chance.random() < self.weather.quiet:
            event = quiet_session(self.clock.now(), number)
        else:
            told = ["dose-change.ketamine", "dose-change.ketamine", "session-outcome.bp-spike"]
            event = example(self.chance.choice(told))
        event |= {"id": f"ev-{number}", "version": 1, "patient": patient}
        event["course"] = event["course"] | {"id": self.patients[patient]["course"]["id"]}
        if "session_number" in event["course"]:
            event["course"]["session_number"] = number % 60 + 1
        event.pop("session", None)
        event["recorded_at"] = (self.clock.now() - timedelta(minutes=1)).isoformat()
        self.events.append(event)
        self._submit(event)

    def submit_amended(self) -> None:
        if not self.events:
            return
        event = self.chance.choice(self.events)
        event["version"] += 1
        if "reason" in event:
            event["reason"] = event["reason"] | {"text": f"Said better, version {event['version']}."}
        if "vitals" in event:
            event["vitals"][-1]["heart_rate"] = 60 + event["version"] % 20
        if self.chance.random() < 0.15:
            event["status"] = "entered-in-error"
        self._submit(event)

    def submit_again(self) -> None:
        if self.events:
            self._submit(self.chance.choice(self.events))

    def _submit(self, event: dict[str, Any]) -> None:
        answer = record(self.parts, "ehr", json.dumps(event).encode())
        self.say(f"submit {event['id']} v{event['version']}: {answer.outcome} {[one[:2] for one in answer.faults]}")
        if answer.outcome in {"accepted", "held", "replay"} and answer.event_ref is not None:
            self.answered.append((event["id"], event["version"], answer.event_ref))

    # What the workers do --------------------------------------------------------------------------------------

    def prepare_some(self) -> None:
        now = self.clock.now()
        with self.parts.ledger.begin() as tx:
            ids = tx.claim_inbox("p", now, now + self.parts.policy.lease, 3)
        self.say(f"prepare {[one[:8] for one in ids]}")
        prepare_all(self.parts, ids)

    def claim_some(self) -> None:
        claimed = deliver.claim(self.parts, self.chance.choice("abc"), self.chance.randint(1, 3))
        self.hand += claimed
        self.say(f"claim {[one.delivery.id[:8] for one in claimed]}")

    def send_from_hand(self) -> None:
        if self.hand:
            self._attempt(self.hand.pop(self.chance.randrange(len(self.hand))))

    def _attempt(self, claimed: deliver.Claimed) -> None:
        name = claimed.delivery.id[:8]
        self.say(f"send {name} fence {claimed.delivery.fence} of {claimed.message.id[:8]}")
        deliver.attempt(self.parts, claimed)
        self.say(f"done {name}: {self._state(claimed.delivery.id)}")

    def _state(self, delivery_id: str) -> str:
        with self.store.begin(write=False) as tx:
            row = tx.delivery(delivery_id)
        return "gone" if row is None else f"{row.state} {row.cause or ''} tries {row.tries}"

    def doubled_hints(self) -> None:
        """Look for what is due as often as a broker may say so: at any moment, several times, with nothing there."""
        for _ in range(self.chance.randint(2, 6)):
            for claimed in deliver.claim(self.parts, "t", self.chance.randint(1, 3)):
                self._attempt(claimed)

    def delivery_ids(self, *states: State) -> list[str]:
        """Return the deliveries, or those in these states."""
        query = sa.select(deliveries.c.id).order_by(deliveries.c.message_id, deliveries.c.ordinal)
        if states:
            query = query.where(deliveries.c.state.in_(states))
        with self.store.begin(write=False) as tx:
            return [row.id for row in tx.connection.execute(query)]

    def sweep(self) -> None:
        self.say(f"sweep: {sweep(self.parts)}")

    def read_mail(self) -> None:
        for channel in self.channels.values():
            news = channel.take_mail()
            if news is not None:
                self.say(f"receipt {news.key}")
                self.told.add(f"{news.channel}|{news.key}")
                try:
                    take_in(self.parts, news)
                except Crash:
                    channel.mail.append(news)
                    raise

    # What people do -------------------------------------------------------------------------------------------

    def change_consent(self) -> None:
        patient, provider = self.chance.choice(PATIENTS), self.chance.choice(PROVIDERS)
        permitted = not self.permitted[patient, provider]
        changed = copy.deepcopy(self.patients[patient])
        for one in changed["consents"]:
            if one["recipient"] == provider:
                one.pop("revoked_on", None)
                one["version"] += 1
                if not permitted:
                    one["revoked_on"] = "2026-10-01"
        body = json.dumps(changed).encode()
        try:
            written = self.registry.write("patients", patient, body, STAFF)
        finally:
            with self.store.begin(write=False) as tx:
                kept = tx.patient(tx.key("patient", patient))
            found = next(one for one in kept.consents if one.recipient == provider)
            self.permitted[patient, provider] = found.revoked_on is None
            if (found.revoked_on is None) == permitted:
                self.patients[patient] = changed
            self.say(f"consent {patient} {provider}: {self.permitted[patient, provider]}")
        assert written.outcome in {"updated", "unchanged"}, written.faults

    def staff_act(self) -> None:
        names = self.delivery_ids()
        if not names:
            return
        if self.chance.random() < 0.6:
            names = self.delivery_ids(*NEEDS_PERSON) or names  # what the list of needs-attention shows
        name, token = self.chance.choice(names), self.dice.token()
        with self.store.begin(write=False) as tx:
            row = tx.delivery(name)
        message = row.message_id
        fitting = {State.HELD: ["hand-over"] if row.channel == "by-hand" else ["release"]}.get(row.state, ["resend"])
        act = self.chance.choice([*fitting * 3, "resend", "release", "hand-over", "cancel"])
        with contextlib.suppress(Refused, NotFound):
            if act == "resend":
                made = self._once_more(message, lambda: self._resend_twice(name, token))
                self.say(f"staff resend {name[:8]} as {made[:8]}")
            elif act == "release":
                self._once_more(
                    message, lambda: self.desk.release(name, reason="looked at it", token=token, actor=STAFF)
                )
                self.say(f"staff release {name[:8]}")
            elif act == "cancel":
                self.desk.cancel(message, reason="not wanted", actor=STAFF)
                self.cancelled.add(message)
                self.say(f"staff cancel {message[:8]}")
            else:
                self.desk.record_handover(name, to="the nurse", actor=STAFF)

    def _resend_twice(self, name: str, token: str) -> str:
        made = self.desk.resend(name, reason="asked for it", token=token, actor=STAFF)
        again = self.desk.resend(name, reason="asked for it", token=token, actor=STAFF)
        assert made == again, "a double click made two resends"
        return made

    def _once_more(self, message: str, act: Callable[[], Any]) -> Any:
        """Count what a person let go again, also when the process died just after it was on record."""
        try:
            done = act()
        except Crash:
            self._allow(message)
            raise
        self._allow(message)
        return done

    def _allow(self, message: str) -> None:
        self.by_person[f"urn:uuid:{message}"] = self.by_person.get(f"urn:uuid:{message}", 0) + 1

    # What time does -------------------------------------------------------------------------------------------

    def pass_time(self) -> None:
        seconds = self.chance.choice([1, 5, 30, 200, 200, 900, 7200, 40_000])
        after = self.clock.now() + timedelta(seconds=seconds)
        self.clock.turn(min(after, self.until or after) - self.clock.now())

    def jump(self) -> None:
        if self.until is not None:
            return
        hours = self.chance.choice([1, -1, 24, -24])
        self.jumped_back |= hours < 0
        self.say(f"clock jumps {hours} h")
        self.clock.turn(timedelta(hours=hours))
