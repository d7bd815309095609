"""What one endpoint can take: the content level, and why. The one place that decides it; pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from coordinator.domain.letter import ContentLevel
from coordinator.mapping.partners import Partner

REST_LEVELS: frozenset[ContentLevel] = frozenset({"chart", "singles", "document"})


@dataclass(frozen=True)
class Capability:
    """The parts of a CapabilityStatement that decide what is sent. `creates` maps type -> conditional create."""

    fhir_version: str
    system: frozenset[str]
    operations: frozenset[str]
    creates: Mapping[str, bool] = field(default_factory=dict)
    updates: Mapping[str, bool] = field(default_factory=dict)
    searches: frozenset[str] = frozenset()
    """Types whose search takes `identifier`."""
    read_at: datetime | None = None

    def takes_chart(self, wanted: Iterable[tuple[str, str]]) -> bool:
        """Return whether one transaction with these (method, type) entries is within what it declares."""
        return "transaction" in self.system and not self.lacks(wanted)

    def lacks(self, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """Return the types of these (method, type) entries that it does not declare."""
        declared = {"POST": self.creates, "PUT": self.updates}
        return sorted({kind for method, kind in wanted if kind not in declared.get(method, {})})

    def finds_documents(self) -> bool:
        """Return whether its own word makes a search for our document trustworthy.

        A server that promises conditional create has to search by identifier before
        it stores; one that only lists the search parameter promises less.
        """
        return "DocumentReference" in self.searches and self.creates.get("DocumentReference", False)


@dataclass(frozen=True)
class LevelChoice:
    """The content level for an endpoint, and the note a person reads. No level: the next channel is due."""

    level: ContentLevel | None
    reason: str
    basis: Literal["pinned", "capability", "partner"]


def conditional_creates(capability: Capability, partner: Partner | None) -> Mapping[str, bool]:
    """Return type -> conditional create, as the server declares and its partner file knows better."""
    if partner is None:
        return capability.creates
    enabled = {
        kind: said for kind, said in capability.creates.items() if partner.creates is None or kind in partner.creates
    }
    if partner.conditional_create is None:
        return enabled
    return dict.fromkeys(enabled, partner.conditional_create)


def choose_level(
    capability: Capability,
    partner: Partner | None,
    pinned: ContentLevel | None,
    *,
    chart: Sequence[tuple[str, str]],
    held: Collection[str] = REST_LEVELS,
    chart_barred: str | None = None,
) -> LevelChoice:
    """Return the content level for a REST endpoint: the first rung of chart, singles, document that fits.

    A pinned level wins; then the partner file (advertised is not enabled); then the
    CapabilityStatement. `chart` holds the (method, type) of every entry, `held` the
    levels that the message has a body for, `chart_barred` why this message's chart
    cannot go there.
    """
    if pinned is not None:
        return LevelChoice(pinned, "pinned in the registry.", "pinned")
    why, basis = _against_chart(capability, partner, chart, chart_barred)
    if why is None and "chart" in held:
        return LevelChoice("chart", "transactions and every resource type.", basis)
    reason = why or "this message has no chart."
    creates = conditional_creates(capability, partner)
    if "DocumentReference" in creates:
        if "singles" in held and partner is not None and partner.singles:
            listed = ", ".join(partner.singles)
            return LevelChoice("singles", f"{reason[:-1]}; one by one it takes {listed}.", "partner")
        if "singles" in held and creates["DocumentReference"] and (partner is None or partner.creates is None):
            return LevelChoice("singles", f"{reason[:-1]}; one by one it takes them, each only once.", basis)
        if "document" in held:
            return LevelChoice("document", reason, basis)
    if partner is not None and partner.creates is not None and "DocumentReference" not in partner.creates:
        return LevelChoice(None, f"the partner file {partner.name} says that it takes no document.", "partner")
    return LevelChoice(None, "the server takes neither transactions nor documents from outside.", "capability")


Basis = Literal["capability", "partner"]


def _against_chart(
    capability: Capability, partner: Partner | None, chart: Sequence[tuple[str, str]], barred: str | None
) -> tuple[str | None, Basis]:
    """Return (why no chart transaction can go there, None when it can; whose word that is)."""
    if partner is not None and partner.transaction is False:
        return f"the partner file {partner.name} says that it takes no chart.", "partner"
    if "transaction" not in capability.system:
        return "the server lists no transactions.", "capability"
    if partner is not None and partner.transaction_entries is not None and len(chart) > partner.transaction_entries:
        most = partner.transaction_entries
        return f"the partner file {partner.name} says that a transaction may have {most} entries.", "partner"
    if lacking := capability.lacks(chart):
        others = " and others" if len(lacking) > 4 else ""
        return f"the server lists no create of {', '.join(lacking[:4])}{others}.", "capability"
    return barred, "capability"
