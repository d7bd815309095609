"""Passwords of staff: what is good enough, and how they are kept (argon2id)."""

import unicodedata
from functools import cache
from importlib import resources

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

MIN_CHARACTERS = 15
"""OWASP ASVS 5.0, 6.2.1: at least 8, better 15."""
MAX_CHARACTERS = 256
"""ASVS 6.2.9 asks for 64 or more; without an end, hashing could be used to tire the server."""
FEWEST_DIFFERENT = 6


class WeakPassword(ValueError):
    """A password that is not good enough; the text says why, for the person who chose it."""


class Passwords:
    """Hashes and checks passwords. The work per hash is OWASP's argon2id minimum: 19 MiB, two passes, one lane."""

    def __init__(self, *, memory_kib: int = 19_456, passes: int = 2) -> None:
        """Take the work to spend; tests take less."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        self._nobody = self._hasher.hash("nobody's password, checked so that an unknown name takes as long")

    def hash(self, password: str) -> str:
        """Return the argon2id hash, with its own salt and parameters in it."""
        return self._hasher.hash(_normal(password))

    def matches(self, password: str, kept: str | None) -> bool:
        """Return whether it is the one; takes as long for a name without a password."""
        if len(password) > MAX_CHARACTERS:
            return False
        try:
            self._hasher.verify(kept or self._nobody, _normal(password))
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        return kept is not None

    def outdated(self, kept: str) -> bool:
        """Return whether the hash was made with less work than is spent today."""
        return self._hasher.check_needs_rehash(kept)


def check_strength(password: str, *, name: str) -> None:
    """Raise WeakPassword unless the password is long enough, not common and not the person's own name."""
    plain = _normal(password)
    if len(plain) < MIN_CHARACTERS:
        raise WeakPassword(f"Use at least {MIN_CHARACTERS} characters. Four or five unrelated words do well.")
    if len(plain) > MAX_CHARACTERS:
        raise WeakPassword(f"Use at most {MAX_CHARACTERS} characters.")
    folded = "".join(plain.casefold().split())
    if folded in _common() or len(set(folded)) < FEWEST_DIFFERENT:
        raise WeakPassword("This password is among the first that are guessed. Choose another.")
    if name and folded.replace(name.casefold(), "") in {"", "123", "1234", "12345"}:
        raise WeakPassword("The password must not be your sign-in name.")


@cache
def _common() -> frozenset[str]:
    text = resources.files("coordinator.security").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(line.strip() for line in text.splitlines() if line and not line.startswith("#"))


def _normal(password: str) -> str:
    """Return one form of the same characters, so that another keyboard does not lock a person out."""
    return unicodedata.normalize("NFKC", password)
