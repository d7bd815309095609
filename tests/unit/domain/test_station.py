"""What a fax machine calls itself: read without guessing, and the same however it is written."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.station import read_station, same_station


@pytest.mark.parametrize(
    ("told", "station"),
    [
        ("NORTH CLINIC", "NORTH CLINIC"),
        ("  +1 218 555 0143 ", "+1 218 555 0143"),
        ("Praxis Núñez-Đặng", "Praxis Núñez-Đặng"),
        (2185550143, "2185550143"),
        (0, "0"),
        ("x" * 40, "x" * 40),
    ],
)
def test_a_name_is_taken_as_it_was_told(told, station):
    assert read_station(told) == station


@pytest.mark.parametrize(
    "told",
    [
        None, "", "   ", "\t\n", True, False, 218.5, ["NORTH"], {"name": "NORTH"}, b"NORTH", "x" * 41, "NO\x00RTH",
        "NO\nRTH", "NO\tRTH", "NORTH\x7f", "\u202eHTRON", "NO\u200bRTH", "NO\u2028RTH", "NO\ud800RTH",
    ],
)  # fmt: skip
def test_what_says_nothing_or_might_mislead_on_a_page_counts_as_not_told(told):
    assert read_station(told) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NORTH CLINIC", "North  Clinic"),
        ("STRASSE 1", "straße 1"),
        ("218-555-0143", "(218) 555.0143"),
        ("+1 218 555 0143", "2185550143"),
        ("12185550143", "218 555 0143"),
        ("555-0143", "5550143"),
        ("+44 20 7946 0018", "442079460018"),
        ("+", "+"),
    ],
)
def test_the_same_machine_may_be_written_otherwise(one, other):
    assert same_station(one, other)
    assert same_station(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("NORTH CLINIC", "SOUTH CLINIC"),
        ("NORTH CLINIC", "NORTHCLINIC"),
        ("NORTH CLINIC", "2185550143"),
        ("2185550143", "2185550144"),
        ("2185550143", "5550143"),
        ("22185550143", "2185550143"),
        ("442185550143", "2185550143"),
        ("FAX 2185550143", "2185550143"),
        ("FAX 1", "FAX 2"),
        ("+", "-"),
    ],
)
def test_another_machine_is_not_taken_for_the_same(one, other):
    assert not same_station(one, other)
    assert not same_station(other, one)


NUMBERS = st.text("0123456789", min_size=10, max_size=10)
ANY = st.one_of(st.text(max_size=45), st.text(string.digits + "+-(). ", max_size=20), NUMBERS)


@given(NUMBERS, st.lists(st.tuples(st.integers(0, 10), st.sampled_from("+-(). ")), max_size=8), st.booleans())
def test_signs_between_the_digits_and_the_country_code_1_change_no_number(digits, signs, with_country):
    written = list(digits)
    for place, sign in signs:
        written.insert(place, sign)
    other = f"1{''.join(written)}" if with_country else "".join(written)
    assert same_station(digits, other)


@given(ANY, ANY, ANY)
def test_being_the_same_is_mutual_and_passes_on(one, two, three):
    assert same_station(one, one)
    assert same_station(one, two) == same_station(two, one)
    if same_station(one, two) and same_station(two, three):
        assert same_station(one, three)


@given(ANY)
def test_what_was_read_reads_the_same_again_and_fits_its_column(told):
    station = read_station(told)
    if station is not None:
        assert read_station(station) == station
        assert 0 < len(station) <= 40
