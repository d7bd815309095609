"""The registry in the database: entities by kind and key, every version kept."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar, cast

import sqlalchemy as sa
from pydantic import BaseModel

from coordinator.domain.registry import Clinic, Patient, Provider, Registry, Staff
from coordinator.store.one_of import one_of
from coordinator.store.sealed import Part
from coordinator.store.tables import registry, registry_history

Entity = TypeVar("Entity", bound=BaseModel)

MOST_OPENED = 4_000
_OPENED: dict[tuple[str, str], tuple[bytes, BaseModel]] = {}
"""Entities read lately, by kind and key, with the sealed body they were read from (no two seal alike)."""

_BODY = sa.select(registry.c.body_sealed).where(
    registry.c.kind == sa.bindparam("of_kind"), registry.c.key == sa.bindparam("of_key")
)
_BODIES = sa.select(registry.c.kind, registry.c.key, registry.c.body_sealed).where(
    sa.or_(
        sa.and_(registry.c.kind == "clinic", registry.c.key == "clinic"),
        sa.and_(registry.c.kind == "patient", one_of(registry.c.key, "patients")),
        sa.and_(registry.c.kind == "provider", one_of(registry.c.key, "providers")),
    )
)
_STAFF = sa.select(registry.c.key, registry.c.body_sealed).where(registry.c.kind == "staff").order_by(registry.c.key)


class RegistryRows(Part):
    """Implements flow.ledger.RegistryPart."""

    def registry_for(self, patient_id: str, providers: Sequence[str] = ()) -> Registry | None:
        """Return clinic, staff, this patient (if known) and the providers that matter; None without a clinic."""
        patient_key = self.key("patient", patient_id)
        if ("patient", patient_key) not in self._ahead.bodies:
            self._read_registry([patient_key], ())
        clinic = self._entity("clinic", "clinic", Clinic)
        if clinic is None:
            return None
        patient = self.patient(patient_key)
        wanted = set(providers)
        if patient is not None:
            wanted |= {one.provider for one in patient.care_team} | {one.recipient for one in patient.consents}
        missing = [one for one in sorted(wanted) if ("provider", one) not in self._ahead.bodies]
        if missing:
            self._read_registry((), missing)
        found = [self._entity("provider", one, Provider) for one in sorted(wanted)]
        return Registry(
            schema_version=1,
            clinic=clinic,
            staff=tuple(self._opened("staff", key, sealed, Staff) for key, sealed in self._read_staff()),
            providers=tuple(one for one in found if one is not None),
            patients=(patient,) if patient is not None else (),
        )

    def registry_of(self, patient_key: str, provider: str) -> Registry | None:
        """Return the clinic with this patient and this provider (each if known) and nobody else; None without one."""
        clinic = self._entity("clinic", "clinic", Clinic)
        if clinic is None:
            return None
        patient, found = self.patient(patient_key), self._entity("provider", provider, Provider)
        return Registry(
            schema_version=1,
            clinic=clinic,
            providers=() if found is None else (found,),
            patients=() if patient is None else (patient,),
        )

    def patient(self, patient_key: str) -> Patient | None:
        """Return one patient by key."""
        return self._entity("patient", patient_key, Patient)

    def _entity(self, kind: str, key: str, model: type[Entity]) -> Entity | None:
        sealed = self._sealed_body(kind, key)
        return None if sealed is None else self._opened(kind, key, sealed, model)

    def _opened(self, kind: str, key: str, sealed: bytes, model: type[Entity]) -> Entity:
        """Return what a stored entity says. It is read from the database each time, but opened only when it changed."""
        known = _OPENED.get((kind, key))
        if known is not None and known[0] == sealed:
            return cast("Entity", known[1])
        made = model.model_validate_json(self._open("registry", f"{kind}/{key}", "body", sealed))
        if len(_OPENED) >= MOST_OPENED:
            _OPENED.clear()
        _OPENED[kind, key] = (sealed, made)
        return made

    def _read_registry(self, patients: Sequence[str], providers: Sequence[str]) -> None:
        """Read the clinic, these patients and these providers ahead."""
        wanted = [("clinic", "clinic"), *(("patient", one) for one in patients)]
        wanted += [("provider", one) for one in providers]
        self._ahead.bodies.update(dict.fromkeys(wanted))
        for row in self._all(_BODIES, patients=list(patients), providers=list(providers)):
            self._ahead.bodies[row.kind, row.key] = row.body_sealed

    def _read_staff(self) -> list[tuple[str, bytes]]:
        """Return the keys and sealed bodies of the staff, read once a transaction."""
        if self._ahead.staff is None:
            self._ahead.staff = [(row.key, row.body_sealed) for row in self._all(_STAFF)]
        return self._ahead.staff

    def _sealed_body(self, kind: str, key: str) -> bytes | None:
        if (kind, key) in self._ahead.bodies:
            return self._ahead.bodies[kind, key]
        row = self._one(_BODY, of_kind=kind, of_key=key)
        return None if row is None else row.body_sealed

    def put_registry(self, kind: str, key: str, body: bytes, *, by: str, at: datetime) -> bool:
        """Store an entity; return whether anything changed. The old version is kept."""
        self._ahead.bodies.pop((kind, key), None)
        self._ahead.staff = None
        place = f"{kind}/{key}"
        where = sa.and_(registry.c.kind == kind, registry.c.key == key)
        old = self._one(self._locked(sa.select(registry).where(where), lock=True))
        if old is not None:
            before = self._open("registry", place, "body", old.body_sealed)
            if json.loads(before) == json.loads(body):
                return False
            self._run(sa.insert(registry_history).values(old._mapping))
        values = {
            "kind": kind,
            "key": key,
            "version": 1 if old is None else old.version + 1,
            "body_sealed": self._seal("registry", place, "body", body),
            "changed_at": at,
            "changed_by": by,
        }
        if old is None:
            self._run(sa.insert(registry).values(values))
        else:
            self._run(sa.update(registry).where(where).values(values))
        return True

    def registry_body(self, kind: str, key: str) -> bytes | None:
        """Return the stored JSON of an entity, or None."""
        sealed = self._sealed_body(kind, key)
        return None if sealed is None else self._open("registry", f"{kind}/{key}", "body", sealed)

    def registry_keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind (hashed for patients)."""
        query = sa.select(registry.c.key).where(registry.c.kind == kind).order_by(registry.c.key)
        return [row.key for row in self._all(query)]
