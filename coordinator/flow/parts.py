"""The parts every step works with, put together once by bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from coordinator.flow.bell import Bell
from coordinator.flow.clock_back import LastLook
from coordinator.flow.ledger import Ledger
from coordinator.flow.ports import Channel, Clock, Dice
from coordinator.flow.together import Together
from coordinator.letters.write import LetterRoom
from coordinator.mapping.load import Mappings
from coordinator.planning.causes import Causes
from coordinator.planning.checks import CheckBook
from coordinator.planning.clocks import Retries
from coordinator.planning.escalation import Escalation
from coordinator.planning.rules import RuleBook


@dataclass(frozen=True)
class Workshop:
    """What composing needs: the rules, the mappings and the letters. No database, no network."""

    rules: RuleBook
    mappings: Mappings
    letters: LetterRoom


@dataclass(frozen=True)
class Policy:
    """The delivery numbers a clinic may set."""

    lease: timedelta = timedelta(seconds=180)
    """Longer than a send may take, so a live worker is never taken for dead."""
    send_limit: timedelta = timedelta(seconds=60)
    """Wall clock of one try, everything included."""
    per_endpoint: int = 4
    """Sends at the same time to one endpoint."""
    breaker_after: int = 5
    """Straight transport failures that open an endpoint's breaker."""
    breaker_probe: timedelta = timedelta(minutes=5)
    doubt_pause: timedelta = timedelta(seconds=20)
    """How long a search at the far side may lag behind a write before "not there" is believed."""
    questions_a_round: timedelta = timedelta(seconds=20)
    """How long a round of the sweep asks far sides; what is left over is asked in the next one."""
    answer_within: timedelta = timedelta(seconds=5)
    """A far side that takes longer to answer a question is asked no other one in that round."""
    prepare_tries: int = 3
    resend_alone: int = 50
    """The most messages that one person may have sent again within an hour without a second person's word."""
    address_alone: bool = False
    """Whether a changed address that was verified anew is used without a second person's word."""
    retry_scale: float = 1.0
    """Multiplies every wait; the demo sets it small."""


@dataclass(frozen=True)
class Parts:
    """Everything a step may use."""

    ledger: Ledger
    clock: Clock
    dice: Dice
    workshop: Workshop
    checks: CheckBook
    channels: Mapping[str, Channel]
    causes: Causes
    retries: Retries
    policy: Policy
    escalation: Escalation = field(default_factory=Escalation)
    identifier_system: str = "urn:ietf:rfc:3986"
    together: Together = field(default_factory=Together)
    """Where the sending threads of this process fold their marks and outcomes into one commit."""
    arriving: Together = field(default_factory=lambda: Together(rests_s=0.05))
    """Where events that arrive at the same time are recorded in one commit. The rest between two is decision 0039."""
    last_look: LastLook = field(default_factory=LastLook)
    """At the clock, by whoever sweeps in this process."""
    bell: Bell = field(default_factory=Bell)
    """Rung after a commit that made something due."""
