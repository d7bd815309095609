"""The far sides as the settings describe them: which vendor, which keys, which hosts; and what stops the start."""

from functools import cache
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from coordinator.channels.fax_documo import DocumoGateway
from coordinator.channels.fax_gateway import PhaxioGateway
from coordinator.channels.fax_sinch import SinchGateway
from coordinator.channels.fax_srfax import SrfaxGateway
from coordinator.domain.errors import ConfigurationError
from coordinator.mapping.load import load
from coordinator.outside import FaxReceipts, outside, signing_keys
from coordinator.settings import Settings, shipped
from tests.contract.entries import MemoryEntries
from tests.contract.people import CountingDice, StillClock


@cache
def mappings():
    return load(shipped("mappings"))


def built(**settings):
    return outside(Settings(_env_file=None, **settings), StillClock(), CountingDice(), mappings(), MemoryEntries())


@pytest.fixture
def fax(tmp_path):
    """Return the settings of a fax account, secrets in files."""
    for name in ("key", "secret", "token"):
        (tmp_path / name).write_text(f"{name}-text\n")
    return {
        "fax_url": "https://fax.example",
        "fax_key_file": tmp_path / "key",
        "fax_secret_file": tmp_path / "secret",
        "fax_callback_token_file": tmp_path / "token",
        "fax_from": "+1-218-555-0110",
        "fax_sender_email": "fax@clinic.example",
        "fax_project": "project-1",
    }


@pytest.mark.parametrize(
    ("kind", "gateway"),
    [("phaxio", PhaxioGateway), ("documo", DocumoGateway), ("srfax", SrfaxGateway), ("sinch", SinchGateway)],
)
def test_the_fax_vendor_is_chosen_by_the_settings_and_can_pause(fax, kind, gateway):
    made = built(**fax, fax_kind=kind)
    assert isinstance(made.gateway._inner, gateway)
    assert made.gateway.paused_until is None
    assert set(made.checkers) == {"fhir-rest", "fhir-message", "fax"}


@pytest.mark.parametrize(
    ("kind", "missing"), [("sinch", "fax_project"), ("srfax", "fax_from"), ("srfax", "fax_sender_email")]
)
def test_a_vendor_whose_own_setting_is_missing_stops_the_start_and_names_it(fax, kind, missing):
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{missing.upper()}"):
        built(**{**fax, missing: ""}, fax_kind=kind)


@pytest.mark.parametrize("named", ["fax_key_file", "fax_callback_token_file"])
@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_secret_that_is_missing_empty_or_no_text_stops_the_start_and_names_its_setting(fax, named, content):
    if content is None:
        fax[named].unlink()
    else:
        fax[named].write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{named.upper()}: {fax[named].name} "):
        built(**fax)


def test_a_secret_whose_file_is_not_named_stops_the_start_and_names_the_setting(fax):
    with pytest.raises(ConfigurationError, match="COORDINATOR_FAX_SECRET_FILE is not set"):
        built(**{**fax, "fax_secret_file": None})


def test_a_callback_to_an_address_that_is_not_even_ascii_is_not_the_gateways(fax):
    made = built(**fax)
    settings = Settings(_env_file=None, **fax)
    assert FaxReceipts(SimpleNamespace(clock=StillClock()), settings, made.gateway).fax(b"", {}, "https://c/é") is False


def test_without_a_gateway_or_an_edge_only_fhir_and_by_hand_are_there():
    made = built()
    assert set(made.channels) == {"by-hand", "fhir-rest", "fhir-message"}
    assert made.gateway is None


def test_direct_knows_the_document_type_of_the_wrapped_letter(tmp_path):
    (tmp_path / "password").write_text("sandbox-only")
    made = built(
        smtp_host="hisp.example", smtp_password_file=tmp_path / "password", direct_from="c@direct.clinic.example"
    )
    assert made.channels["direct"]._config.ccda_type.system_name == "LOINC"
    assert not made.channels["direct"].encrypts


def test_half_a_set_of_s_mime_files_stops_the_start(tmp_path):
    (tmp_path / "password").write_text("sandbox-only")
    with pytest.raises(ConfigurationError, match="S/MIME"):
        built(smtp_host="hisp.example", smtp_password_file=tmp_path / "password", smime_key_file=tmp_path / "key")


def test_half_a_client_certificate_stops_the_start(tmp_path):
    with pytest.raises(ConfigurationError, match="client certificate"):
        built(client_key_file=tmp_path / "key")


def test_hosts_that_an_administrator_allowed_are_allowed_however_they_were_written():
    made = built(private_hosts=("EHR.Hospital.lan ",), smart_token_hosts={"ep": ("Login.Example.org",)})
    assert made.http._guarded._config.private_hosts == {"ehr.hospital.lan"}
    assert made.channels["fhir-rest"]._credentials._config.token_hosts == {"ep": {"login.example.org"}}


def test_loopback_is_refused_in_production():
    with pytest.raises(ConfigurationError, match="LOOPBACK"):
        built(environment="production", allow_loopback=True)


def a_key(path):
    key = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_every_key_is_published_and_the_first_signs(tmp_path):
    first, second = a_key(tmp_path / "first"), a_key(tmp_path / "second")
    settings = Settings(_env_file=None, smart_key_file=first, smart_key_id="k1", smart_more_keys={"k2": second})
    assert [one.kid for one in signing_keys(settings)] == ["k1", "k2"]


def test_two_keys_of_one_name_stop_the_start(tmp_path):
    file = a_key(tmp_path / "key")
    with pytest.raises(ConfigurationError, match="kid"):
        signing_keys(Settings(_env_file=None, smart_key_file=file, smart_key_id="k1", smart_more_keys={"k1": file}))
