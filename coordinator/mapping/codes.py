"""The code tables of mappings/codes: one meaning, one place. Read and checked here, looked up in `walk`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.systems import wrong_digit

VERIFIED = frozenset({"verified", "verified-secondary"})
TABLE_KEYS = frozenset({"map", "source", "system", "target", "allowed", "reviewed", "unmapped", "fold", "rows"})
_ROW_KEYS = frozenset({"from", "code", "system", "display", "text", "source", "status", "note", "codings"})
_CODING_KEYS = frozenset({"code", "system", "display", "source", "status"})


@dataclass(frozen=True)
class Row:
    """What one word of the source means: its codings (perhaps none) and its text."""

    word: str
    codings: tuple[Mapping[str, str], ...]
    text: str | None

    def concept(self, own_text: str | None = None) -> dict[str, Any]:
        """Return a fresh CodeableConcept; the source's own words win over the table's text."""
        found: dict[str, Any] = {}
        if self.codings:
            found["coding"] = [dict(one) for one in self.codings]
        text = own_text or self.text
        if text:
            found["text"] = text
        return found


@dataclass(frozen=True)
class CodeTable:
    """One file of mappings/codes. `unmapped`: a word that is not in it holds the message, or goes out as text."""

    name: str
    rows: Mapping[str, Row]
    unmapped: Literal["hold", "text"]
    fold: bool

    def row(self, word: str) -> Row | None:
        """Return the row of a word of the source."""
        return self.rows.get(word.casefold() if self.fold else word)


def read_table(file: str, data: Value, problems: list[str]) -> CodeTable | None:
    """Return the table of one file, or None; every fault of the file is added to `problems`."""
    if not isinstance(data, dict) or not isinstance(data.get("rows"), list) or not isinstance(data.get("map"), str):
        problems.append(f"{file}: a table needs `map` and `rows`")
        return None
    problems += [f"{file}: unknown key '{key}'" for key in sorted(map(str, data.keys() - TABLE_KEYS))]
    if not data.get("source"):
        problems.append(f"{file}: `source` is missing: say where the words on the left come from")
    check_reviewed(file, data, problems)
    rows: dict[str, Row] = {}
    for number, raw in enumerate(data["rows"], 1):
        place = f"{file}: row {number}"
        row = _read_row(place, raw, data, problems)
        if row is None:
            continue
        word = row.word.casefold() if data.get("fold") else row.word
        if word in rows:
            problems.append(f"{place}: '{row.word}' stands twice in this table")
        rows[word] = row
    unmapped = data.get("unmapped", "hold")
    if unmapped not in ("hold", "text"):
        problems.append(f"{file}: `unmapped` is hold or text")
    return CodeTable(data["map"], rows, unmapped, bool(data.get("fold")))


def check_reviewed(file: str, data: Json, problems: list[str]) -> None:
    """Add a problem unless somebody's review, with its date, stands in the file."""
    reviewed = data.get("reviewed")
    if not isinstance(reviewed, dict) or not reviewed.get("by") or not isinstance(reviewed.get("on"), date):
        problems.append(f"{file}: `reviewed` is missing: {{by: who, on: YYYY-MM-DD}}")


def _read_row(place: str, raw: Value, table: Json, problems: list[str]) -> Row | None:
    if not isinstance(raw, dict) or raw.get("from") is None:
        problems.append(f"{place}: `from` is missing")
        return None
    problems += [f"{place}: unknown key '{key}'" for key in sorted(map(str, raw.keys() - _ROW_KEYS))]
    listed = raw.get("codings") or ([raw] if raw.get("code") is not None else [])
    codings = [_coding(place, one, table, problems) for one in listed]
    allowed = table.get("allowed")
    for one in codings:
        if allowed is not None and one["code"] not in allowed:
            problems.append(f"{place}: the code '{one['code']}' is not in `allowed`")
    if not codings and not raw.get("text"):
        problems.append(f"{place}: a row needs a code or a text")
    return Row(str(raw["from"]), tuple(codings), raw.get("text"))


def _coding(place: str, raw: Json, table: Json, problems: list[str]) -> dict[str, str]:
    system = raw.get("system") or table.get("system")
    code = raw.get("code")
    if not isinstance(code, str) or not code:
        problems.append(f"{place}: `code` must be text; put it in quotes")
        code = str(code)
    found = {"code": code}
    if system:
        found = {"system": system, "code": code}
        problems += [f"{place}: {fault}" for fault in _coding_faults(system, code, raw)]
    if raw.get("display"):
        found["display"] = raw["display"]
    return found


def _coding_faults(system: str, code: str, raw: Json) -> Iterator[str]:
    if wrong := wrong_digit(system, code):
        yield wrong
    if system.startswith("urn:coordinator:"):
        return
    if raw.get("status") not in VERIFIED or not raw.get("source"):
        yield "a code needs `source` and `status: verified` or `verified-secondary`; else send text"


class KnownCodes(dict[str, frozenset[str]]):
    """Every code of mappings/codes by its system; remembers which concepts and metas the gate has passed before.

    The same codings come again in every event, so each distinct one is looked at once.
    """

    def __init__(self, codes: Mapping[str, frozenset[str]]) -> None:
        super().__init__(codes)
        self.passed: set[bytes] = set()


def check_across(tables: Mapping[str, CodeTable], problems: list[str]) -> KnownCodes:
    """Return every code by its system; a code with two displays is a problem."""
    displays: dict[tuple[str, str], tuple[str | None, str]] = {}
    known: dict[str, set[str]] = {}
    for table in tables.values():
        for row in table.rows.values():
            for coding in row.codings:
                if "system" not in coding:
                    continue
                key = (coding["system"], coding["code"])
                display = coding.get("display")
                seen = displays.setdefault(key, (display, table.name))
                if seen[0] != display:
                    problems.append(
                        f"codes/{table.name}: {key[1]} has another display than in codes/{seen[1]}; keep one"
                    )
                known.setdefault(coding["system"], set()).add(coding["code"])
    return KnownCodes({system: frozenset(codes) for system, codes in known.items()})
