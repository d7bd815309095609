"""The letters there are: one folder each, described by its letter.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Audience
from coordinator.letters.lexicon import read_yaml
from coordinator.letters.refusal import LetterRefused


@dataclass(frozen=True)
class Sheet:
    """One letter for one audience, as its letter.yaml describes it. `body` is the template."""

    kind: LetterKind
    audience: Audience
    folder: str
    title: str
    titles: Mapping[str, str]
    """The title in the letter's further languages."""
    ask: str
    """The template of Box A: the frame's own, or the letter's."""
    owner: str
    reviewed_by: str | None
    reviewed_on: str | None
    type_code: str
    view: str
    version: int
    body: str
    reply_form: Literal["never", "when-asked", "always"]
    retraction_title: str | None

    @property
    def stamp(self) -> str:
        """Return what names this very template: "session_summary/psychiatrist 1"."""
        return f"{self.folder}/{self.audience} {self.version}"


@dataclass(frozen=True)
class Catalogue:
    """All sheets, by kind and audience."""

    sheets: Mapping[tuple[LetterKind, Audience], Sheet]

    def sheet(self, kind: LetterKind, audience: Audience) -> Sheet:
        """Return the sheet of a kind for an audience; a kind made for one audience only serves any that is sent it."""
        found = self.sheets.get((kind, audience))
        if found is not None:
            return found
        same = [one for (key, _), one in self.sheets.items() if key == kind]
        if len(same) == 1:
            return same[0]
        raise LetterRefused("letter.template", f"{kind} for {audience}")


def _ask(letters: Path, folder: str, audience: str) -> str:
    own = f"{folder}/{audience}/ask.html"
    return f"letters/{own}" if (letters / own).exists() else "layout/ask.html"


def _reply_form(data: Mapping[str, Any], audience: str) -> Literal["never", "when-asked", "always"]:
    if audience in data.get("reply_form_always", ()):
        return "always"
    return "when-asked" if audience in data.get("reply_form", ()) else "never"


def load_catalogue(letters: Path) -> Catalogue:
    """Read every letter.yaml below the folder."""
    sheets: dict[tuple[LetterKind, Audience], Sheet] = {}
    for path in sorted(letters.glob("*/letter.yaml")):
        data, folder = read_yaml(path), path.parent.name
        for audience, kind in data["kinds"].items():
            sheets[(kind, audience)] = Sheet(
                kind=kind,
                audience=audience,
                folder=folder,
                title=data["title"],
                titles=data.get("titles", {}),
                ask=_ask(letters, folder, audience),
                owner=data["owner"],
                reviewed_by=data["reviewed_by"],
                reviewed_on=None if data["reviewed_on"] is None else str(data["reviewed_on"]),
                type_code=data["type_code"],
                view=data["view"],
                version=int(data["version"]),
                body=f"letters/{folder}/{audience}/body.html",
                reply_form=_reply_form(data, audience),
                retraction_title=data.get("retraction_title"),
            )
    return Catalogue(sheets)
