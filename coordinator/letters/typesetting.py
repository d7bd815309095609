"""Laying a letter out: what page one takes, what moves behind it, and the same for the fax. No wording here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from jinja2 import Environment

from coordinator.letters import pdf
from coordinator.letters.brief import Brief
from coordinator.letters.budget import PAGE_ONE_WORDS, page_one_words, words_of
from coordinator.letters.environment import created, rendered
from coordinator.letters.lint import Lint
from coordinator.letters.pages import Page
from coordinator.letters.pdf import PdfEngine
from coordinator.letters.text import text_of
from coordinator.letters.traced import Traced
from coordinator.letters.views.frame import Frame


@dataclass(frozen=True)
class Setting:
    """How a letter is set so that page one holds what has to stand on it."""

    apart: bool = False
    """Whether further statements stand behind the letter."""
    kept: int = 0
    """How many of them stay on page one all the same: the first ones, as many as it has room for."""
    long: bool = False
    """Whether page one has more words than it should even so."""
    front: bool = False
    """Whether what has to stand on page one was moved up."""
    close: bool = False
    """Whether the spaces between its parts are smaller, so that page one holds its end."""


AS_IT_COMES = Setting()


@dataclass(frozen=True)
class Laid:
    """A letter as its page one takes it."""

    html: str
    text: str
    pdf: bytes
    setting: Setting


class Typesetter:
    """Makes pages of what the presenters built. Holds no state of any letter."""

    def __init__(self, env: Environment, plain: Mapping[str, Environment], lint: Lint, engine: PdfEngine) -> None:
        """`plain`: language -> what a patient's copy is rendered with."""
        self._env = env
        self._plain = plain
        self._lint = lint
        self._engine = engine

    def lay_out(self, brief: Brief, page: Page) -> Laid:
        """Return the letter as page one takes it: what does not fit moves behind, what has to stand there moves up.

        Raises LetterRefused when a word is forbidden, a glyph is missing, or a fact is not on its page.
        """
        built: Frame = page.parts["frame"]
        setting, html = self._by_words(brief, page, built)
        text = text_of(html)
        facts = page.facts()
        self._lint.check_letter(text, facts, page.body or page.sheet.folder)
        self._engine.check_glyphs(facts, text)
        made = self._engine.render(html)
        first = pdf.read_back(made, facts)
        for closer in _closer(setting):
            if _is_signed(built, first):
                break
            setting = closer
            html = self.html(brief, page, setting)
            made = self._engine.render(html)
            first = pdf.read_back(made, facts)
        if not _on_page_one(built, first):
            # It runs over in any case, at an easy pace.
            setting = Setting(apart=setting.apart, long=setting.long, front=True)
            html = self.html(brief, page, setting)
            made = self._engine.render(html)
            pdf.read_back(made, facts)
        return Laid(html, text, made, setting)

    def _by_words(self, brief: Brief, page: Page, built: Frame) -> tuple[Setting, str]:
        """Return the setting that the number of words on page one asks for, and the page set so."""
        html = self.html(brief, page, AS_IT_COMES)
        # The notice of Part 2 takes a line, one too many for page one of a fax; with a form there is a page two anyway.
        crowded = built.part2 is not None and page.form is not None
        if not crowded and page_one_words(html) <= PAGE_ONE_WORDS:
            return AS_IT_COMES, html
        html = self.html(brief, page, Setting(apart=True))
        words = page_one_words(html)
        kept = _room_for(built.further_statements, PAGE_ONE_WORDS - words)
        setting = Setting(apart=True, kept=kept, long=words > PAGE_ONE_WORDS)
        return setting, html if setting == Setting(apart=True) else self.html(brief, page, setting)

    def fax(self, brief: Brief, page: Page, laid: Laid, *, among: tuple[int, int] | None = None) -> bytes:
        """Return a letter's fax variant. `among`: (pages of the letters before it, pages of all letters).

        What runs over only for its further statements has them behind it: a page fewer,
        or one that tells something in place of one that holds the signature.
        """
        facts, built = page.facts(), page.parts["frame"]
        file, first = b"", ""
        for one in _on_fewer_sheets(built, laid.setting):
            file = self._engine.render(self.html(brief, page, one, fax=True, among=among))
            first = pdf.read_back(file, facts)
            if _is_signed(built, first):
                return file
        if not _on_page_one(built, first):
            front = Setting(apart=True, front=True)
            file = self._engine.render(self.html(brief, page, front, fax=True, among=among))
            pdf.read_back(file, facts)
        return file

    def html(
        self,
        brief: Brief,
        page: Page,
        setting: Setting,
        *,
        fax: bool = False,
        preview: bool = False,
        among: tuple[int, int] | None = None,
    ) -> str:
        """Return the page as HTML, set so. `preview`: with the band that it was not sent."""
        letter = {
            "kind": page.kind,
            "title": page.title,
            "language": brief.language,
            "created": created(brief.case.composed_at),
            "ask": page.sheet.ask,
            "body": page.body,
            "notice": page.notice,
            "form": page.form,
            "beside": page.beside,
            "fax": fax,
            "preview": preview,
            "apart": setting.apart,
            "kept": setting.kept if setting.apart else len(page.parts["frame"].further_statements),
            "long": setting.long,
            "front": setting.front,
            "close": setting.close,
            "among": among,
        }
        env = self._plain[brief.language] if brief.recipient.audience == "patient" else self._env
        return rendered(env, "layout/letter.html", {**page.parts, "letter": letter})


def _closer(setting: Setting) -> Iterator[Setting]:
    """Return what is tried in turn until page one holds the signature: smaller spaces, then fewer statements."""
    for kept in dict.fromkeys((setting.kept, 1, 0)):
        if kept <= setting.kept:
            yield replace(setting, kept=kept, close=True)


def _on_fewer_sheets(built: Frame, printed: Setting) -> Iterator[Setting]:
    """Return what is tried in turn for a fax: as printed, in smaller spaces, then with fewer further statements."""
    most = printed.kept if printed.apart else len(built.further_statements)
    yield Setting(printed.apart, printed.kept)
    yield Setting(printed.apart, printed.kept, close=True)
    for fewer in (1, 0):
        if fewer < most:
            yield Setting(apart=True, kept=fewer, close=True)


def _on_page_one(built: Frame, text: str) -> bool:
    """Return whether page one holds what has to stand on it; else it has to move up, before the body."""
    return all(pdf.stands_in(one.text, text) for one in built.statements)


def _is_signed(built: Frame, text: str) -> bool:
    """Return whether page one holds the signature, with which a letter ends."""
    return pdf.stands_in(f"{built.signature.at.text}.", text)


def _room_for(rows: Sequence[Traced], words: int) -> int:
    """Return how many of these, from the first, are no longer than so many words. One is not left behind alone."""
    taken = 0
    for one in rows:
        words -= words_of(one.text)
        if words < 0:
            break
        taken += 1
    return taken - 1 if taken > 1 and taken == len(rows) - 1 else taken
