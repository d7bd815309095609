"""From what the desk shows to what a page needs: groups of stuck messages, filters, refused actions with reasons."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from coordinator.console.words import CHANNELS
from coordinator.domain.delivery import FINAL, State
from coordinator.domain.errors import Refused
from coordinator.domain.ids import is_mistyped_reference
from coordinator.domain.plan import PRIORITIES
from coordinator.flow.reached import NO_ADDRESS
from coordinator.flow.read_models import (
    DeliveryView,
    DocumentView,
    MessageDetail,
    MessageFilter,
    MessageRow,
    TimelineEntry,
)

PAGE = 50
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_DAY_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
LOOKS = frozenset({"message opened", "document opened"})
"""Lines of the history that say only that somebody read."""
MOVING = frozenset({State.PENDING, State.CLAIMED, State.ON_WIRE, State.SENT})


@dataclass(frozen=True)
class Group:
    """Messages that stand still at one recipient's channel for one cause."""

    recipient: str
    channel: str
    cause: str | None
    why: str
    next_step: str
    role: str | None
    priority: str
    oldest_at: datetime
    rows: tuple[MessageRow, ...]


@dataclass(frozen=True)
class Action:
    """One button: what it does, and why it may not be used now (None when it may)."""

    name: str
    label: str
    why_not: str | None


@dataclass(frozen=True)
class Found:
    """One page of the list, with what leads to the next one."""

    rows: tuple[MessageRow, ...]
    wanted: MessageFilter
    next_id: str | None
    moving: bool

    @property
    def by_person(self) -> bool:
        """Whether the filter may name a person; then it travels in forms and never in an address."""
        return bool(self.wanted.text or self.wanted.patient)

    @property
    def mistyped(self) -> bool:
        """Whether what was looked for is a letter's reference with a wrong digit."""
        return is_mistyped_reference(self.wanted.text or "")


def groups(rows: Sequence[MessageRow]) -> list[Group]:
    """Return the rows grouped by recipient, channel and cause: most pressing first, then the longest waiting."""
    found: dict[tuple[str, str, str | None, str], list[MessageRow]] = defaultdict(list)
    for row in rows:
        found[(row.provider_id, row.channel, row.cause, row.state)].append(row)
    made = [_group(members) for members in found.values()]
    return sorted(made, key=lambda one: (-_rank(one.priority), one.oldest_at))


def _group(members: list[MessageRow]) -> Group:
    ordered = tuple(sorted(members, key=lambda row: (-_rank(row.priority), row.created_at)))
    first = ordered[0]
    return Group(
        recipient=first.recipient,
        channel=first.channel,
        cause=first.cause,
        why=first.why,
        next_step=first.next_step,
        role=first.role,
        priority=first.priority,
        oldest_at=min(row.created_at for row in ordered),
        rows=ordered,
    )


def _rank(priority: str) -> int:
    ranks: Mapping[str, int] = {name: place for place, name in enumerate(PRIORITIES)}
    return ranks.get(priority, 0)


def wanted(fields: Mapping[str, str]) -> MessageFilter:
    """Return the filter that a form or an address asks for. What cannot be meant is left out."""
    state, channel, before = (fields.get(name, "") for name in ("state", "channel", "before"))
    return MessageFilter(
        state=State(state) if state in tuple(State) else None,
        needs_attention=fields.get("attention") == "1",
        channel=channel if channel in CHANNELS else None,
        patient=fields.get("patient", "").strip()[:64] or None,
        text=fields.get("text", "").strip()[:100] or None,
        before_id=before if _ID.fullmatch(before) else None,
        limit=PAGE,
    )


def handed_over_at(said: str, zone: ZoneInfo) -> datetime | None:
    """Return the instant of a day and time on the clinic's calendar, in UTC; None for nothing said.

    Raises Refused for what is not understood, and for a time that the clocks passed over or had twice.
    """
    if not said:
        return None
    try:
        here = datetime.fromisoformat(said if _DAY_AND_TIME.fullmatch(said) else "").replace(tzinfo=zone)
        first, second = (here.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    except (ValueError, OverflowError):
        why = "The day and time are not understood. Choose both, or write them as 2026-11-27 15:40."
        raise Refused("hand.when-unclear", why) from None
    if first > second:
        why = "The clocks were set forward then, so this time did not come. Look at the day and the hour again."
        raise Refused("hand.when-unclear", why)
    if first < second:
        why = (
            "The clocks were set back then, so this time came twice. Give the nearest time outside that hour, "
            "and write the right one beside who took it."
        )
        raise Refused("hand.when-unclear", why)
    return first


def found(rows: Sequence[MessageRow], asked: MessageFilter) -> Found:
    """Return the page; the last row leads to the next one when the page is full."""
    return Found(
        rows=tuple(rows),
        wanted=asked,
        next_id=rows[-1].id if len(rows) >= asked.limit else None,
        moving=any(row.state in MOVING for row in rows),
    )


def actions(view: DeliveryView, *, allowed: bool) -> tuple[Action, ...]:
    """Return what may be done with a delivery, then what may not, each with its reason."""
    role = None if allowed else "Your role does not allow this. Ask a colleague with the role sender."
    every = (
        Action("resend", "Send again", role or (None if view.may_resend else _no_resend(view))),
        Action(
            "release",
            "Settle: it did not arrive" if view.state == State.IN_DOUBT else "Release",
            role or (None if view.may_release else _no_release(view)),
        ),
        Action("next", "Take next address", role or view.may_not_next_because),
        Action(
            "cancel",
            "Withdraw",
            role or (None if view.may_cancel else "Something of it may have left already, or it is over."),
        ),
        Action(
            "handover",
            "Record hand-over",
            role or (None if view.may_record_handover else "Only a printed letter that waits for its hand-over."),
        ),
    )
    return tuple(sorted(every, key=lambda one: one.why_not is not None))


def _no_resend(view: DeliveryView) -> str:
    return view.may_not_resend_because or "It may not be sent again in this state."


def _no_release(view: DeliveryView) -> str:
    if view.state in FINAL:
        return "It is over; there is nothing to release."
    if view.channel == "by-hand":
        return "Paper goes no further by itself: hand it over and record that."
    if view.channel == "none":
        return "There is no way to send it yet."
    if view.state in (State.HELD, State.IN_DOUBT):
        return "Its message is closed; nothing of it goes out any more."
    return "Only what is held or in doubt can be released."


def history(timeline: Sequence[TimelineEntry]) -> list[tuple[TimelineEntry, int]]:
    """Return what happened, newest first; what one actor did several times in a row is one line with the count."""
    lines: list[tuple[TimelineEntry, int]] = []
    for entry in reversed([one for one in timeline if one.text not in LOOKS]):
        if lines and (lines[-1][0].actor, lines[-1][0].text) == (entry.actor, entry.text):
            lines[-1] = (lines[-1][0], lines[-1][1] + 1)
        else:
            lines.append((entry, 1))
    return lines


def looks(timeline: Sequence[TimelineEntry]) -> list[tuple[TimelineEntry, int]]:
    """Return who opened the message or a document of it: the last time and how often, the latest first."""
    found: dict[str, list[TimelineEntry]] = defaultdict(list)
    for entry in timeline:
        if entry.text in LOOKS:
            found[entry.actor].append(entry)
    return sorted(((each[-1], len(each)) for each in found.values()), key=lambda one: one[0].at, reverse=True)


def to_print(detail: MessageDetail, current: DeliveryView | None) -> list[DocumentView]:
    """Return the documents to print when the message waits to be handed over, and may be: every letter of it."""
    if current is None or current.channel != "by-hand" or current.state != State.HELD or current.cause != "hand.print":
        return []
    return [one for one in detail.documents if one.role == "letter-pdf"]


def reached(detail: MessageDetail) -> list[tuple[DeliveryView, datetime]]:
    """Return the deliveries that may have reached a wrong place: the latest to each address, with when it left."""
    found: dict[str, tuple[DeliveryView, datetime]] = {}
    for one in detail.deliveries:
        left = [tried.on_wire_at for tried in one.attempts if tried.on_wire_at is not None]
        if left and one.channel not in NO_ADDRESS:
            found[one.endpoint_id] = (one, max(left))
    return sorted(found.values(), key=lambda pair: pair[1])


def letters_of(detail: MessageDetail) -> list[DocumentView]:
    """Return the documents that show the message's letters on screen: the HTML, else the text."""
    for role in ("letter-html", "letter-text"):
        if found := [one for one in detail.documents if one.role == role]:
            return found
    return []


def document_names(documents: Sequence[DocumentView], names: Mapping[str, str]) -> list[tuple[DocumentView, str]]:
    """Return each document with its name; where a message has two of one form, their letter is named too."""
    counted = Counter(one.role for one in documents)
    return [
        (one, names.get(one.role, one.role) + (f": {one.title}" if counted[one.role] > 1 else "")) for one in documents
    ]


def newest(detail: MessageDetail) -> DeliveryView | None:
    """Return the delivery that the list shows, else the last one made."""
    for one in detail.deliveries:
        if one.id == detail.row.delivery_id:
            return one
    return max(detail.deliveries, key=lambda one: one.created_at, default=None)
