"""Our keys for signing in at FHIR servers, and the public half of them as it is served to partners."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from coordinator.domain.errors import ConfigurationError


@dataclass(frozen=True)
class SigningKey:
    """One private key of ours. The algorithm follows from the kind of key: RS384 or ES384."""

    kid: str
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

    @property
    def alg(self) -> str:
        """Return the algorithm's name."""
        return "RS384" if isinstance(self.private, rsa.RSAPrivateKey) else "ES384"

    def public_jwk(self) -> dict[str, Any]:
        """Return the public key as a JWK with bare key values, kid, alg and use."""
        algorithm = jwt.get_algorithm_by_name(self.alg)
        public: dict[str, Any] = algorithm.to_jwk(self.private.public_key(), as_dict=True)
        return {
            **{name: public[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in public},
            **self._names(),
        }

    def _names(self) -> dict[str, Any]:
        return {"kid": self.kid, "alg": self.alg, "use": "sig", "key_ops": ["verify"]}


def load_key(kid: str, pem_file: Path) -> SigningKey:
    """Return the key of a PEM file; raise ConfigurationError for one that SMART does not allow."""
    try:
        key = load_pem_private_key(pem_file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as odd:
        raise ConfigurationError("a SMART key file holds one private key in PEM, without a password") from odd
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return SigningKey(kid, key)
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return SigningKey(kid, key)
    raise ConfigurationError("a SMART key is RSA of 2048 bits or more, or EC on P-384")


def jwks_document(keys: tuple[SigningKey, ...]) -> dict[str, Any]:
    """Return our public keys as the JWKS that is served to partners. Raises ConfigurationError for a kid used twice."""
    if len({one.kid for one in keys}) != len(keys):
        raise ConfigurationError("two keys share one kid")
    return {"keys": [one.public_jwk() for one in keys]}
