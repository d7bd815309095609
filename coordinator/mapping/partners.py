"""What one partner's server takes: a file of mappings/partners as a value."""

from collections.abc import Mapping
from dataclasses import dataclass

from coordinator.mapping.codes import check_reviewed
from coordinator.mapping.json_values import Value

PARTNER_KEYS = frozenset(
    {
        "partner", "version", "reviewed", "source", "notes", "transaction", "conditional_create", "creates",
        "attachments", "one_attachment", "fhir_document", "searches_identifier",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Partner:
    """Per-partner differences. None means: as the CapabilityStatement says."""

    name: str
    version: int
    transaction: bool | None = None
    conditional_create: bool | None = None
    creates: tuple[str, ...] | None = None
    attachments: tuple[str, ...] = ()
    one_attachment: bool = False
    fhir_document: bool = False
    searches_identifier: bool | None = None
    notes: str = ""


def read_partner(file: str, data: Value, problems: list[str]) -> Partner:
    """Return the partner of one file; faults are added to `problems`."""
    if not isinstance(data, Mapping):
        problems.append(f"{file}: a partner file is a list of settings")
        return Partner("", 0)
    problems += [f"{file}: unknown key '{key}'" for key in sorted(map(str, data.keys() - PARTNER_KEYS))]
    check_reviewed(file, data, problems)
    if data.get("partner") != file.removeprefix("partners/").removesuffix(".yaml"):
        problems.append(f"{file}: `partner` must be the file's own name")
    creates = data.get("creates")
    return Partner(
        name=str(data.get("partner")),
        version=data.get("version", 0),
        transaction=data.get("transaction"),
        conditional_create=data.get("conditional_create"),
        creates=None if creates is None else tuple(creates),
        attachments=tuple(data.get("attachments", ())),
        one_attachment=bool(data.get("one_attachment", False)),
        fhir_document=bool(data.get("fhir_document", False)),
        searches_identifier=data.get("searches_identifier"),
        notes=str(data.get("notes", "")),
    )
