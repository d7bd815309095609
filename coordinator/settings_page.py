"""Keeps the table of docs/configuration.md: python -m coordinator.settings_page docs/configuration.md.

Every setting stands in it with its variable, its default and its docstring.
"""

import sys
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from coordinator.settings import Settings

PREFIX = "COORDINATOR_"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->\n"
COLUMNS = "| variable | kind | default | what it does |\n|---|---|---|---|\n"


def table() -> str:
    """Return the table of all settings, in Markdown."""
    return COLUMNS + "".join(f"{_row(name, field)}\n" for name, field in Settings.model_fields.items())


def renewed(page: str) -> str:
    """Return the page with today's table between its two marks; raise ValueError when they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page lacks its marks")
    return before + begin + table() + end + after


def _row(name: str, field: FieldInfo) -> str:
    what = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{PREFIX}{name.upper()}` | {_kind(field)} | {_default(field)} | {what} |"


def _kind(field: FieldInfo) -> str:
    text = str(field.annotation)
    if "Literal[" in text:
        return " or ".join(f"`{one}`" for one in text.partition("[")[2].rstrip("]").replace("'", "").split(", "))
    if "dict" in text or "tuple" in text:
        return "JSON"
    words = {"bool": "true or false", "int": "whole number", "float": "number", "Path": "path"}
    return next((word for part, word in words.items() if part in text), "text")


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "(shipped)" if field.default_factory is not None and "shipped" in _words(field) else "(none)"
    if value in (None, "", ()):
        return "(none)"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value.as_posix() if isinstance(value, Path) else value}`"


def _words(field: FieldInfo) -> str:
    code = getattr(field.default_factory, "__code__", None)
    return " ".join(code.co_names) if code is not None else ""


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(renewed(place.read_text("utf-8")), "utf-8")
