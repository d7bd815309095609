"""The registry: taken in whole or piece by piece, checked first, every version kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.domain.registry import Registry
from coordinator.domain.values import Record
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.planning.reading import read_registry


@dataclass(frozen=True)
class Imported:
    """How many entities were new or changed, and how many were the same."""

    changed: int
    same: int


class RegistryDesk:
    """Puts and gets registry entities."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def import_file(self, body: bytes, actor: Actor) -> Imported:
        """Store a whole registry file. Raises Unreadable with every fault; nothing is stored then."""
        return self.put(read_registry(body), actor)

    def put(self, registry: Registry, actor: Actor) -> Imported:
        """Store every entity of a checked registry, in one transaction."""
        now = self._parts.clock.now()
        changed = same = 0
        with self._parts.ledger.begin() as tx:
            entities: list[tuple[str, str, Record]] = [("clinic", "clinic", registry.clinic)]
            entities += [("staff", one.id, one) for one in registry.staff]
            entities += [("provider", one.id, one) for one in registry.providers]
            entities += [("patient", tx.key("patient", one.id), one) for one in registry.patients]
            for kind, key, entity in entities:
                if tx.put_registry(kind, key, dumped(entity), by=actor.name, at=now):
                    changed += 1
                    subject = key if kind == "patient" else None
                    tx.audit(actor, f"{kind} stored", at=now, patient_key=subject, subject=key)
                else:
                    same += 1
        return Imported(changed, same)

    def put_one(self, kind: str, entity: Record, key: str, actor: Actor) -> bool:
        """Store one entity (patients by their own number); return whether anything changed."""
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            name = tx.key("patient", key) if kind == "patient" else key
            changed = tx.put_registry(kind, name, dumped(entity), by=actor.name, at=now)
            if changed:
                subject = name if kind == "patient" else None
                tx.audit(actor, f"{kind} stored", at=now, patient_key=subject, subject=name)
        return changed

    def get_one(self, kind: str, key: str, actor: Actor) -> bytes | None:
        """Return the stored JSON of one entity, or None."""
        with self._parts.ledger.begin() as tx:
            name = tx.key("patient", key) if kind == "patient" else key
            body = tx.registry_body(kind, name)
            if body is not None and kind == "patient":
                now = self._parts.clock.now()
                tx.audit(actor, "patient opened", at=now, patient_key=name, subject=name)
        return body

    def keys(self, kind: str) -> Sequence[str]:
        """Return the ids of a kind; patients' ids are not listed."""
        with self._parts.ledger.begin(write=False) as tx:
            return [] if kind == "patient" else tx.registry_keys(kind)

    def whole(self) -> Registry | None:
        """Return clinic, staff and providers, without patients; None before the first import."""
        with self._parts.ledger.begin(write=False) as tx:
            return tx.registry_for("", tx.registry_keys("provider"))


def dumped(entity: Record) -> bytes:
    """Return an entity as the JSON that is stored."""
    return entity.model_dump_json(by_alias=True, exclude_unset=True).encode()
