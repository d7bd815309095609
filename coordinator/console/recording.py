"""What staff write down about a letter: an answer by telephone or by reply form, and a letter in the wrong place."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from coordinator.console import presenters
from coordinator.console.access import Person, Requires, Upload, posted, posted_with_file
from coordinator.console.answers import AnswersService
from coordinator.console.contracts import Service
from coordinator.console.rendering import Pages
from coordinator.domain.characters import unseen
from coordinator.domain.errors import Refused
from coordinator.domain.values import Code
from coordinator.flow.incidents import KINDS
from coordinator.flow.said import EVIDENCE_TYPES, UNITS, Evidence, Said

MAX_NOTE = 500
SIGNS: Mapping[bytes, str] = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
"""How a file begins says what it is; what the browser calls it is only a hint."""
WORDS: Mapping[str, str] = {
    "name": "Who answered? Write the name.",
    "role": "Which role does that person have? Such as: psychiatrist, nurse, front desk.",
    "phone.missing": "A wish to be called needs the telephone number, in international form: +1-218-555-0110.",
    "phone": "Write the telephone number in international form: +1-218-555-0110.",
    "note.missing": "Another plan needs its words, or the dose.",
    "note": "The note has at most 500 characters, without line breaks or signs that cannot be printed.",
    "dose.missing": "A current dose needs the product, the amount, the unit and the day.",
    "dose.unasked": "A dose belongs to a current dose or a different plan only; leave it empty here.",
    "unseen": "One of the texts holds a character that nobody sees. Type it anew instead of copying it.",
    "dose": "The dose is not understood: product, amount in figures, unit, and the day from which it holds.",
}

Form = Annotated[Mapping[str, str], Depends(posted)]
Sheet = Annotated[Upload, Depends(posted_with_file)]
Recorder = Annotated[Person, Depends(Requires("answer"))]


def add_routes(router: APIRouter, service: Service, answers: AnswersService, pages: Pages) -> None:
    """Add the form for an answer, and those that open and close an incident."""

    @router.get("/messages/{message_id}/answer")
    def form(message_id: Code, request: Request, person: Recorder) -> Response:
        """Show the form for an answer that came by telephone, or on a reply form."""
        return _form(request, service, pages, person, message_id)

    @router.post("/messages/{message_id}/answer")
    def record(message_id: Code, request: Request, sheet: Sheet, person: Recorder) -> Response:
        """Record the answer. It waits for a clinician's review."""
        fields = sheet.fields
        via: Literal["form", "phone"] = "form" if fields.get("via") == "form" else "phone"
        try:
            said, evidence = _said(fields), _evidence(sheet)
            token = f"{message_id}|{fields.get('token', '')[:64]}"
            answers.answers.record(
                message_id, said, via=via, evidence=evidence, token=token, actor=person.actor,
                delivery_id=fields.get("reached") or None,
            )  # fmt: skip
        except Refused as refused:
            return _form(request, service, pages, person, message_id, wrong=refused.reason, status=422, kept=fields)
        done = "still-open" if answers.answers.still_open(message_id) else "recorded"
        return RedirectResponse(f"/answers?done={done}", 303)

    @router.post("/messages/{message_id}/incident")
    def incident(message_id: Code, request: Request, fields: Form, person: Recorder) -> Response:
        """Open an incident: the letter reached the wrong place. Its address is frozen for everybody at once."""
        note = fields.get("note", "").strip()[:MAX_NOTE]
        try:
            answers.answers.open_incident(
                message_id, kind=fields.get("kind", ""), note=note, actor=person.actor,
                delivery_id=fields.get("delivery") or None,
            )  # fmt: skip
        except Refused as refused:
            return _form(request, service, pages, person, message_id, wrong=refused.reason, status=409, kept=fields)
        return RedirectResponse("/answers?done=incident", 303)


def _form(
    request: Request,
    service: Service,
    pages: Pages,
    person: Person,
    message_id: str,
    *,
    wrong: str | None = None,
    status: int = 200,
    kept: Mapping[str, str] | None = None,
) -> Response:
    detail = service.desk.message(message_id, person.actor)
    return pages.page(
        request, "answer_form.html", person, status=status, detail=detail, row=detail.row, kept=kept or {}, units=UNITS,
        kinds=KINDS, wrong=wrong, reached=presenters.reached(detail),
    )  # fmt: skip


def _said(fields: Mapping[str, str]) -> Said:
    """Return the answer as typed; raise Refused with what is wrong with it, in words."""

    def typed(name: str) -> str | None:
        return " ".join(fields.get(name, "").split()) or None

    if any(unseen(text) for text in fields.values()):
        raise Refused("answer.words", WORDS["unseen"])
    made: dict[str, Any] = {
        "kind": fields.get("kind", ""), "name": typed("name") or "", "role": typed("role") or "", "note": typed("note"),
        "phone": typed("phone"),
    }  # fmt: skip
    if any(typed(name) for name in ("product", "value", "as_of")):
        made["dose"] = {
            "product": typed("product") or "",
            "dose": {"value": typed("value") or "", "unit": fields.get("unit", "")},
            "frequency": typed("frequency"),
            "as_of": typed("as_of") or "",
        }
    try:
        return Said.model_validate(made)
    except ValidationError as wrong:
        first = wrong.errors(include_input=False, include_url=False)[0]
        code = str(first.get("ctx", {}).get("error", ""))
        where = str(first["loc"][0]) if first["loc"] else ""
        raise Refused("answer.words", WORDS.get(code) or WORDS.get(where) or "Choose what was answered.") from None


def _evidence(sheet: Upload) -> Evidence | None:
    if not sheet.body:
        return None
    found = next((kind for start, kind in SIGNS.items() if sheet.body.startswith(start)), None)
    if found not in EVIDENCE_TYPES:
        raise Refused("answer.evidence-type", "The page must be a PDF, PNG, JPEG or TIFF file.")
    return Evidence(found, sheet.body, hashlib.sha256(sheet.body).hexdigest())
