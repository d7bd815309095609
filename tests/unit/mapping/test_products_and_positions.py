"""Products by name, form and dose; and that the names of list items hold nothing of the patient."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from coordinator.domain.ids import stable_uuid
from tests.unit.mapping.conftest import Make, example

HOLD = "dose-change.stimulant-hold"
SPIKE = "session-outcome.bp-spike"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def known_medicine(make: Make, product: str, form: str | None, dose_mg: str) -> dict[str, Any]:
    data = example(HOLD)
    data["from"] = {**data["from"], "product": product, "form": form, "dose": {"value": dose_mg, "unit": "mg"}}
    entries = make(data).body("chart")["entry"]
    return next(
        one["resource"]["medicationCodeableConcept"]
        for one in entries
        if one["resource"]["resourceType"] == "MedicationRequest" and one["resource"]["intent"] == "plan"
    )


@pytest.mark.parametrize(
    ("product", "form", "dose_mg", "code"),
    [
        ("Adderall XR", "extended-release", "30", "861232"),
        ("Adderall XR", "extended-release", "30.0", "861232"),
        ("mixed amphetamine salts", "immediate-release", "7.5", "1009145"),
        ("Vyvanse capsule", "prodrug", "70", "854842"),
        ("vyvanse chewable tablet", "prodrug", "40", "1871456"),
        ("Concerta", "extended-release", "54", "1091210"),
        ("Focalin XR", "extended-release", "35", "1101932"),
    ],
)
def test_an_exact_product_form_and_strength_gets_its_code_beside_the_words(
    make: Make, product: str, form: str, dose_mg: str, code: str
) -> None:
    concept = known_medicine(make, product, form, dose_mg)
    assert [(one["system"], one["code"]) for one in concept["coding"]] == [(RXNORM, code)]
    assert concept["text"] == product


@pytest.mark.parametrize(
    ("product", "form", "dose_mg", "codes"),
    [
        ("Adderall XR", "extended-release", "35", []),
        ("Adderall XR", None, "30", []),
        ("Adderall XR", "immediate-release", "30", []),
        ("mixed amphetamine salts", "extended-release", "25", []),
        ("Vyvanse", "prodrug", "40", ["700810"]),
        ("methylphenidate", "extended-release", "36", ["6901"]),
        ("Concerta", "extended-release", "72", ["6901"]),
    ],
)
def test_what_is_not_exactly_in_the_table_stays_words_and_ingredient(
    make: Make, product: str, form: str | None, dose_mg: str, codes: list[str]
) -> None:
    concept = known_medicine(make, product, form, dose_mg)
    assert [one["code"] for one in concept.get("coding", [])] == codes
    assert concept["text"] == product


def test_an_item_is_named_by_its_place_and_not_by_its_words(make: Make) -> None:
    def ids(term: str) -> set[str]:
        data = example(SPIKE)
        data["adverse_events"] = [{"term": term, "severity": "mild", "serious": False}]
        return {one["fullUrl"] for one in make(data).body("chart")["entry"]}

    assert ids("Headache") == ids("Dizziness")


def test_no_name_is_a_hash_of_a_medicine_or_an_adverse_event(make: Make) -> None:
    data = example(SPIKE)
    text = json.dumps(make(data).body("chart"))
    named: Callable[..., str] = stable_uuid
    for name, word in (("known-regimen", "Adderall XR"), ("medicine-taken", "Adderall XR")):
        assert named("charting", data["id"], name, word) not in text
