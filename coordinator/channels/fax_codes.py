"""Why a fax failed: the gateway's number -> our cause, and whether dialling again may help. Data.

Numbers as Phaxio and Sinch publish them, classed on the number and never on the
error type, which throws busy lines and changed numbers together.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class FaxFailure(NamedTuple):
    """The cause code, and whether another call may be made without a person."""

    code: str
    retry: bool


_CLASSES: tuple[tuple[str, bool, tuple[int, ...]], ...] = (
    ("fax.busy", True, (17,)),
    ("fax.line", True, (15, 52, 88, 100, 110)),
    ("fax.no-answer", True, (16, 30, 87, 112)),
    ("fax.training", True, (6, 8, 10, 12)),
    ("fax.bad-number", False, (34, 49, 73, 115)),
    ("fax.no-fax-tone", True, (19,)),
    ("fax.refused", False, (50,)),
    ("fax.document", False, (4, 54, 55, 57, 69, 128, 129, 130, 131, 132, 133)),
)

FAX_FAILURES: Mapping[int, FaxFailure] = MappingProxyType(
    {number: FaxFailure(code, retry) for code, retry, numbers in _CLASSES for number in numbers}
)

PARTIAL = FaxFailure("fax.partial", True)
"""Some pages are no letter: the whole is sent again, and a person sees that it was partial."""
UNKNOWN_FAILURE = FaxFailure("fax.unknown", False)
"""A number that the table does not have is looked at by a person, not dialled again."""

RETRYABLE: frozenset[str] = frozenset(code for code, retry, _ in _CLASSES if retry) | {PARTIAL.code}
SUSPENDS_NUMBER: frozenset[str] = frozenset({"fax.bad-number", "fax.no-fax-tone"})
"""Causes after which the number may be somebody else's (the second after its one more try): verify it anew."""


def classify(number: int | None, *, partial: bool = False) -> FaxFailure:
    """Return the class of a failed fax."""
    if partial:
        return PARTIAL
    return FAX_FAILURES.get(number, UNKNOWN_FAILURE) if number is not None else UNKNOWN_FAILURE
