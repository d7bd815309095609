"""Check digits: SNOMED CT (Verhoeff), LOINC (mod 10), NPI (Luhn with the 80840 prefix). Pure."""

_D = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
"""Multiplication in the dihedral group D5 (J. Verhoeff, 1969)."""
_P_BASE = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _permutations() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10))]
    for _ in range(7):
        rows.append(tuple(_P_BASE[digit] for digit in rows[-1]))
    return tuple(rows)


_P = _permutations()


def snomed_is_whole(code: str) -> bool:
    """Return whether the SNOMED CT identifier's last digit is its Verhoeff check digit (6 to 18 digits)."""
    if not (code.isascii() and code.isdigit() and 6 <= len(code) <= 18):
        return False
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = _D[check][_P[place % 8][int(digit)]]
    return check == 0


def _luhn_sum(digits: str) -> int:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 else 1)
        total += number - 9 if number > 9 else number
    return total


def loinc_is_whole(code: str) -> bool:
    """Return whether the LOINC code "nnnn-d" carries its mod-10 check digit."""
    stem, _, check = code.partition("-")
    if not (code.isascii() and stem.isdigit() and len(check) == 1 and check.isdigit()):
        return False
    return _luhn_sum(stem + check) % 10 == 0


def npi_is_whole(npi: str) -> bool:
    """Return whether the NPI is ten digits with a right Luhn check digit over 80840 + NPI (US Core us-core-17)."""
    return npi.isascii() and npi.isdigit() and len(npi) == 10 and _luhn_sum("80840" + npi) % 10 == 0
