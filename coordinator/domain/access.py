"""Who may come in: staff accounts, their sessions and sign-in links, and the credentials of source systems.

Tokens themselves are never held, only their SHA-256 in hex (`token_key`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

StaffRole = Literal["viewer", "sender", "clinician", "admin", "auditor"]
STAFF_ROLES: tuple[StaffRole, ...] = ("viewer", "sender", "clinician", "admin", "auditor")

Scope = Literal["events:write", "registry:write", "messages:read", "messages:act"]
SCOPES: tuple[Scope, ...] = ("events:write", "registry:write", "messages:read", "messages:act")


@dataclass(frozen=True)
class StaffAccount:
    """A person of the clinic who may sign in. `name` is the sign-in name, in small letters."""

    id: str
    name: str
    display_name: str
    roles: tuple[StaffRole, ...]
    password_hash: str | None
    """None when the person comes in by link only."""
    disabled_at: datetime | None
    created_at: datetime
    licence: str | None = None
    """Licence of a clinician, as it stands beside every review: "MD 55012, Minnesota"."""


@dataclass(frozen=True)
class StaffSession:
    """One signed-in browser."""

    token_key: str
    account_id: str
    method: Literal["password", "link"]
    signed_in_at: datetime
    seen_at: datetime


@dataclass(frozen=True)
class SignInLink:
    """A link that signs one person in, once, until it expires."""

    token_key: str
    account_id: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class SourceCredential:
    """What a source system shows with every call. The source's name identifies its events."""

    id: str
    source: str
    token_key: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True)
class FailedSignIns:
    """How often sign-in failed for one account and address, without a break of an hour."""

    key: str
    count: int
    last_at: datetime
