from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from coordinator.domain.registry import Name
from coordinator.letters import formats


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("37.50", "mg", "37.5\u00a0mg"),
        (".5", "mg/kg", "0.5\u00a0mg/kg"),
        ("5.0", "mg", "5\u00a0mg"),
        ("100", "mg", "100\u00a0mg"),
        ("1E+2", "mg", "100\u00a0mg"),
        ("500", "mcg/kg", "500\u00a0mcg/kg"),
        ("500", "ug/kg", "500\u00a0mcg/kg"),
        ("98", "%", "98\u00a0%"),
        ("0", "mg", "0\u00a0mg"),
    ],
)
def test_a_quantity_keeps_its_leading_zero_and_drops_trailing_ones(value, unit, text):
    assert formats.quantity(Decimal(value), unit) == text


def test_a_unit_without_a_printed_form_is_refused():
    with pytest.raises(ValueError, match="unit"):
        formats.quantity(Decimal(1), "[arb'U]")


def test_a_negative_difference_has_a_true_minus_sign():
    assert formats.signed(-4) == "\u22124"
    assert formats.signed(50) == "+50"
    assert formats.signed(0) == "0"


def test_the_month_is_a_word_in_either_language():
    assert formats.clinic_date(date(2026, 10, 1)) == "1\u00a0October 2026"
    assert formats.clinic_date(date(2026, 10, 1), "es") == "1\u00a0de\u00a0octubre\u00a0de 2026"


def test_an_instant_is_told_in_the_readers_zone_with_the_zone_named():
    due = datetime(2026, 11, 1, 19, 10, tzinfo=UTC)
    assert formats.clinic_instant(due, "America/Chicago") == "1\u00a0November 2026, 13:10\u00a0CST"
    assert formats.clinic_instant(due, "America/Phoenix") == "1\u00a0November 2026, 12:10\u00a0MST"


def test_the_same_clock_time_before_and_after_the_change_of_clocks_names_another_zone():
    assert formats.clinic_time(datetime(2026, 10, 31, 19, 10, tzinfo=UTC), "America/Chicago") == "14:10\u00a0CDT"
    assert formats.clinic_time(datetime(2026, 11, 1, 20, 10, tzinfo=UTC), "America/Chicago") == "14:10\u00a0CST"


def test_a_zone_without_a_short_name_is_told_as_an_offset():
    assert formats.zone_name(datetime(2026, 10, 1, tzinfo=UTC), "America/Sao_Paulo") == "UTC\u221203"


def test_a_decomposed_name_is_printed_composed():
    assert formats.person_name(Name(family="Nu\u0301n\u0303ez", given=("Zoe\u0308",))) == "Zoë Núñez"


def test_a_single_name_with_a_suffix_stands_alone():
    assert formats.person_name(Name(given=("Madonna",), suffix="III")) == "Madonna, III"


def test_a_telephone_number_is_grouped_and_does_not_break():
    assert formats.phone("+1-218-555-0110") == "+1\u00a0218-555-0110"
    assert formats.phone("+12185550110") == "+1\u00a0218-555-0110"
