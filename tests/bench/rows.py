"""One line of the table, and how a time is taken."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One benchmark against its floor. `higher_is_better` says which way the ratio should go."""

    what: str
    ours: Sequence[float]
    floor: Sequence[float]
    unit: str
    target: float
    higher_is_better: bool
    said: str = ""

    def ratios(self) -> list[float]:
        """Return the ratio of each round."""
        return [mine / bare for mine, bare in zip(self.ours, self.floor, strict=True)]

    def line(self) -> str:
        """Return the line of the table."""
        ratios = self.ratios()
        middle = statistics.median(ratios)
        worst = min(ratios) if self.higher_is_better else max(ratios)
        met = middle >= self.target if self.higher_is_better else middle <= self.target
        sign = "≥" if self.higher_is_better else "≤"
        ours, floor = statistics.median(self.ours), statistics.median(self.floor)
        return (
            f"| {self.what} | {ours:.4g} {self.unit} | {floor:.4g} {self.unit} | {worst:.2f}, {middle:.2f} | "
            f"{sign} {self.target:g}{self.said} | {'yes' if met else '**no**'} |"
        )


def seconds(act: Callable[[], object]) -> float:
    """Return how long one call took."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
