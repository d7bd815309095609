"""The demo's stage: the pretend recipients, and a service of its own in a folder, set up to talk to them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from coordinator.bootstrap import Service, build
from coordinator.sandbox.farm import Farm
from coordinator.settings import DEMO_SETTINGS, Settings, shipped

DEMO_SCALE = 0.02
"""Waits of the demo as a share of the real ones: half a minute becomes 0.6 s."""


@dataclass(frozen=True)
class Stage:
    """The recipients and the service that talks to them."""

    farm: Farm
    service: Service


def private_file(path: Path, content: bytes) -> Path:
    """Write a file that only its owner can read, once; return its path."""
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
    return path


def signing_key() -> bytes:
    """Return a new P-384 key as PEM, for SMART sign-in at the pretend EHR."""
    key = ec.generate_private_key(ec.SECP384R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _tell(settings: Settings) -> None:
    """Leave the settings in the demo's folder: a command in another shell speaks to the same recipients with them."""
    file = settings.data_dir / DEMO_SETTINGS
    file.unlink(missing_ok=True)
    private_file(file, settings.model_dump_json(include=settings.model_fields_set).encode())


def set_up(folder: Path, port: int, console_port: int, *, quick: Callable[[Settings], Settings] | None = None) -> Stage:
    """Start the recipients and return the stage. The same folder again finds everything as it was left."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = folder.resolve()
    farm = Farm(folder / "sandbox")
    farm.start()
    farm.ehr.come_back()
    places = farm.addresses()
    secrets_dir = folder / "secrets"
    secrets_dir.mkdir(exist_ok=True, mode=0o700)

    def secret(name: str, value: str) -> Path:
        return private_file(secrets_dir / name, value.encode())

    rules = shipped("mappings") / "rules"
    settings = Settings(
        data_dir=folder,
        port=port,
        console_port=console_port,
        public_url=f"http://127.0.0.1:{port}",
        console_url=f"http://127.0.0.1:{console_port}",
        rule_signatures=rules / "signatures.demonstration.yaml",
        accept_demonstration_rules=True,
        allow_loopback=True,
        retry_scale=DEMO_SCALE,
        breaker_probe_s=60,
        doubt_pause_s=20,
        search_lag_s=20,
        smtp_host=places.smtp_host,
        smtp_port=places.smtp_port,
        smtp_username=farm.hisp.username,
        smtp_password_file=secret("hisp-password", farm.hisp.password),
        direct_from="lakeside@direct.lakeside.example",
        imap_host=places.imap_host,
        imap_port=places.imap_port,
        imap_username=farm.hisp.username,
        imap_password_file=secret("imap-password", farm.hisp.password),
        mail_ca_file=places.ca_file,
        fax_url=places.fax,
        fax_key_file=secret("fax-key", farm.fax.api_key),
        fax_secret_file=secret("fax-secret", farm.fax.api_secret),
        fax_callback_token_file=secret("fax-callback-token", farm.fax.behaviour.callback_token),
        smart_key_file=private_file(secrets_dir / "smart.pem", signing_key()),
        secrets_dir=secrets_dir,
    )
    settings = quick(settings) if quick else settings
    _tell(settings)
    service = build(settings)
    service.open()
    farm.ehr.trust("lakeside-coordinator", service.jwks())
    return Stage(farm, service)
