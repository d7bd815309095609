"""The answer form: from typed fields to a checked answer, and back. Faults are codes; the template has their words."""

from collections.abc import Mapping
from datetime import date

from pydantic import ValidationError

from coordinator.domain.characters import unseen
from coordinator.domain.quantities import plain
from coordinator.domain.telephone import for_record, read_number
from coordinator.flow.said import Said

OTHER = "other"
KINDS_WITH_DOSE = frozenset({"current-dose", "different-plan"})


def said_from(fields: Mapping[str, str], *, may_report_dose: bool) -> tuple[Said | None, tuple[str, ...]]:
    """Return (the answer, no faults) or (None, what is missing or wrong)."""
    typed = {name: text.strip() for name, text in fields.items() if text.strip()}
    if any(unseen(text) for text in typed.values()):
        return None, ("unseen",)
    kind = typed.get("kind", "")
    value: dict[str, object] = {name: typed[name] for name in ("kind", "name", "role", "note") if name in typed}
    if kind == "call-me" and "phone" in typed:
        value["phone"] = _number(typed["phone"])
    wants_dose = kind == "current-dose" or (kind == "different-plan" and bool(typed.get("dose_value")))
    if wants_dose:
        if not may_report_dose:
            return None, ("dose.unasked",)
        value["dose"] = _dose(typed)
    try:
        return Said.model_validate(value), ()
    except ValidationError as wrong:
        found = [_code(one["loc"], str(one["msg"])) for one in wrong.errors(include_url=False, include_input=False)]
        return None, tuple(dict.fromkeys(found))


def field_faults(said: Said, today: date) -> tuple[str, ...]:
    """Return what is wrong with a readable answer on that day: a present dose cannot begin in the future."""
    if said.kind == "current-dose" and said.dose is not None and said.dose.as_of > today:
        return ("as_of.future",)
    return ()


def fields_of(said: Said) -> dict[str, str]:
    """Return the fields of the form that hold this answer."""
    found = {"kind": said.kind, "name": said.name, "role": said.role}
    found |= {"note": said.note} if said.note else {}
    found |= {"phone": said.phone} if said.phone else {}
    if said.dose is not None:
        found |= {
            "product": said.dose.product,
            "form": said.dose.form or "",
            "dose_value": plain(said.dose.dose.value),
            "dose_unit": said.dose.dose.unit,
            "frequency": said.dose.frequency or "",
            "as_of": said.dose.as_of.isoformat(),
        }
    return found


def _dose(typed: Mapping[str, str]) -> dict[str, object]:
    product = typed.get("product", "")
    value: dict[str, object] = {
        "product": typed.get("product_other", "") if product == OTHER else product,
        "dose": {"value": typed.get("dose_value", ""), "unit": typed.get("dose_unit", "")},
        "as_of": typed.get("as_of", ""),
    }
    for name in ("form", "frequency"):
        if name in typed:
            value[name] = typed[name]
    return value


def _number(text: str) -> str:
    """Return a telephone number with its country, as it is read back; what is no number comes back as typed."""
    found = read_number(text, "US")
    return text if found is None else for_record(found)


def _code(place: tuple[int | str, ...], message: str) -> str:
    if message.startswith("Value error, ") and message.removeprefix("Value error, ") in {
        "dose.missing", "dose.unasked", "phone.missing", "note.missing", "dose.unit", "dose.value",
    }:  # fmt: skip
        return message.removeprefix("Value error, ")
    names = [one for one in place if isinstance(one, str)]
    if names[:2] == ["dose", "dose"]:
        return "dose.unit" if "unit" in names else "dose.value"
    return names[1] if names[:1] == ["dose"] and len(names) > 1 else names[0] if names else "kind"
