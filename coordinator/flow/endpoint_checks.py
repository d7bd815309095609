"""Asking whether an endpoint would take a message today: one step after another, nothing sent, no PHI."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from coordinator.domain.errors import DeliveryError, Transient
from coordinator.domain.registry import Endpoint, Provider, Registry
from coordinator.flow.addresses import (
    closed_because,
    endpoint_of,
    is_closed,
    known_as_wrong,
    known_providers,
    waits_for_approval,
)
from coordinator.flow.hold_rows import EVERYTHING, HoldKind
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.station_rows import OtherStation, quoted
from coordinator.flow.stations import station_at, warning_of
from coordinator.planning.recipients import unusable_because

NOT_SET_UP: Mapping[str, str] = {
    "direct": "Set COORDINATOR_SMTP_HOST and the other mail settings, then start the service again.",
    "secure-link": "Set COORDINATOR_NOTICE_SMTP_HOST and the other notice settings, then start the service again.",
    "fax": "Set COORDINATOR_FAX_URL and the other fax settings, then start the service again.",
}

AWAY = (
    "Check again in a few minutes; messages are tried again by themselves meanwhile. If it lasts, check the address "
    "and this machine's way out, then ask whoever runs that server."
)
"""What to do about a fault that may pass: a check is not repeated by itself, though a message is."""


RELEASE: Mapping[HoldKind, str] = {
    "person": "Release it on the page Sending once the reason is gone; what waits goes out then.",
    "restore": "End the hold on the page Sending once everything there was looked at.",
}


@dataclass(frozen=True)
class Step:
    """One step of a check. `ok` is None for a step that was not tried, and `seen` says why."""

    name: str
    ok: bool | None
    seen: str
    """What was found: versions, host names, counts. Never a secret and never PHI."""
    what_to_do: str = ""
    """Empty when all is well."""


class Amiss(Exception):
    """Something is wrong that has no cause code of its own, said in the words of this check."""

    def __init__(self, seen: str, what_to_do: str) -> None:
        """Take what was seen and what to do; no secret, no PHI."""
        super().__init__("amiss")
        self.seen = seen
        self.what_to_do = what_to_do


@dataclass(frozen=True)
class Probe:
    """One question to the far side. `ask` returns what was seen, or raises a delivery error or Amiss."""

    name: str
    ask: Callable[[datetime], str]
    """Called with the deadline."""
    needs: tuple[str, ...] = ()
    """Names of earlier probes without which this one says nothing."""


class Checker(Protocol):
    """Knows what to ask the far side of one kind of endpoint."""

    def probes(self, endpoint: Endpoint) -> Sequence[Probe]:
        """Return the questions, in the order in which they are asked."""
        ...


@dataclass(frozen=True)
class EndpointRow:
    """One line of the list of endpoints."""

    id: str
    provider_id: str
    recipient: str
    organization: str | None
    kind: str
    address: str
    verified_on: str | None
    usable: bool
    why_not: str
    """Empty when it may carry PHI today."""
    test_agreed: bool = False
    """Whether the partner agreed to a message about its own test patient."""
    pace: str = ""
    """How fast it is sent to, in words, where the registry says so."""
    to_approve: bool = False
    """Whether it was changed and verified, and waits for a second person."""
    stations: tuple[str, ...] = ()
    """What the machine at this fax number calls itself, the newest name first; empty where nobody has told."""
    other_station: OtherStation | None = None
    """The warning that another machine than before answers at it."""
    held: str = ""
    """By whom it is held back, and why, in words; empty when it is not."""


def list_endpoints(parts: Parts) -> tuple[EndpointRow, ...]:
    """Return every provider's endpoints, in the providers' own order, and whether each may carry PHI today."""
    with parts.ledger.begin(write=False) as tx:
        registry = known_providers(tx)
        if registry is None:
            return ()
        today = _today(parts, registry)
        return tuple(
            _row(parts, tx, provider, one, (_address(parts, tx, one, today), _breaker(parts, tx, one)))
            for provider in registry.providers
            for one in provider.endpoints
        )


def check_endpoint(parts: Parts, checkers: Mapping[str, Checker], endpoint_id: str, actor: Actor) -> tuple[Step, ...]:
    """Return what was found about one endpoint, step by step; raise NotFound for an id that nobody has.

    No network call happens inside a transaction, each has the send limit as its
    deadline, and the check is in the audit trail.
    """
    with parts.ledger.begin() as tx:
        registry, _, endpoint = endpoint_of(tx, endpoint_id)
        standing, held = standing_steps(parts, tx, registry, endpoint), _held(tx, endpoint)
        steps = (*standing, *held, *_machine(parts, tx, endpoint))
        tx.audit(actor, "endpoint checked", at=parts.clock.now(), subject=endpoint_id)
    if endpoint.kind == "by-hand":
        return (*steps, Step("channel", True, "By hand needs no far side: staff print the letter and hand it over."))
    checker = checkers.get(endpoint.kind)
    if checker is None:
        todo = NOT_SET_UP.get(endpoint.kind, "See the settings of this channel in docs/configuration.md.")
        return (*steps, Step("channel", False, "This service has nothing set up to ask this kind of address.", todo))
    return (*steps, *_asked(parts, checker.probes(endpoint)))


def standing_steps(parts: Parts, tx: Transaction, registry: Registry, endpoint: Endpoint) -> tuple[Step, ...]:
    """Return what we know of an endpoint without asking it: its address, and whether messages are held back."""
    return (_address(parts, tx, endpoint, _today(parts, registry)), _breaker(parts, tx, endpoint))


def _asked(parts: Parts, probes: Sequence[Probe]) -> tuple[Step, ...]:
    found: dict[str, Step] = {}
    for probe in probes:
        missing = [name for name in probe.needs if found[name].ok is not True]
        if missing:
            found[probe.name] = Step(probe.name, None, f"Not tried, because this did not work: {', '.join(missing)}.")
            continue
        try:
            seen = probe.ask(parts.clock.now() + parts.policy.send_limit)
        except DeliveryError as fault:
            cause = parts.causes.get(fault.code)
            status = "" if fault.status is None else f" (answer {fault.status})"
            todo = AWAY if isinstance(fault, Transient) else cause.next_step
            found[probe.name] = Step(probe.name, False, f"{cause.sentence}{status} [{fault.code}]", todo)
            continue
        except Amiss as wrong:
            found[probe.name] = Step(probe.name, False, wrong.seen, wrong.what_to_do)
            continue
        found[probe.name] = Step(probe.name, True, seen)
    return tuple(found.values())


def _today(parts: Parts, registry: Registry) -> date:
    return parts.clock.now().astimezone(ZoneInfo(registry.clinic.time_zone)).date()


def _row(
    parts: Parts, tx: Transaction, provider: Provider, endpoint: Endpoint, steps: tuple[Step, ...]
) -> EndpointRow:  # fmt: skip
    station = station_at(tx, endpoint)
    why = " ".join(one.seen for one in steps if one.ok is False)
    on = None if endpoint.verified_on is None else endpoint.verified_on.isoformat()
    return EndpointRow(
        id=endpoint.id,
        provider_id=provider.id,
        recipient=provider.name.full(),
        organization=provider.organization,
        kind=endpoint.kind,
        address=endpoint.address,
        verified_on=on,
        usable=not why,
        why_not=why,
        test_agreed=endpoint.test is not None,
        pace=_pace(endpoint),
        to_approve=waits_for_approval(tx, endpoint),
        stations=() if station is None else station.good,
        other_station=warning_of(parts, station),
        held=" ".join(one.seen for one in _held(tx, endpoint)),
    )


def _pace(endpoint: Endpoint) -> str:
    """Return "at most 2 at once, 30 a minute", or nothing where the registry gives no pace."""
    if endpoint.pace is None:
        return ""
    limits = ((endpoint.pace.at_once, "at once"), (endpoint.pace.per_minute, "a minute"))
    said = ", ".join(f"{number} {each}" for number, each in limits if number is not None)
    return f"at most {said}" if said else ""


def _address(parts: Parts, tx: Transaction, endpoint: Endpoint, today: date) -> Step:
    """Return whether the address was verified, lately enough, and is not suspended."""
    health = tx.health(endpoint.id)
    closed = is_closed(tx, health, endpoint.address)
    why = closed_because(health) if closed else unusable_because(endpoint, today)
    if why is not None:
        cause = parts.causes.get(why)
        seen = [cause.sentence]
        if closed and health.suspended_at is not None and health.cause not in (None, why):
            seen.append(f"Since {health.suspended_at:%Y-%m-%d %H:%M} UTC: {parts.causes.get(health.cause).sentence}")
        known = known_as_wrong(tx, endpoint) if closed else None
        if known is not None and known.cause != health.cause:
            # Who is asked to approve it must know.
            seen.append(f"Since {known.closed_at:%Y-%m-%d %H:%M} UTC: {parts.causes.get(known.cause).sentence}")
        return Step("address", False, " ".join(seen), cause.next_step)
    if endpoint.kind == "by-hand":
        return Step("address", True, "Needs no verification.")
    return Step("address", True, f"Verified on {endpoint.verified_on}.")


def _held(tx: Transaction, endpoint: Endpoint) -> tuple[Step, ...]:
    """Return what holds the address back by a person's word or after a restore; nothing where nothing does."""
    scopes = (EVERYTHING, f"channel:{endpoint.kind}", f"endpoint:{endpoint.id}")
    found = []
    for one in tx.holds():
        if one.scope in scopes:
            since = f"{one.placed_at:%Y-%m-%d %H:%M} UTC"
            seen = f"Held by {one.placed_by} since {since} ({one.scope}): {one.reason}"
            found.append(Step("hold", False, seen, RELEASE[one.kind]))
    return tuple(found)


def _machine(parts: Parts, tx: Transaction, endpoint: Endpoint) -> tuple[Step, ...]:
    """Return what the machine at a fax number calls itself, where a gateway has told, and whether that has changed."""
    station = station_at(tx, endpoint)
    if station is None:
        return ()
    warning = warning_of(parts, station)
    if warning is None:
        return (Step("machine", True, f"The machine at this number calls itself {quoted(station.good)}."),)
    return (Step("machine", False, f"{warning.why} {warning.seen}", warning.next_step),)


def _breaker(parts: Parts, tx: Transaction, endpoint: Endpoint) -> Step:
    """Return whether the breaker lets messages through."""
    health = tx.health(endpoint.id)
    if health.open_since is None:
        slowly = f"; {pace}, as the registry says" if (pace := _pace(endpoint)) else ""
        return Step("flow", True, f"It is not left alone for failures{slowly}.")
    cause = parts.causes.get(health.cause or "net.breaker")
    since = f"{health.open_since:%Y-%m-%d %H:%M} UTC"
    return Step(
        "flow", False, f"Left alone since {since}, {health.failures} failures: {cause.sentence}", cause.next_step
    )
