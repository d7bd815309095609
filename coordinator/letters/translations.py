"""The sentences of the templates in a second language, read from a gettext catalogue that is checked in."""

from collections.abc import Mapping
from pathlib import Path

from babel.messages.pofile import read_po

from coordinator.letters.refusal import LetterRefused

LANGUAGES = ("en", "es")
"""The languages that a patient's copy can be had in. English is the templates' own."""


def language_for(recorded: str | None) -> str:
    """Return the language of a patient's copy: the recorded one where we have it, else English."""
    spoken = (recorded or "en").partition("-")[0]
    return spoken if spoken in LANGUAGES else "en"


def read_catalogue(path: Path) -> Mapping[str, str]:
    """Return sentence -> translation. What is marked as unsure (fuzzy) or empty counts as not translated."""
    with path.open("rb") as file:
        catalogue = read_po(file)
    return {
        str(one.id): str(one.string)
        for one in catalogue
        if one.id and one.string and not one.fuzzy and isinstance(one.id, str)
    }


def load_translations(templates: Path) -> Mapping[str, Mapping[str, str]]:
    """Return the catalogue of every language but English."""
    return {
        language: read_catalogue(templates / "locale" / f"{language}.po") for language in LANGUAGES if language != "en"
    }


def translated(catalogue: Mapping[str, str], sentence: str) -> str:
    """Return the translation; a sentence without one refuses the letter, rather than mixing two languages."""
    found = catalogue.get(sentence)
    if found is None:
        raise LetterRefused("letter.translation", sentence[:60])
    return found
