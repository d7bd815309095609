"""Encryption of stored fields, and the keyed hashes that stand for them in look-ups.

A sealed value is `version(1) | length of key id(1) | key id | nonce(12) | ciphertext + tag(16)`,
AES-256-GCM with the key id and the place as associated data, so that a value copied to
another row, field or key does not open. The nonce is 96 random bits, which is safe for
2**32 values under one key (NIST SP 800-38D, 8.3).
"""

import base64
import binascii
import contextlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coordinator.domain.errors import ConfigurationError, Unreadable

VERSION = 1
KEY_BYTES = 32
NONCE_BYTES = 12
_KEY_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")


class CipherError(Unreadable):
    """A sealed value does not open: it was changed or moved, or its key is not in the ring."""


class FieldCipher:
    """Implements `flow.ports.Cipher` over a ring of keys: seals with one, opens with any."""

    def __init__(self, keys: Mapping[str, bytes], active: str) -> None:
        """Take a ring of 32-byte keys by id; `active` seals, and the first one carries the blind hashes.

        To rotate, add the new key at the end and make it active; the first key stays, or
        every look-up would miss the rows written before. Raises ConfigurationError for a
        key of another length or an id that is not there.
        """
        if active not in keys:
            raise ConfigurationError("the active field key is not in the key ring")
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES or not _KEY_ID.fullmatch(key_id):
                raise ConfigurationError("a field key is 32 bytes under a short id of letters, digits, and . _ -")
        self._active = active
        self._first = next(iter(keys))
        self._ring = {key_id: AESGCM(_derive(key, "coordinator field encryption")) for key_id, key in keys.items()}
        self._blind_key = _derive(next(iter(keys.values())), "coordinator blind index")
        self._checks = {key_id: _derive(key, "coordinator key check").hex()[:16] for key_id, key in keys.items()}

    def seal(self, plain: bytes, *, place: str) -> bytes:
        """Return the ciphertext bound to `place` (table|row|field). Equal plain bytes never seal alike."""
        head = _head(self._active)
        nonce = os.urandom(NONCE_BYTES)
        return head + nonce + self._ring[self._active].encrypt(nonce, plain, head + place.encode())

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return the plain bytes; raise CipherError when the text, its place or its key is not the sealed one."""
        if len(sealed) < 2 or sealed[0] != VERSION:
            raise CipherError("not a sealed value")
        split = 2 + sealed[1]
        head, nonce = sealed[:split], sealed[split : split + NONCE_BYTES]
        rest = memoryview(sealed)[split + NONCE_BYTES :]  # not copied: a letter is large
        key = self._ring.get(head[2:].decode("ascii", "replace"))
        if key is None:
            raise CipherError("the key of a sealed value is not in the key ring")
        try:
            return key.decrypt(nonce, rest, head + place.encode())
        except (InvalidTag, ValueError):
            raise CipherError("a sealed value was changed or moved") from None

    def blind(self, kind: str, value: str) -> str:
        """Return the keyed hash (64 hex digits) that equal values of one kind share."""
        return hmac.digest(self._blind_key, f"{kind}\x1f{value}".encode(), "sha256").hex()

    @property
    def active(self) -> str:
        """The id of the key that seals."""
        return self._active

    @property
    def looks_up(self) -> str:
        """The id of the key that the blind hashes are made with."""
        return self._first

    def heads(self) -> dict[str, bytes]:
        """Return, by key id, the bytes that every value sealed under it begins with."""
        return {key_id: _head(key_id) for key_id in self._ring}

    def key_checks(self) -> dict[str, str]:
        """Return a short fingerprint of each key by its id, to be stored and compared at start."""
        return dict(self._checks)


def load_key(path: Path, *, may_create: bool) -> FieldCipher:
    """Return the cipher of a key file, which is made first when it is missing and `may_create`.

    The file holds one key a line, `<id> <32 bytes in base64>`; the last line is active.
    Raises ConfigurationError when the file is missing, malformed, a link, or open to
    anybody but its owner.
    """
    if may_create and not path.exists():
        _create(path)
    return _parse(_read_private(path))


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    line = f"k1 {base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}\n"
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(line)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            # A hard link appears whole or not at all; of two processes that start at once, one wins.
            os.link(draft, path)
    finally:
        draft.unlink()


def _read_private(path: Path) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        raise ConfigurationError("the field key file is missing or is not a plain file; set its path") from None
    with os.fdopen(handle, encoding="ascii", errors="replace") as source:
        seen = os.fstat(source.fileno())
        if not stat.S_ISREG(seen.st_mode):
            raise ConfigurationError("the field key file is not a plain file")
        if seen.st_mode & 0o077:
            raise ConfigurationError("the field key file can be read by others; run chmod 600 on it")
        return source.read()


def _parse(text: str) -> FieldCipher:
    keys: dict[str, bytes] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        key_id, _, encoded = line.strip().partition(" ")
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigurationError("a line of the field key file is not `<id> <base64>`") from None
        if key_id in keys:
            raise ConfigurationError("a key id stands twice in the field key file")
        keys[key_id] = key
    if not keys:
        raise ConfigurationError("the field key file holds no key")
    return FieldCipher(keys, active=list(keys)[-1])


def _head(key_id: str) -> bytes:
    return bytes([VERSION, len(key_id)]) + key_id.encode()


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(key)
