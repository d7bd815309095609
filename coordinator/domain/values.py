"""Values that may be unknown or not done. Unknown is not zero and not absent."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints


class Record(BaseModel):
    """The base of every value that comes from outside: frozen, and a misspelt field is refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class Unknown(Record):
    """`{"unknown": true}`: somebody asked and nobody knows."""

    unknown: Literal[True]


class NotDone(Record):
    """`{"not_done": "<reason>"}`: it was left out on purpose."""

    not_done: Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _offset(value: object) -> object:
    """Refuse a number or a bare date where an instant is due; pydantic would guess."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or "T" not in value:
        raise ValueError('an instant is needed, with its offset, like "2026-10-14T10:00:00-05:00"')
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError('the offset is missing, so the time is ambiguous; write it like "2026-10-14T10:00:00-05:00"')
    return value


Instant = Annotated[datetime, BeforeValidator(_offset), AfterValidator(_aware)]
"""An instant with an offset. The offset is kept as sent."""

Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:\-]*$")]
"""An id or code of the source: letters, digits, and . _ : - only."""

Line = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")
]
"""One line of text for people: no control characters."""

ShareableText = Annotated[
    str, StringConstraints(min_length=1, max_length=600, strip_whitespace=True, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")
]
"""The only free text that may leave the clinic: at most 600 characters."""


def folded(name: str) -> str:
    """Return a product's name as two spellings of it compare: in one case, with single blanks."""
    return " ".join(name.split()).casefold()


def is_known(value: object) -> bool:
    """Return whether the value is really there: neither absent, nor unknown, nor not done."""
    return value is not None and not isinstance(value, Unknown | NotDone)
