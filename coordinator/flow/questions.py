"""What a round of the sweep spends on asking far sides: one that keeps silent costs one question, and no clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from coordinator.flow.parts import Parts
from coordinator.flow.rows import DeliveryRow


class Questions:
    """One round's questions."""

    def __init__(self, parts: Parts) -> None:
        """Begin now."""
        self._clock, self._policy = parts.clock, parts.policy
        self._begun_at = self._clock.now()
        self._silent: set[str] = set()

    def are_over(self) -> bool:
        """Return whether the round's time for questions is spent. A clock that was set ends it too."""
        passed = self._clock.now() - self._begun_at
        return not timedelta() <= passed < self._policy.questions_a_round

    def leaves_alone(self, row: DeliveryRow) -> bool:
        """Return whether its far side has kept a question of this round waiting, so that no other one is asked."""
        return row.endpoint_id in self._silent

    @contextmanager
    def about(self, row: DeliveryRow) -> Iterator[None]:
        """Ask within this: it is seen how long the answer takes."""
        begun_at = self._clock.now()
        yield
        if self._clock.now() - begun_at >= self._policy.answer_within:
            self._silent.add(row.endpoint_id)
