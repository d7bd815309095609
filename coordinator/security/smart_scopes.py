"""SMART scopes: whether what was granted covers what was asked, in the v1 and v2 forms."""


def missing_scopes(asked: str, granted: str) -> tuple[str, ...]:
    """Return the asked scopes that were not granted in full, v1 and v2 forms compared by their letters.

    A granted scope with a narrower condition (`?category=...`) covers only itself, as
    does a word in another form than SMART's (`.default`, `api`).
    """
    words = granted.split()
    have = [_scope(one) for one in words]
    return tuple(one for one in asked.split() if one not in words and not _covered(_scope(one), have))


_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


def _scope(text: str) -> tuple[str, str, frozenset[str], str]:
    """Return (context, resource type, letters, condition) of a scope; a word that is no scope stands for itself."""
    plain, _, condition = text.partition("?")
    context, _, rest = plain.partition("/")
    kind, _, letters = rest.rpartition(".")
    return context, kind, frozenset(_V1.get(letters, letters)), condition


def _covered(one: tuple[str, str, frozenset[str], str], have: list[tuple[str, str, frozenset[str], str]]) -> bool:
    letters: frozenset[str] = frozenset()
    for context, kind, granted, condition in have:
        if context == one[0] and kind in (one[1], "*") and condition in ("", one[3]):
            letters |= granted
    return one[2] <= letters and bool(letters)
