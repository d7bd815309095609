"""What one partner's server takes: a file of mappings/partners as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.mapping import r4
from coordinator.mapping.additions import Addition, check_addition
from coordinator.mapping.codes import check_reviewed
from coordinator.mapping.json_values import Json, Value

PARTNER_KEYS = frozenset(
    {
        "partner", "version", "reviewed", "source", "notes", "transaction", "transaction_entries",
        "conditional_create", "creates", "singles", "updates", "own_references", "encounter", "already_there",
        "attachments", "one_attachment", "text_columns", "fhir_document", "searches_identifier", "read_back",
        "try_again", "patient_merged", "additions",
    }
)  # fmt: skip
NARROWEST = 20
"""Narrower than this no letter can be laid out."""
_LISTS_OF_TYPES = ("singles", "updates")
_LISTS = ("creates", *_LISTS_OF_TYPES, "attachments", "already_there", "patient_merged")
_YES_OR_NO = (
    "transaction", "conditional_create", "own_references", "one_attachment", "fhir_document", "searches_identifier",
)  # fmt: skip
COMPARED = ("status", "date", "context.period", "relatesTo", "content")
"""What of a document read back may be left out of the comparison. Whose it is never is."""
LONGEST_WAIT_S = 7 * 24 * 3600


@dataclass(frozen=True)
class ReadBack:
    """The server's own copy of a letter is read, and compared with what was sent, before it counts as arrived."""

    after_s: int = 0
    """0: in the same try. Else that many seconds later, which also finds what was taken and then not kept."""
    ignores: tuple[str, ...] = ()
    """What this server is known to set by itself, of COMPARED."""


@dataclass(frozen=True)
class Partner:
    """Per-partner differences. None means: as the CapabilityStatement says."""

    name: str
    version: int
    transaction: bool | None = None
    transaction_entries: int | None = None
    """The most entries that a transaction may have there; a longer one is sent entry by entry."""
    conditional_create: bool | None = None
    creates: tuple[str, ...] | None = None
    singles: tuple[str, ...] = ()
    """The types created there one by one, the first first. Empty: documents only."""
    updates: tuple[str, ...] = ()
    """The types that a correction may update under the id they were given there."""
    own_references: bool = False
    """References go by the ids of that server, which are looked up, and not by identifier."""
    encounter: str | None = None
    """"theirs": what is filed needs a visit of the patient that is open there, and exactly one."""
    already_there: tuple[str, ...] = ()
    """Codes by which its refusal says that it holds this very reading."""
    try_again: Mapping[str, int] = field(default_factory=dict)
    """Codes by which it asks for a pause, whatever the status, and the seconds of that pause."""
    patient_merged: tuple[str, ...] = ()
    """Codes by which it says that the record has become part of another one."""
    attachments: tuple[str, ...] = ()
    one_attachment: bool = False
    text_columns: int | None = None
    """How wide it shows a note of plain text, where that is known."""
    fhir_document: bool = False
    searches_identifier: bool | None = None
    read_back: ReadBack | None = None
    """None: the server's word that it has filed it is enough."""
    notes: str = ""
    additions: Mapping[str, tuple[Addition, ...]] = field(default_factory=dict)
    """By the name of the mapping they change."""


def read_partner(
    file: str, data: Value, problems: list[str], additions: Mapping[str, tuple[Addition, ...]] | None = None
) -> Partner:
    """Return the partner of one file; faults are added to `problems`."""
    if not isinstance(data, Mapping):
        problems.append(f"{file}: a partner file is a list of settings")
        return Partner("", 0)
    if odd := _odd_values(file, data):
        problems += odd
        return Partner("", 0)
    _check(file, data, problems)
    creates = data.get("creates")
    return Partner(
        name=str(data.get("partner")),
        version=data.get("version", 0),
        transaction=data.get("transaction"),
        transaction_entries=data.get("transaction_entries"),
        conditional_create=data.get("conditional_create"),
        creates=None if creates is None else tuple(creates),
        singles=tuple(data.get("singles", ())),
        updates=tuple(data.get("updates", ())),
        own_references=bool(data.get("own_references", False)),
        encounter=data.get("encounter"),
        already_there=tuple(str(one) for one in data.get("already_there", ())),
        try_again=_pauses(file, data, problems),
        patient_merged=tuple(str(one) for one in data.get("patient_merged", ())),
        attachments=tuple(data.get("attachments", ())),
        one_attachment=bool(data.get("one_attachment", False)),
        text_columns=data.get("text_columns"),
        fhir_document=bool(data.get("fhir_document", False)),
        searches_identifier=data.get("searches_identifier"),
        read_back=_read_back(file, data, problems),
        notes=str(data.get("notes", "")),
        additions=additions or {},
    )


def _read_back(file: str, data: Json, problems: list[str]) -> ReadBack | None:
    wish = data.get("read_back")
    if wish is None:
        return None
    if not isinstance(wish, Mapping) or wish.keys() - {"after_s", "ignores"}:
        problems.append(f"{file}: `read_back` has `after_s` and `ignores`, and nothing else")
        return None
    after_s, ignores = wish.get("after_s", 0), wish.get("ignores", [])
    if not isinstance(after_s, int) or isinstance(after_s, bool) or not 0 <= after_s <= LONGEST_WAIT_S:
        problems.append(f"{file}: `read_back.after_s` is a whole number of seconds from 0 to {LONGEST_WAIT_S}")
        return None
    if not isinstance(ignores, list) or any(one not in COMPARED for one in ignores):
        problems.append(f"{file}: `read_back.ignores` may name {', '.join(COMPARED)}")
        return None
    return ReadBack(after_s, tuple(ignores))


def _pauses(file: str, data: Json, problems: list[str]) -> dict[str, int]:
    said = data.get("try_again", {})
    rows = said.items() if isinstance(said, Mapping) else [("", None)]
    good = {str(code): wait for code, wait in rows if isinstance(wait, int) and not isinstance(wait, bool) and wait > 0}
    if len(good) != len(rows):
        problems.append(f"{file}: `try_again` maps a code to the seconds until the next try")
    return good


def _odd_values(file: str, data: Json) -> list[str]:
    """Return what is of another kind than it must be. A "false" in quotes would count as yes."""
    wrong = [name for name in _YES_OR_NO if not isinstance(data.get(name), bool | None)]
    words = [name for name in _LISTS if not isinstance(data.get(name), list | None)]
    return [
        *(f"{file}: `{name}` is true or false, without quotes" for name in wrong),
        *(f"{file}: `{name}` is a list" for name in words),
    ]


def _check(file: str, data: Json, problems: list[str]) -> None:
    problems += [f"{file}: unknown key '{key}'" for key in sorted(map(str, data.keys() - PARTNER_KEYS))]
    check_reviewed(file, data, problems)
    if data.get("partner") != file.removeprefix("partners/").removesuffix(".yaml"):
        problems.append(f"{file}: `partner` must be the file's own name")
    if not data.get("source"):
        problems.append(f"{file}: `source` is missing: say where the facts come from")
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        problems.append(f"{file}: `version` is a whole number from 1 that rises with every change")
    most = data.get("transaction_entries")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        problems.append(f"{file}: `transaction_entries` is a whole number from 1")
    columns = data.get("text_columns")
    if columns is not None and (not isinstance(columns, int) or isinstance(columns, bool) or columns < NARROWEST):
        problems.append(f"{file}: `text_columns` is a whole number from {NARROWEST}")
    if data.get("encounter") not in (None, "theirs"):
        problems.append(f"{file}: `encounter` is 'theirs', or is left out")
    for name in _LISTS_OF_TYPES:
        unknown = [str(one) for one in data.get(name, ()) if one not in r4.RESOURCES]
        if unknown:
            problems.append(f"{file}: `{name}`: the service does not send {', '.join(unknown)}")
    singles, creates = data.get("singles") or (), data.get("creates")
    if singles and singles[0] != "DocumentReference":
        problems.append(f"{file}: `singles` starts with DocumentReference: the letter carries everything")
    if creates is not None and (beyond := sorted(set(singles) - set(creates))):
        problems.append(f"{file}: `singles` names {', '.join(beyond)}, which `creates` does not")


def listed_additions(file: str, data: Any, problems: list[str]) -> list[tuple[str, Json]]:  # noqa: ANN401
    """Return (place, addition) of each well-formed addition of a file."""
    listed = data.get("additions", []) if isinstance(data, Mapping) else []
    if not isinstance(listed, list):
        problems.append(f"{file}: `additions` is a list")
        return []
    places = [(f"{file}: addition {number}", one) for number, one in enumerate(listed, 1)]
    return [(place, one) for place, one in places if check_addition(place, one, problems)]
