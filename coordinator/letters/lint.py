"""Words that no letter may say, looked for in templates and in finished letters."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coordinator.letters.lexicon import read_yaml
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced

_TEMPLATE_CODE = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>|<style>.*?</style>", re.DOTALL)


@dataclass(frozen=True)
class Forbidden:
    """One pattern, and what to write instead."""

    pattern: re.Pattern[str]
    why: str


@dataclass(frozen=True)
class Finding:
    """A broken rule: where, and why it is one; `said`: the forbidden words themselves, as the template has them."""

    element: str
    why: str
    said: str | None = None


@dataclass(frozen=True)
class Lint:
    """The list, compiled."""

    forbidden: tuple[Forbidden, ...]
    telling: re.Pattern[str]
    """Words of illness and drug that no fax cover says, not even in the clinic's name."""

    def find(self, text: str, element: str) -> tuple[Finding, ...]:
        """Return what a text says that it may not."""
        found = ((one, one.pattern.search(text)) for one in self.forbidden)
        return tuple(Finding(element, one.why, " ".join(hit[0].split())) for one, hit in found if hit)

    def check_letter(self, text: str, facts: Iterable[Traced], element: str) -> None:
        """Raise LetterRefused for a forbidden word in a finished letter, with the field that brought it in.

        A name is never a forbidden word. Sentences from outside are looked at whole, then the letter.
        """
        names = set()
        for one in facts:
            if one.kind == "name":
                names.add(one.text)
            elif brought := self.find(one.text, one.sources[0]):
                raise LetterRefused("letter.lint", f"{brought[0].element}: {brought[0].why}")
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(name, "")
        found = self.find(text, element)
        if found:
            raise LetterRefused("letter.lint", f"{element}: {found[0].why}")

    def check_source(self, source: str, element: str) -> tuple[Finding, ...]:
        """Return the forbidden words in the source of one template, its code and tags left aside."""
        return self.find(_TEMPLATE_CODE.sub(" ", source), element)

    def check_templates(self, templates: Path) -> tuple[Finding, ...]:
        """Return the forbidden words in every template and in the words that letters are made of."""
        found: list[Finding] = []
        for path in sorted(templates.rglob("*")):
            name = str(path.relative_to(templates))
            if path.suffix == ".html":
                found.extend(self.check_source(path.read_text(encoding="utf-8"), name))
            elif path.name in ("words.yaml", "instruments.yaml", "statements.yaml"):
                found.extend(self.find(path.read_text(encoding="utf-8"), name))
        return tuple(found)


def load_lint(path: Path) -> Lint:
    """Read the list of forbidden words."""
    data = read_yaml(path)
    forbidden = tuple(
        Forbidden(re.compile(one["find"], re.IGNORECASE | re.MULTILINE), one["why"]) for one in data["forbidden"]
    )
    return Lint(forbidden, re.compile("|".join(data["never_on_a_cover"]), re.IGNORECASE))
