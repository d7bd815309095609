"""The gallery: every letter of every synthetic case, for whoever reviews the wording. No patient is in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Annotated, Protocol, cast, get_args

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from coordinator.console import words
from coordinator.console.access import Person, Requires
from coordinator.console.rendering import Pages
from coordinator.domain.errors import NotFound
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Audience
from coordinator.flow.search import fold
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


@dataclass(frozen=True)
class Wanted:
    """Which letters are looked for. Empty means every one."""

    text: str = ""
    kind: str = ""
    audience: str = ""


@dataclass(frozen=True)
class Group:
    """The letters of one kind, in the order of their cases."""

    kind: str
    name: str
    rows: tuple[Preview, ...]


def wanted(fields: Mapping[str, str]) -> Wanted:
    """Return what an address asks for. What cannot be meant is left out."""
    kind, audience = fields.get("kind", ""), fields.get("audience", "")
    return Wanted(
        text=fields.get("text", "").strip()[:100],
        kind=kind if kind in words.LETTERS else "",
        audience=audience if audience in get_args(Audience) else "",
    )


def groups(previews: Iterable[Preview], asked: Wanted) -> list[Group]:
    """Return the letters that are asked for, one group a kind."""
    found = sorted(
        (one for one in previews if _is_meant(one, asked)),
        key=lambda one: (int(one.kind[1:]), one.sample, one.audience, one.language),
    )
    return [Group(kind, words.LETTERS[kind], tuple(rows)) for kind, rows in groupby(found, key=lambda one: one.kind)]


def _is_meant(one: Preview, asked: Wanted) -> bool:
    """Return whether the letter is of the kind and for the reader, and holds the beginning of each word looked for."""
    if asked.kind not in ("", one.kind) or asked.audience not in ("", one.audience):
        return False
    said = fold(" ".join(_said(one)))
    return all(any(word.startswith(part) for word in said) for part in fold(asked.text))


def _said(one: Preview) -> Sequence[str]:
    reviewer = one.sheet.reviewed_by or "nobody"
    return (
        one.kind,
        words.LETTERS[one.kind],
        one.title,
        one.sample,
        one.audience,
        words.LANGUAGES[one.language],
        reviewer,
    )


def add_routes(router: APIRouter, pages: Pages, letters: Letters | None = None) -> None:
    """Add the gallery and its letters."""

    @router.get("/letters")
    def gallery(request: Request, person: Annotated[Person, Depends(Requires("help"))]) -> Response:
        """List the letters of all samples by kind, or those that are asked for."""
        asked = wanted(request.query_params)
        every = (letters or _shipped_letters()).previews()
        found = groups(every, asked)
        return pages.page(
            request, "gallery.html", person, groups=found, wanted=asked, total=len(every),
            shown=sum(len(one.rows) for one in found), audiences=get_args(Audience),
        )  # fmt: skip

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
