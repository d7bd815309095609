"""The letter pages as HTML, and the headers they carry."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

HERE = Path(__file__).parent
STATIC: Mapping[str, str] = {"letter.css": "text/css", "letter.js": "text/javascript"}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
LETTER_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'"
)
"""For the stored letter in its frame: its own style sheet stands inside it; scripts, forms and loads are off."""
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": PAGE_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


def letter_headers() -> dict[str, str]:
    """Return the headers of the stored letter, which only our own page may frame."""
    return {**PAGE_HEADERS, "Content-Security-Policy": LETTER_POLICY, "X-Frame-Options": "SAMEORIGIN"}


def day(on: date) -> str:
    """Return a date for people: "7 March 1988"."""
    return f"{on.day} {on:%B %Y}"


class Pages:
    """Renders the letter pages."""

    def __init__(self, instant: Callable[[datetime, str], str]) -> None:
        """`instant` writes an instant in a zone for people."""
        self.files = {name: (HERE / "static" / name).read_bytes() for name in STATIC}
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["instant"] = instant
        self._environment.filters["day"] = day

    def page(
        self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **shown: object
    ) -> HTMLResponse:
        """Return a page; `shown` is what the template asks for."""
        text = self._environment.get_template(template).render(**shown)
        return HTMLResponse(text, status, {**PAGE_HEADERS, **(headers or {})})
