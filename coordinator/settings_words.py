"""What is said of wrong settings: the variable and the rule it breaks. Never its value, which may be a secret."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

PREFIX = "COORDINATOR_"
NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}", re.IGNORECASE)
"""What is shown of a name that nobody knows: a line that was broken apart may begin with half a password."""
Fields = Mapping[str, FieldInfo]


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def wrong_values(fault: ValidationError, fields: Fields) -> str:
    """Return every setting that is wrong, each with its rule."""
    faults = fault.errors(include_input=False, include_context=False, include_url=False)
    return "; ".join(dict.fromkeys(_one(str(one["loc"][0]) if one["loc"] else "", fields) for one in faults))


def wrong_json(fault: SettingsError, fields: Fields) -> str:
    """Return the setting that is no JSON, with an example of what it may be."""
    said = re.search(r'field "(\w+)"', str(fault))
    return _one(said[1], fields) if said and said[1] in fields else "a setting is no JSON; see docs/configuration.md"


def _one(name: str, fields: Fields) -> str:
    return f"{variable(name)} {rule(fields[name])}" if name in fields else _unknown(name, fields)


def _unknown(name: str, fields: Fields) -> str:
    if not NAME.fullmatch(name):
        return "a line of .env is no setting: it has to begin with the name of one, COORDINATOR_…="
    known = {one.upper(): variable(one) for one in fields}
    near = get_close_matches(name.upper().removeprefix(PREFIX), known, n=1, cutoff=0.7)
    advice = f"did you mean {known[near[0]]}?" if near else "docs/configuration.md has them all; take it out of .env"
    return f"there is no setting {name.upper()}; {advice}"


def rule(field: FieldInfo) -> str:
    """Return what the value of a setting has to be, as the end of a sentence."""
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"has to be {', '.join(others)} or {last}"
    if kind is bool:
        return "has to be true or false"
    if kind in (int, float):
        return f"has to be {'a whole number' if kind is int else 'a number'}{_range(field)}"
    if field.examples:
        return f"has to be JSON such as {field.examples[0]}"
    return "has to be text"


def _range(field: FieldInfo) -> str:
    bounds = {name: getattr(one, name) for one in field.metadata for name in ("ge", "gt", "le") if hasattr(one, name)}
    least, above, most = (bounds.get(name) for name in ("ge", "gt", "le"))
    if least is not None:
        return f" from {least} to {most}" if most is not None else f" of {least} or more"
    over = "" if above is None else f" above {above}"
    return over if most is None else f"{over} and at most {most}"
