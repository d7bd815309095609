"""What a fax machine calls itself (CSI, also CSID): how it is read, and when two of them are the same."""

import unicodedata

MOST_CHARACTERS = 40
"""As the vendor documents the field; the line itself carries twenty."""
NATIONAL_DIGITS = 10
SIGNS_OF_A_NUMBER = frozenset("0123456789+-(). ")


def read_station(told: object) -> str | None:
    """Return what a machine called itself, as a gateway tells it: text or a whole number, and nothing else.

    None for what says nothing or could mislead on a page: empty, longer than the
    field is, or with a sign that is not to be seen.
    """
    if isinstance(told, bool) or not isinstance(told, str | int):
        return None
    said = str(told).strip()
    if not 0 < len(said) <= MOST_CHARACTERS or any(_is_unseen(sign) for sign in said):
        return None
    return said


def same_station(one: str, other: str) -> bool:
    """Return whether two names may be one machine's: however spaced, in whatever case, a number however written."""
    return _plain(one) == _plain(other)


def _plain(station: str) -> tuple[str, str]:
    """Return what has to be equal: the digits of a number without the country code 1, else the words."""
    digits = "".join(sign for sign in station if sign in "0123456789")
    if digits and SIGNS_OF_A_NUMBER.issuperset(station):
        if len(digits) == NATIONAL_DIGITS + 1 and digits.startswith("1"):
            digits = digits[1:]
        return "number", digits
    return "words", " ".join(station.casefold().split())


def _is_unseen(sign: str) -> bool:
    """Return whether a sign controls rather than shows: control and format characters, and breaks of lines."""
    kind = unicodedata.category(sign)
    return kind.startswith("C") or kind in ("Zl", "Zp")
