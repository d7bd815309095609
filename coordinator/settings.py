"""Settings: the only reader of the environment. Everything has a unit and a default; wrong values stop the start."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

HERE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the folder of data that comes with the service: templates, mappings or docs/examples.

    In a checkout it stands beside the package; in an installed wheel, inside it.
    """
    beside = HERE.parent / name
    inside = HERE / "_data" / Path(name).name
    return beside if beside.exists() else inside


class Settings(BaseSettings):
    """Read from COORDINATOR_* variables (and a .env file when there is one). Secrets come as files."""

    model_config = SettingsConfigDict(env_prefix="COORDINATOR_", env_file=".env", extra="forbid", frozen=True)

    environment: Literal["development", "production"] = "development"
    data_dir: Path = Path("data")
    """Folder of the embedded database, the key file and the lock."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in data_dir."""
    database_url_file: Path | None = None
    """File that holds the database URL, password and all; wins over database_url."""
    key_file: Path | None = None
    """32-byte field key, mode 0600; None means data_dir/field.key, made at the first start outside production."""
    host: str = "127.0.0.1"
    port: int = 8080
    """Intake API. 0 picks a free one."""
    console_port: int = 8081
    public_url: str = "http://127.0.0.1:8080"
    console_url: str = "http://127.0.0.1:8081"
    templates_dir: Path = Field(default_factory=lambda: shipped("templates"))
    mappings_dir: Path = Field(default_factory=lambda: shipped("mappings"))
    rule_signatures: Path | None = None
    """Signatures of the coordination rules. None: every rule is off and reported as off."""
    accept_demonstration_rules: bool = False
    """Whether signatures marked for demonstration count. Never in production."""
    allow_loopback: bool = False
    """Whether outgoing calls may go to this machine over plain http (trials and tests)."""
    ca_file: Path | None = None
    """Extra certificate authority for outgoing TLS."""
    broker_url: str = ""
    """Celery broker (amqp:// or redis://); empty means the embedded runner."""
    broker_url_file: Path | None = None
    """File that holds the broker URL; wins over broker_url."""
    senders: int = Field(default=4, ge=1, le=64)
    retry_scale: float = Field(default=1.0, gt=0, le=10)
    breaker_probe_s: float = Field(default=300, gt=0)
    doubt_pause_s: float = Field(default=20, gt=0)
    lease_s: float = Field(default=180, ge=10)
    """How long a worker may hold a delivery before it is taken for dead. Longer than a send may take (60 s)."""
    session_idle_s: int = Field(default=900, ge=60)
    session_max_s: int = Field(default=43_200, ge=600)
    smtp_host: str = ""
    """Edge of the HISP for Direct messages; empty turns the channel off (its messages wait for a person)."""
    smtp_port: int = 587
    smtp_username: str = ""
    smtp_password_file: Path | None = None
    direct_from: str = ""
    imap_host: str = ""
    imap_port: int = 993
    imap_username: str = ""
    imap_password_file: Path | None = None
    mail_ca_file: Path | None = None
    notice_smtp_host: str = ""
    """Mail service for the notices of the secure link; empty turns the channel off."""
    notice_smtp_port: int = 587
    notice_smtp_username: str = ""
    notice_smtp_password_file: Path | None = None
    notice_from: str = ""
    """Sender of the notices. They carry no PHI, so this is an ordinary mailbox."""
    notice_ca_file: Path | None = None
    fax_url: str = ""
    """Base URL of the fax gateway; empty turns the channel off."""
    fax_key_file: Path | None = None
    fax_secret_file: Path | None = None
    fax_callback_token_file: Path | None = None
    smart_key_file: Path | None = None
    """PEM private key (RSA 3072+ or P-384) for SMART Backend Services."""
    smart_key_id: str = "coordinator-1"
    secrets_dir: Path | None = None
    """Folder with one file per named secret of an endpoint (bearer tokens, passwords)."""

    def url(self) -> str:
        """Return the database URL."""
        if self.database_url_file is not None:
            return self.database_url_file.read_text(encoding="utf-8").strip()
        return self.database_url or f"sqlite:///{self.data_dir / 'coordinator.sqlite'}"

    def broker(self) -> str:
        """Return the broker's URL; empty means the embedded runner."""
        if self.broker_url_file is not None:
            return self.broker_url_file.read_text(encoding="utf-8").strip()
        return self.broker_url
