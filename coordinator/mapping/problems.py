"""What goes wrong in mapping: files that are wrong at load, and events that cannot be mapped."""

from collections.abc import Sequence

from coordinator.domain.letter import MappingProblem


class MappingFileError(Exception):
    """The mapping files are wrong. `problems` names every fault, each with its file; nothing was loaded."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class MappingHeld(Exception):
    """The event could not be mapped as the files stand. The message is held; no value is in the text."""

    def __init__(self, problems: Sequence[MappingProblem]) -> None:
        super().__init__("; ".join(sorted({f"{one.code} at {one.element}" for one in problems})))
        self.problems = tuple(problems)
