"""The judge of a run: the six promises against the database, and against what the recipients themselves hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import groupby, pairwise
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.flow import deliver
from coordinator.flow.handover import HANDED_OVER
from coordinator.flow.prepare import prepare
from coordinator.flow.sweep import sweep, take_back_leases
from coordinator.flow.track import take_in
from coordinator.store.tables import deliveries, inbox, messages, receipts
from coordinator.store.verification import verify
from tests.faults.simulation.chance import Weather
from tests.faults.simulation.workshop import cheap_composing
from tests.faults.simulation.world import World

ROUNDS = 60
MOVING = ("pending", "claimed", "on-wire", "sent")

WITHDRAWN = ("event.superseded", "release.superseded", "release.retracted")
"""Causes of a message that was withdrawn because something else tells it, or it was not so."""


def run(seed: int, weather: Weather | None = None) -> tuple[World, list[str]]:
    """Run one seed to its end; return the world and every broken promise in words."""
    world = World(seed, weather)
    try:
        with cheap_composing():
            world.crashing = True
            for _ in range(world.weather.steps):
                world.step()
            drive_to_quiet(world)
            found = list(broken(world))
            world.moved, world.told_in_digests = world.moves(), world.digests()
            return world, found
    finally:
        world.close()


def drive_to_quiet(world: World) -> None:
    """End the chaos: no more crashes, recipients that answer, and time until nothing moves any more."""
    world.crashing = False
    world.say("--- calm ---")
    for channel in world.channels.values():
        channel.calm = True
    world.clock.turn(timedelta(days=9))  # the week of every digest is over
    world.hand.clear()
    for _ in range(ROUNDS):
        _one_round(world)
        with world.store.begin(write=False) as tx:
            left = sum(tx.counts().get(state, 0) for state in MOVING)
            left += len(tx.inbox_in(("received",)))
        if not left and not any(one.mail for one in world.channels.values()):
            return
        world.clock.turn(timedelta(hours=2))


def _one_round(world: World) -> None:
    take_back_leases(world.parts)
    now = world.clock.now()
    with world.parts.ledger.begin() as tx:
        ids = tx.claim_inbox("p", now, now + world.parts.policy.lease, 100)
    for event_ref in ids:
        prepare(world.parts, event_ref)
    while claimed := deliver.claim(world.parts, "z", 20):
        for one in claimed:
            deliver.attempt(world.parts, one)
    for channel in world.channels.values():
        while news := channel.take_mail():
            world.told.add(f"{news.channel}|{news.key}")
            take_in(world.parts, news)
    sweep(world.parts)


def broken(world: World) -> Iterator[str]:
    """Yield every broken promise."""
    for finding in verify(world.store, world.clock.now()):
        # A clock that was set back makes the stored instants say what did not happen; the books below know the order.
        if world.jumped_back and finding.promise == "never out of order":
            continue
        yield f"{finding.promise}: {finding.table} {finding.row}: {finding.what}"
    yield from _lost(world)
    yield from _fallen_silent(world)
    yield from _pretended(world)
    yield from _twice(world)
    for name in world.books.after_consent:
        yield f"never without consent: {name} was let go after the consent had ended"
    for name in world.books.after_retraction:
        yield f"never wrong: {name} was let go after its record had been retracted"
    for name in world.books.outdated:
        yield f"never wrong: {name} was let go although its recipient was told otherwise by then"
    yield from _order(world)
    with world.store.begin(write=False) as tx:
        from_outside = sa.select(sa.func.count()).where(receipts.c.verdict != HANDED_OVER)
        kept = tx.connection.execute(from_outside).scalar_one()
    if kept > len(world.told):
        yield f"evidence: {kept} receipts on record, of {len(world.told)} that there are"


def _lost(world: World) -> Iterator[str]:
    with world.store.begin(write=False) as tx:
        states = {row.id: row for row in tx.connection.execute(sa.select(inbox.c.id, inbox.c.state, inbox.c.cause))}
        told = Counter(row.event_ref for row in tx.connection.execute(sa.select(messages.c.event_ref)))
        counts = tx.counts()
    for name, version, event_ref in world.answered:
        row = states.get(event_ref)
        if row is None:
            yield f"never lost: {name} v{version} was accepted and is gone"
        elif row.state == "received":
            yield f"never lost: {name} v{version} was never prepared"
        elif row.state == "stuck":
            yield f"a fault of the run: {name} v{version} is stuck, {row.cause}"
        elif row.state == "prepared" and not told[event_ref]:
            yield f"never lost: {name} v{version} told nobody"
    for state in MOVING:
        if counts.get(state):
            yield f"never silent: {counts[state]} deliveries still {state} long after everything was calm"


def _fallen_silent(world: World) -> Iterator[str]:
    """Yield recipients to whom an event is not told: each message was withdrawn, and none stands in its place."""
    with world.store.begin(write=False) as tx:
        rows = {row.id: row for row in tx.connection.execute(sa.select(messages))}
        events = {name: tx.inbox_row(event_ref) for name, _, event_ref in world.answered}
        for name, row in events.items():
            prepared = [one for one in tx.inbox_versions(row.source, name) if one.state == "prepared"]
            if not prepared or prepared[-1].event.status == "entered-in-error":
                continue
            refs = {one.id for one in prepared}
            mine = [one for one in rows.values() if one.event_ref in refs and one.state != "nothing-to-send"]
            for provider in sorted({one.provider_id for one in mine}):
                if not any(_stands(world, rows, one) for one in mine if one.provider_id == provider):
                    yield f"never lost: of {name} nothing that was to tell {provider} stands any more"


def _stands(world: World, rows: Mapping[str, Any], row: Any) -> bool:
    """Return whether a message, or what took its place, is there to be told, or was ended by consent or a person."""
    while row.state in {"superseded", "cancelled"} and row.superseded_by is not None:
        row = rows[row.superseded_by]
    return row.id in world.cancelled or (row.state != "superseded" and row.cause not in WITHDRAWN)


def _pretended(world: World) -> Iterator[str]:
    """Yield messages that we call acknowledged and that nobody holds."""
    held = {one.identifier for one in world.books.held}
    with world.store.begin(write=False) as tx:
        query = sa.select(deliveries.c.message_id, deliveries.c.channel).where(
            deliveries.c.state == State.ACKNOWLEDGED, deliveries.c.channel != "by-hand"
        )
        for row in tx.connection.execute(query):
            if f"urn:uuid:{row.message_id}" not in held:
                yield f"never lost: {row.message_id} is called acknowledged and the recipient has not got it"


def _twice(world: World) -> Iterator[str]:
    for identifier, count in Counter(one.identifier for one in world.books.held).items():
        if count > 1 + world.by_person.get(identifier, 0):
            yield f"never twice: a recipient holds {identifier} {count} times"


def _order(world: World) -> Iterator[str]:
    """Yield messages that arrived after a newer one of their lane, unless a person sent them again."""
    with world.store.begin(write=False) as tx:
        rows = list(
            tx.connection.execute(
                sa.select(
                    messages.c.id,
                    messages.c.patient_key,
                    messages.c.provider_id,
                    messages.c.lane_subject,
                    messages.c.occurred_at,
                    messages.c.event_version,
                )
            )
        )
    arrivals: dict[str, int] = {}
    for one in world.books.held:
        arrivals.setdefault(one.identifier, one.turn)
    came = [row for row in rows if f"urn:uuid:{row.id}" in arrivals and f"urn:uuid:{row.id}" not in world.by_person]
    lane = ("patient_key", "provider_id", "lane_subject")

    def key(row: sa.Row) -> tuple:  # type: ignore[type-arg]
        return tuple(getattr(row, name) for name in lane)

    for _, mine in groupby(sorted(came, key=key), key=key):
        in_time = sorted(mine, key=lambda row: (row.occurred_at, row.event_version))
        for older, newer in pairwise(in_time):
            same = (older.occurred_at, older.event_version) == (newer.occurred_at, newer.event_version)
            if not same and arrivals[f"urn:uuid:{older.id}"] > arrivals[f"urn:uuid:{newer.id}"]:
                yield f"never out of order: {older.id} arrived after the newer {newer.id}"
