"""The letter pages of secure links: never over plain http, but for development on this machine."""

import pytest

from coordinator.bootstrap import notice_channel
from coordinator.domain.errors import ConfigurationError
from coordinator.settings import Settings
from tests.contract.people import StillClock

CASES = [
    ("production", "https://letters.lakeside.example", True),
    ("production", "http://letters.lakeside.example", False),
    ("production", "http://127.0.0.1:8080", False),
    ("development", "http://letters.lakeside.example", False),
    ("development", "http://127.0.0.1:8080", True),
]


@pytest.mark.parametrize(("environment", "url", "may"), CASES)
def test_no_letter_is_read_over_plain_http(tmp_path, environment, url, may):
    password = tmp_path / "password"
    password.write_text("secret")
    settings = Settings(
        environment=environment, public_url=url, notice_smtp_host="mail.example", notice_smtp_username="u",
        notice_smtp_password_file=password, notice_from="letters@lakeside.example",
    )  # fmt: skip
    if may:
        assert set(notice_channel(settings, None, StillClock())) == {"secure-link"}
        return
    with pytest.raises(ConfigurationError, match="https"):
        notice_channel(settings, None, StillClock())


def test_without_a_mail_service_there_is_no_such_channel_and_the_address_does_not_matter():
    settings = Settings(environment="production", public_url="http://letters.lakeside.example")
    assert notice_channel(settings, None, StillClock()) == {}
