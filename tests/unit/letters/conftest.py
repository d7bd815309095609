from dataclasses import dataclass
from pathlib import Path

import pytest

from coordinator.domain.letter import Letter
from coordinator.letters.samples import Sample
from coordinator.letters.write import LetterRoom, Page, load_letters

ROOT = Path(__file__).parents[3]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-letters", action="store_true", default=False, help="write the golden letters anew, for review"
    )


@dataclass(frozen=True)
class Written:
    """A letter of a sample with what it prints."""

    sample: Sample
    audience: str
    page: Page
    letter: Letter

    @property
    def name(self) -> str:
        return f"{self.sample.name}.{self.audience}.{self.letter.kind}"


@pytest.fixture(scope="session")
def templates() -> Path:
    return ROOT / "templates"


@pytest.fixture(scope="session")
def room(templates: Path) -> LetterRoom:
    return load_letters(templates)


@pytest.fixture(scope="session")
def written(room: LetterRoom) -> tuple[Written, ...]:
    """Every letter of every sample for every audience."""
    rows = []
    for name in room.samples().names():
        sample = room.samples().sample(name)
        for audience, recipient in sample.recipients.items():
            pages = room.pages(sample.case, sample.plan, recipient)
            letters = room.write(sample.case, sample.plan, recipient, fax=False)
            rows.extend(Written(sample, audience, page, letter) for page, letter in zip(pages, letters, strict=True))
    return tuple(rows)


@pytest.fixture(scope="session")
def one(written: tuple[Written, ...]):
    """Look a written letter up by "<sample>.<audience>"."""

    def find(name: str) -> Written:
        return next(row for row in written if row.name.startswith(f"{name}."))

    return find
