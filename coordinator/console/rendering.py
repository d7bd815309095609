"""Pages out of templates: the environment, the frame every page shares, and times in the clinic's own zone."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from coordinator.console import words
from coordinator.console.access import Person, form_token
from coordinator.console.contracts import Service
from coordinator.domain.errors import NotFound
from coordinator.flow.endpoint_checks import EndpointRow
from coordinator.flow.read_models import Actor, Overview
from coordinator.flow.resend_jobs import JobView
from coordinator.flow.sending_desk import LeftAlone, SendingDesk

HERE = Path(__file__).parent
STATIC: Mapping[str, str] = {"console.css": "text/css", "console.js": "text/javascript", "mark.svg": "image/svg+xml"}
CLINIC_KEPT_S = 60.0
REFUSED = 400
"""From this status on a page says why nothing was done, and its forms keep what was typed."""


def mark_of(overview: Overview) -> str:
    """Return a short mark that changes when any message moves. An open page compares it before it loads itself anew.

    The overview holds no PHI, so that a page left open does not fill the audit trail with looks that nobody took.
    """
    return hashlib.sha256(repr(overview).encode()).hexdigest()[:16]


class Pages:
    """Renders pages. Knows the clinic's name and zone, and when it is."""

    def __init__(self, service: Service, now: Callable[[], datetime]) -> None:
        self._service = service
        self.now = now
        self._clinic: tuple[float, str, ZoneInfo] | None = None
        self.files = {name: (HERE / "static" / name).read_bytes() for name in STATIC}
        self.environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals["asset"] = self.asset
        self.environment.globals["words"] = words
        self.environment.globals["has_answers"] = False
        self.environment.globals["has_paper"] = False
        self.environment.globals["has_sending"] = False
        self._sending: SendingDesk | None = None
        self._endpoints: Callable[[], Sequence[EndpointRow]] = tuple
        self.environment.filters["time"] = self.time
        self.environment.filters["since"] = self.since
        self.environment.filters["day"] = words.day

    def page(
        self, request: Request, template: str, person: Person | None, *, status: int = 200, **shown: object
    ) -> HTMLResponse:
        """Return a page. `person` None is a page before sign-in; `shown` is what the template asks for."""
        waiting, to_review, mark = 0, 0, ""
        if person is not None and person.may("attention"):
            overview = shown.get("overview")
            known = overview if isinstance(overview, Overview) else self._service.desk.overview()
            waiting, mark = known.needs_attention, mark_of(known)
            to_review = known.answers_waiting + known.incidents_open
        form_cookie = request.cookies.get(request.app.state.cookies.form, "")
        text = self.environment.get_template(template).render(
            person=person,
            clinic=self.clinic()[0],
            zone=self.clinic()[1].key,
            csrf=person.csrf if person else form_token(form_cookie),
            waiting=waiting,
            to_review=to_review,
            mark=mark,
            standing_holds=() if self._sending is None or person is None else self._sending.holds(),
            here=request.url.path,
            now=self.now(),
            address_of=self.names(),
            typed=_typed(request) if status >= REFUSED else _nothing_typed,
            **shown,
        )
        return HTMLResponse(text, status_code=status)

    def show_holds(self, sending: SendingDesk, endpoints: Callable[[], Sequence[EndpointRow]]) -> None:
        """Show on every page what is held: nobody may wonder why nothing goes out. `endpoints` gives them names."""
        self._sending, self._endpoints = sending, endpoints
        self.environment.globals["has_sending"] = True

    def left_alone(self) -> Sequence[LeftAlone]:
        """Return the addresses that are left alone, each one problem with the messages behind it."""
        return () if self._sending is None else [one for one in self._sending.left_alone() if one.waiting]

    def jobs_to_approve(self) -> Sequence[JobView]:
        """Return the lists that wait for a second person."""
        return () if self._sending is None else [one for one in self._sending.jobs() if one.state == "asked"]

    def names(self) -> Callable[[str], str]:
        """Return what tells whose address an id is and by what it goes ("Maeve Byrne, DO, by fax").

        An address that has gone keeps its id. The registry is read once, at the first
        question: a page with many addresses on it asks for it no oftener.
        """
        known = cache(
            lambda: {one.id: f"{one.recipient}, {words.BY.get(one.kind, one.kind)}" for one in self._endpoints()}
        )
        return lambda endpoint_id: known().get(endpoint_id, endpoint_id)

    def clinic(self) -> tuple[str, ZoneInfo]:
        """Return the clinic's name and time zone, read again every minute; no name and UTC while there is none."""
        if self._clinic is None or time.monotonic() - self._clinic[0] > CLINIC_KEPT_S:
            name, zone = "", ZoneInfo("UTC")
            try:
                found = json.loads(self._service.registry.read("clinic", None, Actor("job", "console")))
                name, zone = str(found.get("name", "")), ZoneInfo(found.get("time_zone", "UTC"))
            except (NotFound, ZoneInfoNotFoundError):
                pass
            self._clinic = (time.monotonic(), name, zone)
        return self._clinic[1], self._clinic[2]

    def asset(self, name: str) -> str:
        """Return the address of a static file; it changes with the file, so that it may be kept for long."""
        return f"/static/{hashlib.sha256(self.files[name]).hexdigest()[:12]}/{name}"

    def time(self, at: datetime | None, *, seconds: bool = False) -> Markup:
        """Return an instant in the clinic's zone as a time element: "Mon 23 Nov, 14:05"."""
        if at is None:
            return Markup('<span class="quiet">–</span>')
        here = at.astimezone(self.clinic()[1])
        this_year = here.year == self.now().astimezone(self.clinic()[1]).year
        shape = f"%a %-d %b{'' if this_year else ' %Y'}, %H:%M{':%S' if seconds else ''}"
        whole = here.strftime("%A %-d %B %Y, %H:%M:%S %Z")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(
            at.astimezone(UTC).isoformat(timespec="seconds"), whole, here.strftime(shape)
        )

    def since(self, at: datetime | None) -> str:
        """Return how long ago that was, in the largest unit that fits: "3 h"."""
        if at is None:
            return ""
        return words.span((self.now() - at).total_seconds())


def _typed(request: Request) -> Callable[..., str]:
    """Return what tells what a person had typed into a form that was refused, so that it need not be typed again.

    It is asked with the form's address and the field's name, and, where a page has the
    form many times, with the hidden fields that tell which of them it was.
    """
    fields: Mapping[str, str] = getattr(request.state, "typed", {})

    def of(form: str, name: str, **which: str) -> str:
        mine = request.url.path == form and all(fields.get(key) == value for key, value in which.items())
        return fields.get(name, "") if mine else ""

    return of


def _nothing_typed(_form: str, _name: str, **_which: str) -> str:
    return ""
