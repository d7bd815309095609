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
    ("fax.line", True, (15, 40, 43, 44, 52, 88, 100, 110)),
    ("fax.no-answer", True, (16, 30, 48, 87, 112)),
    ("fax.training", True, (6, 8, 10, 11, 12, 18, 20, 21, 22, 26, 28, 29, 38, 41, 53, 60, 63, 77, 80, 82, 84, 117)),
    ("fax.bad-number", False, (34, 49, 73, 115)),
    ("fax.no-fax-tone", False, (19,)),
    ("fax.refused", False, (50,)),
    ("fax.document", False, (4, 54, 55, 57, 69, 113, 128, 129, 130, 131, 132, 133)),
    ("fax.account", False, (5, 46, 86, 105, 125)),
)
"""What the vendors publish and does not stand here is looked at by a person: a far machine that cannot take our page
(7, 25, 31, 32, 68), silence where a machine should have greeted (13, 14), a fax that somebody cancelled (75, 76)."""

_OF_TYPE: Mapping[tuple[str, int], FaxFailure] = MappingProxyType(
    {
        ("FAX_ERROR", 131): FaxFailure("fax.partial", True),
        ("FAX_ERROR", 132): FaxFailure("fax.no-fax-tone", False),
        ("FAX_ERROR", 133): FaxFailure("fax.refused", False),
    }
)
"""Numbers that Sinch gives a second meaning: of a call they are these, of a document they are the conversion's."""

FAX_FAILURES: Mapping[int, FaxFailure] = MappingProxyType(
    {number: FaxFailure(code, retry) for code, retry, numbers in _CLASSES for number in numbers}
)

PARTIAL = FaxFailure("fax.partial", True)
"""Some pages are no letter: the whole is sent again, and a person sees that it was partial."""
UNKNOWN_FAILURE = FaxFailure("fax.unknown", False)
"""A number that the table does not have is looked at by a person, not dialled again."""

ACCOUNT = FaxFailure("fax.account", False)
"""The account itself: no other fax gets through either, so the whole channel pauses."""

_WORDS: tuple[tuple[FaxFailure, tuple[str, ...]], ...] = (
    (FaxFailure("fax.busy", True), ("busy", "user busy")),
    (FaxFailure("fax.line", True), ("network out of order", "no route destination", "normal temporary failure",
                                    "normal circuit congestion", "destination out of order")),
    (FaxFailure("fax.no-answer", True), ("no answer", "no user response", "allotted timeout")),
    (FaxFailure("fax.training", True), ("fax signaling error", "communication error")),
    (FaxFailure("fax.bad-number", False), ("unallocated number", "invalid number format", "number changed",
                                           "disconnected number")),
    (FaxFailure("fax.no-fax-tone", False), ("no remote fax", "human answered", "voice answer")),
    (FaxFailure("fax.refused", False), ("call rejected", "blocked", "do not call")),
    (FaxFailure("fax.document", False), ("conversion error", "unsupported file")),
    (ACCOUNT, ("insufficient funds", "insufficient balance", "account suspended")),
)  # fmt: skip

FAX_WORDS: Mapping[str, FaxFailure] = MappingProxyType({word: failure for failure, words in _WORDS for word in words})
"""Reasons that vendors give as words: those that SRFax and Documo publish, and the names of the telephone network's
own causes (ITU-T Q.850), which gateways hand through."""

RETRYABLE: frozenset[str] = frozenset(code for code, retry, _ in _CLASSES if retry) | {PARTIAL.code}
SUSPENDS_NUMBER: frozenset[str] = frozenset({"fax.bad-number", "fax.no-fax-tone"})
"""Causes after which the number may be somebody else's: not dialled again before it was verified anew."""


def classify(number: int | None, *, partial: bool = False, kind: object = None) -> FaxFailure:
    """Return the class of a failed fax. `kind` is the vendor's type of error, for the few numbers that mean two things.

    Where some pages arrived, that is what counts: unless the account is at fault, for then no other fax gets through.
    """
    if number is None:
        return PARTIAL if partial else UNKNOWN_FAILURE
    found = _OF_TYPE.get((str(kind), number)) or FAX_FAILURES.get(number, UNKNOWN_FAILURE)
    return PARTIAL if partial and found != ACCOUNT else found


def classify_words(words: str) -> FaxFailure:
    """Return the class of a failure told in words; case and punctuation do not count, anything else does."""
    plain = " ".join("".join(sign if sign.isalnum() else " " for sign in words.casefold()).split())
    return FAX_WORDS.get(plain, UNKNOWN_FAILURE)
