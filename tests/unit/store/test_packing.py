import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.errors import Unreadable
from coordinator.store.packing import pack, unpack, zstd

CHART = b'{"resourceType":"Observation","status":"final","valueQuantity":{"value":20,"unit":"mg"}},' * 500


@given(
    st.binary(max_size=5000) | st.builds(lambda part, times: part * times, st.binary(max_size=50), st.integers(0, 500))
)
def test_what_is_unpacked_is_what_was_packed_to_the_byte(body):
    packed, packing = pack(body)
    assert unpack(packed, packing, len(body)) == body
    assert len(packed) <= len(body)


def test_text_is_stored_small_and_what_is_compressed_already_as_it_is():
    packed, packing = pack(CHART)
    assert (packing, len(packed) < len(CHART) / 10) == ("zstd", True)
    noise = os.urandom(10_000)
    assert pack(noise) == (noise, None)


@pytest.mark.parametrize(
    ("stored", "packing", "size"),
    [
        (zstd.compress(CHART), "zstd", len(CHART) - 1),
        (zstd.compress(CHART), "zstd", len(CHART) + 1),
        (zstd.compress(CHART)[:-5], "zstd", len(CHART)),
        (zstd.compress(CHART), "zstd", 0),
        (CHART, "zstd", len(CHART)),
        (b"", "zstd", 0),
        (CHART, "lz4", len(CHART)),
    ],
)
def test_what_is_not_whole_or_not_known_is_unreadable_and_never_guessed(stored, packing, size):
    with pytest.raises(Unreadable):
        unpack(stored, packing, size)


def test_a_body_that_would_grow_far_beyond_its_size_is_not_unpacked_to_its_end():
    bomb = zstd.compress(bytes(50_000_000))
    with pytest.raises(Unreadable):
        unpack(bomb, "zstd", 1000)
