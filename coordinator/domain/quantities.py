"""Amounts with units. Decimal only; a number without a unit does not exist here."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _decimal(value: object) -> object:
    """Take a decimal as a string, an int or a Decimal. A float has already lost its digits."""
    if isinstance(value, bool):
        raise ValueError('a number is needed, such as "37.5"')
    if isinstance(value, str):
        if value != value.strip() or not value or "_" in value:
            raise ValueError('a decimal is needed, written like "37.5", without blanks or signs of grouping')
        try:
            number = Decimal(value)
        except InvalidOperation as wrong:
            raise ValueError('a decimal is needed, written like "37.5"') from wrong
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, int):
        number = Decimal(value)
    else:
        raise ValueError("a decimal is needed, as a string or a JSON number")
    if not number.is_finite():
        raise ValueError("a finite decimal is needed")
    if abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > MAX_DIGITS:
        raise ValueError("the decimal has more digits than any measurement")
    return number


MAX_DIGITS = 12
"""No quantity of a treatment session needs more digits; a longer one is a typing or unit fault."""

Number = Annotated[Decimal, BeforeValidator(_decimal)]

_NORMAL: dict[str, tuple[Decimal, str]] = {
    "mcg/kg": (Decimal("0.001"), "mg/kg"),
    "ug/kg": (Decimal("0.001"), "mg/kg"),
    "mcg": (Decimal("0.001"), "mg"),
    "ug": (Decimal("0.001"), "mg"),
    "g": (Decimal(1000), "mg"),
    "mcg/h": (Decimal("0.001"), "mg/h"),
    "ug/h": (Decimal("0.001"), "mg/h"),
    "mcg/kg/min": (Decimal(1), "ug/kg/min"),
    "[lb_av]": (Decimal("0.45359237"), "kg"),
    "[in_i]": (Decimal("2.54"), "cm"),
    "m": (Decimal(100), "cm"),
}
"""Source unit -> (factor, unit we keep). The pound is exactly 0.45359237 kg, the inch 2.54 cm."""

MEDICINE_UNITS = ("mg", "mg/kg", "mg/h", "mg/kg/h", "ug/kg/min", "mL", "mL/h")
"""What the dose of somebody's medicine may be in, after conversion: amounts and rates."""

WEIGHT_PLACES = Decimal("0.1")


def plain(number: Decimal) -> str:
    """Return the decimal as text without exponent or trailing zeros: 37.50 -> "37.5", 1E+2 -> "100"."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text or "0"


class Quantity(BaseModel):
    """A value with its UCUM unit, as the source sent it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Number
    unit: str

    def normalised(self) -> "Quantity":
        """Return the same amount in the unit the service calculates in (mg, mg/kg, mg/h, kg, cm).

        A unit that is already the kept one, or unknown here, comes back unchanged;
        whether a unit may be used at all is the validation table's business.
        A converted weight is rounded half-even to 0.1 kg.
        """
        rule = _NORMAL.get(self.unit)
        if rule is None:
            return self
        factor, unit = rule
        value = self.value * factor
        if unit == "kg":
            value = value.quantize(WEIGHT_PLACES)
        return Quantity(value=value, unit=unit)

    def __str__(self) -> str:
        return f"{plain(self.value)} {self.unit}"
