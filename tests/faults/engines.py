"""A clinic on one engine: pretend recipients in this process, worker processes that can be killed, and the judge."""

import contextlib
import copy
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import NEEDS_PERSON, State
from coordinator.flow.prepare import prepare
from coordinator.flow.read_models import Actor
from coordinator.flow.record import record
from coordinator.sandbox import demo_people, ehr_records
from coordinator.sandbox.demo_stage import set_up
from coordinator.settings import shipped
from coordinator.store.tables import deliveries, inbox, messages
from tests.faults.template import ROOT, Template, Worker

PATIENTS = 240
AT_REST = {State.ACKNOWLEDGED, State.CANCELLED, *NEEDS_PERSON}
DOUBT_S = 15
"""How long a doubt that does not clear up is waited for."""
STAFF = Actor("staff", "dana")


@dataclass(frozen=True)
class Verdict:
    """What the recipients hold against what we say, since the verdict before; lost and twice count from the start."""

    told: int
    acknowledged: int
    waiting: int
    lost: int
    twice: int
    without_consent: int
    findings: int
    why: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        return self.lost == self.twice == self.without_consent == self.findings == 0


@dataclass
class Engine:
    """One engine under test. `broker` empty is the embedded runner on SQLite."""

    folder: Path
    name: str
    template: Template
    database: str = ""
    broker: str = ""
    lease_s: float = 6
    processes: list[Worker] = field(default_factory=list)
    submitted: int = 0
    accepted: list[tuple[str, int]] = field(default_factory=list)
    """(id, version) of every event that was answered 2xx."""
    withdrawn: set[str] = field(default_factory=set)
    """Messages whose consent ended before they were let go."""
    before: Counter[str] = field(default_factory=Counter)

    def open(self) -> None:
        """Start the recipients, make the database, and load the clinic."""

        def here(settings: Any) -> Any:
            return settings.model_copy(
                update={
                    "database_url": self.database,
                    "broker_url": self.broker,
                    "doubt_pause_s": 10,
                    "search_lag_s": 10,
                    "breaker_probe_s": 5,
                }
            )

        self.stage = set_up(self.folder, 0, 0, quick=here)
        # It takes no conditional create, so what is sent twice is held twice.
        self.stage.farm.ehr.play("documents-only")
        self.service = self.stage.service
        today = self.service.parts.clock.now().date()
        clinic = demo_people.registry(self.stage.farm.addresses(), today)
        first = clinic["patients"][0]
        for number in range(PATIENTS):
            clinic["patients"].append(_patient(first, number))
        self.clinic = clinic
        written = self.service.registry.write_whole(json.dumps(clinic).encode(), STAFF)
        assert written.outcome == "created", written.faults
        with self.service.store.begin(write=False) as tx:
            for number in range(PATIENTS):
                patient = tx.patient(tx.key("patient", f"MRN-F{number}"))
                self.stage.farm.ehr.admit(patient, "pr-psych")

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.service.store.engine.dispose()
        self.stage.farm.stop()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a worker process."""
        values = self.service.settings.model_dump(mode="json", exclude_none=True)
        ours = {
            f"COORDINATOR_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
            if value != ""
        }
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
        reached = self.folder / f"reached-{uuid.uuid4().hex}"
        basics = {"PYTHONPATH": str(ROOT), "REACHED": str(reached), "TEST_LEASE_S": str(self.lease_s)}
        return kept | ours | basics | more

    def start(self, role: str, *arguments: str, template: Template | None = None, **more: str) -> Worker:
        """Start a process of the service: worker, beat, embedded, serve or submit."""
        made = (template or self.template).start(
            role, arguments, self.environment(**more), self.folder, self.folder / f"{role}.log"
        )
        self.processes.append(made)
        return made

    def start_worker(self, *, template: Template | None = None, **more: str) -> Worker:
        """Start what sends on this engine."""
        if self.broker:
            return self.start("worker", "--concurrency", "2", template=template, **more)
        return self.start("embedded", template=template, **more)

    def event(self, number: int | None = None) -> dict[str, Any]:
        """Return a session of a patient of its own, so that nothing replaces anything."""
        if number is None:
            number, self.submitted = self.submitted, self.submitted + 1
        text = (shipped("docs/examples") / "session-outcome.bp-spike.json").read_text(encoding="utf-8")
        made: dict[str, Any] = json.loads(text) | {"id": f"sess-{uuid.uuid4().hex[:12]}"}
        made["patient"] = f"MRN-F{number}"
        made["course"] = made["course"] | {"id": f"course-f{number}"}
        return made

    def submit(self, *, and_prepare: bool = True, number: int | None = None) -> str:
        """Record an event in this process, and prepare it here too, so that a worker has only to send."""
        event = self.event(number)
        answer = record(self.service.parts, "ehr", json.dumps(event).encode())
        assert answer.outcome == "accepted", answer.faults
        assert answer.event_ref is not None
        self.accepted.append((event["id"], event["version"]))
        if and_prepare:
            prepare(self.service.parts, answer.event_ref)
        return answer.event_ref

    def withdraw_consent(self, event_ref: str, number: int) -> None:
        """Write into the registry that the patient's consent has ended.

        What of the event was not marked as on its way by then must never arrive.
        """
        patient = copy.deepcopy(next(one for one in self.clinic["patients"] if one["id"] == f"MRN-F{number}"))
        yesterday = self.service.parts.clock.now().date() - timedelta(days=1)
        for one in patient["consents"]:
            one |= {"version": one["version"] + 1, "revoked_on": yesterday.isoformat()}
        written = self.service.registry.write("patients", patient["id"], json.dumps(patient).encode(), STAFF)
        assert written.outcome == "updated", written.faults
        with self.service.store.begin(write=False) as tx:
            for message in tx.messages_of_event(event_ref):
                if all(one.state in {State.PENDING, State.CLAIMED} for one in tx.deliveries(message.id)):
                    self.withdrawn.add(message.id)

    def unfinished(self) -> tuple[int, int]:
        """Return how many rows are still on their way, and how many deliveries are freshly in doubt."""
        with self.service.store.begin(write=False) as tx:
            rows = tx.connection.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
            counts = {State(state): count for state, count in rows}
            waiting = sa.select(sa.func.count()).where(inbox.c.state == "received")
            moving = sum(count for state, count in counts.items() if state not in AT_REST)
            fresh = self.service.parts.clock.now() - timedelta(seconds=DOUBT_S)
            doubts = sa.select(sa.func.count()).where(
                deliveries.c.state == State.IN_DOUBT, deliveries.c.updated_at > fresh
            )
            return (
                moving + int(tx.connection.execute(waiting).scalar_one()),
                int(tx.connection.execute(doubts).scalar_one()),
            )

    def until_quiet(self, timeout_s: float = 120) -> None:
        """Wait until every row is at rest, or nothing has come to rest for so long: what stands still then is lost.

        A long queue on a busy machine is not: it is waited for as long as it gets shorter.
        """
        end, fewest = time.monotonic() + timeout_s, None
        while time.monotonic() < end:
            with contextlib.suppress(sa.exc.OperationalError):
                moving, doubts = self.unfinished()
                # What is in doubt is asked about; some of it stays so, and then waits for a person.
                if not moving and not doubts:
                    return
                if fewest is None or moving + doubts < fewest:
                    end, fewest = time.monotonic() + timeout_s, moving + doubts
            time.sleep(0.25)

    def states(self, event_ref: str) -> dict[str, tuple[str, str | None]]:
        """Return (state, cause) of each message's last delivery, by the channel of the first."""
        with self.service.store.begin(write=False) as tx:
            found = {}
            for one in tx.messages_of_event(event_ref):
                rows = tx.deliveries(one.id)
                if rows:
                    found[rows[0].channel] = (str(rows[-1].state), rows[-1].cause)
            return found

    def held(self) -> Counter[str]:
        """Return how many copies the recipients hold of each message, whatever the channel."""
        farm, copies = self.stage.farm, Counter[str]()
        with self.service.store.begin(write=False) as tx:
            rows = tx.connection.execute(sa.select(deliveries.c.id, deliveries.c.message_id))
            message_of = {row.id: row.message_id for row in rows}
        ours = set(message_of.values())
        for one in farm.ehr.resources("DocumentReference"):
            names = [value.removeprefix("urn:uuid:") for _, value in ehr_records.names_of(one)]
            copies[next((name for name in names if name in ours), names[0])] += 1
        for tag, _, outcome in farm.fax.faxes():
            if outcome == "success":
                copies[message_of.get(tag, tag)] += 1
        for message_id, _, _ in farm.hisp.messages():
            tag = message_id.strip("<>").partition("@")[0]
            copies[message_of.get(tag, tag)] += 1
        return copies

    def judge(self) -> Verdict:
        """Compare what the recipients hold with what we say."""
        held = self.held()
        with self.service.store.begin(write=False) as tx:
            kept = {(row.event.id, row.version) for row in tx.inbox_in(("prepared",))}
            stands = {
                (row.event.id, row.version): f"{row.state}, {row.cause}"
                for row in tx.inbox_in(("received", "question", "stuck", "superseded", "declined"))
            }
            query = sa.select(messages.c.id, deliveries.c.state).outerjoin(
                deliveries, deliveries.c.message_id == messages.c.id
            )
            rows = list(tx.connection.execute(query))
        told = {row.id for row in rows}
        arrived = {row.id for row in rows if row.state == State.ACKNOWLEDGED}
        withdrawn = {row.id for row in rows if row.state == State.CANCELLED}
        waiting = {row.id for row in rows if row.state and State(row.state) in NEEDS_PERSON} - arrived
        gone = [one for one in self.accepted if one not in kept]
        nowhere = told - arrived - waiting - withdrawn
        pretended = {one for one in arrived if not held[one]}
        strangers = set(held) - told
        twice = {one: count for one, count in held.items() if count > 1}
        found = self.service.verify()
        why = [f"accepted and not prepared: {one}, {stands.get(one, 'not there')}" for one in gone]
        why += [f"on no way to anybody: {one}" for one in sorted(nowhere)]
        why += [f"called acknowledged, held by nobody: {one}" for one in sorted(pretended)]
        why += [f"held and unknown here: {one}" for one in sorted(strangers)]
        why += [f"held {count} times: {one}" for one, count in twice.items()]
        against = {one for one in self.withdrawn if held[one]}
        why += [f"held although the consent had ended: {one}" for one in sorted(against)]
        why += [f"{one.promise}: {one.table} {one.row}: {one.what}" for one in found]
        now = Counter(told=len(told), arrived=len(arrived), waiting=len(waiting))
        since, self.before = now - self.before, now
        return Verdict(
            since["told"],
            since["arrived"],
            since["waiting"],
            len(gone) + len(nowhere) + len(pretended) + max(0, 2 * len(self.accepted) - len(told)),
            len(twice) + len(strangers),
            len(against),
            len(found),
            tuple(why[:20]),
        )


def _patient(first: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a patient like the first; every third has a psychiatrist who is reached by Direct."""
    made = copy.deepcopy(first) | {"id": f"MRN-F{number}"}
    made["course"] = made["course"] | {"id": f"course-f{number}"}
    made["identifiers"] = [one | {"value": f"NS-F{number}"} for one in made["identifiers"]]
    if number % 3 == 2:
        for one in made["care_team"]:
            one["provider"] = "pr-direct" if one["provider"] == "pr-psych" else one["provider"]
        for one in made["consents"]:
            one["recipient"] = "pr-direct" if one["recipient"] == "pr-psych" else one["recipient"]
        made["identifiers"] = []
    return made


@contextlib.contextmanager
def engine(
    folder: Path, name: str, template: Template, database: str = "", broker: str = "", **more: Any
) -> Iterator[Engine]:
    """Yield an open engine; every process it started is gone afterwards."""
    made = Engine(folder, name, template, database, broker, **more)
    try:
        made.open()
        yield made
    finally:
        made.close()
