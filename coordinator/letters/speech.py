"""How the letters write times and amounts, for words that are made elsewhere and stand beside them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from coordinator.letters import formats


@dataclass(frozen=True)
class ClinicSpeech:
    """The clinic's way, in its own time zone."""

    zone: str

    def when(self, at: str) -> str:
        """Return an ISO date or instant as a letter writes it."""
        if "T" in at:
            return formats.clinic_instant(datetime.fromisoformat(at), self.zone)
        return formats.clinic_date(date.fromisoformat(at))

    def amount(self, value: Decimal | int, unit: str) -> str:
        """Return an amount with its unit as a letter writes it; a unit that no letter knows stays as it is."""
        try:
            return formats.quantity(value, unit)
        except ValueError:
            return f"{formats.number(value)} {unit}"
