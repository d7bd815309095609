"""The statements that an indication forces on: each word for word, each where it belongs, none to be left out."""

import dataclasses

import pytest

from coordinator.letters.lexicon import read_yaml

ADHD = {
    "adhd-experimental": (
        "always",
        "Ketamine is being used here on an experimental, off-label basis for ADHD; it is not FDA-approved for ADHD.",
    ),
    "adhd-evidence": (
        "always",
        "Evidence is limited and far smaller than for standard ADHD medicines; responses vary between patients.",
    ),
    "adhd-duration": (
        "always",
        "Reported symptom effects last hours to days; durable benefit is not established.",
    ),
    "adhd-worse": ("always", "Attention may be temporarily worse during and shortly after a session."),
    "adhd-dosing": ("always", "There is no universal dosing standard for this use."),
    "adhd-stimulant": (
        "always",
        "Stimulants and ketamine can each raise heart rate and blood pressure; "
        "stimulant decisions remain with the prescriber.",
    ),
    "adhd-driving": (
        "driving-advice-recorded",
        "The patient was advised not to drive or use machinery until the next day after sleep.",
    ),
    "adhd-cost": ("course-start", "This use is usually not covered by insurance."),
}
ANY = {
    "stimulant-whose": ("not-adhd", "Stimulant decisions remain with the prescriber."),
    "off-label-ketamine": (
        "racemic-not-adhd",
        "Ketamine is used here off label; it is not FDA-approved for this condition.",
    ),
    "driving": (
        "driving-advice-recorded",
        "The patient was advised not to drive or use machinery until the next day after sleep.",
    ),
    "compounded": (
        "compounded",
        "The product is compounded; it has not been reviewed by the FDA for safety or effectiveness.",
    ),
}


@pytest.fixture(scope="module")
def table(templates):
    return read_yaml(templates / "layout" / "statements.yaml")


def test_each_statement_is_there_word_for_word_with_when_it_applies(table):
    def rows(part):
        return {one["id"]: (one["when"], one["text"]) for one in part}

    assert rows(table["indications"]["adhd"]) == ADHD
    assert rows(table["any"]) == ANY


def test_each_statement_is_printed_on_every_letter_that_it_belongs_to_and_on_no_other(written):
    seen = set()
    for row in written:
        if row.page.body is None or row.letter.kind == "L14":
            continue
        case, words = row.sample.case, " ".join(row.letter.text.split())
        course, event = case.patient.course, case.event
        adhd = bool(course and "adhd" in course.indications)
        advised = bool(getattr(event, "discharge", None) and event.discharge.advised_not_to_drive)
        for key, (when, text) in (ADHD if adhd else ANY).items():
            due = {"always": True, "driving-advice-recorded": advised, "not-adhd": not adhd}.get(when)
            if due is not None:
                assert (text in words) == due, (row.name, key)
                seen.add((key, due))
    assert {(key, True) for key in ADHD if key != "adhd-cost"} <= seen
    assert {("adhd-driving", False), ("stimulant-whose", True)} <= seen


def test_insurance_is_told_of_at_the_start_of_a_course_only(one):
    told = ADHD["adhd-cost"][1]
    for start in ("course-start.psychiatrist", "course-start.primary-care", "first-session.psychiatrist"):
        assert told in one(start).letter.text
    assert told not in one("bp-spike.psychiatrist").letter.text


def _with_compounded(sample, before):
    """Return the case with every dose compounded; where it has no history, with that of another sample."""
    case = sample.case

    def change(event):
        dose = getattr(event, "administration", None)
        if dose is None:
            return event
        return event.model_copy(update={"administration": dose.model_copy(update={"compounded": True})})

    history = tuple(change(one) for one in case.history)
    return dataclasses.replace(case, event=change(case.event), history=history)


@pytest.mark.parametrize(
    ("name", "audience", "said"),
    [
        ("bp-spike", "psychiatrist", True),
        ("bp-spike", "primary-care", True),
        ("dose-increase", "psychiatrist", True),
        ("dose-increase", "primary-care", True),
        ("stimulant-hold", "psychiatrist", True),
        ("course-end", "psychiatrist", True),
        ("product-switch", "psychiatrist", False),
    ],
)
def test_a_compounded_product_is_said_to_be_one_on_every_letter_of_its_course(room, name, audience, said):
    sample = room.samples().sample(name)
    case = _with_compounded(sample, room.samples().sample("dose-increase").case.history)
    text = room.write(case, sample.plan, sample.recipients[audience], fax=False)[0].text
    assert (ANY["compounded"][1] in " ".join(text.split())) is said
    plain = room.write(sample.case, sample.plan, sample.recipients[audience], fax=False)[0].text
    assert "compounded" not in plain
