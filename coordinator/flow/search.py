"""The words a message is found by, without accents and case, stored only as keyed hashes."""

import unicodedata
from functools import lru_cache

from coordinator.domain.case import Case


@lru_cache(maxsize=4096)
def fold(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are searched: lower case, no accents, no punctuation.

    "Núñez-Đặng" gives ("nunez-dang", "nunez", "dang"): the whole and its parts.
    """
    plain = unicodedata.normalize("NFKD", text.replace("đ", "d").replace("Đ", "D").replace("ł", "l").replace("Ł", "L"))
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign)).casefold()
    kept = "".join(sign if sign.isalnum() or sign in "-." else " " for sign in bare.replace("’", "").replace("'", ""))
    words: list[str] = []
    for word in kept.split():
        words.append(word.strip("-."))
        words.extend(part for part in word.split("-") if part and part != word)
    return tuple(dict.fromkeys(word for word in words if word))


def search_terms(case: Case, provider_id: str) -> tuple[str, ...]:
    """Return the words of one recipient's message: patient, number, recipient, reference, event id."""
    name = case.patient.name
    provider = case.provider(provider_id)
    texts = [
        name.full(),
        name.preferred or "",
        case.patient.id,
        provider.name.full(),
        provider.organization or "",
        case.reference(provider_id),
        case.event.id,
    ]
    return tuple(dict.fromkeys(word for text in texts for word in fold(text)))
