from datetime import timedelta

import pytest

from coordinator.channels.fax_codes import ACCOUNT, FAX_FAILURES, FAX_WORDS, UNKNOWN_FAILURE, FaxFailure, classify_words
from coordinator.channels.fax_gateway import FaxStatus, OutgoingFax
from coordinator.channels.fax_pause import PAUSE, PausingGateway
from coordinator.channels.wire import Answer
from coordinator.domain.errors import NeedsHuman, Permanent, Transient
from tests.contract.people import StillClock

FAX = OutgoingFax("+12185550143", b"%PDF", "letter.pdf", "t")


class Gateway:
    """Does as told; counts how often it was asked to dial."""

    def __init__(self):
        self.fault = None
        self.failure = None
        self.dialled = 0

    def submit(self, fax, *, deadline, about_to_send):
        self.dialled += 1
        if self.fault is not None:
            raise self.fault
        return "7", Answer(200, {}, b"", True)

    def status(self, fax_id, *, deadline):
        return FaxStatus(fax_id, "failed" if self.failure else "sent", failure=self.failure)

    def find(self, tag, *, deadline):
        return ()

    def account(self, *, deadline):
        if self.fault is not None:
            raise self.fault
        return "The account answers."


@pytest.fixture
def far():
    return Gateway()


@pytest.fixture
def clock():
    return StillClock()


@pytest.fixture
def gateway(far, clock):
    return PausingGateway(far, clock)


def submit(gateway):
    return gateway.submit(FAX, deadline=StillClock().now() + timedelta(seconds=9), about_to_send=lambda: None)


def test_an_account_that_is_refused_holds_one_fax_and_makes_the_others_wait(gateway, far):
    far.fault = NeedsHuman("fax.account")
    with pytest.raises(NeedsHuman):
        submit(gateway)
    for _ in range(3):
        with pytest.raises(Transient) as caught:
            submit(gateway)
        assert (caught.value.code, caught.value.uses_attempt, caught.value.retry_after) == ("fax.account", False, PAUSE)
    assert far.dialled == 1


def test_after_the_pause_one_goes_first_and_a_good_one_opens_the_channel(gateway, far, clock):
    far.fault = NeedsHuman("fax.account")
    with pytest.raises(NeedsHuman):
        submit(gateway)
    clock.pass_by(seconds=PAUSE.total_seconds())
    with pytest.raises(NeedsHuman):
        submit(gateway)
    with pytest.raises(Transient):
        submit(gateway)
    clock.pass_by(seconds=PAUSE.total_seconds())
    far.fault = None
    assert submit(gateway)[0] == "7"
    assert gateway.paused_until is None
    assert submit(gateway)[0] == "7"


@pytest.mark.parametrize(
    "fault",
    [Transient("fax.unavailable"), Permanent("fax.document"), NeedsHuman("fax.unknown")],
    ids=lambda one: one.code,
)
def test_trouble_of_one_fax_pauses_nothing(gateway, far, fault):
    far.fault = fault
    with pytest.raises(type(fault)):
        submit(gateway)
    far.fault = None
    assert submit(gateway)[0] == "7"


def test_a_report_that_blames_the_account_pauses_and_one_that_blames_the_line_does_not(gateway, far, clock):
    far.failure = FaxFailure("fax.busy", True)
    gateway.status("7", deadline=clock.now())
    assert gateway.paused_until is None
    far.failure = ACCOUNT
    gateway.status("7", deadline=clock.now())
    with pytest.raises(Transient):
        submit(gateway)


def test_an_account_that_answers_when_it_is_checked_ends_the_pause(gateway, far, clock):
    far.fault = NeedsHuman("fax.account")
    with pytest.raises(NeedsHuman):
        submit(gateway)
    far.fault = None
    gateway.account(deadline=clock.now())
    assert submit(gateway)[0] == "7"


def test_words_and_numbers_of_one_cause_have_one_meaning():
    by_code = {}
    for failure in (*FAX_FAILURES.values(), *FAX_WORDS.values()):
        by_code.setdefault(failure.code, set()).add(failure.retry)
    assert all(len(meanings) == 1 for meanings in by_code.values())


@pytest.mark.parametrize("words", ["", "busy line tone", "not busy", "answer"])
def test_words_that_are_not_in_the_table_are_a_persons_matter(words):
    assert classify_words(words) == UNKNOWN_FAILURE
