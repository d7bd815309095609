"""Papers that are about no patient: the fax cover (L10) and the letter to a wrong reader (L13)."""

from dataclasses import replace
from datetime import datetime

from jinja2 import Environment

from coordinator.domain.case import Case
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Clinic, Provider
from coordinator.letters import pdf
from coordinator.letters.environment import created, rendered
from coordinator.letters.lint import Lint
from coordinator.letters.own import Own
from coordinator.letters.pdf import PdfEngine
from coordinator.letters.text import text_of
from coordinator.letters.traced import walk
from coordinator.letters.views.paper import CoverView, MisdirectedView, cover_view, misdirected_view

COVER, MISDIRECTED = "letters/fax_cover/body.html", "letters/misdirected/body.html"
ABOUT_NOBODY: tuple[LetterKind, ...] = ("L10", "L13")
PREVIEWED_PAGES = 2
"""What a cover says that goes before nothing: itself and one page."""


class Papers:
    """Writes them, under the clinic's own letterhead where it has one."""

    def __init__(self, env: Environment, own: Own, lint: Lint, engine: PdfEngine) -> None:
        """`lint` knows the words that a cover may not show, also not in the clinic's name."""
        self._env, self._own, self._lint, self._engine = env, own, lint, engine

    def fax_cover(
        self,
        clinic: Clinic,
        provider: Provider,
        reference: str,
        pages: int,
        sent_at: datetime,
        *,
        copy_of: str | None = None,
        resent: bool = False,
        attempt: int = 1,
    ) -> bytes:
        """Return the fax cover as PDF. `pages` counts the cover. It names no patient, no illness and no drug."""
        view = cover_view(clinic, provider, reference, pages, sent_at, copy_of=copy_of, resent=resent, attempt=attempt)
        return self._made(COVER, view, sent_at)

    def misdirected(
        self, clinic: Clinic, provider: Provider | None, reference: str, sent_at: datetime, written_at: datetime
    ) -> bytes:
        """Return the letter (L13) that asks the wrong reader to destroy one and to say so. Nothing clinical.

        Without `provider` it is to whoever received it.
        """
        view = misdirected_view(clinic, provider, reference, sent_at, written_at)
        return self._made(MISDIRECTED, view, written_at)

    def preview(self, kind: LetterKind, case: Case, reader: Provider) -> str:
        """Return the HTML of one, as it would go to this reader of a case, with the band that it was not sent."""
        clinic, reference, at = case.clinic, case.reference(reader.id), case.composed_at
        if kind == "L10":
            # Not every reader of a sample has a fax number; a cover without one would look like a mistake.
            readers = (reader, *case.registry.providers)
            faxed = [one for one in readers if any(way.kind == "fax" for way in one.endpoints)]
            reader = faxed[0] if faxed else reader
            return self._html(COVER, cover_view(clinic, reader, reference, PREVIEWED_PAGES, at), at, preview=True)
        return self._html(MISDIRECTED, misdirected_view(clinic, reader, reference, at, at), at, preview=True)

    def _made(self, template: str, view: CoverView | MisdirectedView, at: datetime) -> bytes:
        html = self._html(template, view, at)
        facts = tuple(walk(self._headed(view)))
        self._engine.check_glyphs(facts, text_of(html))
        made = self._engine.render(html)
        pdf.read_back(made, facts)
        return made

    def _headed(self, view: CoverView | MisdirectedView) -> CoverView | MisdirectedView:
        return replace(view, letterhead=self._own.on_cover(view.letterhead, self._lint.telling))

    def _html(self, template: str, view: CoverView | MisdirectedView, at: datetime, *, preview: bool = False) -> str:
        letter = {"language": "en", "created": created(at), "preview": preview}
        return rendered(self._env, template, {"view": self._headed(view), "letter": letter})
