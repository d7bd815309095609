"""The gallery: every letter of every synthetic case, for whoever reviews the wording. No patient is in it."""

from functools import cache
from typing import Annotated, Protocol, cast, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from coordinator.console.access import Person, Requires
from coordinator.console.rendering import Pages
from coordinator.domain.errors import NotFound
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Audience
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.translations import LANGUAGES
from coordinator.letters.web_page import page_policy
from coordinator.letters.write import Preview, load_letters
from coordinator.settings import shipped


class Letters(Protocol):
    """As much of the letter room as the gallery needs."""

    def previews(self) -> tuple[Preview, ...]:
        """Return every letter that the samples make."""
        ...

    def preview(self, kind: LetterKind, audience: Audience, sample: str, language: str = "en") -> str:
        """Return one as HTML, with the band that it was not sent; raise KeyError."""
        ...


@cache
def _shipped_letters() -> Letters:
    """Return the letters that come with the service, read at the first look."""
    return load_letters(shipped("templates"), shipped("mappings") / "instruments")


def add_routes(router: APIRouter, pages: Pages, letters: Letters | None = None) -> None:
    """Add the gallery and its letters."""

    @router.get("/letters")
    def gallery(request: Request, person: Annotated[Person, Depends(Requires("help"))]) -> Response:
        """List the letters of all samples, by kind."""
        found = sorted(
            (letters or _shipped_letters()).previews(),
            key=lambda one: (int(one.kind[1:]), one.sample, one.audience, one.language),
        )
        return pages.page(request, "gallery.html", person, previews=found)

    @router.get("/letters/{kind}/{audience}/{sample}")
    def letter(
        kind: str,
        audience: str,
        sample: str,
        person: Annotated[Person, Depends(Requires("help"))],
        language: str = "en",
    ) -> Response:
        """Show one letter as the secure link would."""
        if kind not in get_args(LetterKind) or audience not in get_args(Audience) or language not in LANGUAGES:
            raise NotFound("letter")
        room = letters or _shipped_letters()
        try:
            html = room.preview(cast("LetterKind", kind), cast("Audience", audience), sample, language)
        except (KeyError, LetterRefused) as unknown:
            raise NotFound("letter") from unknown
        return HTMLResponse(html, headers={"Content-Security-Policy": page_policy(html)})
