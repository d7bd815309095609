"""The loader's own list of code systems: which it and the gate know by name, because they check their codes.

No code stands here: codes stand in mappings/codes, each with its system and its source.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from coordinator.mapping import digits

UCUM = "http://unitsofmeasure.org"
_SNOMED = "http://snomed.info/sct"
_LOINC = "http://loinc.org"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
GUARDED = frozenset({_SNOMED, _LOINC, UCUM, _RXNORM})
"""Terminologies of which only the codes of mappings/codes may go out."""
_DIGITS: Mapping[str, tuple[str, Callable[[str], bool]]] = MappingProxyType(
    {_SNOMED: ("SNOMED CT", digits.snomed_is_whole), _LOINC: ("LOINC", digits.loinc_is_whole)}
)


def digit_holds(system: object, code: str) -> bool | None:
    """Return whether a code's check digit is right; None for a system whose codes have none."""
    return _DIGITS[system][1](code) if isinstance(system, str) and system in _DIGITS else None


def wrong_digit(system: object, code: str) -> str | None:
    """Return what is wrong with a code's check digit, in words, or None."""
    return f"the {_DIGITS[str(system)][0]} check digit is wrong" if digit_holds(system, code) is False else None
