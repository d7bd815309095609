"""Every product of another prescriber that the shipped tables know, read from them."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
_TABLE = yaml.safe_load((ROOT / "mappings" / "codes" / "medicine-product.yaml").read_text())


def _row(words: str) -> tuple[str, str, str]:
    product, form, dose = words.split(", ")
    return product, form, dose.removesuffix(" mg")


PRODUCTS = tuple(_row(row["from"]) for row in _TABLE["rows"])
"""(name, form, mg) of each row."""
