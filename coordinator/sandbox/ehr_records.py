"""The chart room of the pretend EHR: resources by type and id, found by identifier, written in one transaction."""

import hashlib
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson

SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (type TEXT, id TEXT, version INTEGER, body BLOB, sha TEXT, PRIMARY KEY (type, id));
CREATE TABLE IF NOT EXISTS names (type TEXT, id TEXT, system TEXT, value TEXT);
CREATE INDEX IF NOT EXISTS names_by_value ON names (type, value, system);
CREATE TABLE IF NOT EXISTS requests
  (n INTEGER PRIMARY KEY, method TEXT, path TEXT, sha TEXT, names TEXT, status INTEGER);
CREATE TABLE IF NOT EXISTS messages (n INTEGER PRIMARY KEY, key TEXT, sha TEXT, changed INTEGER);
CREATE TABLE IF NOT EXISTS clients (client_id TEXT PRIMARY KEY, jwks BLOB);
CREATE TABLE IF NOT EXISTS used (jti TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value TEXT);
"""


class Conflict(Exception):
    """More than one resource fits a condition (412), or an entry cannot be done (400)."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def names_of(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names a resource is found by, as (system, value): master identifier, identifiers, tags."""
    found = resource.get("identifier")
    listed = found if isinstance(found, list) else [found] if isinstance(found, dict) else []
    master = resource.get("masterIdentifier")
    tags = (resource.get("meta") or {}).get("tag") or []
    labels = [{"system": one.get("system", ""), "value": one.get("code", "")} for one in tags]
    every = [*([master] if isinstance(master, dict) else []), *listed, *labels]
    return list(dict.fromkeys((str(one.get("system", "")), str(one.get("value", ""))) for one in every))


def find(db: sqlite3.Connection, kind: str, condition: str) -> list[str]:
    """Return the ids that a search by identifier finds ("identifier=system|value"). Raises Conflict(400) otherwise."""
    terms = dict(parse_qsl(condition))
    if len(terms) != 1 or not terms.keys() <= {"identifier", "_tag"}:
        raise Conflict(400)
    (text,) = terms.values()
    system, bar, value = text.rpartition("|")
    query, values = "SELECT DISTINCT id FROM names WHERE type=? AND value=?", [kind, value]
    if bar:
        query, values = f"{query} AND system=?", [kind, value, system]
    return [row[0] for row in db.execute(f"{query} ORDER BY id", values)]


def load(db: sqlite3.Connection, kind: str, one_id: str) -> dict[str, Any] | None:
    """Return a stored resource, or None."""
    row = db.execute("SELECT body FROM resources WHERE type=? AND id=?", (kind, one_id)).fetchone()
    return orjson.loads(row[0]) if row else None


def store(db: sqlite3.Connection, resource: Mapping[str, Any], one_id: str | None = None) -> tuple[str, bool]:
    """Store a resource; return (id, changed). The same content again changes nothing."""
    kind, one_id = str(resource["resourceType"]), one_id or str(uuid.uuid4())
    plain = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    sha = hashlib.sha256(orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)).hexdigest()
    row = db.execute("SELECT version, sha FROM resources WHERE type=? AND id=?", (kind, one_id)).fetchone()
    if row and row[1] == sha:
        return one_id, False
    version = row[0] + 1 if row else 1
    body = orjson.dumps({**resource, "id": one_id, "meta": {**resource.get("meta", {}), "versionId": str(version)}})
    db.execute("REPLACE INTO resources VALUES (?,?,?,?,?)", (kind, one_id, version, body, sha))
    db.execute("DELETE FROM names WHERE type=? AND id=?", (kind, one_id))
    db.executemany("INSERT INTO names VALUES (?,?,?,?)", [(kind, one_id, *name) for name in names_of(resource)])
    return one_id, True


def create(db: sqlite3.Connection, resource: Mapping[str, Any], condition: str | None) -> tuple[int, str, bool]:
    """Create, conditionally where asked; return (status, id, changed). Raises Conflict(412) on several matches."""
    kind = str(resource["resourceType"])
    if condition:
        found = find(db, kind, condition)
        if len(found) > 1:
            raise Conflict(412)
        if found:
            return 200, found[0], False
    one_id, changed = store(db, resource)
    return 201, one_id, changed


def transact(db: sqlite3.Connection, bundle: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Apply a transaction; return (response entries, whether anything changed). Raises Conflict: nothing is kept."""
    asked = [one for one in bundle.get("entry", []) if isinstance(one, dict)]
    plan = [_place(db, one) for one in asked]
    places = {
        one["fullUrl"]: f"{kind}/{one_id}"
        for one, (kind, one_id, _) in zip(asked, plan, strict=True)
        if isinstance(one.get("fullUrl"), str)
    }
    answers, any_change = [], False
    for one, (kind, one_id, keep_old) in zip(asked, plan, strict=True):
        was_there = load(db, kind, one_id) is not None
        changed = False
        if not keep_old:
            _, changed = store(db, _resolved(db, one["resource"], places), one_id)
        any_change |= changed
        status = "200 OK" if was_there else "201 Created"
        answers.append({"response": {"status": status, "location": f"{kind}/{one_id}/_history/1"}})
    return answers, any_change


def _place(db: sqlite3.Connection, entry: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Return (type, id, keep what is there) for an entry, before anything is written."""
    request, resource = entry.get("request") or {}, entry.get("resource") or {}
    kind, method, url = str(resource.get("resourceType", "")), request.get("method"), str(request.get("url", ""))
    if not kind or method not in ("POST", "PUT"):
        raise Conflict(400)
    if method == "POST":
        condition = request.get("ifNoneExist")
        found = find(db, kind, str(condition)) if condition else []
    elif "?" in url:
        found = find(db, kind, url.partition("?")[2])
    else:
        return kind, url.partition("/")[2], False
    if len(found) > 1:
        raise Conflict(412)
    return kind, found[0] if found else str(uuid.uuid4()), method == "POST" and bool(found)


def _resolved(db: sqlite3.Connection, value: Any, places: Mapping[str, str]) -> Any:  # noqa: ANN401
    """Return the resource with its references inside the bundle, and conditional ones, made literal."""
    if isinstance(value, list):
        return [_resolved(db, one, places) for one in value]
    if not isinstance(value, dict):
        return value
    out = {name: _resolved(db, one, places) for name, one in value.items()}
    reference = value.get("reference")
    if isinstance(reference, str):
        if reference in places:
            out["reference"] = places[reference]
        elif "?" in reference:
            kind, _, condition = reference.partition("?")
            found = find(db, kind, condition)
            if len(found) != 1:
                raise Conflict(412)
            out["reference"] = f"{kind}/{found[0]}"
    return out
