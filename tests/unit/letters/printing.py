"""Everything that the samples print, as HTML: each letter in each form, and the pages that belong to none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from coordinator.letters.brief import Brief
from coordinator.letters.environment import rendered
from coordinator.letters.papers import COVER, MISDIRECTED
from coordinator.letters.translations import LANGUAGES
from coordinator.letters.typesetting import AS_IT_COMES, Setting
from coordinator.letters.views.paper import cover_view, misdirected_view
from coordinator.letters.write import LetterRoom

REFERENCE = "K7QF-2M9X-4T0B"
AT = datetime(2026, 10, 15, 15, 0, tzinfo=UTC)


def everything(room: LetterRoom) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, what it prints, HTML) of each."""
    for name in room.samples().names():
        sample = room.samples().sample(name)
        for audience, recipient in sample.recipients.items():
            for language in LANGUAGES if audience == "patient" else ("en",):
                yield from _letters(
                    room, f"{name}.{audience}", room.brief(sample.case, sample.plan, recipient, language)
                )
        yield from bare_pages(room, name)


def _letters(room: LetterRoom, name: str, brief: Brief) -> Iterator[tuple[str, Any, str]]:
    for page in room._composer.pages(brief):
        forms = (
            {},
            {"fax": True},
            {"fax": True, "among": (1, 3)},
            {"preview": True},
        )
        apart = ({}, {"long": True}, {"front": True})
        settings = (*({"apart": True, **one} for one in apart), {"front": True}, {"close": True})
        for form in (*forms, *settings):
            words = [f"{name}.{page.kind}", brief.language, *form]
            setting = Setting(**form) if form in settings else AS_IT_COMES
            given = {} if form in settings else form
            yield " ".join(words), page.parts, room.typesetter.html(brief, page, setting, **given)


def bare_pages(room: LetterRoom, name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield the pages about no patient, for the clinic and the providers of a sample."""
    case = room.samples().sample(name).case
    for provider in case.registry.providers:
        letter = {"language": "en", "created": AT.isoformat()}
        for marks in ({}, {"copy_of": "Direct, 14 October 2026", "resent": True, "attempt": 2}):
            view = cover_view(case.clinic, provider, REFERENCE, 3, AT, **marks)
            html = rendered(room._env, COVER, {"view": view, "letter": letter | {"preview": bool(marks)}})
            yield f"{name}.{provider.id}.L10", view, html
        for reader in (provider, None):
            view = misdirected_view(case.clinic, reader, REFERENCE, AT, AT)
            html = rendered(room._env, MISDIRECTED, {"view": view, "letter": letter | {"preview": reader is None}})
            yield f"{name}.{provider.id if reader else 'unknown'}.L13", view, html
