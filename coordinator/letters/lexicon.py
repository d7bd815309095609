"""The letters' own data: words for codes, instruments, forced statements, forbidden words. Read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator import yaml_files
from coordinator.letters.refusal import LetterRefused


@dataclass(frozen=True)
class Instrument:
    """A scale: what it is called, its range, how far it looks back, its bands (lowest total, words)."""

    key: str
    name: str
    about: str
    lowest: int
    highest: int
    item_highest: int | None
    window: str
    bands: tuple[tuple[int, str], ...]

    def band(self, total: int) -> str | None:
        """Return the band of a total in words, or None where the scale has no agreed bands."""
        found = [words for lowest, words in self.bands if total >= lowest]
        return found[-1] if found else None


@dataclass(frozen=True)
class Statement:
    """A sentence that an indication forces onto a letter, when, and whether it must stand on the first page."""

    id: str
    when: str
    text: str
    page_one: bool


@dataclass(frozen=True)
class Lexicon:
    """All of it, for one language."""

    words: Mapping[str, Mapping[str, str]]
    instruments: Mapping[str, Instrument]
    statements: Mapping[str, tuple[Statement, ...]]
    version: str

    def say(self, group: str, code: str) -> str:
        """Return the words for a code; a code without words refuses the letter."""
        text = self.words.get(group, {}).get(code)
        if text is None:
            raise LetterRefused("letter.template", f"words.yaml {group}.{code}")
        return text

    def instrument(self, key: str) -> Instrument:
        """Return the scale; one that the data does not have refuses the letter."""
        found = self.instruments.get(key)
        if found is None:
            raise LetterRefused("letter.template", f"instruments.yaml {key}")
        return found


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the file's data, a table at the top; raise yaml.YAMLError, or TypeError where it holds something else."""
    data = yaml_files.read_yaml(path)
    if not isinstance(data, dict):
        raise TypeError("a table is needed")
    return data


def load_lexicon(layout: Path, instruments: Path, language: str = "en", *, plain: bool = False) -> Lexicon:
    """Read words and statements from the layout folder, and the scales from `instruments` (a file each).

    With `plain`, the statements are those for the patient, in everyday words of that language.
    """
    words = read_yaml(layout / "words.yaml")
    scales = read_yaml(layout / "instruments.yaml")
    statements = read_yaml(layout / "statements.yaml")
    return Lexicon(
        words={
            group: {str(code): str(text) for code, text in table.items()} for group, table in words[language].items()
        },
        instruments={key: _instrument(instruments, key, about) for key, about in scales["about"].items()},
        statements={
            key: tuple(
                Statement(
                    one["id"],
                    one["when"],
                    one["patient"][language] if plain else one["text"],
                    bool(one.get("page_one")),
                )
                for one in rows
            )
            for key, rows in {**statements["indications"], "any": statements["any"]}.items()
        },
        version=f"words {words['version']}, instruments {scales['version']}, statements {statements['version']}, "
        f"style {read_yaml(layout / 'style.yaml')['version']}",
    )


def _instrument(folder: Path, key: str, about: str) -> Instrument:
    """Return one scale; its figures are those that the checks and rules use."""
    row = read_yaml(folder / f"{key}.yaml")
    items = row.get("items")
    return Instrument(
        key=key,
        name=str(row["title"]),
        about=about,
        lowest=int(row["range"][0]),
        highest=int(row["range"][1]),
        item_highest=int(items["range"][1]) if items else None,
        window=str(row["recall"]),
        bands=tuple((int(one["from"]), str(one["name"])) for one in row.get("bands", ())),
    )
