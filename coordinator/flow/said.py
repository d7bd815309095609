"""What a reader can answer, as values: checked when it comes in, whichever way it comes."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import model_validator

from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import Phone
from coordinator.domain.values import Line, Record, ShareableText

AnswerKind = Literal[
    "acknowledged",
    "agree",
    "different-plan",
    "call-me",
    "current-dose",
    "left-care",
    "not-my-patient",
    "wrong-recipient",
]
MISDIRECTED: frozenset[str] = frozenset({"not-my-patient", "wrong-recipient"})
UNSETTLING: frozenset[str] = MISDIRECTED | {"left-care"}
"""Answers after which nobody has yet done what was asked: the calls that are owed stay owed."""
UNITS: tuple[str, ...] = ("mg", "mcg")
"""Units a reader may choose; a patch or a liquid is told in words and by telephone."""
LARGEST_DOSE = Decimal(1000)
EVIDENCE_TYPES = frozenset({"application/pdf", "image/png", "image/jpeg", "image/tiff"})
MAX_EVIDENCE_BYTES = 8 * 1024 * 1024


class ReportedDose(Record):
    """A regimen as the reader reports it: `as_of` is the day from which it holds."""

    product: Line
    form: Literal["immediate-release", "extended-release", "patch", "prodrug"] | None = None
    dose: Quantity
    frequency: Line | None = None
    as_of: date

    @model_validator(mode="after")
    def _a_dose_that_can_be(self) -> Self:
        if self.dose.unit not in UNITS:
            raise ValueError("dose.unit")
        if not 0 < self.dose.value <= LARGEST_DOSE:
            raise ValueError("dose.value")
        return self


class Said(Record):
    """One answer, whole: what, by whom in which role, and what belongs to it."""

    kind: AnswerKind
    name: Line
    role: Line
    note: ShareableText | None = None
    phone: Phone | None = None
    dose: ReportedDose | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind == "current-dose" and self.dose is None:
            raise ValueError("dose.missing")
        if self.dose is not None and self.kind not in {"current-dose", "different-plan"}:
            raise ValueError("dose.unasked")
        if self.kind == "call-me" and self.phone is None:
            raise ValueError("phone.missing")
        if self.kind == "different-plan" and self.note is None and self.dose is None:
            raise ValueError("note.missing")
        return self


@dataclass(frozen=True)
class Evidence:
    """The page that an answer was typed from."""

    media_type: str
    body: bytes
    sha256: str
