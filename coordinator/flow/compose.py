"""From a case to everything that may be sent: the plan, and per recipient the letters and the FHIR bodies. Pure."""

import hashlib
from dataclasses import dataclass, replace

from coordinator.domain.case import Case
from coordinator.domain.letter import ContentLevel, FhirContent, Letter
from coordinator.domain.plan import Plan, Question, RecipientPlan
from coordinator.flow.document_order import document_id
from coordinator.flow.parts import Workshop
from coordinator.flow.rows import NewDocument
from coordinator.letters.columns import TEXT_COLUMNS, in_columns
from coordinator.letters.narrative import blocks_of
from coordinator.letters.speech import ClinicSpeech
from coordinator.mapping.ccda.note import progress_notes
from coordinator.mapping.ccda.sheet import NOTE
from coordinator.mapping.content import EventResources, build_content, prepare_event
from coordinator.mapping.recipient_content import takes_only_text
from coordinator.planning.plan import make_plan

LEVELS: frozenset[ContentLevel] = frozenset({"chart", "singles", "tasks", "document", "message"})


@dataclass(frozen=True)
class ForRecipient:
    """What one recipient would get."""

    plan: RecipientPlan
    letters: tuple[Letter, ...]
    contents: tuple[FhirContent, ...]
    notes: tuple[bytes, ...] = ()
    """The letters as C-CDA Progress Notes, one each, where a Direct address wants them and there was a visit."""


@dataclass(frozen=True)
class Composed:
    """The whole outcome of one event version."""

    case: Case
    plan: Plan
    recipients: tuple[ForRecipient, ...]


def compose(
    workshop: Workshop, case: Case, questions: tuple[Question, ...] = (), *, every_level: bool = False
) -> Composed:
    """Return plan, letters and FHIR bodies of a case.

    `every_level` makes all FHIR content levels for everybody, as the dry run shows
    them; otherwise only what the recipient's own channels can carry. Raises
    MappingHeld or LetterRefused; nothing is composed for a recipient without consent.
    """
    plan = make_plan(case, workshop.rules, questions)
    shared = prepare_event(workshop.mappings, case, plan) if any(_is_told(one) for one in plan.recipients) else None
    made = []
    for recipient in plan.recipients:
        if not _is_told(recipient):
            made.append(ForRecipient(recipient, (), ()))
            continue
        made.append(compose_for(workshop, case, plan, recipient, every_level=every_level, shared=shared))
    return Composed(case, plan, tuple(made))


def _is_told(recipient: RecipientPlan) -> bool:
    return recipient.not_sent_because is None


def compose_for(
    workshop: Workshop,
    case: Case,
    plan: Plan,
    recipient: RecipientPlan,
    *,
    every_level: bool = False,
    shared: EventResources | None = None,
) -> ForRecipient:
    """Return what one recipient gets: the letters in three forms, and the FHIR bodies its channels may carry."""
    kinds: set[str] = {one.kind for one in recipient.channels}
    letters: tuple[Letter, ...] = ()
    if recipient.letters:
        letters = workshop.letters.write(case, plan, recipient, fax="fax" in kinds)
        letters = _as_shown(workshop, case, recipient, letters)
    levels = LEVELS if every_level else levels_for(kinds)
    contents = build_content(workshop.mappings, case, plan, recipient, letters, levels, shared) if levels else ()
    notes: tuple[bytes, ...] = ()
    if letters and _wants_note(case, recipient):
        told = [(one, blocks_of(one.html)) for one in letters]
        speech = ClinicSpeech(case.clinic.time_zone)
        notes = progress_notes(workshop.mappings, case, plan, recipient, told, speech, shared)
    return ForRecipient(recipient, letters, contents, notes)


def _wants_note(case: Case, recipient: RecipientPlan) -> bool:
    usable = {one.endpoint for one in recipient.channels if one.usable and one.kind == "direct"}
    endpoints = case.provider(recipient.provider).endpoints
    return any(one.id in usable and one.ccda == "progress-note" for one in endpoints)


def _as_shown(
    workshop: Workshop, case: Case, recipient: RecipientPlan, letters: tuple[Letter, ...]
) -> tuple[Letter, ...]:
    """Return the letters, for a system that takes nothing but text also laid out for its window."""
    only_text, columns = takes_only_text(workshop.mappings, case.provider(recipient.provider), recipient)
    if not only_text:
        return letters
    return tuple(replace(one, text_in_columns=in_columns(one.html, columns or TEXT_COLUMNS)) for one in letters)


def levels_for(kinds: set[str]) -> frozenset[ContentLevel]:
    """Return the content levels that endpoints of these kinds can carry."""
    levels: set[ContentLevel] = set()
    if "fhir-rest" in kinds:
        levels |= {"chart", "singles", "tasks", "document"}
    if "fhir-message" in kinds:
        levels.add("message")
    return frozenset(levels)


def documents_of(message_id: str, made: ForRecipient) -> tuple[NewDocument, ...]:
    """Return the documents to store with a message, each with its hash and what it was made with."""
    found: list[NewDocument] = []

    def add(role: str, title: str, media_type: str, body: bytes, made_with: str) -> None:
        name = document_id(message_id, role, len(found))
        digest = hashlib.sha256(body).hexdigest()
        found.append(NewDocument(name, message_id, role, title, media_type, body, digest, made_with))

    for letter in made.letters:
        made_with = f"template {letter.kind} {letter.template_version}"
        add("letter-html", letter.title, "text/html", letter.html.encode(), made_with)
        add("letter-text", letter.title, "text/plain", letter.text.encode(), made_with)
        add("letter-pdf", letter.title, "application/pdf", letter.pdf, made_with)
        if letter.cover_pdf is not None:
            add("fax-pdf", letter.title, "application/pdf", letter.cover_pdf, made_with)
    for letter, note in zip(made.letters, made.notes, strict=False):
        add("ccda-note", letter.title, "application/xml", note, f"mapping {NOTE}; template {letter.template_version}")
    for content in made.contents:
        mappings = ", ".join(f"{name} {version}" for name, version in sorted(content.mappings.items()))
        title = f"FHIR {content.resource_type}"
        add(f"fhir-{content.level}", title, "application/fhir+json", content.body, f"mapping {mappings}"[:2000])
    return tuple(found)


def package_hash(hashes: list[str]) -> str:
    """Return the one hash that stands for all stored forms of a message."""
    return hashlib.sha256("\n".join(sorted(hashes)).encode()).hexdigest()
