"""Sessions from a CSV file, one row each. `COLUMNS` is the documented list of columns.

A cell is data and nothing else: one that begins like a formula is taken as the text
it is, and is refused where that text may not stand.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from coordinator.domain.plan import Fault
from coordinator.planning.faults import Unreadable, pointer
from coordinator.planning.reading import read_value

Kind = Literal["text", "whole", "quantity", "yes-no", "list"]
MAX_CELL = 2_000
"""No cell of a session is longer; a longer one is a file with a missing quotation mark."""


@dataclass(frozen=True)
class Column:
    """One column: its name, the place in the event it fills, and how its cells are written."""

    name: str
    place: str
    kind: Kind
    about: str


_SLOTS = ("baseline", "10-min", "20-min", "30-min", "40-min", "60-min", "90-min", "120-min", "discharge")
_SIGNS: tuple[tuple[str, Kind, str], ...] = (
    ("at", "text", "time of the reading, with offset"),
    ("systolic", "whole", "mmHg"),
    ("diastolic", "whole", "mmHg"),
    ("heart_rate", "whole", "per minute"),
    ("spo2", "whole", "percent"),
)
_SCORES = ("phq-9", "gad-7", "madrs", "qids-sr16", "asrs-v1.1", "asrs-5", "cadss", "cadss-6")


_FIRST: tuple[Column, ...] = (
    Column("id", "id", "text", "the session's own id"),
    Column("version", "version", "whole", "rises with each amendment; empty means 1"),
    Column("recorded_at", "recorded_at", "text", "time with offset, such as 2026-10-14T13:10:00-05:00"),
    Column("recorded_by", "recorded_by", "text", "id of the member of staff"),
    Column("attested_by", "attested_by", "text", "id of the member of staff"),
    Column("amendment_reason", "amendment_reason", "text", "why this version was made"),
    Column("patient", "patient", "text", "the clinic's own patient number"),
    Column("course", "course/id", "text", "id of the course"),
    Column("part2", "part2", "yes-no", "true where it is a 42 CFR Part 2 record"),
    Column("phase", "course/phase", "text", "induction, evaluation, maintenance, taper or re-induction"),
    Column("session_number", "course/session_number", "whole", "number within the course"),
    Column("planned_sessions", "course/planned_sessions", "whole", "how many the course plans"),
    Column("status", "status", "text", "completed, aborted, not-given, no-show, cancelled, ..."),
    Column("status_reason", "status_reason", "text", "why, where it was not completed"),
    Column("product", "administration/product", "text", "ketamine or esketamine"),
    Column("route", "administration/route", "text", "intravenous, intramuscular, intranasal, ..."),
    Column("dose", "administration/dose", "quantity", "total given, with unit: 41 mg"),
    Column("ordered", "administration/ordered", "quantity", "with unit: 0.5 mg/kg"),
    Column("started_at", "administration/started_at", "text", "time with offset"),
    Column("ended_at", "administration/ended_at", "text", "time with offset"),
    Column("devices", "administration/devices", "whole", "esketamine devices used"),
    Column("lot_number", "administration/lot_number", "text", "lot of the product"),
    Column("sprays", "administration/sprays", "whole", "number of sprays"),
    Column("dose_per_spray", "administration/dose_per_spray", "quantity", "with unit: 10 mg"),
    Column("volume_per_spray", "administration/volume_per_spray", "quantity", "with unit: 0.1 mL"),
    Column("concentration", "administration/concentration", "quantity", "with unit: 100 mg/mL"),
    Column("compounded", "administration/compounded", "yes-no", "true or false"),
    Column("dose_reason", "administration/reason", "text", "why an unusual dose was given"),
    Column("weight", "weight", "quantity", "with unit: 82 kg"),
    Column("height", "height", "quantity", "with unit: 175 cm"),
)
_AFTER_VITALS: tuple[Column, ...] = (
    Column("blood_pressure_symptoms", "blood_pressure_symptoms", "list", "none, or words between semicolons"),
    Column("emergency_care_used", "emergency_care_used", "yes-no", "true or false"),
    Column("moaas_lowest", "sedation/lowest", "whole", "deepest sedation, 5 to 0"),
    Column("moaas_at", "sedation/at", "text", "time with offset"),
    Column("dissociation", "dissociation/present", "yes-no", "true or false"),
    Column("cadss_total", "dissociation/cadss_total", "whole", "0 to 92"),
    Column("dissociation_resolved_at", "dissociation/resolved_at", "text", "time with offset"),
)
_AFTER_SCORES: tuple[Column, ...] = (
    Column("phq_9_item_9", "scores/phq-9/item_9", "whole", "answer to the ninth question, 0 to 3"),
    Column("scores_on", "scores_on", "text", "day of the scores; empty means the day of recorded_at"),
    Column("suicide_risk", "suicide_risk/result", "text", "none, low, moderate or high"),
    Column("suicide_risk_instrument", "suicide_risk/instrument", "text", "c-ssrs-screener or clinician-judgement"),
    Column("suicide_risk_administered", "suicide_risk/administered", "text", "interview or self-report"),
    Column("suicide_risk_at", "suicide_risk/at", "text", "time with offset"),
)
_LAST: tuple[Column, ...] = (
    Column("monitoring_ended_at", "monitoring_ended_at", "text", "time with offset"),
    Column("monitoring_shortened_reason", "monitoring_shortened_reason", "text", "why observation was short"),
    Column("discharged_at", "discharge/at", "text", "time with offset"),
    Column("ready", "discharge/ready", "yes-no", "discharge criteria met: true or false"),
    Column("escort", "discharge/escort", "yes-no", "true or false"),
    Column("advised_not_to_drive", "discharge/advised_not_to_drive", "yes-no", "true or false"),
    Column("next_session_on", "next_session_on", "text", "day: 2026-10-16"),
    Column("plan", "plan", "text", "what may be shared, at most 600 characters"),
)


def _columns() -> Iterator[Column]:
    yield from _FIRST
    for slot in _SLOTS:
        for sign, kind, about in _SIGNS:
            yield Column(f"{slot}_{sign}".replace("-", "_"), f"vitals/{slot}/{sign}", kind, about)
    yield from _AFTER_VITALS
    for one in _SCORES:
        yield Column(_score_column(one), f"scores/{one}/total", "whole", f"total of {one}")
    yield from _AFTER_SCORES
    for place, (name, kind, about) in _STIMULANT.items():
        yield Column(name, f"other_medications_taken/{place}", kind, about)
    yield from _LAST


def _score_column(instrument: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", instrument)


_STIMULANT: Mapping[str, tuple[str, Kind, str]] = {
    "product": ("stimulant", "text", "product the patient takes; no other medicine fits in a row"),
    "form": ("stimulant_form", "text", "immediate-release, extended-release, patch or prodrug"),
    "dose": ("stimulant_dose", "quantity", "with unit: 30 mg"),
    "frequency": ("stimulant_frequency", "text", "such as once daily"),
    "last_taken_at": ("stimulant_last_taken_at", "text", "time with offset"),
    "source": ("stimulant_source", "text", "patient, family, label, prescriber, pharmacy or clinic"),
}
COLUMNS: tuple[Column, ...] = tuple(_columns())
"""Every column there is, in the order of a template file. An empty cell means: not said.

`unknown` in a cell means that nobody knows; `not done: <reason>` that it was left
out on purpose. A quantity is written with its unit. Without adverse-event columns,
a session with an adverse event goes in as JSON.
"""
HOW_CELLS_ARE_WRITTEN: Mapping[Kind, str] = {
    "text": "text",
    "whole": "whole number",
    "quantity": "amount and UCUM unit with a blank between",
    "yes-no": "true or false",
    "list": "words between semicolons",
}
_BY_NAME: Mapping[str, Column] = {one.name: one for one in COLUMNS}
_BY_POINTER: Mapping[str, str] = {"/" + one.place: one.name for one in COLUMNS}
_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_QUANTITY = re.compile(r"(\S+)\s+(\S+)")
_NOT_DONE = re.compile(r"not done:\s*(.*)", re.IGNORECASE)


def columns_page() -> str:
    """Return the page that documents the columns, as Markdown."""
    rows = [f"| `{one.name}` | {HOW_CELLS_ARE_WRITTEN[one.kind]} | {one.about} | `/{one.place}` |" for one in COLUMNS]
    lines = [
        "# Sessions as CSV: the columns",
        "",
        "One row is one session. Columns may stand in any order, and those that are not needed may be left out.",
        "UTF-8, commas, a header line. An empty cell means that nothing is said; `unknown` that nobody knows;",
        "`not done: <reason>` that it was left out on purpose. A cell is data: what looks like a formula is text.",
        "Adverse events, other medicines than one stimulant, and changes of dose go in as JSON.",
        "",
        "| column | written as | what it is | place in the event |",
        "|---|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def read_rows(text: Iterable[str]) -> Iterator[tuple[int, dict[str, Any] | tuple[Fault, ...]]]:
    """Yield each data row with its number (1 is the first after the header): an event, or its faults.

    The event is a plain value whose numbers are int or text, ready to be written
    as JSON. Faults name the column. A wrong header is one result under row 0.
    """
    rows = csv.reader(text, strict=True)
    try:
        header = [name.strip().lower() for name in next(rows)]
    except StopIteration:
        return
    except csv.Error:
        yield 0, (Fault("", "csv", "The header is not CSV.", "Save the file as CSV, in UTF-8, with commas."),)
        return
    wrong = tuple(_header_faults(header))
    if wrong:
        yield 0, wrong
        return
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield number, (Fault("", "csv", "The row is not CSV.", "Check its quotation marks."),)
            continue
        if any(cell.strip() for cell in cells):
            yield number, _row(header, cells)


def _header_faults(header: list[str]) -> Iterator[Fault]:
    for name in header:
        if name not in _BY_NAME:
            shown = name if name.isprintable() and len(name) <= 64 else "one of these names"
            yield Fault("", "csv.column", f"There is no column {shown}.", "See the documented list of columns.")
        elif header.count(name) > 1:
            yield Fault("", "csv.column", f"The column {name} stands there twice.", "Keep one of them.")


def _row(header: list[str], cells: list[str]) -> dict[str, Any] | tuple[Fault, ...]:
    if len(cells) != len(header):
        message = "The row has another number of cells than the header."
        return (Fault("", "csv.cells", message, "Check commas and quotation marks."),)
    long = [name for name, cell in zip(header, cells, strict=True) if len(cell) > MAX_CELL]
    if long:
        return tuple(Fault("", "csv.cell", f"Column {name}: the cell is too long.", "Shorten it.") for name in long)
    event = _event({name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()})
    try:
        read_value(event)
    except Unreadable as wrong:
        return tuple(_with_column(one, event) for one in wrong.faults)
    return event


def _event(cells: Mapping[str, str]) -> dict[str, Any]:
    """Return the event of a row, nested as the contract has it."""
    event: dict[str, Any] = {"type": "session-outcome", "schema_version": 1, "version": 1}
    for name, cell in cells.items():
        column = _BY_NAME[name]
        _put(event, column.place.split("/"), _value(column.kind, cell))
    vitals, scores = event.pop("vitals", {}), event.pop("scores", {})
    day = event.pop("scores_on", None) or str(event.get("recorded_at", ""))[:10]
    event["vitals"] = [{"slot": slot, **signs} for slot, signs in vitals.items()]
    event["scores"] = [{"instrument": one, "on": day, **score} for one, score in scores.items()]
    if "sedation" in event:
        event["sedation"]["scale"] = "moaa-s"
    taken = event.get("other_medications_taken")
    if taken is not None:
        event["other_medications_taken"] = [{"role": "stimulant", "dose": {"unknown": True}, **taken}]
    return event


def _put(into: dict[str, Any], steps: list[str], value: object) -> None:
    for step in steps[:-1]:
        into = into.setdefault(step, {})
    into[steps[-1]] = value


def _value(kind: Kind, cell: str) -> object:
    """Return what a cell says. What cannot be read stays as its text, so that the reader refuses it by its column."""
    if cell.lower() == "unknown":
        return {"unknown": True}
    undone = _NOT_DONE.fullmatch(cell)
    if undone is not None:
        return {"not_done": undone.group(1)}
    if kind == "whole" and _WHOLE.fullmatch(cell):
        return int(cell)
    if kind == "yes-no" and cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    if kind == "list" and cell.lower() != "none":
        return [part.strip() for part in cell.split(";")]
    amount = _QUANTITY.fullmatch(cell) if kind == "quantity" else None
    return cell if amount is None else {"value": amount.group(1), "unit": amount.group(2)}


def _with_column(fault: Fault, event: Mapping[str, Any]) -> Fault:
    """Return the fault with the name of the column it comes from in front."""
    name = column_of(fault.pointer, event)
    return fault if name is None else replace(fault, message=f"Column {name}: {fault.message}")


def column_of(where: str, event: Mapping[str, Any]) -> str | None:
    """Return the column that fills a place of a row's event, or None."""
    parts = where.split("/")[1:]
    if len(parts) > 1 and parts[0] in ("vitals", "scores") and parts[1].isdigit():
        row = event[parts[0]][int(parts[1])]
        parts[1] = str(row.get("slot") or row.get("instrument"))
    if parts[:1] == ["other_medications_taken"] and len(parts) > 1:
        del parts[1]
    while parts:
        found = _BY_POINTER.get(pointer(parts))
        if found is not None:
            return found
        parts.pop()
    return None
