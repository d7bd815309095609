"""A bench to work the flow on: a clock that is turned by hand, dice that are known, and far sides that keep count."""

import copy
import hashlib
import itertools
import json
from datetime import UTC, datetime, timedelta
from functools import cache

from coordinator.bootstrap import workshop
from coordinator.domain.delivery import State
from coordinator.flow import deliver
from coordinator.flow.addresses import approve
from coordinator.flow.parts import Parts, Policy
from coordinator.flow.ports import Lookup, Taken
from coordinator.flow.prepare import prepare
from coordinator.flow.read_models import Actor
from coordinator.flow.record import record
from coordinator.flow.registry_desk import RegistryDesk
from coordinator.flow.staff_desk import StaffDesk
from coordinator.flow.sweep import sweep
from coordinator.planning.causes import load_causes
from coordinator.planning.checks import load_checks
from coordinator.planning.clocks import load_retries
from coordinator.planning.escalation import load_escalation
from coordinator.security.cipher import FieldCipher
from coordinator.settings import Settings, shipped
from coordinator.store import migrate
from coordinator.store.engine import connect
from coordinator.store.ledger import Store
from coordinator.store.verification import verify

EXAMPLES = shipped("docs/examples")
START = datetime(2026, 10, 16, 15, 0, tzinfo=UTC)
STAFF, COLLEAGUE = Actor("staff", "dana"), Actor("staff", "rae")


class TurnedClock:
    def __init__(self, start: datetime = START) -> None:
        self.time = start

    def now(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


class KnownDice:
    def __init__(self) -> None:
        self._count = itertools.count(1)

    def jitter(self) -> float:
        return 1.0

    def token(self) -> str:
        return f"token-{next(self._count):040d}"

    def uuid(self) -> str:
        return f"00000000-0000-4000-8000-{next(self._count):012d}"


class FarSide:
    """A channel whose far side keeps what it took, and does next what it was told to."""

    safe_to_repeat = False

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.held: list[tuple[str, str]] = []
        self.script: list = []
        self.calls = 0
        self.knows = True
        self.says: Lookup | None = None
        self.between = lambda: None

    def send(self, package, endpoint, *, deadline, about_to_send):
        self.calls += 1
        step = self.script.pop(0) if self.script else "take"
        if isinstance(step, Exception):
            raise step
        self.between()
        about_to_send(f"ref-{package.tag}")
        digest = hashlib.sha256(b"".join(one.body for one in package.documents)).hexdigest()
        if step == "take":
            self.held.append((package.identifier, digest))
            return Taken(f"ref-{package.tag}", proven=True, status=201)
        if step == "queue":
            self.held.append((package.identifier, digest))
            return Taken(f"ref-{package.tag}", proven=False, status=200, expect_receipt_within_s=3600)
        if step[0] == "take-then":
            self.held.append((package.identifier, digest))
        raise step[1]

    def look_up(self, package, endpoint, far_side_ref, *, deadline):
        if self.says is not None:
            return self.says
        if not self.knows:
            return Lookup("unknown")
        there = any(name == package.identifier for name, _ in self.held)
        return Lookup("arrived-proven", far_side_ref=far_side_ref) if there else Lookup("absent")


@cache
def shared_workshop():
    signatures = shipped("mappings") / "rules" / "signatures.demonstration.yaml"
    return workshop(Settings(rule_signatures=signatures, accept_demonstration_rules=True))


def example(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


BELIEF = {"role": "stimulant", "product": "Adderall XR", "form": "extended-release", "frequency": "once daily"}
DIFFER = [
    {**BELIEF, "dose": {"value": "20", "unit": "mg"}, "as_of": "2026-10-01", "source": "patient"},
    {**BELIEF, "dose": {"value": "30", "unit": "mg"}, "as_of": "2026-10-13", "source": "prescriber"},
]
"""Two statements about the stimulant: with them a session's letter to the prescriber has a question beside it."""


class Bench:
    def __init__(self, url: str, tools) -> None:
        self.clock, self.dice = TurnedClock(), KnownDice()
        self.channels = {kind: FarSide(kind) for kind in ("fhir-rest", "direct", "fax")}
        engine = connect(url)
        migrate.upgrade(engine)
        self.store = Store(engine, FieldCipher({"k1": b"k" * 32}, "k1"))
        rules = shipped("mappings") / "rules"
        self.parts = Parts(
            ledger=self.store,
            clock=self.clock,
            dice=self.dice,
            workshop=tools,
            checks=load_checks(rules, shipped("mappings") / "instruments"),
            channels=self.channels,
            causes=load_causes(rules / "causes.yaml"),
            retries=load_retries(rules / "retries.yaml"),
            escalation=load_escalation(rules / "escalation.yaml"),
            policy=Policy(),
        )
        self.desk = StaffDesk(self.parts)
        self.registry = RegistryDesk(self.parts)
        written = self.registry.write_whole((EXAMPLES / "clinic.json").read_bytes(), STAFF)
        assert written.outcome == "created", written.faults

    def close(self) -> None:
        self.store.engine.dispose()

    def submit(self, event: dict, source: str = "ehr"):
        return record(self.parts, source, json.dumps(event, ensure_ascii=False).encode())

    def prepare(self, answer) -> list:
        """Prepare a recorded event and return its messages."""
        prepare(self.parts, answer.event_ref)
        with self.store.begin() as tx:
            return list(tx.messages_of_event(answer.event_ref))

    def told(self, event: dict) -> dict:
        """Submit and prepare an event; return its messages by provider."""
        return {one.provider_id: one for one in self.prepare(self.submit(event))}

    def send_due(self, worker: str = "w1", limit: int = 50) -> int:
        claimed = deliver.claim(self.parts, worker, limit)
        for one in claimed:
            deliver.attempt(self.parts, one)
        return len(claimed)

    def sweep(self) -> int:
        return sweep(self.parts)

    def deliveries(self, message_id: str) -> list:
        with self.store.begin(write=False) as tx:
            return list(tx.deliveries(message_id))

    def state(self, message_id: str) -> State:
        return self.deliveries(message_id)[-1].state

    def cause(self, message_id: str) -> str | None:
        return self.deliveries(message_id)[-1].cause

    def change_patient(self, **changes) -> None:
        patient = copy.deepcopy(example("clinic")["patients"][0]) | changes
        written = self.registry.write("patients", patient["id"], json.dumps(patient).encode(), STAFF)
        assert written.outcome in {"updated", "unchanged"}, written.faults

    def approve(self, endpoint_id: str, address: str) -> None:
        """Put an address that is new or was changed into use, as a second person."""
        approve(self.parts, endpoint_id, address, COLLEAGUE)

    def broken(self) -> list:
        return verify(self.store, self.clock.now())


def of_patients(bench, count):
    """Return one session of each of so many patients, the example's and others like them."""
    first = example("session-outcome.bp-spike")
    made = [first | {"id": f"sess-{number}"} for number in range(count)]
    for number in range(1, count):
        other = copy.deepcopy(example("clinic")["patients"][0]) | {"id": f"MRN-{number}"}
        other["identifiers"] = [one | {"value": f"NS-{number}"} for one in other["identifiers"]]
        other["course"] = other["course"] | {"id": f"course-{number}"}
        body = json.dumps(other).encode()
        assert bench.registry.write("patients", other["id"], body, STAFF).outcome == "created"
        made[number] |= {"patient": other["id"], "course": made[number]["course"] | {"id": f"course-{number}"}}
    return made
