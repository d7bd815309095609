"""A finished letter, and the content made from an event for one endpoint."""

from dataclasses import dataclass, field
from typing import Literal

from coordinator.domain.plan import LetterKind


@dataclass(frozen=True)
class Letter:
    """One rendered letter for one recipient: three forms of the same words, and what they were made with."""

    kind: LetterKind
    provider: str
    title: str
    subject: str
    """A subject line without PHI, for mail-like channels."""
    reference: str
    version: int
    language: str
    html: str
    text: str
    pdf: bytes
    template_version: str
    type_code: str
    """Key of the document type in mappings/codes (a word, never a LOINC literal)."""
    cover_pdf: bytes | None = None
    """One cover and the fax variants of all letters of the message, one PDF; with the first letter, where they may
    go by fax."""
    text_in_columns: str | None = None
    """The text laid out for a window of fixed width, where the recipient's system takes nothing but text."""


ContentLevel = Literal["chart", "singles", "tasks", "document", "message"]


@dataclass(frozen=True)
class FhirContent:
    """One FHIR body for one recipient and content level, gated, ready to be stored and sent."""

    level: ContentLevel
    body: bytes
    resource_type: str
    mappings: dict[str, int] = field(default_factory=dict)
    """Mapping name -> version: what Provenance says it was made with."""


@dataclass(frozen=True)
class MappingProblem:
    """Why no content could be made: which element, which table, never the value. Holds the message."""

    element: str
    code: str
    sentence: str
    fix: str
