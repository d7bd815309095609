"""The files under rules/ and instruments/, read strictly: what is misspelt there is a fault, not silently nothing."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from coordinator.domain.errors import ConfigurationError
from coordinator.yaml_files import read_yaml


def read_table(path: Path, keys: Collection[str] = ()) -> Mapping[str, Any]:
    """Return the content of a file, which has these keys and no others (without `keys`: any).

    Raises ConfigurationError when the file is missing, is not YAML, or holds something else.
    """
    try:
        raw = read_yaml(path)
    except FileNotFoundError as wrong:
        raise ConfigurationError(f"{path.name}: there is no such file") from wrong
    except yaml.MarkedYAMLError as wrong:
        line = f", line {wrong.problem_mark.line + 1}" if wrong.problem_mark else ""
        raise ConfigurationError(f"{path.name}{line}: this is not YAML, or a key stands twice") from wrong
    except (yaml.YAMLError, UnicodeDecodeError) as wrong:
        raise ConfigurationError(f"{path.name}: this is not YAML in UTF-8") from wrong
    if not isinstance(raw, dict):
        raise ConfigurationError(f"{path.name}: there are no keys in this file")
    if keys:
        check_keys(path.name, raw, required=keys)
    return raw


def check_keys(where: str, row: object, *, required: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise ConfigurationError unless the row has all that it needs and nothing that nobody reads."""
    if not isinstance(row, Mapping):
        raise ConfigurationError(f"{where}: this is no row with keys")
    lacking = [f"{key} missing" for key in required if key not in row]
    unknown = [f"there is no key {key}" for key in row if key not in required and key not in optional]
    if lacking or unknown:
        raise ConfigurationError(f"{where}: {'; '.join((*lacking, *unknown))}")


def rows_of(where: str, value: object) -> list[Mapping[str, Any]]:
    """Return a list of rows, each with an `id` that stands once; raise ConfigurationError otherwise."""
    if not isinstance(value, list) or not all(isinstance(one, dict) and "id" in one for one in value):
        raise ConfigurationError(f"{where}: this is a list of rows, each with an id")
    ids = [str(one["id"]) for one in value]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise ConfigurationError(f"{where}: {', '.join(twice)} stands there twice")
    return value
