"""A wrong setting is told by its variable and its rule. Its value never is: it may be a secret."""

import pytest

from coordinator.bootstrap import build, workshop
from coordinator.domain.errors import ConfigurationError
from coordinator.settings import Settings
from coordinator.store.engine import connect

PASSWORD = "HUNTER2"


def told(**values):
    with pytest.raises(ConfigurationError) as wrong:
        Settings(_env_file=None, **values)
    assert wrong.value.__suppress_context__
    return str(wrong.value)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("senders", "0", "a whole number from 1 to 64"),
        ("senders", "many", "a whole number from 1 to 64"),
        ("lease_s", "1", "a number from 10 to 31536000"),
        ("retry_scale", "-1", "a number above 0 and at most 10"),
        ("retry_scale", "nan", "a number above 0 and at most 10"),
        ("breaker_probe_s", "inf", "a number above 0 and at most 31536000"),
        ("port", "99999", "a whole number from 0 to 65535"),
        ("smtp_port", "0", "a whole number from 1 to 65535"),
        ("allow_loopback", "perhaps", "true or false"),
        ("environment", "prod", "development or production"),
        ("fax_kind", "carrier-pigeon", "phaxio, documo, srfax or sinch"),
        ("fax_format", "gif", "pdf or tiff"),
        ("smart_token_hosts", '["no table"]', "JSON such as {"),
        ("smart_more_keys", "{no json", "JSON such as {"),
        ("private_hosts", "ehr.hospital.lan", 'JSON such as ["ehr.hospital.lan"]'),
    ],
)
def test_a_wrong_value_is_told_by_its_variable_and_its_rule(monkeypatch, name, value, rule):
    monkeypatch.setenv(f"COORDINATOR_{name.upper()}", value)
    said = told()
    assert said.startswith(f"COORDINATOR_{name.upper()} has to be {rule}")
    assert value not in said.split() or value in rule


def test_every_wrong_setting_is_told_at_once():
    said = told(senders=0, fax_kind="carrier-pigeon")
    assert "COORDINATOR_SENDERS" in said
    assert "COORDINATOR_FAX_KIND" in said


def in_file(tmp_path, *lines):
    file = tmp_path / "env"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    with pytest.raises(ConfigurationError) as wrong:
        Settings(_env_file=file)
    assert PASSWORD not in str(wrong.value)
    return str(wrong.value)


def test_a_misspelt_name_is_told_with_the_nearest_right_one_and_without_what_it_was_set_to(tmp_path):
    said = in_file(tmp_path, f"COORDINATOR_DATABASE_ULR=postgresql+psycopg://coord:{PASSWORD}@db/c")
    assert said == "there is no setting COORDINATOR_DATABASE_ULR; did you mean COORDINATOR_DATABASE_URL?"


def test_a_name_that_is_like_no_other_is_told_too(tmp_path):
    assert "there is no setting ZEBRA; docs/configuration.md" in in_file(tmp_path, f"ZEBRA={PASSWORD}")


def test_a_line_that_is_half_a_secret_is_not_shown(tmp_path):
    assert "a line of .env is no setting" in in_file(tmp_path, f"postgresql://coord:{PASSWORD}@db/c?sslmode=require")


def test_a_settings_file_in_another_encoding_is_told_in_words(tmp_path):
    assert "UTF-8" in in_file(tmp_path, "COORDINATOR_SMTP_USERNAME=Müller")


@pytest.mark.parametrize("read", ["url", "broker"])
def test_a_file_with_an_address_in_it_that_cannot_be_read_is_named(tmp_path, read):
    name = {"url": "database_url_file", "broker": "broker_url_file"}[read]
    settings = Settings(_env_file=None, **{name: tmp_path / "address"})
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{name.upper()}: address .*No such file"):
        getattr(settings, read)()
    (tmp_path / "address").write_text(" \n")
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{name.upper()}: address .*empty"):
        getattr(settings, read)()


@pytest.mark.parametrize(
    "name",
    [
        "database_url_file", "broker_url_file", "ca_file", "mail_ca_file", "notice_ca_file", "smart_key_file",
        "smime_key_file", "fax_key_file", "rule_signatures", "templates_dir", "mappings_dir", "clinic_letters_dir",
        "crl_dir", "secrets_dir", "smime_recipients_dir", "client_key_file", "key_file",
    ],
)  # fmt: skip
def test_a_file_or_folder_that_is_not_there_stops_the_start_and_is_named_with_its_setting(tmp_path, name):
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", **{name: tmp_path / "missing"})
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{name.upper()}: missing .*No such file"):
        build(settings)


def test_a_key_file_that_is_named_and_not_there_is_not_made(tmp_path):
    with pytest.raises(ConfigurationError, match="COORDINATOR_KEY_FILE"):
        build(Settings(_env_file=None, data_dir=tmp_path / "data", key_file=tmp_path / "field.key"))
    assert not (tmp_path / "field.key").exists()
    build(Settings(_env_file=None, data_dir=tmp_path / "data")).close()
    assert (tmp_path / "data" / "field.key").exists()


def test_a_further_key_that_is_not_there_is_named_by_its_id(tmp_path):
    settings = Settings(_env_file=None, data_dir=tmp_path / "data", smart_more_keys={"k2": tmp_path / "missing"})
    with pytest.raises(ConfigurationError, match="COORDINATOR_SMART_MORE_KEYS: k2: missing"):
        build(settings)


@pytest.mark.parametrize(("name", "why"), [("ca_file", "has to be a file"), ("templates_dir", "no folder")])
def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_told(tmp_path, name, why):
    (tmp_path / "file").touch()
    place = tmp_path if name.endswith("_file") else tmp_path / "file"
    with pytest.raises(ConfigurationError, match=f"COORDINATOR_{name.upper()}: .*{why}"):
        build(Settings(_env_file=None, data_dir=tmp_path / "data", **{name: place}))


def test_a_file_of_authorities_without_a_certificate_is_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate\n")
    with pytest.raises(ConfigurationError, match=r"COORDINATOR_CA_FILE: ca.pem .*no certificate in PEM"):
        build(Settings(_env_file=None, data_dir=tmp_path / "data", ca_file=tmp_path / "ca.pem"))


def test_a_client_certificate_that_is_none_is_told(tmp_path):
    (tmp_path / "file").write_text("no certificate\n")
    pair = {"client_certificate_file": tmp_path / "file", "client_key_file": tmp_path / "file"}
    with pytest.raises(ConfigurationError, match="COORDINATOR_CLIENT_CERTIFICATE_FILE"):
        build(Settings(_env_file=None, data_dir=tmp_path / "data", **pair))


def test_an_empty_folder_of_templates_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"COORDINATOR_TEMPLATES_DIR .* cannot be read"):
        workshop(Settings(_env_file=None, templates_dir=tmp_path))


def test_a_data_folder_that_cannot_be_made_is_told():
    with pytest.raises(ConfigurationError, match="COORDINATOR_DATA_DIR: x cannot be used: Not a directory"):
        build(Settings(_env_file=None, data_dir="/dev/null/x"))


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://coord:{PASSWORD}@db/c", f"postgresql://coord:{PASSWORD}@db/c", f"coord:{PASSWORD}@db",
        f"postgresql+psycopg://coord:part/{PASSWORD}@db:x/c", f"postgresql+psycopg://coord@db:{PASSWORD}/c",
    ],
)  # fmt: skip
def test_an_address_of_another_database_is_told_and_not_shown(url):
    with pytest.raises(ConfigurationError, match=r"COORDINATOR_DATABASE_URL .*postgresql\+psycopg://") as wrong:
        connect(url)
    assert PASSWORD not in str(wrong.value)
