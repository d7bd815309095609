"""The PDF engine: tagged PDF with the bundled fonts, and the reading back of what it printed.

Fails closed. A character that the fonts lack is refused before rendering; a printed
fact that cannot be read back from the finished file is refused after it.
"""

import errno
import hashlib
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from io import BytesIO
from pathlib import Path

import pypdfium2
from fontTools.ttLib import TTFont
from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse

from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced

_ENGINE = threading.Lock()
"""Pango's font map and pdfium are not safe to use from two threads at once."""
PDF_ENGINE = _ENGINE
"""For others who use pdfium in this process: one lock for all of them."""

STYLE_SHEETS = ("print.css", "form.css", "fax.css", "close.css", "part2.css")
"""The style sheets of the layout folder that a letter can have, in their order."""
FAX_DPI = 204
"""Dots an inch across a fax page."""
_UNIT_SLASH = re.compile(r"(?<=[mck]g/|mL/)(?=(?:kg|h|min)\b)")
"""Behind the slash of a unit. Lines may end at a slash, and "0.5 mg/" at the end of one is another dose at a glance."""
_WORD_JOINER = "\u2060"
"""No line ends here. Nothing is drawn for it, and the text layer does not have it."""
_SPACES = re.compile(r"\s+")
_SOFT_HYPHEN = "\u00ad"
"""Printed as a hyphen where a line ends at it, and nowhere else."""
_UNPRINTED = re.compile("[\u200b-\u200f\u2060\ufeff]")
"""Joiners, marks of direction and places where a word may be broken: they shape what is printed, and are not in it."""
_FILE_ID = re.compile(rb"/ID\[<[0-9A-F]{32}><[0-9A-F]{32}>\]")
"""pdfium draws the id of a joined file at random; ours is made from the content, in the same length."""
_LINE_END_HYPHENS = str.maketrans({"\x02": "-", "\ufffe": "-"})
"""pdfium marks a hyphen at the end of a line with these; ours are hard hyphens, never a broken word."""


class _PackagedFiles(URLFetcher):  # type: ignore[misc]
    """Serves `letter:` addresses inside the layout folder and refuses every other address."""

    def __init__(self, layout: Path) -> None:
        super().__init__()
        self._layout = layout.resolve()

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> URLFetcherResponse:
        """Return a packaged file."""
        if url.startswith("data:image/"):
            # A clinic's logo, checked when it was read; the letter carries it.
            return super().fetch(url, headers)
        path = (self._layout / url.removeprefix("letter:")).resolve()
        if not url.startswith("letter:") or not path.is_relative_to(self._layout) or not path.is_file():
            raise FatalURLFetchingError("only packaged files may be used in a letter")
        try:
            return URLFetcherResponse(url, body=path.read_bytes())
        except OSError as lack:
            # Any other error is passed over, and the letter printed with whatever font the machine has.
            raise FatalURLFetchingError("a packaged file could not be read") from lack


@contextmanager
def _stopped_for_its_cause() -> Iterator[None]:
    """Raise what stopped the typesetter: the machine's own error, or a template's that asks for too much."""
    try:
        yield
    except FatalURLFetchingError as stopped:
        if isinstance(stopped.__cause__, OSError):
            raise stopped.__cause__ from None
        raise LetterRefused("letter.template", str(stopped)) from None


def _prove(fonts: FontConfiguration, faces: CSS) -> None:
    """Raise OSError unless a word in each face of the letters can be read in what is printed with them.

    The typesetter does not say why a font did not open, so it counts as what the machine lacks: no letter is at fault,
    each is tried again, and the operator is told.
    """
    html = '<html><body style="font-family: Letter Sans">regular <b>bold</b></body></html>'
    printed = _texts(HTML(string=html).write_pdf(stylesheets=[faces], font_config=fonts))
    if " ".join(printed).split() != ["regular", "bold"]:
        raise OSError(errno.EMFILE, "a font of the letters could not be opened")


class PdfEngine:
    """Renders letters to PDF. One for the whole process: fonts are read once."""

    def __init__(self, layout: Path) -> None:
        """`layout` holds fonts.css and the font files it names."""
        self._layout = layout
        self._fetcher = _PackagedFiles(layout)

    @cached_property
    def _glyphs(self) -> frozenset[int]:
        shared: set[int] | None = None
        for path in sorted((self._layout / "fonts").glob("*.ttf")):
            with TTFont(path, lazy=True) as font:
                found = set(font.getBestCmap())
            shared = found if shared is None else shared & found
        return frozenset(shared or ())

    @cached_property
    def _faces(self) -> tuple[FontConfiguration, CSS]:
        """The fonts and the sheet that names them: both or neither, since a half-read font would be kept for ever.

        The typesetter opens a font's file only when it first prints with it, and where that fails it goes on without
        the font, for as long as these fonts live. So they are proven first, and made anew next time if that fails.
        """
        fonts = FontConfiguration()
        text = (self._layout / "fonts.css").read_text(encoding="utf-8")
        faces = CSS(string=text, font_config=fonts, url_fetcher=self._fetcher, base_url="letter:")
        _prove(fonts, faces)
        return fonts, faces

    @cached_property
    def _sheets(self) -> Sequence[tuple[str, CSS]]:
        """The layout's own style sheets in their order, each as a letter's HTML has it and parsed."""
        texts = [(self._layout / name).read_text(encoding="utf-8").rstrip("\n") for name in STYLE_SHEETS]
        return tuple((text, self._parsed(text)) for text in texts)

    def _parsed(self, css: str) -> CSS:
        return CSS(string=css, font_config=self._faces[0], url_fetcher=self._fetcher, base_url="letter:")

    def lacks(self, text: str) -> str | None:
        """Return the first character ("U+2610") that the bundled fonts cannot print, or None."""
        for one in text:
            if ord(one) not in self._glyphs and not one.isspace():
                return f"U+{ord(one):04X}"
        return None

    def render(self, html: str) -> bytes:
        """Return the tagged PDF of a letter's HTML. The same HTML gives the same bytes.

        The layout's own style sheets are taken from parsed copies: reading them again for
        every letter would cost a tenth of the time. Raises OSError when the machine lacks
        what it takes to open a font, and LetterRefused for an address outside the layout.
        """
        with _ENGINE, _stopped_for_its_cause():
            fonts, faces = self._faces
            styles = [faces]
            for text, parsed in self._sheets:
                if text in html:
                    html = html.replace(text, "", 1)
                    styles.append(parsed)
            whole_units = _UNIT_SLASH.sub(_WORD_JOINER, html)
            document = HTML(string=whole_units, url_fetcher=self._fetcher, base_url="letter:")
            made: bytes = document.write_pdf(stylesheets=styles, font_config=fonts, pdf_variant="pdf/ua-1")
        return made

    def greys_of(self, source: str, width_mm: int, height_mm: int) -> Mapping[int, int]:
        """Return how many dots of a picture have each grey (0 black, 255 white), drawn as a fax machine scans it."""
        page = (
            f"@page {{ size: {width_mm}mm {height_mm}mm; margin: 0 }} body {{ margin: 0 }} "
            f"img {{ display: block; width: {width_mm}mm; height: {height_mm}mm }}"
        )
        html = f'<html><body><img src="{source}" alt=""></body></html>'
        with _ENGINE, _stopped_for_its_cause():
            made = HTML(string=html, url_fetcher=self._fetcher, base_url="letter:").write_pdf(
                stylesheets=[CSS(string=page)]
            )
            document = pypdfium2.PdfDocument(made)
            try:
                drawn = document[0].render(scale=FAX_DPI / 72, grayscale=True)
                rows = [bytes(drawn.buffer)[y * drawn.stride : y * drawn.stride + drawn.width]
                        for y in range(drawn.height)]  # fmt: skip
            finally:
                document.close()
        return Counter(b"".join(rows))

    def check_glyphs(self, facts: Iterable[Traced], text: str) -> None:
        """Raise LetterRefused when a character would be missing; names the field where it stands."""
        missing = self.lacks(text)
        for one in facts:
            found = self.lacks(one.text)
            if found:
                raise LetterRefused("letter.glyph", f"{one.sources[0]} {found}")
        if missing:
            raise LetterRefused("letter.glyph", missing)


def pages_text(pdf: bytes) -> tuple[str, ...]:
    """Return the text layer of each page, in composed form."""
    with _ENGINE:
        texts = _texts(pdf)
    return tuple(unicodedata.normalize("NFC", text.translate(_LINE_END_HYPHENS)) for text in texts)


def _texts(pdf: bytes) -> Sequence[str]:
    """Return the text layer of each page as it is; whoever asks holds the engine's lock."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        texts = []
        for page in document:
            layer = page.get_textpage()
            texts.append(layer.get_text_range())
            layer.close()
            page.close()
    finally:
        document.close()
    return texts


def read_back(pdf: bytes, facts: Iterable[Traced]) -> str:
    """Return the text of page one. Raise LetterRefused unless every fact can be read in the text layer, whole.

    A number inside a longer number does not count. A fact may run over the end of a
    line, never of a page: the layout keeps a paragraph together.
    """
    pages = [_SPACES.sub(" ", page) for page in pages_text(pdf)]
    whole = " ".join(pages)
    for one in facts:
        if not (stands_in(one.text, whole) or _broken_name(one, whole)):
            raise LetterRefused("letter.text-layer", one.sources[0])
    return pages[0]


def _broken_name(one: Traced, text: str) -> bool:
    """Return whether a name is there that was too long for its line and broken inside a word."""
    return one.kind == "name" and _SPACES.sub("", one.text) in _SPACES.sub("", text)


def stands_in(needle: str, text: str) -> bool:
    """Return whether the text holds the words, over the ends of lines too; a number in a longer one does not count."""
    wanted = _SPACES.sub(" ", _UNPRINTED.sub("", needle)).strip()
    text = _UNPRINTED.sub("", text).replace(_SOFT_HYPHEN, "")
    if not wanted:
        return True
    if wanted in text and not wanted[0].isdigit() and not wanted[-1].isdigit():
        return True
    pattern = r"\s*".join(re.escape(part) for part in _pieces(wanted)).replace(_SOFT_HYPHEN, "[-\u2010]?\\s*")
    before = r"(?<![\d.,])" if wanted[0].isdigit() else ""
    after = r"(?![\d])(?![.,]\d)" if wanted[-1].isdigit() else ""
    return re.search(before + pattern + after, text) is not None


def _pieces(wanted: str) -> list[str]:
    """Split where a line may end: at spaces and after hyphens and slashes."""
    return [piece for piece in re.split(r"\s+|(?<=[-/–—])", wanted) if piece]


def page_count(pdf: bytes) -> int:
    """Return the number of pages."""
    with _ENGINE:
        document = pypdfium2.PdfDocument(pdf)
        try:
            return len(document)
        finally:
            document.close()


def join(first: bytes, *others: bytes) -> bytes:
    """Return one PDF of several, in their order: a cover and the letters behind it. Same input, same bytes."""
    with _ENGINE:
        whole = pypdfium2.PdfDocument(first)
        try:
            for one in others:
                further = pypdfium2.PdfDocument(one)
                try:
                    whole.import_pages(further)
                finally:
                    further.close()
            buffer = BytesIO()
            whole.save(buffer)
        finally:
            whole.close()
    name = hashlib.sha256(b"\x1f".join((first, *others))).hexdigest()[:32].upper().encode()
    return _FILE_ID.sub(b"/ID[<" + name + b"><" + name + b">]", buffer.getvalue())


def recovered(cover: bytes, fax: bytes) -> bytes:
    """Return the fax under another cover: its first page is replaced, the letter's pages are the very same."""
    with _ENGINE:
        whole = pypdfium2.PdfDocument(cover)
        second = pypdfium2.PdfDocument(fax)
        try:
            whole.import_pages(second, list(range(1, len(second))))
            buffer = BytesIO()
            whole.save(buffer)
        finally:
            second.close()
            whole.close()
    name = hashlib.sha256(cover + b"\x1e" + fax).hexdigest()[:32].upper().encode()
    return _FILE_ID.sub(b"/ID[<" + name + b"><" + name + b">]", buffer.getvalue())
