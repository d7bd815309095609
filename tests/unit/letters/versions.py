"""What a letter is made of, as one number: a change that its version does not tell of is found by it."""

import hashlib
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, meta

from coordinator.letters.lexicon import read_yaml

FRAME = "layout/letter.html"
FORM = "letters/reply_form/body.html"
FRAMED_BY_ITSELF = frozenset({"reply_form", "fax_cover", "misdirected"})
STYLES = ("print.css", "form.css", "part2.css", "fax.css", "close.css", "fonts.css")
WORDS = ("words.yaml", "statements.yaml", "instruments.yaml")


def sources(templates: Path, *roots: str) -> frozenset[str]:
    """Return every template that these are made of, themselves among them."""
    env = Environment(loader=FileSystemLoader(templates), extensions=["jinja2.ext.i18n"], autoescape=True)
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found and name.endswith(".html"):
            found.add(name)
            text = (templates / name).read_text(encoding="utf-8")
            waiting += [one for one in meta.find_referenced_templates(env.parse(text)) if one]
    return frozenset(found)


def made_of(templates: Path) -> dict[str, dict[str, Any]]:
    """Return part -> its version and the digest of what it is made of: each letter, each table of words, the styles."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((templates / "letters").glob("*/letter.yaml")):
        data, folder = read_yaml(path), path.parent.name
        roots = [one.relative_to(templates).as_posix() for one in path.parent.rglob("*.html")]
        roots += [] if folder in FRAMED_BY_ITSELF else [FRAME, "layout/ask.html"]
        roots += [FORM] if data.keys() & {"reply_form", "reply_form_always"} else []
        said = [data["title"], *sorted(map(str, data.get("titles", {}).values())), data.get("retraction_title", "")]
        said += _spanish(templates) if "es" in data.get("languages", ()) else []
        texts = [(templates / name).read_text(encoding="utf-8") for name in sorted(sources(templates, *roots))]
        found[folder] = {"version": data["version"], "made_of": _digest([*said, *texts])}
    for name in WORDS:
        text = (templates / "layout" / name).read_text(encoding="utf-8")
        found[name] = {"version": read_yaml(templates / "layout" / name)["version"], "made_of": _digest([text])}
    looks = [(templates / "layout" / name).read_bytes().hex() for name in STYLES]
    looks += [path.read_bytes().hex() for path in sorted((templates / "layout" / "fonts").glob("*.ttf"))]
    found["style.yaml"] = {
        "version": read_yaml(templates / "layout" / "style.yaml")["version"],
        "made_of": _digest(looks),
    }
    return found


def _spanish(templates: Path) -> list[str]:
    """Return the Spanish sentences, without those that wait for theirs."""
    with (templates / "locale" / "es.po").open("rb") as file:
        return sorted(f"{one.id}\x1f{one.string}" for one in read_po(file) if one.id and one.string)


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\x1e".join(texts).encode()).hexdigest()[:16]


def untold(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """Return the parts that have changed and have the version they had, or a lower one."""
    return [
        name
        for name, part in now.items()
        if name in before and part["made_of"] != before[name]["made_of"] and part["version"] <= before[name]["version"]
    ]
