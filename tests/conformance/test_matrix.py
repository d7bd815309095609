"""The matrix holds what it claims: every value and every missing value of the contract, every mapping, every level.

The lists are read from the contract's classes and from the mappings, never written down here; what
the matrix need not hold is named, with why.
"""

import json
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from coordinator.domain.events import EVENT, DoseChange, SessionOutcome
from coordinator.domain.registry import Registry
from coordinator.domain.values import NotDone, Unknown
from tests.conformance.made import bodies, everything, fhir_documents
from tests.conformance.matrix.every import renderings
from tests.conformance.matrix.inputs import PUBLIC, Rendering, example, registry
from tests.conformance.matrix.products import PRODUCTS
from tests.conformance.rendered import call, everything_rendered

ROOT = Path(__file__).parents[2]
SPECIAL = {Unknown: "unknown", NotDone: "not done", type(None): "missing"}

pytestmark = pytest.mark.timeout(600)
"""Whoever asks first waits until everything is rendered: a quarter of a minute, more on a busy machine."""

NOT_OF_THE_EVENT = {
    "Endpoint.kind", "Endpoint.auth", "EndpointAuth.*", "Endpoint.ccda", "Endpoint.content_level",
    "Endpoint.patient_match", "Endpoint.verified_by", "Endpoint.verified_how", "Endpoint.verified_on",
    "Staff.role", "Staff.phone", "Clinic.fallback", "Clinic.closing_line", "Patient.attending_override",
    "Provider.endpoints", "Provider.contacts", "Contact.*", "Patient.earlier_courses", "Patient.language",
    "Endpoint.test", "AgreedTest.*", "Endpoint.pace", "EndpointPace.*",
}  # fmt: skip
"""Fields of the registry that no FHIR content reads: how to send and whom to sign for, or words of a letter."""


REFUSED = {("Score.items", "none"), ("Patient.course", "missing"), ("PatientCourse.indications", "none")}
"""What the checks refuse: a scale with an empty list of items, a patient who is treated for nothing on record."""


def _alternatives(kind: Any) -> tuple[Any, ...]:
    """Return what a field may hold: the members of a union, without Annotated."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(inner for one in typing.get_args(kind) for inner in _alternatives(one))
    return (kind,)


def _claims(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield (field, branch) of all that a class and the classes in it may hold."""
    seen: set[type[BaseModel]] = set()
    waiting = [model]
    while waiting:
        now = waiting.pop()
        if now in seen:
            continue
        seen.add(now)
        for name, field in now.model_fields.items():
            yield from ((f"{now.__name__}.{name}", one) for one in _branches(field))
            waiting += _inside(field.annotation)


def _inside(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [] if kind in SPECIAL else [kind]
    return [one for inner in typing.get_args(kind) for one in _inside(inner)]


def _branches(field: FieldInfo) -> Iterator[str]:
    for one in _alternatives(field.annotation):
        if one in SPECIAL:
            yield SPECIAL[one]
        elif typing.get_origin(one) is typing.Literal:
            yield from map(str, typing.get_args(one))
        elif typing.get_origin(one) is tuple:
            yield "none"
            inner = typing.get_args(one)[0]
            listed = typing.get_args(inner) if typing.get_origin(inner) is typing.Literal else ("some",)
            yield from map(str, listed)
        else:
            yield "given"


def _held(record: BaseModel) -> Iterator[tuple[str, str]]:
    """Yield (field, branch) of what one record really holds."""
    for name, field in type(record).model_fields.items():
        value, place = getattr(record, name), f"{type(record).__name__}.{name}"
        literal = any(typing.get_origin(one) is typing.Literal for one in _alternatives(field.annotation))
        for kind, word in SPECIAL.items():
            if isinstance(value, kind):
                yield place, word
        if isinstance(value, tuple):
            yield place, "some" if value else "none"
            yield from ((place, str(one)) for one in value)
        elif literal and isinstance(value, str | int):
            yield place, str(value)
            yield place, "given"
        elif not isinstance(value, tuple(SPECIAL)):
            yield place, "given"
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, BaseModel) and not isinstance(one, tuple(SPECIAL)):
                yield from _held(one)


@cache
def held() -> frozenset[tuple[str, str]]:
    """Return everything that the inputs of the matrix hold."""
    found: set[tuple[str, str]] = set()
    for one in renderings().values():
        found |= set(_held(EVENT.validate_python(one.event)))
        found |= set(_held(Registry.model_validate(one.registry)))
    return frozenset(found)


def _excused(field: str, branch: str) -> bool:
    nobody = branch == "none" and field.startswith("Registry.")
    return (
        nobody
        or (field, branch) in REFUSED
        or field in NOT_OF_THE_EVENT
        or f"{field.partition('.')[0]}.*" in NOT_OF_THE_EVENT
    )


@pytest.mark.parametrize("model", [SessionOutcome, DoseChange, Registry])
def test_every_value_and_every_missing_value_of_the_contract_occurs(model: type[BaseModel]) -> None:
    assert [claim for claim in _claims(model) if claim not in held() and not _excused(*claim)] == []


def test_every_excuse_is_about_a_field_of_the_registry() -> None:
    fields = {field for field, _ in _claims(Registry)}
    assert [one for one in NOT_OF_THE_EVENT if one not in fields and not one.endswith(".*")] == []


def test_there_are_many_more_than_forty_varied_events_and_each_is_another() -> None:
    events = {json.dumps([one.event, one.registry, one.history], sort_keys=True) for one in renderings().values()}
    assert len(events) > 120
    assert len(everything_rendered()) == len(renderings())


def test_every_status_product_route_and_action_is_told_of() -> None:
    told = {
        name for name, composed in everything_rendered().items() if any(one.contents for one in composed.recipients)
    }
    events = [EVENT.validate_python(renderings()[name].event) for name in told]
    sessions = [one for one in events if isinstance(one, SessionOutcome)]
    changes = [one for one in events if isinstance(one, DoseChange)]
    for field in ("SessionOutcome.status", "Administration.product", "Administration.route", "DoseChange.action",
                  "DoseChange.kind", "DoseChange.subject"):  # fmt: skip
        owner, _, name = field.partition(".")
        model = SessionOutcome if owner == "Administration" else {"DoseChange": DoseChange}.get(owner, SessionOutcome)
        wanted = {branch for place, branch in _claims(model) if place == field}
        listed = changes if owner == "DoseChange" else sessions
        holders = [one.administration for one in sessions] if owner == "Administration" else listed
        assert {str(getattr(one, name)) for one in holders if one is not None} >= wanted, field


def test_every_product_of_the_shipped_tables_goes_out_with_its_code() -> None:
    table = yaml.safe_load((ROOT / "mappings" / "codes" / "medicine-product.yaml").read_text())
    sent = {
        coding.get("code")
        for one in everything() if one["resource"]["resourceType"] == "MedicationStatement"
        for coding in one["resource"]["medicationCodeableConcept"].get("coding", [])
    }  # fmt: skip
    assert len(PRODUCTS) == len(table["rows"])
    assert {row["code"] for row in table["rows"]} - sent == set()


def test_every_mapping_makes_something() -> None:
    made = {
        name
        for composed in everything_rendered().values() for one in composed.recipients
        for content in one.contents for name in content.mappings
    }  # fmt: skip
    inside = {one["resource"]["resourceType"] for one in everything()}
    files = {file.stem for file in (ROOT / "mappings" / "events").glob("*.yaml")}
    # A composition stands only inside the FHIR document of a DocumentReference, which names the letter's own mapping.
    # A task is withdrawn only where the far side holds one that is no longer asked: tests/unit/mapping shows that.
    assert files - made == {"both.composition", "both.task-withdrawn"}
    assert "Composition" in inside


def test_every_content_level_goes_to_every_kind_of_recipient() -> None:
    made = {
        (one.plan.audience, bool(one.plan.requests), content.level)
        for composed in everything_rendered().values() for one in composed.recipients for content in one.contents
    }  # fmt: skip
    audiences, levels = ("psychiatrist", "primary-care"), ("chart", "document", "message")
    assert {(who, asked, level) for who in audiences for asked in (True, False) for level in levels} <= made
    assert any(list(fhir_documents(one["resource"])) for one in bodies())


def test_every_answer_to_the_question_of_consent_occurs_and_only_a_yes_makes_content() -> None:
    told: dict[str, bool] = {}
    for composed in everything_rendered().values():
        for one in composed.recipients:
            told[one.plan.consent.reason] = told.get(one.plan.consent.reason, False) or bool(one.contents)
            assert not one.contents or one.plan.consent.permits
    assert told == {
        "consent": True, "restriction": False, "revoked": False, "expired": False, "not-yet": False,
        "no-consent": False, "content": False,
    }  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_example_rendered_with_nothing_spared_holds_the_same(name: str, tmp_path: Path) -> None:
    """The command writes files, letters drawn as PDF and all; but for the PDF they are what the judges see."""
    given = Rendering(example(name), registry())
    call(given, tmp_path)
    same = next(key for key, one in renderings().items() if one == given)
    quick = {
        f"{one.plan.provider}.{content.level}.json": json.loads(content.body)
        for one in everything_rendered()[same].recipients for content in one.contents
    }  # fmt: skip
    written = {file.name: json.loads(file.read_bytes()) for file in (tmp_path / "out").glob("pr-*.json")}
    assert written.keys() == quick.keys()
    for file, body in written.items():
        assert _without_pdf(body) == _without_pdf(quick[file]), file


def _without_pdf(value: Any) -> Any:
    if isinstance(value, dict):
        drawn = value.get("contentType") == "application/pdf"
        left = {key: one for key, one in value.items() if not (drawn and key in ("data", "hash", "size"))}
        return {key: _without_pdf(one) for key, one in left.items()}
    return [_without_pdf(one) for one in value] if isinstance(value, list) else value
