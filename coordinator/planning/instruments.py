"""Rating scales: ranges, bands with the version of their table, recall windows; and what may be wrong with a score."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from coordinator.domain.case import ClinicEvent
from coordinator.domain.errors import ConfigurationError
from coordinator.domain.events import Score, SessionOutcome
from coordinator.domain.plan import Fault
from coordinator.planning.faults import pointer
from coordinator.planning.rule_files import check_keys, read_table


@dataclass(frozen=True)
class Band:
    """A named part of a scale's range."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Instrument:
    """One scale as the tables have it. `total_is_sum` False: the total is not the sum of the items."""

    id: str
    title: str
    version: int
    low: int
    high: int
    items: int | None
    item_low: int
    item_high: int
    total_is_sum: bool
    recall: str
    bands: tuple[Band, ...]

    def band(self, total: int) -> Band | None:
        """Return the band that a total falls in, or None where no bands are agreed."""
        return next((one for one in self.bands if one.low <= total <= one.high), None)


Instruments = Mapping[str, Instrument]
INSTRUMENT_PARTS = ("items", "bands")
INSTRUMENT_KEYS = ("id", "title", "version", "range", "recall", "source")


def load_instruments(folder: Path) -> Instruments:
    """Return every instrument of a folder of YAML files by its id; raise ConfigurationError."""
    found: dict[str, Instrument] = {}
    for path in sorted(folder.glob("*.yaml")):
        row = read_table(path)
        check_keys(path.name, row, required=INSTRUMENT_KEYS, optional=INSTRUMENT_PARTS)
        try:
            one = _instrument(row)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ConfigurationError(f"{path.name}: an instrument lacks a part or has one of the wrong form") from wrong
        _check_bands(one, path.name)
        found[one.id] = one
    return found


def _instrument(row: Mapping[str, Any]) -> Instrument:
    items = row.get("items")
    return Instrument(
        id=str(row["id"]),
        title=str(row["title"]),
        version=int(row["version"]),
        low=int(row["range"][0]),
        high=int(row["range"][1]),
        items=int(items["count"]) if items else None,
        item_low=int(items["range"][0]) if items else 0,
        item_high=int(items["range"][1]) if items else 0,
        total_is_sum=bool(items["total_is_sum"]) if items else False,
        recall=str(row["recall"]),
        bands=tuple(Band(str(one["name"]), int(one["from"]), int(one["to"])) for one in row.get("bands", ())),
    )


def _check_bands(one: Instrument, name: str) -> None:
    """Raise ConfigurationError unless the bands cover the range without gap or overlap, or there are none."""
    if not one.bands:
        return
    edges = [(band.low, band.high) for band in one.bands]
    joined = all(high + 1 == low for (_, high), (low, _) in pairwise(edges))
    if not joined or (edges[0][0], edges[-1][1]) != (one.low, one.high):
        raise ConfigurationError(f"{name}: the bands must cover the range without gap or overlap")


def score_faults(instruments: Instruments, event: ClinicEvent) -> Iterator[Fault]:
    """Yield what is wrong with the scores of a session."""
    if not isinstance(event, SessionOutcome):
        return
    for number, score in enumerate(event.scores):
        yield from _of(instruments[score.instrument], score, ("scores", number))


def _of(known: Instrument, score: Score, at: tuple[str | int, ...]) -> Iterator[Fault]:
    total, items = score.total, score.items
    if isinstance(total, int) and not known.low <= total <= known.high:
        message = f"The total of {known.title} lies outside {known.low} to {known.high}."
        yield Fault(pointer((*at, "total")), "score.range", message, "Check the total and the name of the instrument.")
    if items is not None:
        yield from _of_items(known, score, at)
    if score.item_9 is not None:
        yield from _of_item_9(known, score, at)
    if score.instrument == "cadss" and items is not None and len(items) == 6:
        message = "Six items are the short form, which is another instrument than CADSS."
        yield Fault(pointer((*at, "instrument")), "score.short-form", message, 'Set instrument to "cadss-6".')


def _of_items(known: Instrument, score: Score, at: tuple[str | int, ...]) -> Iterator[Fault]:
    items = score.items or ()
    if known.items is not None and len(items) != known.items and not (known.id == "cadss" and len(items) == 6):
        message = f"{known.title} has {known.items} items, and another number is here."
        yield Fault(pointer((*at, "items")), "score.items", message, "Send every item, an unanswered one as unknown.")
        return
    for place, item in enumerate(items):
        if isinstance(item, int) and not known.item_low <= item <= known.item_high:
            message = f"An item of {known.title} lies outside {known.item_low} to {known.item_high}."
            yield Fault(pointer((*at, "items", place)), "score.item-range", message, "Check the answer.")
    answered = [item for item in items if isinstance(item, int)]
    if not isinstance(score.total, int):
        return
    where = pointer((*at, "total"))
    if len(answered) != len(items):
        message = "There is a total although some items were not answered."
        yield Fault(where, "score.incomplete", message, 'Send the total as {"not_done": "incomplete"}.')
    elif known.total_is_sum and sum(answered) != score.total:
        yield Fault(where, "score.sum", "The total is not the sum of the items.", "Correct the total or the items.")


def _of_item_9(known: Instrument, score: Score, at: tuple[str | int, ...]) -> Iterator[Fault]:
    where = pointer((*at, "item_9"))
    if known.id != "phq-9":
        yield Fault(where, "score.item-9", "Only PHQ-9 has a ninth item that stands by itself.", "Leave item_9 out.")
        return
    if score.item_9 is not None and not known.item_low <= score.item_9 <= known.item_high:
        message = f"The ninth item lies outside {known.item_low} to {known.item_high}."
        yield Fault(where, "score.item-range", message, "Check the answer.")
    items = score.items or ()
    if len(items) >= 9 and isinstance(items[8], int) and items[8] != score.item_9:
        message = "The ninth item is given twice and differs."
        yield Fault(where, "score.item-9", message, "Correct item_9 or the ninth of the items.")
    if isinstance(score.total, int) and score.item_9 is not None and score.total < score.item_9:
        yield Fault(where, "score.sum", "The ninth item is higher than the total.", "Correct the total or the item.")
