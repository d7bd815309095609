"""Settings: the only reader of the environment. Everything has a unit and a default; wrong values stop the start."""

import os
import stat
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from coordinator.domain.errors import ConfigurationError
from coordinator.settings_words import variable, wrong_json, wrong_values

HERE = Path(__file__).resolve().parent
DEMO_SETTINGS = "demo-settings.json"
"""File in the demo's folder that says with which settings it runs, for the commands that look at it from beside."""
LONGEST_S = 31_536_000
"""A year: more than anybody waits for, and a number that a clock can add."""


def shipped(name: str) -> Path:
    """Return the folder of data that comes with the service: templates, mappings or docs/examples.

    In a checkout it stands beside the package; in an installed wheel, inside it.
    """
    beside = HERE.parent / name
    inside = HERE / "_data" / Path(name).name
    return beside if beside.exists() else inside


class Settings(BaseSettings):
    """Read from COORDINATOR_* variables (and a .env file when there is one). Secrets come as files."""

    model_config = SettingsConfigDict(
        env_prefix="COORDINATOR_", env_file=".env", env_ignore_empty=True, extra="forbid", frozen=True,
        use_attribute_docstrings=True, hide_input_in_errors=True,
    )  # fmt: skip

    environment: Literal["development", "production"] = "development"
    """production refuses what is for trials only: loopback, demonstration signatures, a key file made by itself."""
    data_dir: Path = Path("data")
    """Folder of the embedded database, the key file and the lock."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in data_dir."""
    database_url_file: Path | None = None
    """File that holds the database URL, password and all; wins over database_url."""
    key_file: Path | None = None
    """32-byte field key, mode 0600; None means data_dir/field.key, made at the first start outside production."""
    anchor_file: Path | None = None
    """File outside the database that says how far it had come, so that a restored older copy is noticed and nothing
    goes out unseen. Keep it on another volume than the database; None means data_dir/anchor.json."""
    host: str = "127.0.0.1"
    """Address that the API and the console listen on."""
    port: int = Field(default=8080, ge=0, le=65_535)
    """Intake API. 0 picks a free one."""
    console_port: int = Field(default=8081, ge=0, le=65_535)
    """Staff console. 0 picks a free one."""
    public_url: str = "http://127.0.0.1:8080"
    """The API's address from outside, without a slash at the end."""
    console_url: str = "http://127.0.0.1:8081"
    """The console's address from outside, without a slash at the end."""
    templates_dir: Path = Field(default_factory=lambda: shipped("templates"))
    """Folder of letter templates; the default is the one that comes with the service."""
    clinic_letters_dir: Path | None = None
    """Folder with the clinic's own letterhead.yaml, logo and letter bodies; checked at the start, which stops with the
    reason when one breaks a rule. See templates/README.md."""
    mappings_dir: Path = Field(default_factory=lambda: shipped("mappings"))
    """Folder of mappings, codes and rules; the default is the one that comes with the service."""
    rule_signatures: Path | None = None
    """Signatures of the coordination rules. None: every rule is off and reported as off."""
    accept_demonstration_rules: bool = False
    """Whether signatures marked for demonstration count. Never in production."""
    allow_loopback: bool = False
    """Whether outgoing calls may go to this machine over plain http (trials and tests)."""
    ca_file: Path | None = None
    """PEM file with a certificate authority beside the system's, for HTTPS: a partner's own."""
    crl_dir: Path | None = None
    """Folder with a list of revoked certificates (CRL, PEM) for each server whose certificate is checked against one,
    named after it: ehr.north.example.pem. For HTTPS, SMTP and IMAP, and by the domain of the address for certificates
    that mail is encrypted to; a renewed file counts at once."""
    crl_whole_chain: bool = False
    """Whether every authority of the chain needs a list in the server's file, not only the one that signed it."""
    broker_url: str = ""
    """Celery broker (amqp:// or redis://); empty means the embedded runner."""
    broker_url_file: Path | None = None
    """File that holds the broker URL; wins over broker_url."""
    senders: int = Field(default=48, ge=1, le=64)
    """Threads that send at the same time, in the embedded process or in each worker: a dozen endpoints with the four
    sends each may have, so that those that do not answer leave room for the others."""
    senders_on_one_core: bool = True
    """Whether the embedded process keeps the threads that send on one core: they take turns at Python's one lock, and
    the turns cost less so. Off where another program is bound to the same cores."""
    retry_scale: float = Field(default=1.0, gt=0, le=10)
    """Multiplies every wait between two tries; trials set it small."""
    breaker_probe_s: float = Field(default=300, gt=0, le=LONGEST_S)
    """Seconds until an endpoint that failed five times in a row is tried again with one message."""
    doubt_pause_s: float = Field(default=20, gt=0, le=LONGEST_S)
    """Seconds before a far side is asked about a send that may have arrived."""
    search_lag_s: float = Field(default=900, gt=0, le=LONGEST_S)
    """Seconds that a record system's search may need until it shows what was stored. Before they are over, a letter
    that is not found there is not taken for absent, and not sent once more."""
    resend_alone: int = Field(default=50, ge=0, le=10_000)
    """The most messages that one person may have sent again within an hour without a second person; 0: none at all."""
    address_alone: bool = False
    """Whether a recipient's new or changed address is used once it was verified, without a second person's approval."""
    lease_s: float = Field(default=180, ge=10, le=LONGEST_S)
    """How long a worker may hold a delivery before it is taken for dead. Longer than a send may take (60 s)."""
    session_idle_s: int = Field(default=900, ge=60, le=LONGEST_S)
    """Seconds without a click after which staff are signed out."""
    session_max_s: int = Field(default=43_200, ge=600, le=LONGEST_S)
    """Seconds after which staff are signed out in any case."""
    smtp_host: str = ""
    """Edge of the HISP for Direct messages; empty turns the channel off (its messages wait for a person)."""
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    """Port of the edge; STARTTLS is required on it."""
    smtp_username: str = ""
    """User name at the edge."""
    smtp_password_file: Path | None = None
    """File that holds the password at the edge."""
    direct_from: str = ""
    """The clinic's own Direct address: the sender of every Direct message."""
    imap_host: str = ""
    """Mailbox of the delivery notices (MDN); empty means that no Direct message is ever proven to arrive."""
    imap_port: int = Field(default=993, ge=1, le=65_535)
    """Port of the mailbox; TLS from the first byte."""
    imap_username: str = ""
    """User name of the mailbox."""
    imap_password_file: Path | None = None
    """File that holds the mailbox's password."""
    mail_ca_file: Path | None = None
    """PEM file with the HISP's own certificate authority, in place of the system's; for SMTP and IMAP."""
    notice_smtp_host: str = ""
    """Mail service for the notices of the secure link; empty turns the channel off."""
    notice_smtp_port: int = Field(default=587, ge=1, le=65_535)
    """Port of that mail service; STARTTLS is required on it."""
    notice_smtp_username: str = ""
    """User name at that mail service."""
    notice_smtp_password_file: Path | None = None
    """File that holds the password at that mail service."""
    notice_from: str = ""
    """Sender of the notices. They carry no PHI, so this is an ordinary mailbox."""
    notice_ca_file: Path | None = None
    """PEM file with that mail service's own certificate authority, in place of the system's."""
    smime_key_file: Path | None = None
    """PEM private key (RSA) for those who run their own Direct agent: letters are signed and encrypted here, and
    notices that come encrypted to us are opened, and believed only when the recipient signed them. None where the HISP
    does that, which is the usual case."""
    smime_certificate_file: Path | None = None
    """PEM certificate of smime_key_file."""
    smime_recipients_dir: Path | None = None
    """Folder of recipients' certificates, one ENDPOINT-ID.pem each; without one nothing is sent to that endpoint."""
    fax_kind: Literal["phaxio", "documo", "srfax", "sinch"] = "phaxio"
    """Vendor of the fax gateway."""
    fax_format: Literal["pdf", "tiff"] = "pdf"
    """What the gateway is given: the PDF, or the pages as a fax line carries them (TIFF, fine mode)."""
    fax_url: str = ""
    """Base URL of the fax gateway; empty turns the channel off."""
    fax_key_file: Path | None = None
    """The account's key (phaxio, documo), key id (sinch) or access id (srfax)."""
    fax_secret_file: Path | None = None
    """The account's secret (phaxio), key secret (sinch) or password (srfax); documo has none."""
    fax_callback_token_file: Path | None = None
    """The vendor's callback token (phaxio), or 32 random bytes as text: the secret part of the callback address."""
    fax_project: str = ""
    """Project id of the account; sinch only."""
    fax_from: str = ""
    """Our own fax number in E.164; needed by srfax, taken by sinch."""
    fax_sender_email: str = ""
    """E-mail address of the account; srfax only."""
    smart_key_file: Path | None = None
    """PEM private key (RSA 3072+ or P-384) for SMART Backend Services."""
    smart_key_id: str = "coordinator-1"
    """Name (kid) of that key at /.well-known/jwks.json; a new key needs a new name."""
    smart_more_keys: dict[str, Path] = Field(
        default_factory=dict, examples=['{"coordinator-2": "/run/secrets/next.pem"}']
    )
    """Further keys as JSON, {"kid": "file"}: the next one or the last one while keys rotate, or one of the other
    algorithm. All are published; the first that a server's algorithms allow signs."""
    smart_token_hosts: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, examples=['{"endpoint id": ["login.example.org"]}']
    )
    """Token hosts approved beside the FHIR server's own, as JSON: {"endpoint id": ["login.example.org"]}."""
    private_hosts: tuple[str, ...] = Field(default=(), examples=['["ehr.hospital.lan"]'])
    """On-premise FHIR servers with private addresses that may be reached, as JSON: ["ehr.hospital.lan"]."""
    client_certificate_file: Path | None = None
    """PEM certificate shown to servers that ask for one (mutual TLS)."""
    client_key_file: Path | None = None
    """PEM private key of client_certificate_file. An endpoint may have one of its own: `auth.certificate` NAME means
    NAME.crt and NAME.key in secrets_dir."""
    secrets_dir: Path | None = None
    """Folder with one file per named secret of an endpoint: `auth.secret` in the registry is the file's name. The file
    holds the bearer token (method bearer) or the password (method basic, with `auth.client_id` as the user)."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401  (each has its own kind)
        """Read the settings; raise ConfigurationError with every one that is wrong, and without its value."""
        try:
            super().__init__(**values)
        except ValidationError as fault:
            raise ConfigurationError(wrong_values(fault, type(self).model_fields)) from None
        except SettingsError as fault:
            raise ConfigurationError(wrong_json(fault, type(self).model_fields)) from None
        except OSError as fault:
            raise ConfigurationError(f".env cannot be read: {fault.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigurationError(".env cannot be read: it is not text in UTF-8") from None

    def url(self) -> str:
        """Return the database URL; raise ConfigurationError when its file cannot be read."""
        if self.database_url_file is not None:
            return self.text("database_url_file")
        return self.database_url or f"sqlite:///{self.data_dir / 'coordinator.sqlite'}"

    def broker(self) -> str:
        """Return the broker's URL; empty means the embedded runner. Raises ConfigurationError as `url` does."""
        if self.broker_url_file is not None:
            return self.text("broker_url_file")
        return self.broker_url

    def text(self, name: str) -> str:
        """Return what stands in the file that a setting names; raise ConfigurationError when that is nothing."""
        path: Path | None = getattr(self, name)
        if path is None:
            raise ConfigurationError(f"{variable(name)} is not set; it has to name the file with the secret in it")
        try:
            found = path.read_text(encoding="utf-8").strip()
        except OSError as fault:
            raise unusable(name, path, fault.strerror) from None
        except UnicodeDecodeError:
            raise unusable(name, path, "it is not text") from None
        if not found:
            raise unusable(name, path, "it is empty")
        return found

    def refuse_missing(self, *names: str) -> None:
        """Raise ConfigurationError for the first named file or folder that is not there to be read.

        `names` are the settings to look at; without any, all. What the service makes itself may be missing.
        """
        for name in names or type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Path) and name not in ("data_dir", "anchor_file"):
                _refuse_missing(name, value, is_folder=name.endswith("_dir"))
        for kid, path in ({} if names else self.smart_more_keys).items():
            _refuse_missing("smart_more_keys", path, is_folder=False, part=f"{kid}: ")
        if not names and self.anchor_file is not None:
            _refuse_missing("anchor_file", self.anchor_file.parent, is_folder=True, part="its folder ")


def unusable(name: str, path: Path, why: str | None, *, part: str = "") -> ConfigurationError:
    """Return what to raise for a file or folder of a setting that cannot be used. `part` says which one it is of it."""
    return ConfigurationError(
        f"{variable(name)}: {part}{path.name or path} cannot be used: {why or 'it cannot be read'}"
    )


def _refuse_missing(name: str, path: Path, *, is_folder: bool, part: str = "") -> None:
    try:
        found_folder = stat.S_ISDIR(path.stat().st_mode)
    except OSError as fault:
        raise unusable(name, path, fault.strerror, part=part) from None
    if found_folder != is_folder:
        why = "it is a folder, and has to be a file" if found_folder else "it is no folder"
        raise unusable(name, path, why, part=part)
    if not os.access(path, os.R_OK | (os.X_OK if is_folder else 0)):
        raise unusable(name, path, "this user may not read it", part=part)
