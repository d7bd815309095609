"""42 CFR Part 2: which records are substance-use-disorder treatment records of a Part 2 programme.

What is true anywhere is true: of the clinic, of the course, of the record itself, or of an
earlier record that what is written may draw on. Nothing is guessed from what a record says.
"""

from coordinator.domain.case import Case
from coordinator.domain.registry import Patient, Registry


def is_part2(case: Case) -> bool:
    """Return whether what is made from the case is Part 2 material.

    A letter draws on the version it corrects, on the sessions it sums up and on the
    patient's earlier records, so one of those that is Part 2 makes it Part 2. A
    partner's test patient has no records.
    """
    if case.is_test:
        return False
    records = [case.event, *case.history, *case.digest_of, *([case.previous] if case.previous else [])]
    return any(one.part2 or registered_part2(case.registry, case.patient, one.course.id) for one in records)


def registered_part2(registry: Registry, patient: Patient, course: str | None) -> bool:
    """Return whether the registry says so of a course: itself, or the clinic as a whole.

    Of a course that the registry does not have, every course of the patient is asked: a
    mistyped id must not take the protection away.
    """
    named = [one for one in patient.courses if one.id == course] or patient.courses
    return registry.clinic.part2 or any(one.part2 for one in named)
