"""Addresses that are known as wrong, whoever has them in the registry, and what is asked of the store about them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class ClosedAddress:
    """An address where a letter was in the wrong hands, or where no fax machine answers."""

    kind: str
    address_key: str
    closed_at: datetime
    """When that was found out last: a verification from before says nothing against it."""
    cause: str


class AddressPart(Protocol):
    """What is known of addresses, by kind and keyed hash."""

    def lock_addresses(self, *, to_close: bool) -> None:
        """Wait for others, so that no address is closed while an endpoint comes to it unseen.

        Who stores endpoints asks for it, and so does who closes or opens an address (`to_close`), who is alone then
        until the transaction ends.
        """
        ...

    def closed_address(self, kind: str, address_key: str) -> ClosedAddress | None:
        """Return what is known against an address, or None."""
        ...

    def close_address(self, row: ClosedAddress) -> None:
        """Remember an address as wrong, in place of what was known of it."""
        ...

    def forget_address(self, kind: str, address_key: str) -> None:
        """Let nothing be known against an address any more."""
        ...
