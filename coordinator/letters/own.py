"""A clinic's own letterhead, logo, closing line and letter bodies: read from one folder, checked before use.

The folder holds `letterhead.yaml`, a logo (PNG or SVG) and `<letter>/<audience>/body.html` as in templates/letters.
All of it is optional. Whatever breaks a rule is refused with its reason; nothing of it is half used.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import yaml

from coordinator.letters.lexicon import read_yaml
from coordinator.letters.lint import Finding, Lint
from coordinator.letters.pdf import PdfEngine
from coordinator.letters.traced import fact
from coordinator.letters.views.frame import Letterhead, Logo

LETTERHEAD = "letterhead.yaml"
KEYS = frozenset({"name", "cover_name", "lines", "closing_line", "logo"})
LOGO_KEYS = frozenset({"file", "alt", "height_mm"})
MOST_LINES, LONGEST_LINE = 3, 100
TALLEST_MM, WIDEST_MM, BIGGEST_BYTES = 20, 70, 100_000
"""A taller logo costs the letter's first lines; a bigger file is carried by every single letter."""
INK_LEAST, INK_MOST, GREY_MOST = 0.01, 0.8, 0.25
"""Shares of a logo's area: less is nothing on a fax, more a black box; and how much of the ink may be grey."""
_SVG_TAGS = frozenset(
    {"svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "title", "desc", "defs"}
)


@dataclass(frozen=True)
class Own:
    """What a clinic brings: words that stand in for the registry's, a logo, and bodies by template name."""

    words: Mapping[str, Any] = field(default_factory=dict)
    logo: Logo | None = None
    bodies: Mapping[str, str] = field(default_factory=dict)

    def over(self, head: Letterhead) -> Letterhead:
        """Return a letterhead with what the clinic brings laid over it. Telephone numbers stay the registry's."""
        words, at = self.words, "letterhead:"
        name, closing = words.get("name"), words.get("closing_line")
        lines = (
            fact(one, None, f"{at}/lines/{index}", kind="name") for index, one in enumerate(words.get("lines", ()))
        )
        return replace(
            head,
            name=fact(name, name, f"{at}/name", kind="name") if name else head.name,
            lines=tuple(lines),
            closing=fact(closing, None, f"{at}/closing_line") if closing else head.closing,
            logo=self.logo,
        )

    def on_cover(self, head: Letterhead, telling: re.Pattern[str]) -> Letterhead:
        """Return the letterhead of a fax cover: no logo, no further lines, no name that tells of illness or drug."""
        given = self.words.get("cover_name") or self.words.get("name")
        name = fact(given, given, "letterhead:/cover_name", kind="name") if given else head.name
        return replace(head, name=head.phone if telling.search(name.text) else name, closing=None)


def read_own(folder: Path, lint: Lint, engine: PdfEngine) -> tuple[Own, tuple[tuple[str, Finding], ...]]:
    """Return a clinic's own letterhead and logo, and what is wrong with them: (file, finding)."""
    path = folder / LETTERHEAD
    if not path.exists():
        return Own(), ()
    try:
        words = read_yaml(path)
    except (OSError, UnicodeError, TypeError, yaml.YAMLError) as wrong:
        return Own(), ((LETTERHEAD, Finding(LETTERHEAD, _why_unread(wrong))),)
    found = [(LETTERHEAD, one) for one in _check_words(words, lint, engine)]
    logo = None
    if isinstance(words.get("logo"), dict):
        made, wrong_logo = _read_logo(folder, words["logo"], engine)
        logo = made
        found += [(str(words["logo"].get("file", "logo")), Finding("logo", why)) for why in wrong_logo]
    return Own(words, logo), tuple(found)


def _why_unread(wrong: Exception) -> str:
    """Return why the letterhead's file cannot be read, with the line where the reader of YAML stopped."""
    if isinstance(wrong, TypeError):
        return "it needs lines such as `name: …`; README.md of the templates has them all"
    place = getattr(wrong, "problem_mark", None)
    if place is None:
        return f"it cannot be read ({type(wrong).__name__})"
    return f"not readable as YAML in line {place.line + 1}: {getattr(wrong, 'problem', None) or 'something is missing'}"


def _check_words(words: Mapping[str, Any], lint: Lint, engine: PdfEngine) -> Iterator[Finding]:
    for key in sorted(words.keys() - KEYS):
        yield Finding(key, f"not known; there are {', '.join(sorted(KEYS))}")
    lines = words.get("lines", [])
    if not isinstance(lines, list) or len(lines) > MOST_LINES:
        yield Finding("lines", f"a list of at most {MOST_LINES} lines is needed")
        lines = []
    texts = {key: words[key] for key in ("name", "cover_name", "closing_line") if words.get(key) is not None}
    texts |= {f"lines/{index}": one for index, one in enumerate(lines)}
    for key, text in texts.items():
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_LINE or "\n" in text:
            yield Finding(key, f"one line of at most {LONGEST_LINE} characters is needed")
            continue
        yield from lint.find(text, key)
        if lacking := engine.lacks(text):
            yield Finding(key, f"the letters' font has no {lacking}")


def _read_logo(folder: Path, row: Mapping[str, Any], engine: PdfEngine) -> tuple[Logo | None, list[str]]:
    """Return the logo, or why not: format, size, content, and whether a fax machine can print it."""
    wrong = [f"{key} is not known; there are {', '.join(sorted(LOGO_KEYS))}" for key in sorted(row.keys() - LOGO_KEYS)]
    alt, height = row.get("alt"), row.get("height_mm", 15)
    if not isinstance(alt, str) or not alt.strip():
        wrong.append("alt is missing: the words for those who cannot see the picture")
    if not isinstance(height, int) or not 5 <= height <= TALLEST_MM:
        wrong.append(f"height_mm must be a whole number from 5 to {TALLEST_MM}")
    path = (folder / str(row.get("file", ""))).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return None, [*wrong, "file is not in this folder"]
    body = path.read_bytes()
    if len(body) > BIGGEST_BYTES:
        return None, [*wrong, f"the file is bigger than {BIGGEST_BYTES // 1000} kB"]
    media, ratio, content = _png(body) if body.startswith(b"\x89PNG\r\n\x1a\n") else _svg(body)
    wrong += content
    if wrong or ratio is None:
        return None, wrong
    width = round(height * ratio)
    if not 1 <= width <= WIDEST_MM:
        return None, [f"at this height it is {width} mm wide; at most {WIDEST_MM} mm are allowed"]
    source = f"data:{media};base64,{base64.b64encode(body).decode()}"
    logo = Logo(source, str(alt), round(width * 96 / 25.4), round(height * 96 / 25.4))
    illegible = _on_a_fax(source, width, height, engine)
    return (None, [illegible]) if illegible else (logo, [])


def _png(body: bytes) -> tuple[str, float | None, list[str]]:
    wide, tall = int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big")
    if body[12:16] != b"IHDR" or not 0 < wide <= 4000 or not 0 < tall <= 4000:
        return "image/png", None, ["not a PNG of at most 4000 by 4000 pixels"]
    return "image/png", wide / tall, []


def _svg(body: bytes) -> tuple[str, float | None, list[str]]:
    media = "image/svg+xml"
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return media, None, ["an SVG with a document type or entities is refused"]
    try:
        root = ET.fromstring(body)  # noqa: S314  (no document type, no entities; see above)
    except ET.ParseError:
        return media, None, ["neither PNG nor SVG"]
    wrong = []
    for one in root.iter():
        tag = str(one.tag).rpartition("}")[2]
        if tag not in _SVG_TAGS:
            wrong.append(f"the SVG element {tag} is refused: shapes only, no script, text, style or picture")
        for name, value in one.attrib.items():
            bare = name.rpartition("}")[2].lower()
            if bare.startswith("on") or bare in ("href", "style", "src") or "url(" in value.lower():
                wrong.append(f"the SVG attribute {bare} is refused: nothing is fetched and nothing runs")
    box = root.get("viewBox", "").replace(",", " ").split()
    try:
        wide, tall = float(box[2]), float(box[3])
    except (IndexError, ValueError):
        return media, None, [*wrong, "the SVG has no viewBox, so its shape is not known"]
    if str(root.tag).rpartition("}")[2] != "svg" or wide <= 0 or tall <= 0:
        return media, None, [*wrong, "not an SVG picture"]
    return media, wide / tall, list(dict.fromkeys(wrong))


def _on_a_fax(source: str, width_mm: int, height_mm: int, engine: PdfEngine) -> str | None:
    """Return why the logo cannot be read in one bit at 204 dots an inch, or None."""
    try:
        greys = engine.greys_of(source, width_mm, height_mm)
    except Exception:
        return "the picture cannot be drawn"
    whole = sum(greys.values())
    ink = sum(count for grey, count in greys.items() if grey < 128) / whole
    inked = sum(count for grey, count in greys.items() if grey < 250) or 1
    grey = sum(count for grey, count in greys.items() if 64 <= grey < 192) / inked
    if ink < INK_LEAST:
        return "on a fax nothing of it would be seen; use black on white"
    if ink > INK_MOST:
        return "on a fax it would be a black box; use black on white"
    if grey > GREY_MOST:
        return "it is grey, or a colour that is grey on a fax, which prints dots; use black on white"
    return None
