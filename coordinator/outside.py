"""The far sides as the settings describe them: channels, receipt sources, and what can be asked of an endpoint."""

import hashlib
import secrets
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from coordinator.channels.by_hand import ByHand
from coordinator.channels.ccda import Coded
from coordinator.channels.checking import DirectChecker, FaxChecker
from coordinator.channels.direct import Direct, SmtpConfig
from coordinator.channels.fax import Fax
from coordinator.channels.fax_documo import DocumoConfig, DocumoGateway
from coordinator.channels.fax_gateway import FaxGateway, PhaxioConfig, PhaxioGateway
from coordinator.channels.fax_pause import PausingGateway
from coordinator.channels.fax_sinch import SinchConfig, SinchGateway
from coordinator.channels.fax_srfax import SrfaxConfig, SrfaxGateway
from coordinator.channels.fhir.checking import FhirChecker, KeySet
from coordinator.channels.fhir_message import FhirMessage
from coordinator.channels.fhir_rest import FhirRest
from coordinator.channels.receipts.direct_mdn import DirectNotices, ImapConfig
from coordinator.channels.receipts.fax_callback import FaxCallback, TakesCallback, UnsignedFaxCallback
from coordinator.channels.smime import Agent, SmimeConfig
from coordinator.domain.errors import ConfigurationError, DeliveryError
from coordinator.flow.endpoint_checks import Checker
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Channel, Clock, Dice, EntryBook
from coordinator.flow.track import take_in
from coordinator.mapping.load import Mappings
from coordinator.observe.log import Log, write
from coordinator.security.outbound import HttpClient, OutboundConfig, guarded_client
from coordinator.security.places import LOOPBACK
from coordinator.security.smart import SignIn, SmartConfig
from coordinator.security.smart_keys import SigningKey, jwks_document
from coordinator.security.smart_keys import load_key as load_smart_key
from coordinator.settings import Settings, unusable
from coordinator.trust import RevocationLists

CCDA_TYPE_WORD = "progress-note"
"""The word of mappings/codes/document-type.yaml under which nearly every letter is filed."""
LOINC_OID = "2.16.840.1.113883.6.1"
"""How CDA names the code system of that table."""


@dataclass(frozen=True)
class Outside:
    """The channels and receipt sources as configured, and what they share."""

    channels: Mapping[str, Channel]
    gateway: FaxGateway | None
    notices: DirectNotices | None
    signing_keys: tuple[SigningKey, ...]
    checkers: Mapping[str, Checker]
    """What can be asked of an endpoint, by its kind."""
    http: HttpClient | None = None
    """The one client behind the channels, for whoever ends the service before the process ends."""


def outside(settings: Settings, clock: Clock, dice: Dice, mappings: Mappings, book: EntryBook) -> Outside:
    """Return the channels that are configured. By hand and FHIR always are; the others need their gateway."""
    if settings.environment == "production" and settings.allow_loopback:
        raise ConfigurationError("COORDINATOR_ALLOW_LOOPBACK is for trials; turn it off in production")
    http = _http(settings)
    keys = signing_keys(settings)
    hosts = {name: _hosts(allowed) for name, allowed in settings.smart_token_hosts.items()}
    mutual = settings.client_certificate_file is not None
    config = SmartConfig(keys=keys, secrets_dir=settings.secrets_dir, token_hosts=hosts, mutual_tls=mutual)
    sign_in = SignIn(http, config, clock, dice)
    settle_s, lag_s = (
        max(1, round(one * settings.retry_scale)) for one in (settings.doubt_pause_s, settings.search_lag_s)
    )
    partners = mappings.partners
    fhir = FhirChecker(
        http, sign_in, clock, partners=partners, chart_types=_chart_types(mappings), key_set=_key_set(settings, keys)
    )
    channels: dict[str, Channel] = {
        "by-hand": ByHand(),
        "fhir-rest": FhirRest(http, sign_in, clock, settle_s=lag_s, partners=partners, book=book),
        "fhir-message": FhirMessage(http, sign_in, clock),
    }
    checkers: dict[str, Checker] = {"fhir-rest": fhir, "fhir-message": fhir}
    notices = _notices(settings, clock)
    if settings.smtp_host:
        direct = Direct(_smtp(settings, mappings), clock)
        channels["direct"], checkers["direct"] = direct, DirectChecker(direct, notices)
    gateway = None
    if settings.fax_url:
        gateway = PausingGateway(_gateway(settings, http, clock), clock)
        fax = Fax(gateway, clock, settle_s=settle_s, tiff=settings.fax_format == "tiff")
        channels["fax"], checkers["fax"] = fax, FaxChecker(fax)
    return Outside(channels, gateway, notices, keys, checkers, http)


def signing_keys(settings: Settings) -> tuple[SigningKey, ...]:
    """Return our SMART keys: the one that signs first, then those that are only published or stand in.

    Raises ConfigurationError for a key that SMART does not allow, or a key id used twice.
    """
    if settings.smart_key_file is None:
        return ()
    keys = (
        load_smart_key(settings.smart_key_id, settings.smart_key_file),
        *(load_smart_key(kid, file) for kid, file in settings.smart_more_keys.items()),
    )
    jwks_document(keys)
    return keys


def _key_set(settings: Settings, keys: tuple[SigningKey, ...]) -> KeySet | None:
    url = f"{settings.public_url.rstrip('/')}/.well-known/jwks.json"
    return KeySet(url, tuple(one.kid for one in keys)) if keys else None


def revocation_lists(settings: Settings) -> RevocationLists | None:
    """Return where the lists of revoked certificates are; raise ConfigurationError when the folder is not there."""
    if settings.crl_dir is None:
        return None
    if not settings.crl_dir.is_dir():
        raise ConfigurationError("COORDINATOR_CRL_DIR names no folder; without it no certificate would be checked")
    return RevocationLists(settings.crl_dir, settings.crl_whole_chain)


def authorities(settings: Settings, name: str) -> str | None:
    """Return the path of a file of certificate authorities; raise ConfigurationError when it holds none in PEM."""
    path: Path | None = getattr(settings, name)
    if path is None:
        return None
    settings.refuse_missing(name)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError:
        raise unusable(name, path, "there is no certificate in PEM in it") from None
    return str(path)


def _refuse_no_certificate(settings: Settings) -> None:
    """Raise ConfigurationError when our own certificate cannot be shown to those who ask for it."""
    file, key = settings.client_certificate_file, settings.client_key_file
    if file is None or key is None:
        return
    settings.refuse_missing("client_certificate_file", "client_key_file")
    try:
        # A key under a password is refused; without this OpenSSL would ask for it at the terminal, and wait.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(file, key, password="")
    except OSError:
        why = "they are no certificate and its key in PEM, without a password"
        raise ConfigurationError(f"COORDINATOR_CLIENT_CERTIFICATE_FILE, COORDINATOR_CLIENT_KEY_FILE: {why}") from None


def _hosts(names: Iterable[str]) -> frozenset[str]:
    """Return host names as addresses have them: in lower case, however they were written."""
    return frozenset(one.strip().lower() for one in names)


def _http(settings: Settings) -> HttpClient:
    pair = (settings.client_certificate_file, settings.client_key_file)
    if (pair[0] is None) != (pair[1] is None):
        raise ConfigurationError("a client certificate needs both its file and its key file")
    _refuse_no_certificate(settings)
    return guarded_client(
        OutboundConfig(
            allow_loopback=settings.allow_loopback,
            private_hosts=_hosts(settings.private_hosts),
            ca_file=authorities(settings, "ca_file"),
            lists=revocation_lists(settings),
            client_cert=None if pair[0] is None or pair[1] is None else (str(pair[0]), str(pair[1])),
        )
    )


def _chart_types(mappings: Mappings) -> frozenset[str]:
    """Return the resource types of a chart's everyday part: a server that lacks one of these gets the document."""
    everyday = {"Patient", "Encounter", "Observation", "DocumentReference"}
    return frozenset(one.resource for one in mappings.resources) & everyday


def _smtp(settings: Settings, mappings: Mappings) -> SmtpConfig:
    return SmtpConfig(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_username,
        settings.text("smtp_password_file"),
        settings.direct_from,
        authorities(settings, "mail_ca_file"),
        _smime(settings),
        _ccda_type(mappings),
        revocation_lists(settings),
    )


def _smime(settings: Settings) -> SmimeConfig | None:
    if settings.smime_key_file is None:
        return None
    if settings.smime_certificate_file is None or settings.smime_recipients_dir is None:
        raise ConfigurationError("S/MIME needs its key, its certificate and the recipients' folder")
    return SmimeConfig(
        settings.smime_certificate_file, settings.smime_key_file, settings.smime_recipients_dir,
        revocation_lists(settings),
    )  # fmt: skip


def _ccda_type(mappings: Mappings) -> Coded | None:
    table = mappings.tables.get("document-type")
    row = None if table is None else table.row(CCDA_TYPE_WORD)
    if row is None or not row.codings:
        return None
    return Coded(row.codings[0]["code"], LOINC_OID, "LOINC", row.codings[0].get("display", ""))


def _notices(settings: Settings, clock: Clock) -> DirectNotices | None:
    if not settings.imap_host:
        return None
    password = settings.text("imap_password_file")
    ca_file = authorities(settings, "mail_ca_file")
    return DirectNotices(
        ImapConfig(
            settings.imap_host,
            settings.imap_port,
            settings.imap_username,
            password,
            ca_file=ca_file,
            lists=revocation_lists(settings),
        ),
        clock,
        None if (smime := _smime(settings)) is None else Agent(smime),
    )


def need_https(settings: Settings) -> None:
    """Raise ConfigurationError when letters would be read over plain http, but for development on loopback."""
    pages = urlsplit(settings.public_url)
    if pages.scheme != "https" and (settings.environment == "production" or pages.hostname not in LOOPBACK):
        raise ConfigurationError(
            "COORDINATOR_PUBLIC_URL has to begin with https://, since letters are read there by secure link"
        )


def callback_place(token: str) -> str:
    """Return the secret end of the callback address: made from the signing token, telling nothing about it."""
    return hashlib.sha256(f"callback-place|{token}".encode()).hexdigest()[:40]


def _gateway(settings: Settings, http: HttpClient, clock: Clock) -> FaxGateway:
    """Return the adapter for the vendor that the settings name."""
    place = callback_place(settings.text("fax_callback_token_file"))
    callback = f"{settings.public_url}/v1/receipts/fax/{place}"
    key = settings.text("fax_key_file")
    makers: Mapping[str, Callable[[], FaxGateway]] = {
        "phaxio": lambda: PhaxioGateway(
            http, PhaxioConfig(settings.fax_url, key, settings.text("fax_secret_file"), callback), clock
        ),
        "documo": lambda: DocumoGateway(http, DocumoConfig(settings.fax_url, key), clock),
        "srfax": lambda: SrfaxGateway(
            http,
            SrfaxConfig(
                settings.fax_url,
                key,
                settings.text("fax_secret_file"),
                _needed(settings.fax_from, "COORDINATOR_FAX_FROM"),
                _needed(settings.fax_sender_email, "COORDINATOR_FAX_SENDER_EMAIL"),
                callback,
            ),
            clock,
        ),
        "sinch": lambda: SinchGateway(
            http,
            SinchConfig(
                settings.fax_url,
                _needed(settings.fax_project, "COORDINATOR_FAX_PROJECT"),
                key,
                settings.text("fax_secret_file"),
                settings.fax_from,
                callback,
            ),
            clock,
        ),
    }
    return makers[settings.fax_kind]()


def _needed(value: str, name: str) -> str:
    if not value:
        raise ConfigurationError(f"{name} has to be set for this fax vendor")
    return value


class FaxReceipts:
    """Takes in the fax gateway's callbacks."""

    def __init__(self, parts: Parts, settings: Settings, gateway: FaxGateway | None) -> None:
        """Without a gateway every callback is refused."""
        self._parts = parts
        token = settings.text("fax_callback_token_file") if gateway is not None else ""
        self._place = callback_place(token)
        self._callback: TakesCallback | None = None
        if gateway is not None and settings.fax_kind == "phaxio":
            self._callback = FaxCallback(gateway, parts.clock, token=token)
        elif gateway is not None:
            self._callback = UnsignedFaxCallback(gateway, parts.clock)

    def fax(self, body: bytes, headers: Mapping[str, str], url: str) -> bool:
        """Take in a callback; return whether it is the gateway's. What it says is read back there first."""
        place = url.partition("?")[0].rsplit("/", 1)[-1]
        if self._callback is None or not secrets.compare_digest(place.encode(), self._place.encode()):
            return False
        try:
            news = self._callback.take(url, headers, body)
        except ValueError:
            return False
        except DeliveryError as away:
            write(Log.RECEIPT_SOURCE_DOWN, code=away.code, channel="fax")
            return True
        if news is not None:
            take_in(self._parts, news)
        return True
