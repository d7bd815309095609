"""The validation table: what is refused, and what a person must confirm before anything is composed.

The rows live in mappings/rules/validation.yaml and mappings/instruments/. A row that
is a limit is data alone; a row that is logic names a predicate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, get_args

from coordinator.domain.case import ClinicEvent
from coordinator.domain.errors import ConfigurationError
from coordinator.domain.events import Product, Route, Subject
from coordinator.domain.plan import Fault, Question
from coordinator.domain.quantities import Quantity, plain
from coordinator.domain.registry import Registry
from coordinator.planning.check_change import CHANGE_PREDICATES
from coordinator.planning.check_course import COURSE_PREDICATES
from coordinator.planning.check_dose import DOSE_PREDICATES
from coordinator.planning.check_measures import BY_WEIGHT, MEASURES
from coordinator.planning.check_session import SESSION_PREDICATES
from coordinator.planning.check_view import UNSAID, Found, Predicate, View, drug_at, places
from coordinator.planning.faults import pointer
from coordinator.planning.instruments import Instruments, load_instruments, score_faults
from coordinator.planning.rule_files import check_keys, read_table, rows_of

PREDICATES: Mapping[str, Predicate] = {
    **SESSION_PREDICATES,
    **DOSE_PREDICATES,
    **COURSE_PREDICATES,
    **CHANGE_PREDICATES,
}
ROLES = ("clinician", "nurse", "front-desk")
_ALWAYS = frozenset({"patient-unknown", "patient-changed", "staff-unknown", "provider-unknown"})
"""Asked even of a record that was entered in error: who it is about must hold."""


@dataclass(frozen=True)
class Limit:
    """One measured value: what is accepted silently, what is refused; everything between is asked."""

    row: Mapping[str, Any]
    accept: tuple[Decimal | None, Decimal | None]
    refuse_outside: tuple[Decimal | None, Decimal | None]
    within_neighbour: Decimal | None


@dataclass(frozen=True)
class CheckBook:
    """The whole table, ready to use."""

    units: tuple[Mapping[str, Any], ...]
    limits: tuple[Limit, ...]
    logic: tuple[Mapping[str, Any], ...]
    instruments: Instruments


ROWS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "units": (("id", "at", "units", "says", "fix"), ("only",)),
    "limits": (
        ("id", "accept", "refuse_outside", "says", "fix", "asks"),
        ("at", "measure", "quantity", "numbers", "only", "role", "taken_when_neighbour_within"),
    ),
    "logic": (
        ("id", "predicate", "level"),
        ("says", "fix", "asks", "numbers", "role", "instead_of", "suggestion"),
    ),
}
"""What a row of each part needs, and what it may have besides."""
ONLY: Mapping[str, tuple[str, ...]] = {
    "products": get_args(Product),
    "routes": (*get_args(Route), UNSAID),
    "subjects": get_args(Subject),
}
"""What a row may be kept to, and the words for it. `subjects` are those of changes of dose; a session has none."""


def load_checks(rules_dir: Path, instruments_dir: Path) -> CheckBook:
    """Return the table of `rules_dir`/validation.yaml with the instruments; raise ConfigurationError."""
    path = rules_dir / "validation.yaml"
    raw = read_table(path, ("version", *ROWS))
    for part, (required, optional) in ROWS.items():
        for row in rows_of(f"{path.name}: {part}", raw[part]):
            check_keys(f"{path.name}: {row['id']}", row, required=required, optional=optional)
            _check_only(f"{path.name}: {row['id']}", row.get("only", {}))
    ids: set[str] = set()
    for row in (*raw["units"], *raw["limits"], *raw["logic"]):
        if row["id"] in ids:
            raise ConfigurationError(f"{path.name}: the row {row['id']} stands there twice")
        ids.add(row["id"])
    for row in raw["logic"]:
        if row["predicate"] not in PREDICATES or row["level"] not in ("refuse", "ask"):
            raise ConfigurationError(f"{path.name}: {row['id']} names no predicate or level that exists")
        if ("says" not in row or "fix" not in row) if row["level"] == "refuse" else "asks" not in row:
            raise ConfigurationError(f"{path.name}: {row['id']} lacks its sentence")
    return CheckBook(
        tuple(raw["units"]),
        tuple(_limit(row, path.name) for row in raw["limits"]),
        tuple(raw["logic"]),
        load_instruments(instruments_dir),
    )


def _check_only(where: str, only: Mapping[str, Any]) -> None:
    check_keys(f"{where}: only", only, required=(), optional=tuple(ONLY))
    for key, words in only.items():
        if not set(words) <= set(ONLY[key]):
            raise ConfigurationError(f"{where} names {key} that do not exist")


def _limit(row: Mapping[str, Any], name: str) -> Limit:
    where = f"{name}: {row['id']}"
    if ("at" in row) == ("measure" in row) or row.get("measure", "age_years") not in MEASURES:
        raise ConfigurationError(f"{where} needs either a place or a measure that exists")
    if row.get("measure") in BY_WEIGHT and not isinstance(row.get("numbers", {}).get("weight_days"), int):
        raise ConfigurationError(f"{where} needs, under numbers, weight_days: how old a weight may be")
    near = row.get("taken_when_neighbour_within")
    try:
        return Limit(
            row, _span(row["accept"]), _span(row["refuse_outside"]), None if near is None else Decimal(str(near))
        )
    except (InvalidOperation, ValueError) as wrong:
        raise ConfigurationError(f"{where} needs two numbers, or null for no limit, in each span") from wrong


def _span(pair: Sequence[str | int | None]) -> tuple[Decimal | None, Decimal | None]:
    low, high = (None if one is None else Decimal(str(one)) for one in pair)
    return low, high


def check(
    book: CheckBook,
    event: ClinicEvent,
    registry: Registry,
    history: tuple[ClinicEvent, ...],
    received_at: datetime,
    previous: ClinicEvent | None = None,
) -> tuple[tuple[Fault, ...], tuple[Question, ...]]:
    """Return everything wrong with an event, and everything a person must confirm.

    An event with a fault is refused; one with only questions is kept and waits. A
    place that has a fault is not asked about as well. A record that is retracted
    (entered in error) is only checked for whom it is about. `previous` is the version
    taken in before this one, if any.
    """
    view = View(event, registry, history, received_at, previous)
    retracted = event.status == "entered-in-error"
    faults: list[Fault] = []
    questions: list[Question] = []
    if not retracted:
        faults.extend(_unit_faults(book, view))
        wrong_units = {one.pointer.rpartition("/")[0] for one in faults}
        for limit in book.limits:
            _judge(limit, view, wrong_units, faults, questions)
        faults.extend(score_faults(book.instruments, event))
    for row in book.logic:
        if retracted and row["id"] not in _ALWAYS:
            continue
        for found in PREDICATES[row["predicate"]](view, row.get("numbers", {})):
            if row["level"] == "refuse":
                faults.append(Fault(found.pointer, row["id"], row["says"], row["fix"]))
            else:
                questions.append(_question(row, found))
    return _settled(book, faults, questions)


def _settled(
    book: CheckBook, faults: list[Fault], questions: list[Question]
) -> tuple[tuple[Fault, ...], tuple[Question, ...]]:
    """Return both lists without doubles, and without what a more exact word on the same place already says."""
    said = {(one.pointer, one.code) for one in faults} | {(one.pointer, _row_of(one)) for one in questions}
    replaced = {
        (where, code)
        for row in book.logic
        for code in row.get("instead_of", ())
        for where, by in said
        if by == row["id"]
    }
    kept = tuple(dict.fromkeys(one for one in faults if (one.pointer, one.code) not in replaced))
    faulty = {one.pointer for one in kept}
    asked = tuple(
        one
        for one in dict.fromkeys(questions)
        if (one.pointer, _row_of(one)) not in replaced and one.pointer not in faulty
    )
    return kept, asked


def _row_of(question: Question) -> str:
    return question.id.partition("@")[0]


def _unit_faults(book: CheckBook, view: View) -> Iterator[Fault]:
    for row in book.units:
        for path in row["at"]:
            for at, value in places(view.event, path):
                if not isinstance(value, Quantity) or value.normalised().unit in row["units"]:
                    continue
                if _is_for(row, view, at):
                    yield Fault(pointer((*at, "unit")), row["id"], row["says"], row["fix"])


def _is_for(row: Mapping[str, Any], view: View, at: tuple[str | int, ...]) -> bool:
    """Whether a row that is for some products, routes or subjects only is for a place of the event."""
    only = row.get("only")
    if only is None:
        return True
    if view.change is not None and view.change.subject not in only.get("subjects", ONLY["subjects"]):
        return False
    product, route = drug_at(view, at)
    return ("products" not in only or product in only["products"]) and ("routes" not in only or route in only["routes"])


def _judge(limit: Limit, view: View, wrong_units: set[str], faults: list[Fault], questions: list[Question]) -> None:
    """Sort every value that a limit is about into accepted, asked or refused.

    What a change says of the dose before it is asked where another would be refused: it may have been so.
    """
    row = limit.row
    computed = "measure" in row
    found = MEASURES[row["measure"]](view, row.get("numbers", {})) if computed else places(view.event, row["at"])
    values = [(at, number) for at, value in found if _is_for(row, view, at) and (number := _number(value)) is not None]
    for at, number in values:
        # A quantity's own place is the amount; its fault points at the value in it.
        where = pointer(at if computed or not row.get("quantity") else (*at, "value"))
        if where.rpartition("/")[0] in wrong_units:
            continue
        if not _inside(number, limit.refuse_outside) and at[0] != "from":
            faults.append(Fault(where, row["id"], row["says"], row["fix"]))
        elif not _inside(number, limit.accept) and not _has_neighbour(limit, at, number, values):
            words = {"value": plain(number), "place": where, "side": "old" if at[0] == "from" else "new"}
            questions.append(
                Question(f"{row['id']}@{where}", where, row["asks"].format_map(words), row.get("role", "clinician"))
            )


def _has_neighbour(limit: Limit, at: tuple[str | int, ...], number: Decimal, values: list[Any]) -> bool:
    """Whether another reading of the session lies close to this one, so that it is no slip of the finger."""
    if limit.within_neighbour is None:
        return False
    return any(other != at and abs(near - number) <= limit.within_neighbour for other, near in values)


def _number(value: object) -> Decimal | None:
    if isinstance(value, Quantity):
        return value.normalised().value
    if isinstance(value, Decimal):
        return value
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _inside(number: Decimal, span: tuple[Decimal | None, Decimal | None]) -> bool:
    low, high = span
    return (low is None or number >= low) and (high is None or number <= high)


def _question(row: Mapping[str, Any], found: Found) -> Question:
    suggestion = row.get("suggestion")
    role = row.get("role", "clinician")
    return Question(
        id=f"{row['id']}@{found.pointer}",
        pointer=found.pointer,
        text=row["asks"].format_map(found.words),
        role=role if role in ROLES else "clinician",
        suggestion=suggestion.format_map(found.words) if suggestion else None,
    )
