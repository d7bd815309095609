"""A far side that keeps what it is sent: twice adds nothing, a correction replaces, a retraction takes back."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain.case import Case
from coordinator.domain.events import EVENT
from coordinator.mapping.content import build_content
from coordinator.mapping.load import Mappings, load
from coordinator.sandbox import ehr_records
from tests.conformance.events import cases, letter, plan, recipient

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mappings() -> Mappings:
    return load(ROOT / "mappings")


@pytest.fixture
def far_side() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    schema = next(value for value in vars(ehr_records).values() if isinstance(value, str) and "CREATE TABLE" in value)
    connection.executescript(schema)
    yield connection
    connection.close()


def chart(mappings: Mappings, case: Case, provider: str = "pr-psych", *, with_letter: bool = True) -> dict[str, Any]:
    who = recipient(provider)
    letters = (letter(provider),) if with_letter else ()
    (content,) = build_content(mappings, case, plan(who), who, letters, frozenset({"chart"}))  # type: ignore[arg-type]
    return json.loads(content.body)


def kept(far_side: sqlite3.Connection, kind: str) -> list[dict[str, Any]]:
    rows = far_side.execute("SELECT body FROM resources WHERE type=? ORDER BY id", (kind,)).fetchall()
    return [json.loads(row[0]) for row in rows]


def count(far_side: sqlite3.Connection) -> int:
    return int(far_side.execute("SELECT count(*) FROM resources").fetchone()[0])


@pytest.mark.parametrize("name", ["spike", "esketamine-56", "own-increase", "asked-hold", "told-by-patient"])
def test_the_same_chart_twice_adds_and_changes_nothing(
    far_side: sqlite3.Connection, mappings: Mappings, name: str
) -> None:
    bundle = chart(mappings, cases()[name])
    _, first = ehr_records.transact(far_side, bundle)
    before = count(far_side)
    _, again = ehr_records.transact(far_side, bundle)
    assert (first, again) == (True, False)
    assert count(far_side) == before == len(bundle["entry"])


def test_a_corrected_reading_replaces_the_wrong_one(far_side: sqlite3.Connection, mappings: Mappings) -> None:
    old = cases()["spike"]
    data = old.event.model_dump(by_alias=True)
    data["vitals"][2]["systolic"] = 148
    newer = EVENT.validate_python({**data, "version": 2, "amendment_reason": "typing fault"})
    ehr_records.transact(far_side, chart(mappings, old))
    ehr_records.transact(far_side, chart(mappings, replace(old, event=newer, previous=old.event)))
    pressures = [
        one for one in kept(far_side, "Observation") if "component" in one and one["code"]["text"] == "Blood pressure"
    ]
    at_forty = [one for one in pressures if "10:40" in one["effectiveDateTime"]]
    assert len(pressures) == 6
    assert [one["component"][0]["valueQuantity"]["value"] for one in at_forty] == [148]
    assert len(kept(far_side, "DocumentReference")) == len(kept(far_side, "Communication")) == 2


def test_a_retraction_leaves_nothing_standing(far_side: sqlite3.Connection, mappings: Mappings) -> None:
    every = cases()
    ehr_records.transact(far_side, chart(mappings, every["spike"]))
    ehr_records.transact(far_side, chart(mappings, every["spike-retracted"], with_letter=False))
    for kind in ("Observation", "Encounter", "MedicationAdministration", "Procedure", "MedicationRequest"):
        assert {one["status"] for one in kept(far_side, kind)} == {"entered-in-error"}, kind


def test_two_recipients_at_one_far_side_share_the_visit(far_side: sqlite3.Connection, mappings: Mappings) -> None:
    case = cases()["spike"]
    ehr_records.transact(far_side, chart(mappings, case, "pr-psych"))
    ehr_records.transact(far_side, chart(mappings, case, "pr-pcp"))
    assert len(kept(far_side, "Encounter")) == 1
    assert len(kept(far_side, "MedicationAdministration")) == 1
    assert len(kept(far_side, "Communication")) == 2
