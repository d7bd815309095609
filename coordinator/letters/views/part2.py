"""What goes along with Part 2 material: the prescribed notice, and the explanation of the consent it goes by."""

from dataclasses import dataclass

from coordinator.domain.part2 import is_part2
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact


@dataclass(frozen=True)
class Part2Lines:
    """42 CFR 2.32: the notice (b)(2), and what the consent says (c). `until`: its last day, if it has one."""

    notice: Traced
    signed: Traced
    recipients: Traced
    purpose: Traced
    until: Traced | None
    paper: Traced


def part2_lines(brief: Brief) -> Part2Lines | None:
    """Return what the letter has to carry, or None when it is not Part 2 material.

    A letter that cannot explain the consent it goes by is refused.
    """
    if not is_part2(brief.case):
        return None
    patient, rests_on = brief.case.patient, brief.recipient.consent
    consent = patient.consent(rests_on.directive, rests_on.version)
    if consent is None or consent.part2 is None:
        raise LetterRefused("letter.part2", brief.at_patient("/consents"))
    at = brief.at_patient(f"/consents/{patient.consents.index(consent)}")
    said = consent.part2
    return Part2Lines(
        notice=brief.words("part2", "notice", "letters:/words/part2"),
        signed=brief.day(said.signed_on, f"{at}/part2/signed_on"),
        recipients=fact(said.recipients, said.recipients, f"{at}/part2/recipients", kind="name"),
        purpose=brief.words("part2_purpose", said.purpose, f"{at}/part2/purpose"),
        until=brief.day(consent.to, f"{at}/to") if consent.to else None,
        paper=fact(said.paper, said.paper, f"{at}/part2/paper"),
    )
