"""What a letter is made of before rendering: its sheet, its presenters, and the parts before and behind it."""

from collections.abc import Callable, Mapping
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

_NOT_ALONE: frozenset[LetterKind] = frozenset({"L9", "L10", "L11"})
"""A correction stands before another letter, a cover and a reply form belong to one."""


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
    "query": query_view,
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
            return tuple(self._page(brief, kind) for kind in alone)
        if brief.case.event.status == "entered-in-error":
            return (self._corrected(brief, None),)
        if not alone:
            alone = [one.kind for one in brief.case.already_sent if one.provider == brief.recipient.provider]
            alone = [kind for kind in alone if kind not in _NOT_ALONE][-1:]
        if not alone:
            raise LetterRefused("letter.template", "a correction needs the letter it corrects")
        return (self._corrected(brief, alone[0]), *(self._page(brief, kind) for kind in alone[1:]))

    def _page(self, brief: Brief, kind: LetterKind) -> Page:
        page = self._made(brief, kind)
        built: Frame = page.parts["frame"]
        return replace(page, parts={**page.parts, "frame": self._headed(built)})

    def _headed(self, built: Frame) -> Frame:
        return replace(built, letterhead=self._own.over(built.letterhead))

    def _made(self, brief: Brief, kind: LetterKind) -> Page:
        told_as: LetterKind = "L8" if kind in ("L1", "L2") and _was_missed(brief) else kind
        sheet = self._catalogue.sheet(told_as, brief.recipient.audience)
        if kind == "L4" and brief.change.kind != "requested-of-prescriber":
            raise LetterRefused("letter.template", "L4 is about a request to the prescriber")
        if sheet.view == "patient":
            title = sheet.titles.get(brief.language, sheet.title)
            about = {"frame": patient_frame(brief), "view": patient_view(brief)}
            return Page(kind, sheet, about, title, sheet.body, None, None)
        starts = sheet.view == "start" or (sheet.view == "summary" and is_first_heard(brief.case))
        built = frame(brief, course_start=starts)
        parts: dict[str, Any] = {"frame": built, "view": _VIEWS[sheet.view](brief)}
        form = None
        if (
            "L11" in brief.recipient.letters
            or sheet.reply_form == "always"
            or (sheet.reply_form == "when-asked" and brief.recipient.requests)
        ):
            parts["reply"] = reply_view(built, stimulant(brief, None, "event:"), choose=sheet.view == "query")
            form = "letters/reply_form/body.html"
        return Page(kind, sheet, parts, sheet.title, sheet.body, None, form)

    def _corrected(self, brief: Brief, kind: LetterKind | None) -> Page:
        outer = self._catalogue.sheet("L9", brief.recipient.audience)
        notice = "letters/correction/notice.html"
        if kind is None:
            parts = {
                "frame": self._headed(replace(frame(brief, asks=False), statements=(), further_statements=())),
                "correction": correction_view(brief),
            }
            title = outer.retraction_title or outer.title
            return Page("L9", replace(outer, title=title), parts, title, None, notice, None)
        inner = self._page(brief, kind)
        parts = {**inner.parts, "correction": correction_view(brief)}
        return replace(
            inner, kind="L9", sheet=replace(outer, title=f"{outer.title}: {inner.title}"), parts=parts, notice=notice
        )


def _was_missed(brief: Brief) -> bool:
    """Return whether a summary would tell of a session that was not completed; L8 has the words for that."""
    event = brief.case.event
    return isinstance(event, SessionOutcome) and event.status not in ("completed", "entered-in-error")
