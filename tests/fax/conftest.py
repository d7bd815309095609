import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.letters.write import LetterRoom, load_letters

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "unit" / "letters")]


def letters_of_all_samples() -> Iterator[tuple[str, str]]:
    """Every sample and audience there is."""
    samples = load_letters(ROOT / "templates").samples()
    for name in samples.names():
        for audience in samples.sample(name).recipients:
            if audience != "patient":  # handed over on paper, never faxed
                yield name, audience


@pytest.fixture(scope="session")
def templates() -> Path:
    return ROOT / "templates"


@pytest.fixture(scope="session")
def room() -> LetterRoom:
    return load_letters(ROOT / "templates")


@pytest.fixture(scope="session")
def tesseract() -> str:
    """The reader of pages. Where it is missing the tests fail and say how to get it: they are never passed over."""
    found = shutil.which("tesseract")
    assert found, "tesseract is not installed: run tests/fax/prepare (Debian: apt-get install tesseract-ocr)"
    return found


@pytest.fixture(scope="session")
def pdfua() -> Path:
    found = HERE / ".venv" / "bin" / "pdfua"
    assert found.exists(), "the PDF/UA checker is not installed: run tests/fax/prepare"
    return found


@pytest.fixture(scope="session")
def codes() -> Path:
    """The Python that has the reader of codes."""
    found = HERE / ".venv" / "bin" / "python"
    assert found.exists(), "the reader of codes is not installed: run tests/fax/prepare"
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if {"sample", "audience"} <= set(metafunc.fixturenames):
        metafunc.parametrize(("sample", "audience"), list(letters_of_all_samples()))
