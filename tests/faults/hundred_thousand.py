"""Very many messages on PostgreSQL while a worker is killed every few seconds; the recipient's own count is the judge.

    .ci/servers .venv/bin/python -m tests.faults.hundred_thousand --messages 100000 --kill-every 5

Real Celery workers on RabbitMQ with the real claim, release, mark, send, outcome, sweep and look-up. The letters are a
few bytes, and the channel posts to a recipient that only counts: what is tried is the delivery machine. The run says
how far it is, and writes its result into docs/reliability.md with `--write`.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.domain.ids import stable_uuid
from coordinator.flow.rows import NewDelivery, NewDocument, NewMessage
from coordinator.store.tables import deliveries, messages
from tests.faults import report, servers
from tests.faults.engines import Engine, engine
from tests.faults.simulation.workshop import cheap_composing
from tests.faults.template import ROOT, Template, Worker

PATTERNS = 40
AT_ONCE = 500
ENGINE = "PostgreSQL + RabbitMQ"


@dataclass
class Run:
    """One run."""

    made: Engine
    wanted: int
    workers: int
    kill_every_s: float
    threads: int
    port: int
    chance: random.Random
    kills: int = 0

    def start_worker(self) -> Worker:
        return self.made.start(
            "worker", "--concurrency", str(self.threads), COUNTED_AT=str(self.port), PER_ENDPOINT="256"
        )

    def fill(self) -> None:
        """Put the messages into the outbox: copies of prepared ones, each with a lane and a name of its own."""
        made, store = self.made, self.made.service.store
        refs = []
        with cheap_composing():
            while len(refs) < PATTERNS:
                if made.submitted % 3 != 2:  # the others are told by Direct
                    refs.append(made.submit())
                else:
                    made.submitted += 1
        with store.begin() as tx:
            found = [one for ref in refs for one in tx.messages_of_event(ref) if one.provider_id == "pr-psych"]
            rows = {one.id: tx.deliveries(one.id)[0] for one in found}
            bodies = {one.id: tx.document(tx.documents(one.id)[0][0])[0] for one in found}
            # What was prepared is the pattern and is not sent itself.
            tx.connection.execute(sa.update(deliveries).values(state=State.CANCELLED, due_at=None))
            tx.connection.execute(sa.update(messages).values(state="cancelled"))
        names = [one.name for one in fields(NewMessage)]
        for start in range(0, self.wanted, AT_ONCE):
            now = made.service.parts.clock.now()
            with store.begin() as tx:
                for number in range(start, min(start + AT_ONCE, self.wanted)):
                    pattern = found[number % len(found)]
                    name = stable_uuid("message", "many", str(number))
                    message = NewMessage(**{one: getattr(pattern, one) for one in names})
                    tx.add_message(replace(message, id=name, lane_subject=name), at=now, terms=())
                    body = bodies[pattern.id]
                    document = NewDocument(**{one.name: getattr(body, one.name) for one in fields(NewDocument)})
                    tx.add_document(replace(document, id=stable_uuid("document", name), message_id=name), at=now)
                    row = rows[pattern.id]
                    tx.add_delivery(
                        NewDelivery(
                            stable_uuid("delivery", name), name, row.provider_id, row.endpoint_id, row.channel, 0,
                            row.priority, State.PENDING, None, now,
                        ),
                        at=now,
                    )  # fmt: skip
            if start % 5000 == 0:
                self.say(f"{start + AT_ONCE} in the outbox")

    def say(self, text: str) -> None:
        sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
        sys.stdout.flush()

    def states(self) -> Counter[str]:
        """Return how many deliveries are in each state."""
        query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        with self.made.service.store.begin(write=False) as tx:
            return Counter({str(state): count for state, count in tx.connection.execute(query)})

    def until_done(self, most_s: float) -> float:
        """Kill a worker every few seconds until everything is acknowledged; return how long it took."""
        began = said = time.monotonic()
        crew = [self.start_worker() for _ in range(self.workers)]
        while time.monotonic() - began < most_s:
            time.sleep(self.kill_every_s * self.chance.uniform(0.6, 1.4))
            states = self.states()
            if time.monotonic() - said > 10:
                said = time.monotonic()
                rate = states["acknowledged"] / (said - began)
                self.say(f"{dict(states)}, {rate:.0f}/s, {self.kills} kills")
            if not sum(states[one] for one in ("pending", "claimed", "on-wire", "sent", "in-doubt")):
                break
            victim = self.chance.randrange(len(crew))
            assert crew[victim].ended() is None, crew[victim].said()
            crew[victim].kill()
            self.kills += 1
            crew[victim] = self.start_worker()
        took_s = time.monotonic() - began
        for one in crew:
            one.kill()
        return took_s


def judge(run: Run, received: Path) -> dict[str, Any]:
    """Return what the recipient holds against what we say."""
    held = Counter(received.read_text(encoding="ascii").split())
    wanted = {stable_uuid("message", "many", str(number)) for number in range(run.wanted)}
    states = run.states()
    return {
        "messages": run.wanted,
        "held": len(wanted & set(held)),
        "lost": len(wanted - set(held)),
        "doubled": sum(1 for one in held.values() if one > 1),
        "strangers": len(set(held) - wanted),
        "acknowledged": states["acknowledged"],
        "states": dict(states),
        "findings": len(run.made.service.verify()),
    }


def main() -> int:
    """Run, say the result, and return 1 unless nothing was lost and nothing doubled."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--messages", type=int, default=100_000)
    asked.add_argument("--kill-every", type=float, default=5.0, help="seconds, on the average")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--threads", type=int, default=4)
    asked.add_argument("--most-s", type=float, default=7200, help="give up after so long")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--write", action="store_true", help="write the result into docs/reliability.md")
    options = asked.parse_args()
    broker = servers.needed(servers.BROKERS[ENGINE][0])
    template = Template()
    with (
        tempfile.TemporaryDirectory() as folder,
        servers.database() as url,
        engine(Path(folder), ENGINE, template, url, broker, lease_s=15) as made,
    ):
        received = Path(folder) / "received"
        counting = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.counting", str(received)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert counting.stdout is not None
            port = int(counting.stdout.readline())
            run = Run(
                made, options.messages, options.workers, options.kill_every, options.threads, port,
                random.Random(options.seed),
            )  # fmt: skip
            run.fill()
            made.start("beat")
            took_s = run.until_done(options.most_s)
            found = judge(run, received)
        finally:
            counting.kill()
            counting.wait()
            if counting.stdout is not None:
                counting.stdout.close()
    template.close()
    command = "python -m tests.faults.hundred_thousand " + " ".join(sys.argv[1:])
    said = (
        f"{found['messages']:,} messages, {run.kills} workers killed with kill -9 in {took_s:.0f} s "
        f"({found['messages'] / took_s:.0f}/s, {run.workers} workers of {run.threads} threads, {os.cpu_count()} cores "
        f"shared with other work): {found['held']:,} held by the recipient, {found['lost']} lost, "
        f"{found['doubled']} doubled; {found['acknowledged']:,} acknowledged here; "
        f"`verify`: {found['findings'] or 'clean'}."
    )
    run.say(f"{said}\n{found}")
    if options.write:
        report.write_many(f"{datetime.now(UTC).date().isoformat()}, `.ci/servers {command}`: {said}")
    good = not (found["lost"] or found["doubled"] or found["strangers"] or found["findings"])
    return 0 if good and found["acknowledged"] == options.messages else 1


if __name__ == "__main__":
    sys.exit(main())
