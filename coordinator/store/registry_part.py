"""The registry in the database: entities by kind and key, every version kept."""

import json
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from coordinator.domain.registry import Clinic, Patient, Provider, Registry, Staff
from coordinator.store.sealed import Part
from coordinator.store.tables import registry, registry_history


class RegistryRows(Part):
    """Implements flow.ledger.RegistryPart."""

    def registry_for(self, patient_id: str, providers: Sequence[str] = ()) -> Registry | None:
        """Return clinic, staff, this patient (if known) and the providers that matter; None without a clinic."""
        clinic = self.registry_body("clinic", "clinic")
        if clinic is None:
            return None
        patient = self.patient(self.key("patient", patient_id))
        wanted = set(providers)
        if patient is not None:
            wanted |= {one.provider for one in patient.care_team} | {one.recipient for one in patient.consents}
        found = [self.registry_body("provider", one) for one in sorted(wanted)]
        rows = self._all(sa.select(registry).where(registry.c.kind == "staff").order_by(registry.c.key))
        staff = [self._open("registry", f"staff/{row.key}", "body", row.body_sealed) for row in rows]
        return Registry(
            schema_version=1,
            clinic=Clinic.model_validate_json(clinic),
            staff=tuple(Staff.model_validate_json(one) for one in staff),
            providers=tuple(Provider.model_validate_json(one) for one in found if one is not None),
            patients=(patient,) if patient is not None else (),
        )

    def patient(self, patient_key: str) -> Patient | None:
        """Return one patient by key."""
        body = self.registry_body("patient", patient_key)
        return None if body is None else Patient.model_validate_json(body)

    def put_registry(self, kind: str, key: str, body: bytes, *, by: str, at: datetime) -> bool:
        """Store an entity; return whether anything changed. The old version is kept."""
        place = f"{kind}/{key}"
        where = sa.and_(registry.c.kind == kind, registry.c.key == key)
        old = self._one(self._locked(sa.select(registry).where(where), lock=True))
        if old is not None:
            before = self._open("registry", place, "body", old.body_sealed)
            if json.loads(before) == json.loads(body):
                return False
            self.connection.execute(sa.insert(registry_history).values(old._mapping))
        values = {
            "kind": kind,
            "key": key,
            "version": 1 if old is None else old.version + 1,
            "body_sealed": self._seal("registry", place, "body", body),
            "changed_at": at,
            "changed_by": by,
        }
        if old is None:
            self.connection.execute(sa.insert(registry).values(values))
        else:
            self.connection.execute(sa.update(registry).where(where).values(values))
        return True

    def registry_body(self, kind: str, key: str) -> bytes | None:
        """Return the stored JSON of an entity, or None."""
        row = self._one(sa.select(registry.c.body_sealed).where(registry.c.kind == kind, registry.c.key == key))
        return None if row is None else self._open("registry", f"{kind}/{key}", "body", row.body_sealed)

    def registry_keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind (hashed for patients)."""
        query = sa.select(registry.c.key).where(registry.c.kind == kind).order_by(registry.c.key)
        return [row.key for row in self._all(query)]
