"""Rating scales: their tables, and what may be wrong with a score."""

import pytest
import yaml

from coordinator.domain.errors import ConfigurationError
from coordinator.domain.events import Score
from coordinator.planning.instruments import load_instruments

DAY = "2026-10-14"


def scores(desk, *rows):
    faults, _ = desk.check(desk.session({"/scores": [{"on": DAY, **row} for row in rows]}))
    return [(one.code, one.pointer) for one in faults]


def test_every_instrument_of_the_contract_has_its_table(desk):
    contract = set(Score.model_fields["instrument"].annotation.__args__)
    assert set(desk.checks.instruments) == contract


@pytest.mark.parametrize(
    ("instrument", "low", "high"),
    [
        ("phq-9", 0, 27),
        ("gad-7", 0, 21),
        ("madrs", 0, 60),
        ("qids-sr16", 0, 27),
        ("asrs-v1.1", 0, 72),
        ("asrs-5", 0, 24),
        ("cadss", 0, 92),
        ("cadss-6", 0, 24),
    ],
)
def test_a_total_outside_the_range_is_refused(desk, instrument, low, high):
    assert scores(desk, {"instrument": instrument, "total": low}, {"instrument": instrument, "total": high}) == []
    assert scores(
        desk, {"instrument": instrument, "total": low - 1}, {"instrument": instrument, "total": high + 1}
    ) == [
        ("score.range", "/scores/0/total"),
        ("score.range", "/scores/1/total"),
    ]


def test_a_total_that_is_not_the_sum_of_its_items_is_refused(desk):
    items = [1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert scores(desk, {"instrument": "phq-9", "total": 8, "items": items}) == []
    assert scores(desk, {"instrument": "phq-9", "total": 9, "items": items}) == [("score.sum", "/scores/0/total")]


def test_the_total_of_qids_is_not_the_sum_of_its_sixteen_items(desk):
    assert scores(desk, {"instrument": "qids-sr16", "total": 9, "items": [1] * 16}) == []


def test_missing_items_leave_no_total(desk):
    items = [1, 1, 1, 1, 1, 1, 1, 1, {"unknown": True}]
    assert scores(desk, {"instrument": "phq-9", "total": 8, "items": items}) == [
        ("score.incomplete", "/scores/0/total")
    ]
    assert scores(desk, {"instrument": "phq-9", "total": {"not_done": "incomplete"}, "items": items}) == []


def test_a_wrong_number_of_items_or_an_item_out_of_range_is_refused(desk):
    assert scores(desk, {"instrument": "gad-7", "total": 3, "items": [1, 1, 1]}) == [("score.items", "/scores/0/items")]
    wrong = {"instrument": "gad-7", "total": 4, "items": [4, 0, 0, 0, 0, 0, 0]}
    assert scores(desk, wrong) == [("score.item-range", "/scores/0/items/0")]


def test_six_items_under_the_long_form_are_the_short_form(desk):
    assert scores(desk, {"instrument": "cadss", "total": 6, "items": [1] * 6}) == [
        ("score.short-form", "/scores/0/instrument")
    ]


def test_the_ninth_item_stands_by_itself_and_must_fit(desk):
    assert scores(desk, {"instrument": "phq-9", "total": 5, "item_9": 4}) == [("score.item-range", "/scores/0/item_9")]
    assert scores(desk, {"instrument": "gad-7", "total": 5, "item_9": 1}) == [("score.item-9", "/scores/0/item_9")]
    assert scores(desk, {"instrument": "phq-9", "total": 1, "item_9": 2}) == [("score.sum", "/scores/0/item_9")]
    differs = {"instrument": "phq-9", "total": 1, "item_9": 1, "items": [1, 0, 0, 0, 0, 0, 0, 0, 0]}
    assert scores(desk, differs) == [("score.item-9", "/scores/0/item_9")]


@pytest.mark.parametrize(
    ("total", "band"),
    [
        (0, "none or minimal"),
        (4, "none or minimal"),
        (5, "mild"),
        (14, "moderate"),
        (15, "moderately severe"),
        (27, "severe"),
    ],
)
def test_a_band_is_read_from_the_table_with_its_version(desk, total, band):
    known = desk.checks.instruments["phq-9"]
    assert known.band(total).name == band
    assert known.version >= 1
    assert known.recall == "past 2 weeks"


def test_a_scale_without_agreed_bands_has_none(desk):
    assert desk.checks.instruments["cadss"].band(14) is None


@pytest.mark.parametrize(
    "bands",
    [
        [{"name": "a", "from": 0, "to": 4}, {"name": "b", "from": 6, "to": 10}],
        [{"name": "a", "from": 0, "to": 5}, {"name": "b", "from": 5, "to": 10}],
        [{"name": "a", "from": 1, "to": 10}],
    ],
)
def test_bands_with_a_gap_or_overlap_are_refused_at_load(tmp_path, bands):
    row = {"id": "x", "title": "X", "version": 1, "range": [0, 10], "recall": "now", "bands": bands, "source": "here"}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump(row))
    with pytest.raises(ConfigurationError, match="gap or overlap"):
        load_instruments(tmp_path)
