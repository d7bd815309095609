"""A pretend EHR: a FHIR R4 server that records every request, and can play dead, slow, or like a large one."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, unquote

import orjson

from coordinator.domain.registry import Identifier, Patient
from coordinator.sandbox import ehr_records as records
from coordinator.sandbox.ehr_capability import CREATES, UPDATES, Play, capability_statement
from coordinator.sandbox.ehr_rules import DUPLICATE_READING, RULES, Refusal, same_reading
from coordinator.sandbox.ehr_sign_in import SignInDesk
from coordinator.sandbox.shelf import Shelf
from coordinator.sandbox.web import Fault, Reply, Request, Web

BASE = "/fhir"
_COUNTED = ("Communication", "DocumentReference", "Encounter")
"""What tells one message from another, the surest first."""
OUTCOME_TEXT = {400: "invalid", 401: "login", 404: "not-found", 412: "multiple-matches", 422: "not-supported"}


def patient_resource(patient: Patient, numbers: tuple[Identifier, ...]) -> dict[str, Any]:
    """Return the patient as the far side would hold them, under the far side's own numbers."""
    name = {"family": patient.name.family, "given": list(patient.name.given)}
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": one.system, "value": one.value} for one in numbers],
        "name": [{key: value for key, value in name.items() if value}],
        "birthDate": patient.birth_date.isoformat(),
        "gender": patient.sex,
    }
    if patient.address is not None:
        resource["address"] = [{"postalCode": patient.address.postal_code, "city": patient.address.city}]
    if patient.phone is not None:
        resource["telecom"] = [{"system": "phone", "value": patient.phone}]
    return resource


class Ehr:
    """The server. Everything it acknowledged is in its file before the answer leaves."""

    def __init__(self, folder: Path, port: int = 0, *, play: Play = "whole") -> None:
        self._shelf = Shelf(folder / "ehr.sqlite", records.SCHEMA)
        self._web = Web(port, self._answer, lambda method, path: method in ("POST", "PUT") and _is_content(path))
        self._default_play = play
        self._sign_in = SignInDesk(self._shelf, self.address)

    @property
    def port(self) -> int:
        """Return the port."""
        return self._web.port

    @property
    def address(self) -> str:
        """Return the FHIR base URL."""
        return f"http://127.0.0.1:{self._web.port}{BASE}"

    def start(self) -> None:
        """Take requests."""
        self._web.start()
        if self._state("down") == "yes":
            self._web.faults.add(Fault("answer", None))

    def stop(self) -> None:
        """Take no more."""
        self._web.stop()
        self._shelf.close()

    def admit(self, patient: Patient, held_by: str) -> None:
        """Hold this patient under the numbers that `held_by` (a provider's id) keeps. Twice is once."""
        numbers = tuple(one for one in patient.identifiers if one.held_by == held_by)
        self.seed(patient_resource(patient, numbers), f"pat-{hashlib.sha256(patient.id.encode()).hexdigest()[:12]}")

    def seed(self, resource: Mapping[str, Any], one_id: str | None = None) -> None:
        """Hold this resource."""
        with self._shelf.keep() as db:
            records.store(db, resource, one_id)

    def trust(self, client_id: str, jwks: Mapping[str, Any]) -> None:
        """Know this client by its public keys. Once one is known, requests need a token."""
        self._sign_in.trust(client_id, jwks)

    def forget_tokens(self) -> None:
        """Take no token given so far any more."""
        self._sign_in.forget_tokens()

    def play(self, play: Play) -> None:
        """Be like another server from now on."""
        self._set_state("play", play)

    def go_down(self, requests: int | None = None) -> None:
        """Answer 503 to the next requests, or until told to come back (even across a restart)."""
        if requests is None:
            self._set_state("down", "yes")
        self._web.faults.add(Fault("answer", requests))

    def come_back(self) -> None:
        """Behave well again."""
        self._set_state("down", "no")
        self._web.faults.clear()

    def misbehave(self, fault: Fault) -> None:
        """Misbehave so, after what already waits."""
        self._web.faults.add(fault)

    def count(self) -> int:
        """Return how many distinct messages it holds."""
        return int(self._shelf.rows("SELECT count(DISTINCT key) FROM messages WHERE changed=1")[0][0])

    def duplicates(self) -> list[str]:
        """Return the names of messages that it holds more than once."""
        twice = self._shelf.rows("SELECT key FROM messages WHERE changed=1 GROUP BY key, sha HAVING count(*) > 1")
        firsts = Counter(
            (kind, *name) for kind in _COUNTED for one in self.resources(kind) for name in records.names_of(one)[:1]
        )
        doubled = (value for (_, _, value), times in firsts.items() if times > 1)
        return sorted({*(str(row[0]) for row in twice), *doubled})

    def requests(self) -> list[tuple[str, str, str, int]]:
        """Return every request as (method, path, SHA-256 of the body, status), oldest first."""
        return [
            (str(row[0]), str(row[1]), str(row[2]), int(row[3]))
            for row in self._shelf.rows("SELECT method, path, sha, status FROM requests ORDER BY n")
        ]

    def resources(self, kind: str) -> list[dict[str, Any]]:
        """Return every resource of a type that it holds."""
        return [orjson.loads(row[0]) for row in self._shelf.rows("SELECT body FROM resources WHERE type=?", kind)]

    def _answer(self, request: Request) -> Reply:
        path = unquote(request.path.removeprefix(BASE)).strip("/")
        reply = self._route(request, path)
        names = ";".join(f"{system}|{value}" for system, value in _all_names(request.body) if _is_content(request.path))
        with self._shelf.keep() as db:
            db.execute(
                "INSERT INTO requests (method, path, sha, names, status) VALUES (?,?,?,?,?)",
                (request.method, request.path, hashlib.sha256(request.body).hexdigest(), names, reply.status),
            )
        return reply

    def _route(self, request: Request, path: str) -> Reply:
        if path == "metadata":
            return _json(200, capability_statement(self._play()))
        if path == ".well-known/smart-configuration":
            return _json(200, self._sign_in.discovery(), "application/json")
        if path == "token":
            return _json(*self._sign_in.token(request), "application/json")
        if not self._sign_in.is_signed_in(request):
            return _outcome(401)
        if request.method == "GET":
            return self._get(path, request.query)
        if path.endswith("/_search"):
            return self._search(path.partition("/")[0], dict(parse_qsl(request.body.decode("utf-8"))))
        return self._write(path, request)

    def _write(self, path: str, request: Request) -> Reply:
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _outcome(400)
        if not isinstance(body, dict):
            return _outcome(400)
        play = self._play()
        try:
            if path == "":
                if play == "whole" and body.get("type") == "transaction":
                    return self._transaction(body, request)
                return _outcome(422 if play == "oracle-like" else 404)
            if request.method == "PUT":
                return self._update(path, request, body)
            refusal = self._refusal(play, body) if path == body.get("resourceType") else None
            if refusal is not None:
                return _refused(refusal)
            if path == body.get("resourceType") and path in CREATES[play]:
                return self._create(body, request)
        except records.Conflict as conflict:
            return _outcome(conflict.status)
        return _outcome(404)

    def _refusal(self, play: Play, body: dict[str, Any]) -> Refusal | None:
        """Return what this play refuses of a create, and why; a whole server refuses nothing."""

        def look(place: str) -> dict[str, Any] | None:
            kind, _, one_id = place.partition("/")
            with self._shelf.keep() as db:
                return records.load(db, kind, one_id)

        rule = RULES.get(play)
        refusal = None if rule is None else rule(body, look)
        if refusal is None and play == "epic-like" and same_reading(body, self.resources(str(body["resourceType"]))):
            return Refusal(400, "duplicate", DUPLICATE_READING)
        return refusal

    def _update(self, path: str, request: Request, body: dict[str, Any]) -> Reply:
        """Update by id, under the version that was read where one is named; or by the condition in the query."""
        kind, _, one_id = path.partition("/")
        if kind != body.get("resourceType") or kind not in UPDATES[self._play()]:
            return _outcome(404)
        with self._shelf.keep() as db:
            if not one_id:
                found = records.find(db, kind, "&".join(f"{name}={value}" for name, value in request.query.items()))
                if len(found) > 1:
                    raise records.Conflict(412)
                one_id = found[0] if found else str(uuid.uuid4())
            old = records.load(db, kind, one_id)
            wanted = request.headers.get("if-match")
            version = None if old is None else f'W/"{old["meta"]["versionId"]}"'
            if wanted is not None and wanted != version:
                return _outcome(412)
            _, changed = records.store(db, body, one_id)
            _note(db, request.body, changed=changed)
            stored = records.load(db, kind, one_id) or {}
        location = f"{self.address}/{kind}/{one_id}/_history/{stored['meta']['versionId']}"
        return Reply(
            200 if old else 201, orjson.dumps(stored), {"Content-Type": "application/fhir+json", "Location": location}
        )

    def _transaction(self, bundle: dict[str, Any], request: Request) -> Reply:
        with self._shelf.keep() as db:
            answers, changed = records.transact(db, bundle)
            _note(db, request.body, changed=changed)
        return _json(200, {"resourceType": "Bundle", "type": "transaction-response", "entry": answers})

    def _create(self, resource: dict[str, Any], request: Request) -> Reply:
        condition = request.headers.get("if-none-exist") if self._play() == "whole" else None
        with self._shelf.keep() as db:
            status, one_id, changed = records.create(db, resource, condition)
            _note(db, request.body, changed=changed)
            stored = records.load(db, str(resource["resourceType"]), one_id)
        location = f"{self.address}/{resource['resourceType']}/{one_id}/_history/1"
        return Reply(status, orjson.dumps(stored), {"Content-Type": "application/fhir+json", "Location": location})

    def _get(self, path: str, query: Mapping[str, str]) -> Reply:
        kind, _, one_id = path.partition("/")
        if not one_id:
            return self._search(kind, query)
        with self._shelf.keep() as db:
            found = records.load(db, kind, one_id.partition("/")[0])
        return _json(200, found) if found is not None else _outcome(404)

    def _search(self, kind: str, terms: Mapping[str, str]) -> Reply:
        held = self.resources(kind)
        hits = [one for one in held if all(_fits(one, name, value) for name, value in terms.items())]
        entries = [{"resource": one, "search": {"mode": "match"}} for one in hits]
        return _json(200, {"resourceType": "Bundle", "type": "searchset", "total": len(hits), "entry": entries})

    def _play(self) -> Play:
        return cast("Play", self._state("play") or self._default_play)

    def _state(self, name: str) -> str | None:
        rows = self._shelf.rows("SELECT value FROM state WHERE name=?", name)
        return str(rows[0][0]) if rows else None

    def _set_state(self, name: str, value: str) -> None:
        with self._shelf.keep() as db:
            db.execute("REPLACE INTO state VALUES (?,?)", (name, value))


def _is_content(path: str) -> bool:
    return not path.endswith(("/_search", "/token"))


def _note(db: Any, body: bytes, *, changed: bool) -> None:  # noqa: ANN401
    """Write down which message this was: its communication's name, its document's, its encounter's, else its hash."""
    sha = hashlib.sha256(body).hexdigest()
    key = next((value for _, value in _all_names(body)), sha)
    db.execute("INSERT INTO messages (key, sha, changed) VALUES (?,?,?)", (key, sha, int(changed)))


def _all_names(body: bytes) -> list[tuple[str, str]]:
    try:
        sent = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    if not isinstance(sent, dict):
        return []
    inside = [one.get("resource") or {} for one in sent.get("entry", []) if isinstance(one, dict)] or [sent]
    wanted = [one for kind in _COUNTED for one in inside if one.get("resourceType") == kind]
    return [name for one in wanted for name in records.names_of(one)]


def _fits(resource: Mapping[str, Any], name: str, value: str) -> bool:
    if name == "identifier":
        system, bar, number = value.rpartition("|")
        return any(number == its and (not bar or system == of) for of, its in records.names_of(resource))
    people = [one for one in resource.get("name", []) if isinstance(one, dict)]
    fits: dict[str, bool] = {
        "family": any(str(one.get("family", "")).casefold().startswith(value.casefold()) for one in people),
        "given": any(str(g).casefold().startswith(value.casefold()) for one in people for g in one.get("given", [])),
        "birthdate": resource.get("birthDate") == value,
        "gender": resource.get("gender") == value,
        "status": resource.get("status") == value,
        "patient": (resource.get("subject") or {}).get("reference") == f"Patient/{value}",
        "phone": any(one.get("value") == value for one in resource.get("telecom", [])),
        "address-postalcode": any(one.get("postalCode") == value for one in resource.get("address", [])),
    }
    return fits.get(name, True)  # like many servers: a term it does not know is ignored


def _json(
    status: int,
    body: Mapping[str, Any],
    media_type: Literal["application/fhir+json", "application/json"] = "application/fhir+json",
) -> Reply:
    return Reply(status, orjson.dumps(dict(body)), {"Content-Type": media_type})


def _refused(refusal: Refusal) -> Reply:
    if refusal.code is None:
        return Reply(refusal.status, b"", {})
    issue: dict[str, Any] = {"severity": "error", "code": refusal.code}
    if refusal.detail is not None:
        issue["details"] = {"coding": [{"code": refusal.detail}]}
    return _json(refusal.status, {"resourceType": "OperationOutcome", "issue": [issue]})


def _outcome(status: int) -> Reply:
    issue = {"severity": "error", "code": OUTCOME_TEXT.get(status, "processing")}
    return _json(status, {"resourceType": "OperationOutcome", "issue": [issue]})
