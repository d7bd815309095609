from pathlib import Path

import pytest

from coordinator.domain.errors import ConfigurationError
from coordinator.settings import Settings
from coordinator.settings_page import renewed, table

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_configuration_page_is_current():
    text = PAGE.read_text("utf-8")
    assert renewed(text) == text, "run: python -m coordinator.settings_page docs/configuration.md"


def test_every_setting_says_what_it_is_for():
    unsaid = [name for name, one in Settings.model_fields.items() if not one.description]
    assert unsaid == []
    assert all(f"`COORDINATOR_{name.upper()}`" in table() for name in Settings.model_fields)


def test_hosts_and_keys_are_read_as_json(monkeypatch):
    monkeypatch.setenv("COORDINATOR_SMART_TOKEN_HOSTS", '{"ep-1": ["login.ehr.example"]}')
    monkeypatch.setenv("COORDINATOR_PRIVATE_HOSTS", '["ehr.hospital.lan"]')
    monkeypatch.setenv("COORDINATOR_SMART_MORE_KEYS", '{"coordinator-2": "/run/secrets/next.pem"}')
    settings = Settings(_env_file=None)
    assert settings.smart_token_hosts == {"ep-1": ("login.ehr.example",)}
    assert settings.private_hosts == ("ehr.hospital.lan",)
    assert settings.smart_more_keys == {"coordinator-2": Path("/run/secrets/next.pem")}


def test_a_setting_without_a_value_is_not_set(monkeypatch, tmp_path):
    monkeypatch.setenv("COORDINATOR_MAIL_CA_FILE", "")
    (tmp_path / "env").write_text("COORDINATOR_SENDERS=\nCOORDINATOR_KEY_FILE=\n", encoding="utf-8")
    settings = Settings(_env_file=tmp_path / "env")
    assert (settings.mail_ca_file, settings.key_file, settings.senders) == (None, None, 48)


def test_an_unknown_fax_vendor_stops_the_start(monkeypatch):
    monkeypatch.setenv("COORDINATOR_FAX_KIND", "carrier-pigeon")
    with pytest.raises(ConfigurationError, match="COORDINATOR_FAX_KIND has to be phaxio"):
        Settings(_env_file=None)
