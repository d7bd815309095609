import time
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.channels.answers import FAX_STATUS, FHIR_STATUS, error_for
from coordinator.channels.wire import Answer
from coordinator.domain.errors import InDoubt, NeedsHuman, Permanent, Transient
from coordinator.domain.waits import instant_of, wait_asked

NOW = datetime(2026, 10, 14, 15, 0, tzinfo=UTC)


def answer(status, **headers):
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"{}", True)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Permanent), (401, NeedsHuman), (403, NeedsHuman), (404, Permanent), (405, NeedsHuman),
        (406, NeedsHuman), (408, Transient), (409, InDoubt),
        (410, Permanent), (412, InDoubt), (413, Permanent), (415, Permanent), (422, Permanent), (425, Transient),
        (429, Transient), (500, InDoubt), (502, Transient), (503, Transient), (504, Transient),
    ],
)  # fmt: skip
def test_each_status_of_a_fhir_write_has_its_class(status, kind):
    error = error_for(answer(status), FHIR_STATUS, NOW, kind="fhir")
    assert (type(error), error.code, error.status) == (kind, f"fhir.{status}", status)


def test_every_row_of_the_tables_is_tested():
    assert sorted(FHIR_STATUS) == [
        400,
        401,
        403,
        404,
        405,
        406,
        408,
        409,
        410,
        412,
        413,
        415,
        422,
        425,
        429,
        500,
        502,
        503,
        504,
    ]
    assert sorted(FAX_STATUS) == [400, 401, 402, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_is_a_persons_matter(status):
    error = error_for(answer(status), FHIR_STATUS, NOW, kind="fhir")
    assert (type(error), error.code) == (NeedsHuman, "fhir.redirect")


@pytest.mark.parametrize("status", [100, 402, 418, 451, 501, 505, 511])
def test_a_status_without_a_row_is_a_persons_matter_and_never_tried_again(status):
    assert type(error_for(answer(status), FHIR_STATUS, NOW, kind="fhir")) is NeedsHuman


@pytest.mark.parametrize("status", [507, 520, 524, 530, 599, 999])
def test_a_failure_without_a_row_may_hide_that_it_was_stored(status):
    for table, kind in ((FHIR_STATUS, "fhir"), (FAX_STATUS, "fax")):
        assert type(error_for(answer(status), table, NOW, kind=kind)) is InDoubt
    assert type(error_for(answer(status), FHIR_STATUS, NOW, kind="fhir", writes=False)) is Transient


@pytest.mark.parametrize("status", [409, 412, 500, 524])
def test_a_read_leaves_nothing_in_doubt_and_nobody_is_told_that_a_message_may_be_there(status):
    error = error_for(answer(status), FHIR_STATUS, NOW, kind="fhir", writes=False)
    assert (type(error), error.code) == (Transient, "fhir.asking")


def test_a_fax_that_a_gateway_may_have_queued_is_never_simply_tried_again():
    for status in (500, 502, 504):
        assert type(error_for(answer(status), FAX_STATUS, NOW, kind="fax")) is InDoubt


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta(0)),
        (" 5 ", timedelta(seconds=5)),
        ("Wed, 14 Oct 2026 15:10:00 GMT", timedelta(minutes=10)),
        ("Wed, 14 Oct 2026 14:50:00 GMT", None),
        ("31536000", timedelta(days=365)),
        ("9" * 400, timedelta(seconds=999_999_999)),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("١٢", None),
        ("1.5", None),
        ("Wed, 99 Xxx 2026", None),
        ("Jan +2359 00:00:00 99999999999 30 30", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_nonsense_is_no_wish(text, wish):
    assert wait_asked(text, NOW) == wish


@pytest.mark.parametrize(("status", "free"), [(429, True), (503, True), (408, False), (502, False), (504, False)])
def test_only_a_pause_that_was_asked_for_is_free(status, free):
    error = error_for(answer(status, retry_after="60"), FHIR_STATUS, NOW, kind="fhir")
    assert error.uses_attempt is not free
    assert error_for(answer(status), FHIR_STATUS, NOW, kind="fhir").uses_attempt is True


def test_the_far_sides_words_travel_as_detail_and_never_in_the_text():
    error = error_for(Answer(422, {}, b"Patient Zebrafinch unknown", True), FHIR_STATUS, NOW, kind="fhir")
    assert str(error) == "fhir.422"
    assert b"Zebrafinch" in error.detail


def test_a_date_without_a_zone_is_in_utc_wherever_this_machine_is(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/Chicago")
        time.tzset()
        assert instant_of("Wed, 14 Oct 2026 15:00:00 -0000") == datetime(2026, 10, 14, 15, tzinfo=UTC)
    time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "Wed, 99 Oct 2026 15:00:00 GMT"])
def test_what_is_no_date_is_none(text):
    assert instant_of(text) is None
