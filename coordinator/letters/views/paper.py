"""Pages around a letter: the fax cover (L10), the reply form (L11), the letter to a wrong reader (L13)."""

from dataclasses import dataclass
from datetime import datetime

import segno

from coordinator.domain.registry import Clinic, Provider
from coordinator.letters import formats
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.frame import Frame, Letterhead, letterhead
from coordinator.letters.views.medicines import Stimulant

QR_SIDE_MM = 28
"""Printed side of the code without its quiet zone: at least 25 mm survives a fax at 204×98 dpi."""


@dataclass(frozen=True)
class CoverView:
    """What the fax cover prints. Nothing of the patient, the illness or a drug."""

    letterhead: Letterhead
    reader_name: Traced
    organization: Traced | None
    fax: Traced
    reference: Traced
    pages: Traced
    sent: Traced
    copy_of: Traced | None
    resent: bool
    attempt: Traced | None


def cover_view(
    clinic: Clinic,
    provider: Provider,
    reference: str,
    pages: int,
    sent_at: datetime,
    *,
    copy_of: str | None = None,
    resent: bool = False,
    attempt: int = 1,
) -> CoverView:
    """Return the cover. `pages` counts the cover itself. Without a fax endpoint the number is a dash."""
    numbers = [one.address for one in provider.endpoints if one.kind == "fax"]
    at = "registry:/providers"
    place = provider.organization
    return CoverView(
        letterhead=letterhead(clinic),
        reader_name=fact(formats.person_name(provider.name), provider.id, f"{at}/name", kind="name"),
        organization=fact(place, place, f"{at}/organization", kind="name") if place else None,
        fax=fact(formats.phone(numbers[0]) if numbers else "–", numbers, f"{at}/endpoints"),
        reference=fact(reference, reference, "case:/reference"),
        pages=fact(str(pages), pages, "case:/pages"),
        sent=fact(formats.clinic_instant(sent_at, clinic.time_zone), sent_at, "case:/sent_at"),
        copy_of=fact(copy_of, copy_of, "case:/copy_of") if copy_of else None,
        resent=resent,
        attempt=fact(str(attempt), attempt, "case:/attempt") if attempt > 1 else None,
    )


@dataclass(frozen=True)
class MisdirectedView:
    """What L13 prints: nothing of the patient, the illness or a drug."""

    letterhead: Letterhead
    reader_name: Traced | None
    organization: Traced | None
    reference: Traced
    sent: Traced
    written: Traced


def misdirected_view(
    clinic: Clinic, provider: Provider | None, reference: str, sent_at: datetime, written_at: datetime
) -> MisdirectedView:
    """Return the request to destroy a letter that reached the wrong reader; one we do not know has no name."""
    at = "registry:/providers"
    place = provider.organization if provider else None
    return MisdirectedView(
        letterhead=letterhead(clinic),
        reader_name=fact(formats.person_name(provider.name), provider.id, f"{at}/name", kind="name")
        if provider
        else None,
        organization=fact(place, place, f"{at}/organization", kind="name") if place else None,
        reference=fact(reference, reference, "case:/reference"),
        sent=fact(formats.clinic_instant(sent_at, clinic.time_zone), sent_at, "case:/sent_at"),
        written=fact(formats.clinic_instant(written_at, clinic.time_zone), written_at, "case:/written_at"),
    )


@dataclass(frozen=True)
class Code:
    """A QR code as squares: side in modules and one path of unit squares. Never the only carrier."""

    side: int
    path: str
    side_mm: int = QR_SIDE_MM


@dataclass(frozen=True)
class ReplyView:
    """What the reply form prints. `asks`: the letter asks for something; else it only starts a course.

    `choose`: the statements between which the letter asks the prescriber to choose (L12).
    `both`: the titles of the letter that asks and of the question, where one form answers both.
    """

    asks: bool
    choose: bool
    both: tuple[str, str] | None
    reference: Traced
    fax: Traced | None
    phone: Traced
    stimulant: Stimulant
    code: Code


def reply_view(
    frame: Frame, stimulant: Stimulant, *, choose: bool = False, both: tuple[str, str] | None = None
) -> ReplyView:
    """Return the reply form of a message; its code holds the reference and nothing else."""
    return ReplyView(
        asks=bool(frame.asks),
        choose=choose,
        both=both,
        reference=frame.reference,
        fax=frame.letterhead.fax,
        phone=frame.letterhead.phone,
        stimulant=stimulant,
        code=qr_code(frame.reference.text),
    )


def qr_code(text: str) -> Code:
    """Return the code of a text, error correction at its highest, as rows of black runs."""
    rows = [bytes(row) for row in segno.make_qr(text, error="h").matrix]
    runs = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            width = 0
            while x + width < len(row) and row[x + width]:
                width += 1
            if width:
                runs.append(f"M{x} {y}h{width}v1h-{width}z")
            x += max(width, 1)
    return Code(side=len(rows), path="".join(runs))
