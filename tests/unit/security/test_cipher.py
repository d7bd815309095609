import base64
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.errors import ConfigurationError
from coordinator.flow.ports import Cipher
from coordinator.security.cipher import CipherError, FieldCipher, load_key

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
PLACE = "documents|d-1|body"


def a_cipher() -> FieldCipher:
    return FieldCipher({"k1": OLD}, active="k1")


def test_it_is_the_cipher_that_the_flow_asks_for():
    cipher: Cipher = a_cipher()
    assert cipher.open(cipher.seal(b"", place=PLACE), place=PLACE) == b""


@given(st.binary(max_size=300), st.text(max_size=40))
def test_what_was_sealed_opens_at_its_place(plain, place):
    cipher = a_cipher()
    assert cipher.open(cipher.seal(plain, place=place), place=place) == plain


def test_the_same_text_never_seals_alike_and_never_shows():
    cipher = a_cipher()
    first, second = (cipher.seal(b"Ada Marlowe", place=PLACE) for _ in range(2))
    assert first != second
    assert b"Ada" not in first


def test_no_single_flipped_bit_goes_unnoticed():
    cipher = a_cipher()
    sealed = cipher.seal(b"dose 37.5 mg", place=PLACE)
    for bit in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(CipherError):
            cipher.open(bytes(broken), place=PLACE)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 16, 30])
def test_a_value_cut_short_does_not_open(length):
    cipher = a_cipher()
    with pytest.raises(CipherError):
        cipher.open(cipher.seal(b"", place=PLACE)[:length], place=PLACE)


def test_a_value_moved_to_another_row_does_not_open():
    cipher = a_cipher()
    sealed = cipher.seal(b"x", place=PLACE)
    with pytest.raises(CipherError):
        cipher.open(sealed, place="documents|d-2|body")


def test_another_key_under_the_same_id_does_not_open_it():
    sealed = a_cipher().seal(b"x", place=PLACE)
    with pytest.raises(CipherError):
        FieldCipher({"k1": NEW}, active="k1").open(sealed, place=PLACE)


def test_a_key_that_left_the_ring_is_named_as_missing():
    sealed = a_cipher().seal(b"x", place=PLACE)
    with pytest.raises(CipherError, match="not in the key ring"):
        FieldCipher({"k2": NEW}, active="k2").open(sealed, place=PLACE)


def test_after_rotation_old_rows_open_and_look_ups_still_match():
    before = a_cipher()
    after = FieldCipher({"k1": OLD, "k2": NEW}, active="k2")
    assert after.open(before.seal(b"x", place=PLACE), place=PLACE) == b"x"
    assert after.blind("patient", "P-1") == before.blind("patient", "P-1")
    with pytest.raises(CipherError):
        before.open(after.seal(b"x", place=PLACE), place=PLACE)


def test_blind_hashes_depend_on_kind_value_and_key():
    cipher = a_cipher()
    hashes = {
        cipher.blind("patient", "1"),
        cipher.blind("source", "1"),
        cipher.blind("patient", "2"),
        FieldCipher({"k1": NEW}, active="k1").blind("patient", "1"),
    }
    assert len(hashes) == 4
    assert cipher.blind("patient", "1") == a_cipher().blind("patient", "1")


def test_each_key_has_its_own_check_value():
    checks = FieldCipher({"k1": OLD, "k2": NEW}, active="k2").key_checks()
    assert checks["k1"] != checks["k2"]
    assert checks["k1"] == a_cipher().key_checks()["k1"]


@pytest.mark.parametrize(
    ("keys", "active"),
    [({}, "k1"), ({"k1": OLD}, "k2"), ({"k1": b"short"}, "k1"), ({"a b": OLD}, "a b"), ({"": OLD}, "")],
)
def test_a_key_ring_that_cannot_work_is_refused(keys, active):
    with pytest.raises(ConfigurationError):
        FieldCipher(keys, active=active)


def test_a_missing_key_file_is_made_private_and_read_again(tmp_path):
    path = tmp_path / "keys" / "field.key"
    first = load_key(path, may_create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert load_key(path, may_create=True).open(first.seal(b"x", place=PLACE), place=PLACE) == b"x"


def test_a_missing_key_file_is_not_made_where_that_is_not_allowed(tmp_path):
    with pytest.raises(ConfigurationError):
        load_key(tmp_path / "field.key", may_create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_key_file_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "field.key"
    load_key(path, may_create=True)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_key(path, may_create=True)


def test_a_link_in_place_of_the_key_file_is_refused(tmp_path):
    load_key(tmp_path / "real.key", may_create=True)
    os.symlink(tmp_path / "real.key", tmp_path / "field.key")
    with pytest.raises(ConfigurationError):
        load_key(tmp_path / "field.key", may_create=True)


def test_the_last_line_of_the_key_file_seals(tmp_path):
    path = tmp_path / "field.key"
    lines = [f"{name} {base64.b64encode(key).decode()}" for name, key in (("k1", OLD), ("k2", NEW))]
    path.write_text("# ring\n" + "\n".join(lines) + "\n\n")
    path.chmod(0o600)
    sealed = load_key(path, may_create=False).seal(b"x", place=PLACE)
    assert FieldCipher({"k2": NEW}, active="k2").open(sealed, place=PLACE) == b"x"


@pytest.mark.parametrize("text", ["", "k1", "k1 ***", "k1 QUJD", "# nothing\n"])
def test_a_malformed_key_file_is_refused(tmp_path, text):
    path = tmp_path / "field.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError):
        load_key(path, may_create=False)


def test_a_key_id_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "field.key"
    line = f"k1 {base64.b64encode(OLD).decode()}\n"
    path.write_text(line + line)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="twice"):
        load_key(path, may_create=False)
