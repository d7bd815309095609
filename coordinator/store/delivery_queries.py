"""What is asked of the deliveries: whose turn it is, who tried before, and whether anything has changed since."""

from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.store.one_of import one_of
from coordinator.store.tables import UtcInstant, attempts, deliveries, endpoint_health, endpoint_paces, messages

URGENCY = ("stat", "urgent", "routine")

_NEWER = deliveries.alias("newer")
LATER = sa.exists().where(
    _NEWER.c.message_id == deliveries.c.message_id,
    _NEWER.c.ordinal > deliveries.c.ordinal,
    _NEWER.c.state != State.CANCELLED,
)
"""A later delivery of the same message is there and was not withdrawn; to be asked of a statement's deliveries.

It compares deliveries with each other: a statement around that one would be one too far away for SQLAlchemy to see.
"""
PENDING_ROWS = deliveries.c.state == sa.literal_column("'pending'")
"""Written out, as in the index that holds only these rows: a database does not use it for a bound value."""
HELD_BY_WORKER = deliveries.c.state.in_([sa.literal_column("'claimed'"), sa.literal_column("'on-wire'")])
BY_ID = sa.select(deliveries).where(deliveries.c.id == sa.bindparam("of_id"))
BY_ID_LOCKED = BY_ID.with_for_update()
BY_IDS = sa.select(deliveries).where(one_of(deliveries.c.id, "ids"))
BY_IDS_FREE = BY_IDS.order_by(deliveries.c.id).with_for_update(skip_locked=True)
PENDING = BY_IDS.where(PENDING_ROWS, deliveries.c.due_at <= sa.bindparam("now", type_=UtcInstant))
"""Asked once more when they are locked: another worker may have tried one, and put it off, since it was chosen."""
PENDING_FREE = PENDING.with_for_update(skip_locked=True)
TRIED = (
    sa.select(deliveries.c.message_id, deliveries.c.created_at, deliveries.c.channel)
    .where(one_of(deliveries.c.message_id, "ids"), deliveries.c.tries > 0)
    .order_by(deliveries.c.message_id, deliveries.c.ordinal)
)
BUSY = (
    sa.select(deliveries.c.endpoint_id, sa.func.count().label("busy"))
    .where(HELD_BY_WORKER)
    .group_by(deliveries.c.endpoint_id)
)
GOING = (
    sa.select(messages.c.id, messages.c.patient_key, messages.c.provider_id, messages.c.lane_subject)
    .join(deliveries, deliveries.c.message_id == messages.c.id)
    .where(HELD_BY_WORKER, deliveries.c.state == State.ON_WIRE)
)


def _recheck(*, attempts_too: bool) -> sa.Select[Any]:
    """Return what shows whether deliveries and their messages have changed, with their endpoints' health."""
    query = (
        sa.select(
            deliveries.c.id,
            deliveries.c.state,
            deliveries.c.fence,
            deliveries.c.updated_at,
            messages.c.state.label("m_state"),
            messages.c.superseded_by.label("m_superseded_by"),
            messages.c.updated_at.label("m_updated_at"),
            *(one for one in endpoint_health.c if one.name != "updated_at"),
        )
        .join(messages, messages.c.id == deliveries.c.message_id)
        .outerjoin(endpoint_health, endpoint_health.c.endpoint_id == deliveries.c.endpoint_id)
        .where(one_of(deliveries.c.id, "ids"))
        .order_by(deliveries.c.id)
    )
    if attempts_too:
        mine = sa.and_(
            attempts.c.delivery_id == deliveries.c.id,
            attempts.c.fence == deliveries.c.fence,
            attempts.c.ended_at.is_(None),
        )
        query = query.add_columns(attempts.c.id.label("attempt_id")).outerjoin(attempts, mine)
    return query


RECHECK = {one: _recheck(attempts_too=one) for one in (False, True)}
RECHECK_FREE = {one: query.with_for_update(skip_locked=True, of=deliveries) for one, query in RECHECK.items()}


def _waiting(*, lateral: bool) -> sa.Select[Any]:
    """Return the first `most` due rows of each endpoint and urgency, by walking the index from queue to queue."""
    ends = sa.select(sa.func.min(deliveries.c.endpoint_id).label("endpoint_id")).where(PENDING_ROWS)
    walk = ends.cte("ends", recursive=True)
    after = sa.select(sa.func.min(deliveries.c.endpoint_id)).where(
        PENDING_ROWS, deliveries.c.endpoint_id > walk.c.endpoint_id
    )
    walk = walk.union_all(sa.select(after.scalar_subquery()).where(walk.c.endpoint_id.is_not(None)))
    levels = sa.union_all(*[sa.select(sa.literal_column(f"'{one}'").label("level")) for one in URGENCY]).cte("levels")
    queue = deliveries.alias("queue")
    first = (
        sa.select(queue.c.id)
        .where(
            queue.c.state == sa.literal_column("'pending'"),
            queue.c.endpoint_id == walk.c.endpoint_id,
            queue.c.priority == levels.c.level,
            queue.c.due_at <= sa.bindparam("now", type_=UtcInstant),
        )
        .order_by(queue.c.due_at, queue.c.id)
        .limit(sa.bindparam("most", type_=sa.Integer))
        .correlate(walk, levels)
    )
    one = deliveries
    pace = endpoint_paces
    columns = (
        one.c.id, one.c.endpoint_id, one.c.channel, one.c.priority, one.c.due_at,
        pace.c.at_once, pace.c.per_minute, pace.c.next_at, pace.c.turn,
    )  # fmt: skip
    both = walk.join(levels, sa.true())
    if lateral:
        next_up = first.lateral("next_up")
        rows = both.join(next_up, sa.true()).join(one, one.c.id == next_up.c.id)
    else:
        rows = both.join(one, one.c.id.in_(first))
    return sa.select(*columns).select_from(rows.outerjoin(pace, pace.c.endpoint_id == one.c.endpoint_id))


WAITING, WAITING_LATERAL = _waiting(lateral=False), _waiting(lateral=True)
