"""The registry: taken in whole or piece by piece, checked first, every version kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from coordinator.domain.errors import NotFound
from coordinator.domain.plan import Fault
from coordinator.domain.registry import EndpointPace, Provider, Registry
from coordinator.domain.values import Record
from coordinator.flow.addresses import known_providers, note_changes
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.planning.faults import Unreadable
from coordinator.planning.reading import read_registry

Kind = Literal["clinic", "staff", "providers", "patients"]
STORED = {"clinic": "clinic", "staff": "staff", "providers": "provider", "patients": "patient"}


@dataclass(frozen=True)
class Written:
    """The answer to a write. A refused one changed nothing and names every fault."""

    outcome: Literal["created", "updated", "unchanged", "refused"]
    faults: Sequence[tuple[str, str, str]] = ()
    changed: int = 0
    same: int = 0


class RegistryDesk:
    """Reads and writes registry entities. Patients are found by their own number and never listed."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def read(self, kind: Kind, key: str | None, actor: Actor) -> bytes:
        """Return one entity as JSON; raise NotFound. Reading a patient is audited."""
        with self._parts.ledger.begin() as tx:
            name = "clinic" if key is None else tx.key("patient", key) if kind == "patients" else key
            body = tx.registry_body(STORED[kind], name)
            if body is None:
                raise NotFound(kind)
            if kind == "patients":
                tx.audit(actor, "patient opened", at=self._parts.clock.now(), patient_key=name, subject=name)
        return body

    def write(self, kind: Kind, key: str | None, body: bytes, actor: Actor) -> Written:
        """Store one entity whole; refuse a body whose id is not `key`.

        The entity is checked inside the registry as it stands, by the same reader as a whole file.
        """
        try:
            entity = json.loads(body)
        except ValueError:
            entity = None
        if not isinstance(entity, dict):
            return _refused("", "One entity is needed, as a JSON object.", "Send what a registry file holds for it.")
        if key is not None and entity.get("id") != key:
            return _refused("/id", "The id is not the one in the address.", "Make both the same.")
        around = self._around(kind, entity)
        if around is None:
            return _refused("", "The registry has no clinic yet.", "Send the clinic first, or a whole registry file.")
        try:
            registry = read_registry(json.dumps(around, ensure_ascii=False).encode())
        except Unreadable as wrong:
            return _answer_faults(kind, wrong.faults)
        kept: list[Any] = [registry.clinic] if kind == "clinic" else list(getattr(registry, kind))
        mine = next(one for one in kept if key is None or one.id == key)
        return self._store([(kind, mine)], actor)

    def write_whole(self, body: bytes, actor: Actor) -> Written:
        """Store everything a registry file holds, or nothing of it. What it does not name stays as it is."""
        try:
            registry = read_registry(body)
        except Unreadable as wrong:
            faults = tuple((one.pointer, one.message, one.fix) for one in wrong.faults)
            return Written("refused", faults)
        entities: list[tuple[Kind, Any]] = [("clinic", registry.clinic)]
        entities += [("staff", one) for one in registry.staff]
        entities += [("providers", one) for one in registry.providers]
        entities += [("patients", one) for one in registry.patients]
        return self._store(entities, actor)

    def whole(self) -> Registry | None:
        """Return clinic, staff and providers, without patients; None before the first import."""
        with self._parts.ledger.begin(write=False) as tx:
            return known_providers(tx)

    def _around(self, kind: Kind, entity: dict[str, Any]) -> dict[str, Any] | None:
        """Return a registry file with this entity first in its list, and everything it may refer to."""
        whole = self.whole()
        if whole is None and kind != "clinic":
            return None
        file: dict[str, Any] = {"schema_version": 1, "clinic": entity} if whole is None else json.loads(dumped(whole))
        file["patients"] = []
        if kind == "clinic":
            file["clinic"] = entity
            return file
        others = [one for one in file.get(kind, []) if one["id"] != entity.get("id")]
        file[kind] = [entity, *others]
        return file

    def _store(self, entities: Sequence[tuple[Kind, Any]], actor: Actor) -> Written:
        now = self._parts.clock.now()
        changed = same = created = 0
        with self._parts.ledger.begin() as tx:
            for kind, entity in entities:
                name = "clinic" if kind == "clinic" else entity.id
                key = tx.key("patient", name) if kind == "patients" else name
                before = tx.registry_body(STORED[kind], key)
                created += before is None
                if not tx.put_registry(STORED[kind], key, dumped(entity), by=actor.name, at=now):
                    same += 1
                    continue
                changed += 1
                if isinstance(entity, Provider):
                    note_changes(tx, before, entity, now, actor, alone=self._parts.policy.address_alone)
                    _note_paces(tx, entity)
                patient_key = key if kind == "patients" else None
                tx.audit(actor, f"{STORED[kind]} stored", at=now, patient_key=patient_key, subject=key)
        outcome: Literal["created", "updated", "unchanged"] = "unchanged"
        if changed:
            outcome = "created" if created == len(entities) else "updated"
        return Written(outcome, changed=changed, same=same)


def _note_paces(tx: Transaction, provider: Provider) -> None:
    for endpoint in provider.endpoints:
        pace = endpoint.pace or EndpointPace()
        tx.put_pace(endpoint.id, pace.at_once, pace.per_minute)


def dumped(entity: Record) -> bytes:
    """Return an entity as the JSON that is stored."""
    return entity.model_dump_json(by_alias=True, exclude_unset=True).encode()


def _refused(pointer: str, what: str, fix: str) -> Written:
    return Written("refused", ((pointer, what, fix),))


def _answer_faults(kind: Kind, faults: Sequence[Fault]) -> Written:
    """Return the faults with pointers into the one entity that was sent."""
    start = "/clinic" if kind == "clinic" else f"/{kind}/0"
    return Written("refused", tuple((one.pointer.removeprefix(start), one.message, one.fix) for one in faults))
