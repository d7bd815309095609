"""BER in pieces becomes DER; DER stays as it is; anything else is unreadable, and nothing worse."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.channels.smime_ber import DEEPEST, Unreadable, children, definite, element, enveloped

der = st.recursive(
    st.builds(element, st.sampled_from([0x02, 0x04, 0x06, 0x80]), st.binary(max_size=200)),
    lambda inner: st.builds(
        lambda tag, parts: element(tag, b"".join(parts)),
        st.sampled_from([0x30, 0x31, 0xA0]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


def in_pieces(blob):
    """Return the element with every length left open, and its octet strings cut in two."""
    ((tag, content),) = children(blob)
    if tag & 0x20:
        return bytes([tag, 0x80]) + b"".join(in_pieces(element(*one)) for one in children(content)) + bytes(2)
    if tag == 0x04:
        half = len(content) // 2
        return bytes([0x24, 0x80]) + element(4, content[:half]) + element(4, content[half:]) + bytes(2)
    return blob


@given(der)
def test_der_stays_as_it_is_and_pieces_become_it(blob):
    assert definite(blob) == blob
    assert definite(in_pieces(blob)) == blob


@given(
    st.binary(max_size=300) | der.flatmap(lambda one: st.builds(lambda cut: in_pieces(one)[:cut], st.integers(0, 400)))
)
def test_anything_else_is_unreadable_and_nothing_worse(blob):
    for read in (definite, enveloped):
        with contextlib.suppress(Unreadable):
            read(blob)


def test_a_tag_that_cms_does_not_have_and_what_is_too_deep_are_unreadable():
    deep = element(0x02, b"1")
    for _ in range(DEEPEST + 1):
        deep = element(0x30, deep)
    for blob in (b"", b"\x30", b"\x1f\x81\x00\x00", b"\x04\x80\x00\x00", b"\x30\x80\x02\x01\x01", deep):
        with pytest.raises(Unreadable):
            definite(blob)
