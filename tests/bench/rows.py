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
    target: float | None
    """None where the row is only for information."""
    higher_is_better: bool
    said: str = ""
    cpu: tuple[Sequence[float], Sequence[float]] | None = None
    """Processor time of ours and of the floor in ms each: what a busy machine does not change."""

    def ratios(self) -> list[float]:
        """Return the ratio of each round."""
        return [mine / bare for mine, bare in zip(self.ours, self.floor, strict=True)]

    def line(self) -> str:
        """Return the line of the table."""
        ratios = self.ratios()
        middle = statistics.median(ratios)
        worst = min(ratios) if self.higher_is_better else max(ratios)
        ours, floor = statistics.median(self.ours), statistics.median(self.floor)
        what = self.what
        if self.cpu is not None:
            mine, bare = (statistics.median(one) for one in self.cpu)
            what += f" (processor time {mine:.2f} ms against {bare:.2f} ms each)"
        return (
            f"| {what} | {ours:.4g} {self.unit} | {floor:.4g} {self.unit} | {worst:.2f}, {middle:.2f} | "
            f"{self._verdict(middle)} |"
        )

    def _verdict(self, middle: float) -> str:
        if self.target is None:
            return "none |"
        met = middle >= self.target if self.higher_is_better else middle <= self.target
        sign = "≥" if self.higher_is_better else "≤"
        return f"{sign} {self.target:g}{self.said} | {'yes' if met else '**no**'}"


def seconds(act: Callable[[], object]) -> float:
    """Return how long one call took."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def cpu_and_seconds(act: Callable[[], object]) -> tuple[float, float]:
    """Return this process's processor time and the wall time of one call, in seconds."""
    cpu, began = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - began
