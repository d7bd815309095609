"""How the pretend EHR lets clients in: SMART Backend Services, by the public keys it was told."""

import threading
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import jwt
import orjson

from coordinator.sandbox.shelf import Shelf
from coordinator.sandbox.web import Request


class SignInDesk:
    """Gives tokens for assertions. Once one client is known, requests need a token."""

    def __init__(self, shelf: Shelf, address: str) -> None:
        """`address` is the FHIR base URL, of which the token address is a part."""
        self._shelf = shelf
        self._address = address
        self._tokens: set[str] = set()
        self._lock = threading.Lock()

    def trust(self, client_id: str, jwks: Mapping[str, Any]) -> None:
        """Know this client by its public keys."""
        with self._shelf.keep() as db:
            db.execute("REPLACE INTO clients VALUES (?,?)", (client_id, orjson.dumps(dict(jwks))))

    def forget_tokens(self) -> None:
        """Take no token given so far any more, as a server does that was started anew."""
        with self._lock:
            self._tokens.clear()

    def discovery(self) -> dict[str, Any]:
        """Return the SMART configuration."""
        return {
            "token_endpoint": f"{self._address}/token",
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
        }

    def token(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Return (status, body) of the answer to a token request."""
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        problem = self._check_assertion(form.get("client_assertion", ""))
        if problem is not None or form.get("grant_type") != "client_credentials":
            return 400, {"error": "invalid_client", "error_description": problem or "grant"}
        token = uuid.uuid4().hex
        with self._lock:
            self._tokens.add(token)
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": form.get("scope", "")}

    def _check_assertion(self, text: str) -> str | None:
        """Return what is wrong with the assertion, or None. Rules: SMART Backend Services."""
        try:
            header = jwt.get_unverified_header(text)
            client_id = str(jwt.decode(text, options={"verify_signature": False}).get("iss"))
            rows = self._shelf.rows("SELECT jwks FROM clients WHERE client_id=?", client_id)
            keys = (
                [one for one in orjson.loads(rows[0][0])["keys"] if one.get("kid") == header.get("kid")] if rows else []
            )
            if len(keys) != 1 or header.get("alg") not in ("RS384", "ES384") or header.get("typ") != "JWT":
                return "no such key"
            claims = jwt.decode(
                text,
                jwt.PyJWK(keys[0], algorithm=str(header["alg"])).key,
                algorithms=[str(header["alg"])],
                audience=f"{self._address}/token",
                options={"require": ["exp", "iss", "sub", "aud", "jti"]},
            )
        except (jwt.InvalidTokenError, jwt.PyJWKError, KeyError):
            return "not valid"
        return self._check_claims(claims, client_id)

    def _check_claims(self, claims: Mapping[str, Any], client_id: str) -> str | None:
        if claims["sub"] != client_id:
            return "iss and sub differ"
        if "iat" in claims and claims["exp"] - claims["iat"] > 300:
            return "lives too long"
        with self._shelf.keep() as db:
            if db.execute("SELECT 1 FROM used WHERE jti=?", (claims["jti"],)).fetchone():
                return "jti used before"
            db.execute("INSERT INTO used VALUES (?)", (claims["jti"],))
        return None

    def is_signed_in(self, request: Request) -> bool:
        """Return whether the request may pass."""
        if not self._shelf.rows("SELECT 1 FROM clients LIMIT 1"):
            return True
        with self._lock:
            return request.headers.get("authorization", "").removeprefix("Bearer ") in self._tokens
