"""Writing letters: from a case and a plan to finished letters in HTML, text and PDF."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment

from coordinator.domain.case import Case
from coordinator.domain.errors import ConfigurationError
from coordinator.domain.letter import Letter
from coordinator.domain.plan import LetterKind, Plan, RecipientPlan
from coordinator.domain.registry import Audience
from coordinator.letters import pdf
from coordinator.letters.brief import Brief
from coordinator.letters.catalogue import Sheet, load_catalogue
from coordinator.letters.environment import environment, sandboxed
from coordinator.letters.lexicon import Lexicon, load_lexicon
from coordinator.letters.lint import Finding, Lint, load_lint
from coordinator.letters.own import LETTERHEAD, Own, read_own
from coordinator.letters.own_body import check_body
from coordinator.letters.pages import Page, Pages
from coordinator.letters.papers import ABOUT_NOBODY, Papers
from coordinator.letters.pdf import PdfEngine
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.samples import Samples
from coordinator.letters.translations import LANGUAGES, load_translations
from coordinator.letters.typesetting import Laid, Typesetter
from coordinator.letters.views.frame import Frame
from coordinator.letters.views.patient import for_patient

__all__ = ["LetterRefused", "LetterRoom", "load_letters"]


@dataclass(frozen=True)
class Preview:
    """One letter of one synthetic case, as a gallery lists it."""

    kind: LetterKind
    audience: Audience
    sample: str
    title: str
    language: str
    sheet: Sheet


@dataclass(frozen=True)
class Tongue:
    """What a letter is written with in one language: its sentences, and its words."""

    env: Environment
    lexicon: Lexicon


NOTHING_OWN = Own()


class LetterRoom:
    """Writes letters. Loaded once for the whole process; holds no state of any letter."""

    def __init__(
        self,
        templates: Path,
        env: Environment,
        lexicon: Lexicon,
        lint: Lint,
        plain: Mapping[str, Tongue],
        own: Own = NOTHING_OWN,
    ) -> None:
        """Use `load_letters`. `plain`: language -> what a patient's copy is written with. `own`: the clinic's."""
        self._own = own
        self._templates = templates
        self._env = env
        self._lexicon = lexicon
        self._lint = lint
        self._plain = plain
        self._catalogue = load_catalogue(templates / "letters")
        self._composer = Pages(self._catalogue, own)
        self._engine = PdfEngine(templates / "layout")
        self.typesetter = Typesetter(env, {name: one.env for name, one in plain.items()}, lint, self._engine)
        self._samples = Samples(templates / "samples")
        self.papers = Papers(env, own, lint, self._engine)

    def write(
        self, case: Case, plan: Plan, recipient: RecipientPlan, *, fax: bool, language: str = "en"
    ) -> tuple[Letter, ...]:
        """Return the finished letters of one recipient, one for each kind that stands alone.

        A correction and the full new letter are one letter (L9), a request and its
        reply form are one letter. With `fax`, the first has the whole fax: one cover
        and every letter's fax variant. The same input gives the same bytes. Only a
        patient's copy can be had in another language than English. Raises LetterRefused.
        """
        brief = self.brief(case, plan, recipient, language)
        pages = self._composer.pages(brief)
        finished = [self._finish(brief, page) for page in pages]
        letters = tuple(letter for letter, _ in finished)
        if not fax or not letters:
            return letters
        whole = self._faxed(brief, [(page, laid) for page, (_, laid) in zip(pages, finished, strict=True)])
        return (replace(letters[0], cover_pdf=whole), *letters[1:])

    def brief(self, case: Case, plan: Plan, recipient: RecipientPlan, language: str = "en") -> Brief:
        """Return what the presenters look at, with the words of the reader's language."""
        if recipient.audience == "patient":
            return Brief(case, plan, recipient, self._plain[language].lexicon, language)
        if language != "en":
            raise LetterRefused("letter.translation", f"{recipient.audience} {language}")
        return Brief(case, plan, recipient, self._lexicon)

    def pages(self, case: Case, plan: Plan, recipient: RecipientPlan, language: str = "en") -> tuple[Page, ...]:
        """Return what `write` would print, as values."""
        return self._composer.pages(self.brief(case, plan, recipient, language))

    def patient_copy(self, case: Case, plan: Plan, language: str) -> Letter:
        """Return the patient's own copy (L14) of what an event is told as, in plain words. Raises LetterRefused."""
        return self.write(case, plan, for_patient(), fax=False, language=language)[0]

    def preview(self, kind: LetterKind, audience: Audience, sample: str, language: str = "en") -> str:
        """Return the HTML of a sample's letter, laid out as it would go, with the band that it was not sent.

        Unknown names raise KeyError.
        """
        found = self._samples.sample(sample)
        brief = self.brief(found.case, found.plan, found.recipients[audience], language)
        if kind in ABOUT_NOBODY and audience != "patient":
            return self.papers.preview(kind, brief.case, brief.provider)
        for page in self._composer.pages(brief):
            if page.kind == kind or (kind == "L11" and page.form is not None):
                setting = self.typesetter.lay_out(brief, page).setting
                return self.typesetter.html(brief, page, setting, preview=True)
        raise KeyError(kind)

    def preview_pdf(self, kind: LetterKind, audience: Audience, sample: str, language: str = "en") -> bytes:
        """Return the same preview as PDF. Unknown names raise KeyError."""
        return self._engine.render(self.preview(kind, audience, sample, language))

    def previews(self) -> tuple[Preview, ...]:
        """Return every letter that the samples make: kind, audience, sample, title. A paper around them stands once."""
        found: list[Preview] = []
        papers: dict[tuple[LetterKind, Audience], Preview] = {}
        for name in self._samples.names():
            sample = self._samples.sample(name)
            for audience, recipient in sample.recipients.items():
                for language in LANGUAGES if audience == "patient" else ("en",):
                    for page in self.pages(sample.case, sample.plan, recipient, language):
                        found.append(Preview(page.kind, audience, name, page.title, language, page.sheet))
                        if page.form is not None:
                            papers.setdefault(("L11", audience), self._paper("L11", audience, name))
                for kind in ABOUT_NOBODY if audience != "patient" else ():
                    papers.setdefault((kind, audience), self._paper(kind, audience, name))
        return (*found, *papers.values())

    def _paper(self, kind: LetterKind, audience: Audience, sample: str) -> Preview:
        sheet = self._catalogue.sheet(kind, audience)
        return Preview(kind, audience, sample, sheet.title, "en", sheet)

    def samples(self) -> Samples:
        """Return the synthetic cases that previews are made from."""
        return self._samples

    def review_upload(self, kind: LetterKind, audience: Audience, body: str) -> tuple[Finding, ...]:
        """Return why a clinic's own body of a letter may not be used, or nothing when it may.

        It is linted, then every sample of that letter is written with it in the sandbox:
        a missing field, a lost fact or a forbidden word each gives its reason.
        """
        sheet = self._catalogue.sheet(kind, audience)
        found = [*self._lint.check_source(body, sheet.body), *check_body(body, sheet.body)]
        if found:
            return tuple(found)
        trial = self.with_own(replace(self._own, bodies={sheet.body: body}))
        for name in self._samples.names():
            sample = self._samples.sample(name)
            recipient = sample.recipients.get(audience)
            if recipient is None or kind not in recipient.letters:
                continue
            for language in LANGUAGES if audience == "patient" else ("en",):
                try:
                    trial.write(sample.case, sample.plan, recipient, fax=False, language=language)
                except LetterRefused as refused:
                    found.append(Finding(f"{name}: {refused.element}", refused.code))
        return tuple(found)

    def with_own(self, own: Own) -> "LetterRoom":
        """Return this room with a clinic's own letterhead and bodies; the bodies run in the sandbox."""
        env, plain = self._env, self._plain
        if own.bodies:
            env = sandboxed(self._templates, own.bodies)
            catalogues = load_translations(self._templates)
            plain = {
                name: replace(one, env=sandboxed(self._templates, own.bodies, catalogues.get(name)))
                for name, one in self._plain.items()
            }
        return LetterRoom(self._templates, env, self._lexicon, self._lint, plain, own)

    def review_folder(self, folder: Path) -> tuple[tuple[str, ...], tuple[tuple[str, Finding], ...]]:
        """Return which of a clinic's own files were looked at, and what is wrong with each.

        Looked at: letterhead.yaml with its logo, and `<letter>/<audience>/body.html` as in
        templates/letters. A file under another name is a finding of its own.
        """
        known = {sheet.body.removeprefix("letters/"): sheet for sheet in self._catalogue.sheets.values()}
        checked: list[str] = []
        findings: list[tuple[str, Finding]] = []
        if (folder / LETTERHEAD).exists():
            checked.append(LETTERHEAD)
            findings.extend(read_own(folder, self._lint, self._engine)[1])
        for path in sorted(folder.rglob("*.html")):
            name = path.relative_to(folder).as_posix()
            sheet = known.get(name)
            checked.append(name)
            if sheet is None:
                findings.append((name, Finding(name, "no letter of this name; see templates/letters")))
                continue
            body = path.read_text(encoding="utf-8")
            findings.extend((name, one) for one in self.review_upload(sheet.kind, sheet.audience, body))
        return tuple(checked), tuple(findings)

    def using(self, folder: Path) -> "LetterRoom":
        """Return this room with everything of a clinic's own folder. Raises ConfigurationError with every reason."""
        if not folder.is_dir():
            raise ConfigurationError(f"{folder.name}: the folder of the clinic's own letters is not there")
        checked, findings = self.review_folder(folder)
        if findings:
            reasons = "; ".join(f"{name}: {one.element}: {one.why}" for name, one in findings)
            advice = "`coordinator check-letters` with this folder says what to do about each."
            raise ConfigurationError(f"The clinic's own letters break a rule. {reasons}. {advice}")
        own, _ = read_own(folder, self._lint, self._engine)
        bodies = {
            f"letters/{name}": (folder / name).read_text(encoding="utf-8") for name in checked if name != LETTERHEAD
        }
        return self.with_own(replace(own, bodies=bodies))

    @staticmethod
    def join(cover: bytes, letter: bytes) -> bytes:
        """Return one PDF of cover and letter."""
        return pdf.join(cover, letter)

    def _finish(self, brief: Brief, page: Page) -> tuple[Letter, Laid]:
        """Return the letter, and how page one took it."""
        laid = self.typesetter.lay_out(brief, page)
        built: Frame = page.parts["frame"]
        letter = Letter(
            kind=page.kind,
            provider=brief.recipient.provider,
            title=page.sheet.title if page.kind == "L9" else page.title,
            subject=f"{brief.lexicon.say('subject', 'letter')} {built.reference}",
            reference=built.reference.text,
            version=brief.case.event.version,
            language=brief.language,
            html=laid.html,
            text=laid.text,
            pdf=laid.pdf,
            template_version=f"{self._stamp(page)} ({brief.lexicon.version})",
            type_code=page.sheet.type_code,
        )
        return letter, laid

    def _stamp(self, page: Page) -> str:
        """Return which template made a letter; a clinic's own is named by its content."""
        body = self._own.bodies.get(page.body or "")
        if body is None:
            return page.sheet.stamp
        return f"{page.sheet.stamp}, the clinic's own {hashlib.sha256(body.encode()).hexdigest()[:12]}"

    def _faxed(self, brief: Brief, pages: Sequence[tuple[Page, Laid]]) -> bytes:
        """Return the whole fax. Two letters are numbered as one: "page 3 of 4" tells which sheet is missing."""
        made = [self.typesetter.fax(brief, page, laid) for page, laid in pages]
        if len(made) > 1:
            counts = [pdf.page_count(one) for one in made]
            made = [
                self.typesetter.fax(brief, page, laid, among=(sum(counts[:place]), sum(counts)))
                for place, (page, laid) in enumerate(pages)
            ]
        case = brief.case
        cover = self.papers.fax_cover(
            case.clinic,
            brief.provider,
            case.reference(brief.provider.id),
            sum(pdf.page_count(one) for one in made) + 1,
            case.composed_at,
        )
        return pdf.join(cover, *made)


def load_letters(templates_dir: Path, instruments_dir: Path | None = None, own_dir: Path | None = None) -> LetterRoom:
    """Return the letter room of a templates folder. Raises LetterRefused or OSError when its data is incomplete.

    `instruments_dir` holds the scales; by default mappings/instruments beside the templates folder.
    `own_dir` is a clinic's own folder; when anything in it breaks a rule, ConfigurationError says what.
    """
    layout = templates_dir / "layout"
    scales = instruments_dir or templates_dir.parent / "mappings" / "instruments"
    catalogues = load_translations(templates_dir)
    plain = {
        language: Tongue(
            environment(templates_dir, catalogues.get(language)), load_lexicon(layout, scales, language, plain=True)
        )
        for language in LANGUAGES
    }
    lint = load_lint(layout / "lint.yaml")
    room = LetterRoom(templates_dir, environment(templates_dir), load_lexicon(layout, scales), lint, plain)
    return room if own_dir is None else room.using(own_dir)
