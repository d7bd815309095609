"""What a letter is made of before rendering: its sheet, its presenters, and the parts before and behind it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from coordinator.domain.events import SessionOutcome
from coordinator.domain.plan import LetterKind
from coordinator.letters.brief import Brief
from coordinator.letters.catalogue import Catalogue, Sheet
from coordinator.letters.own import Own
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, walk
from coordinator.letters.views.change import change_view
from coordinator.letters.views.correction import correction_view
from coordinator.letters.views.course import end_view, query_view, start_view
from coordinator.letters.views.frame import Frame, frame
from coordinator.letters.views.holds import is_first_heard
from coordinator.letters.views.medicines import stimulant
from coordinator.letters.views.paper import reply_view
from coordinator.letters.views.patient import patient_frame, patient_view
from coordinator.letters.views.session import alert_view, missed_view, summary_view
from coordinator.letters.views.share import NOTHING, Share, shares

_NOT_ALONE: frozenset[LetterKind] = frozenset({"L9", "L10", "L11"})
"""A correction stands before another letter, a cover and a reply form belong to one."""
QUERY = "query"
"""The view of the letter that asks which statement of a regimen holds (L12)."""
NOTICE = "letters/correction/notice.html"
FORM = "letters/reply_form/body.html"


@dataclass(frozen=True)
class Beside:
    """The other letter of the same message, which this one points to instead of repeating what it asks."""

    title: str
    asks: bool
    has_form: bool


@dataclass(frozen=True)
class Page:
    """One letter before rendering: its sheet, everything it prints, and the parts it is made of."""

    kind: LetterKind
    sheet: Sheet
    parts: Mapping[str, Any]
    title: str
    body: str | None
    notice: str | None
    form: str | None
    beside: Beside | None = None

    def facts(self) -> tuple[Traced, ...]:
        """Return everything that the letter prints."""
        return tuple(one for part in self.parts.values() for one in walk(part))


_VIEWS: Mapping[str, Callable[[Brief], object]] = {
    "summary": summary_view,
    "alert": alert_view,
    "missed": missed_view,
    "change": change_view,
    "start": start_view,
    "end": end_view,
    QUERY: query_view,
}
"""The presenters that a letter.yaml names."""


class Pages:
    """Makes the pages of a recipient's letters from the catalogue of letters and what the clinic replaced."""

    def __init__(self, catalogue: Catalogue, own: Own) -> None:
        """`own`: the clinic's letterhead, put over that of the record."""
        self._catalogue = catalogue
        self._own = own

    def pages(self, brief: Brief) -> tuple[Page, ...]:
        """Return the letters of one recipient, one for each kind that stands alone. Raises LetterRefused."""
        kinds = brief.recipient.letters
        alone = [kind for kind in kinds if kind not in _NOT_ALONE]
        if "L9" not in kinds:
            return _together(brief, self._told(brief, alone))
        if brief.case.event.status == "entered-in-error":
            return (self._retracted(brief),)
        if not alone:
            alone = [one.kind for one in brief.case.already_sent if one.provider == brief.recipient.provider]
            alone = [kind for kind in alone if kind not in _NOT_ALONE][-1:]
        if not alone:
            raise LetterRefused("letter.template", "a correction needs the letter it corrects")
        first, *others = self._told(brief, alone)
        return _together(brief, [self._corrected(brief, first), *others])

    def _told(self, brief: Brief, kinds: Sequence[LetterKind]) -> list[Page]:
        sheets = [self._sheet(brief, kind) for kind in kinds]
        parts = shares(brief, [one.view == QUERY for one in sheets])
        made = [self._made(brief, *one) for one in zip(kinds, sheets, parts, strict=True)]
        return [replace(one, parts={**one.parts, "frame": self._headed(one.parts["frame"])}) for one in made]

    def _headed(self, built: Frame) -> Frame:
        return replace(built, letterhead=self._own.over(built.letterhead))

    def _sheet(self, brief: Brief, kind: LetterKind) -> Sheet:
        told_as: LetterKind = "L8" if kind in ("L1", "L2") and _was_missed(brief) else kind
        return self._catalogue.sheet(told_as, brief.recipient.audience)

    def _made(self, brief: Brief, kind: LetterKind, sheet: Sheet, share: Share) -> Page:
        if kind == "L4" and brief.change.kind != "requested-of-prescriber":
            raise LetterRefused("letter.template", "L4 is about a request to the prescriber")
        if sheet.view == "patient":
            title = sheet.titles.get(brief.language, sheet.title)
            about = {"frame": patient_frame(brief), "view": patient_view(brief)}
            return Page(kind, sheet, about, title, sheet.body, None, None)
        starts = sheet.view == "start" or (sheet.view == "summary" and is_first_heard(brief.case))
        built = frame(brief, share, course_start=starts)
        parts: dict[str, Any] = {"frame": built, "view": _VIEWS[sheet.view](brief)}
        form = None
        if (
            "L11" in brief.recipient.letters
            or sheet.reply_form == "always"
            or (sheet.reply_form == "when-asked" and built.asks)
        ):
            parts["reply"] = reply_view(built, stimulant(brief, None, "event:"), choose=sheet.view == QUERY)
            form = FORM
        return Page(kind, sheet, parts, sheet.title, sheet.body, None, form)

    def _retracted(self, brief: Brief) -> Page:
        outer = self._catalogue.sheet("L9", brief.recipient.audience)
        share = replace(NOTHING, urgent=brief.recipient.priority != "routine")
        parts = {
            "frame": self._headed(replace(frame(brief, share), statements=(), further_statements=())),
            "correction": correction_view(brief, ()),
        }
        title = outer.retraction_title or outer.title
        return Page("L9", replace(outer, title=title), parts, title, None, NOTICE, None)

    def _corrected(self, brief: Brief, inner: Page) -> Page:
        outer = self._catalogue.sheet("L9", brief.recipient.audience)
        built: Frame = inner.parts["frame"]
        parts = {**inner.parts, "correction": correction_view(brief, built.asks)}
        sheet = replace(outer, title=f"{outer.title}: {inner.title}")
        return replace(inner, kind="L9", sheet=sheet, parts=parts, notice=NOTICE)


def _together(brief: Brief, pages: Sequence[Page]) -> tuple[Page, ...]:
    """Return the letters of one message: each points to what the other asks, and one reply form serves them all.

    The form stands behind the last letter that calls for one.
    """
    if len(pages) < 2:
        return tuple(pages)
    last = max((place for place, one in enumerate(pages) if one.form is not None), default=None)
    found = []
    for place, page in enumerate(pages):
        other = pages[place - 1] if place else pages[1]
        asks = bool(other.parts["frame"].asks)
        has_form = last is not None and pages[last] is other
        kept = page if place == last else replace(page, form=None, parts=_without_form(page.parts))
        if place == last and page.sheet.view == QUERY and asks:
            built: Frame = page.parts["frame"]
            form = reply_view(built, stimulant(brief, None, "event:"), choose=True, both=(other.title, page.title))
            kept = replace(page, parts={**page.parts, "reply": form})
        found.append(replace(kept, beside=Beside(other.title, asks, has_form)))
    return tuple(found)


def _without_form(parts: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: part for name, part in parts.items() if name != "reply"}


def _was_missed(brief: Brief) -> bool:
    """Return whether a summary would tell of a session that was not completed; L8 has the words for that."""
    event = brief.case.event
    return isinstance(event, SessionOutcome) and event.status not in ("completed", "entered-in-error")
