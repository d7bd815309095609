"""Events and registries with something wrong, odd or extreme in them: the same for the same seed."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from coordinator.planning.schemas import schemas

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
TEXTS = (
    "<script>alert(1)</script>", "<b>bold</b> & more", "\"'`", "{{ 7*7 }}", "{% raw %}", "{item.dose}", "{0} %s %(a)s",
    "$text", "=1+1", "a&nbsp;b", "]]>", "--", "A" * 200, "word " * 39, "w " * 299, "x", "0", "NaN", "null", "5.0 mg",
    "Zoe\u0308", "\u0301abc", "\u05d3\u05d5\u05d3\u200f 3", "\u0645\u062d\u0645\u062f", "\u674e\u5c0f\u9f8d",
    "a\u00a0b", "\U0001f600", "a\u2003b", "\u3000a", "soft\u00adhyphen", "a\u200bb", "\ufeffa", "a\u2060b",
    "\ufb01ne", "\u00bd", "\u2126", "\uf8ff", "\u0663\u0660", "1\u20442", "\u2013", "\u201cquoted\u201d",
    "two\nlines", "tab\there", "a\r\nb", "\x07", "\u202e03", "\u2028", "\x85", "\ufffe", "\U0010ffff", "\ud800",
    "", " ", "ketamine", "Ketamine", "unknown",
)  # fmt: skip
NUMBERS = (
    0, -1, 1, 2, 3, 28, 41, 56, 10**6, 10**9, 10**40, 1.5, "0", "-0", "0.0001", "0.5", ".5", "5.", "30.000", "00030",
    "1e3", "1E-9", "1e-12", "999999999999", "1e400", "1_0", "37,5", True, False, None,
)  # fmt: skip
UNITS = ("mg", "mg/kg", "mcg", "mcg/kg", "g", "kg", "[lb_av]", "mL", "mL/h", "mg/h", "mg/kg/h", "ug/kg/min", "mcg/h",
         "mcg/kg/min", "cm", "m", "[in_i]", "Cel", "L/min", "mg/mL", "%", "foo", "", "x@y", "MG")  # fmt: skip
DAYS = ("0001-01-01", "9999-12-31", "2026-02-29", "2024-02-29", "1900-01-01", "2026-10-14", "2026-10-16", "14.10.2026")
TIMES = (
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-11-01T01:30:00-05:00", "2026-10-14T10:00:00.123456Z", "2026-10-14T24:00:00Z", "2026-10-14T10:00:00+23:59",
    "2026-10-14T10:00:60Z", "2026-10-14T10:00:00", "2026-03-08T02:30:00-06:00", "1969-12-31T23:59:59Z",
    "2026-10-14T10:20:00-05:00", "2026-10-14T15:00:00-05:00",
)  # fmt: skip
SHAPES: tuple[Any, ...] = (
    None,
    {},
    [],
    {"unknown": True},
    {"not_done": "left out"},
    {"value": "1", "unit": "mg"},
    [None],
)
Place = tuple[str | int, ...]


def read(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yield every place of a value, the leaves and what holds them."""
    if path:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def held(value: Any, path: Place) -> Any:
    for step in path:
        value = value[step]
    return value


def words(schema: Any, found: dict[str, list[str]] | None = None) -> dict[str, list[str]]:
    """Return the words that a published schema lists for each field."""
    found = {} if found is None else found
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            listed = [
                word for form in (one, *one.get("anyOf", ()), *one.get("oneOf", ())) for word in form.get("enum", ())
            ]
            found[name] = sorted({*found.get(name, ()), *listed})
        for one in schema.values():
            words(one, found)
    elif isinstance(schema, list):
        for one in schema:
            words(one, found)
    return found


WORDS = {name: listed for name, listed in words(list(schemas().values())).items() if listed}


def another(random: Random, key: str | int, old: Any) -> Any:
    """Return another value for a field: mostly of its own kind, sometimes of any."""
    if random.random() < 0.12:
        return copy.deepcopy(random.choice((*TEXTS, *NUMBERS, *SHAPES)))
    if key in WORDS and isinstance(old, str):
        return random.choice(WORDS[str(key)])
    if key == "unit":
        return random.choice(UNITS)
    if isinstance(old, bool):
        return random.choice((True, False, None, 1, "true"))
    if isinstance(old, int) or key == "value":
        near = old + random.choice((-1, 1, -50, 50, 400)) if isinstance(old, int) else None
        return random.choice((*NUMBERS, near))
    if isinstance(old, str) and old[:4].isdigit() and "T" in old:
        return random.choice(TIMES)
    if isinstance(old, str) and old[:4].isdigit() and old[4:5] == "-":
        return random.choice(DAYS)
    if isinstance(old, str):
        return random.choice(TEXTS)
    return copy.deepcopy(random.choice(SHAPES))


def mutated(random: Random, base: Any, others: list[Any], *, most: int = 3) -> Any:
    """Return a copy with one to `most` things changed: another value, a field gone, doubled, or of another event."""
    made = copy.deepcopy(base)
    for _ in range(random.randint(1, most)):
        path = random.choice(list(places(made)))
        within, key = held(made, path[:-1]), path[-1]
        how = random.random()
        if how < 0.62:
            within[key] = another(random, key, within[key])
        elif how < 0.75:
            del within[key]
        elif how < 0.85 and isinstance(within, list):
            within.insert(random.randint(0, len(within)), copy.deepcopy(within[key]))
        elif isinstance(within, dict):
            donor = random.choice(others)
            known = [one for one in places(donor) if len(one) == len(path) and one[:-1] == path[:-1]]
            if known:
                grafted = random.choice(known)
                within[grafted[-1]] = copy.deepcopy(held(donor, grafted))
    return made
