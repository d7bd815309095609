import fcntl
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from coordinator.domain.letter import Letter
from coordinator.flow.compose import Composed, compose
from coordinator.flow.parts import Workshop
from coordinator.letters.pages import Page
from coordinator.letters.samples import Sample
from coordinator.letters.translations import LANGUAGES
from coordinator.letters.write import LetterRoom, load_letters
from coordinator.mapping.load import load
from coordinator.planning.rules import load_rules

Made = TypeVar("Made")
ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-letters", action="store_true", default=False, help="write the golden letters anew, for review"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first waits for every letter to be written, which takes a busy machine minutes."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))


@dataclass(frozen=True)
class Written:
    """A letter of a sample, or of a story that went through planning, with what it prints.

    `audience` names the reader: an audience for a sample, a provider for a story.
    """

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


def shared(name: str, make: Callable[[], Made], factory: pytest.TempPathFactory) -> Made:
    """Return what is made once in a run: by the first of its processes that needs it, the others read it from a file.

    The file stands in the run's own folder and holds what these tests made, so that nothing old or foreign is read.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return make()
    file = factory.getbasetemp().parent / f"{name}.pickle"
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            begun = file.with_suffix(".begun")
            begun.write_bytes(pickle.dumps(make()))
            begun.rename(file)
    return pickle.loads(file.read_bytes())  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def composed(room: LetterRoom, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Composed]:
    """Every story, planned with the shipped rules under their demonstration signatures, and written."""
    return shared("composed", lambda: _composed(room), tmp_path_factory)


def _composed(room: LetterRoom) -> dict[str, Composed]:
    from stories import stories

    rules = ROOT / "mappings" / "rules"
    book = load_rules(rules / "coordination.yaml", rules / "signatures.demonstration.yaml", accept_demonstration=True)
    shop = Workshop(rules=book, mappings=load(ROOT / "mappings"), letters=room)
    return {name: compose(shop, case) for name, case in stories()}


@pytest.fixture(scope="session")
def written(
    room: LetterRoom, composed: dict[str, Composed], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Written, ...]:
    """Every letter of every sample for every audience, and every letter of every story."""
    return shared("written", lambda: _written(room, composed), tmp_path_factory)


def _written(room: LetterRoom, composed: dict[str, Composed]) -> tuple[Written, ...]:
    rows = []
    for name, made in composed.items():
        for recipient in made.recipients:
            if recipient.letters:
                pages = room.pages(made.case, made.plan, recipient.plan)
                sample = Sample(name, made.case, made.plan, {recipient.plan.audience: recipient.plan})
                pairs = zip(pages, recipient.letters, strict=True)
                rows.extend(Written(sample, recipient.plan.provider, page, letter) for page, letter in pairs)
    for name in room.samples().names():
        sample = room.samples().sample(name)
        for audience, recipient in sample.recipients.items():
            for language in LANGUAGES if audience == "patient" else ("en",):
                reader = audience if language == "en" else f"{audience}-{language}"
                pages = room.pages(sample.case, sample.plan, recipient, language)
                letters = room.write(sample.case, sample.plan, recipient, fax=False, language=language)
                rows.extend(Written(sample, reader, page, letter) for page, letter in zip(pages, letters, strict=True))
    return tuple(rows)


@pytest.fixture(scope="session")
def one(written: tuple[Written, ...]):
    """Look a written letter up by "<sample>.<audience>"."""

    def find(name: str) -> Written:
        return next(row for row in written if row.name.startswith(f"{name}."))

    return find
